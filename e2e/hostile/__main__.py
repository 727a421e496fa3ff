#!/usr/bin/env python3
"""Clients that no server likes: slow, stalled, half-closed, lying, huge, many.

Each scenario runs against a registry that is up, with the timeouts that are
given (hostile.sh sets short ones), speaks HTTP over plain sockets, and fails
by an exception that says what was seen. What holds after each of them is
checked here too: files and memory of the registry, and its store.
"""

import argparse
import resource
import sys
import time

from framing import chunks, early_answers, expectations, heads, lengths, pipelining
from sessions import resets, sessions_end, sessions_go_on, sessions_open
from slow import half_closed, slow_clients, slowloris, stalled_bodies, stalled_reads
from wire import MIB, args, big_blob, content, pulls, push_blob, push_image, settled


def prepare():
    """What the other scenarios read."""
    push_image("hostile", "latest", b"a small layer")
    push_blob("hostile", big_blob()[0])


def works():
    """A push and a pull, as if nothing had been."""
    data = content(f"works {time.time()}", 2 * MIB)
    manifest = push_image("works", "latest", data)
    pulls("works", "latest", manifest, data)


SCENARIOS = (
    prepare, works, slowloris, stalled_bodies, slow_clients, stalled_reads, half_closed, lengths, chunks, expectations,
    early_answers, heads, pipelining, resets, sessions_open, sessions_go_on, sessions_end,
)  # fmt: skip


def main():
    names = {scenario.__name__: scenario for scenario in SCENARIOS}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", choices=names)
    parser.add_argument("--address", required=True, type=lambda text: (text.split(":")[0], int(text.split(":")[1])))
    parser.add_argument("--pid", required=True, type=int)
    parser.add_argument("--store", required=True)
    parser.add_argument("--timeout", type=float, required=True, help="seconds, of every kind")
    parser.add_argument("--files", type=int, required=True, help="open files of the registry when it was new")
    parser.add_argument("--memory", type=int, required=True, help="its resident bytes then")
    parser.add_argument("--state", help="where sessions are written down")
    parser.parse_args(namespace=args)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    started = time.monotonic()
    names[args.scenario]()
    print(f"{args.scenario}: {time.monotonic() - started:.1f} s")
    settled()


if __name__ == "__main__":
    sys.exit(main())
