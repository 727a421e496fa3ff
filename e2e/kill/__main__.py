#!/usr/bin/env python3
"""Kills a registry in the middle of concurrent requests, again and again.

Client threads note every request with the time it was sent and, if an answer
came, the time and the status. After each kill the store is looked at while
nobody writes, the registry is started again on it, and everything that was
acknowledged is asked for. What had no answer may have happened or not.

All choices follow from --seed; what the kill hits also depends on the machine.
Results go to --results as JSON: for each property, how much was verified and
what was wrong.
"""

import argparse
import json
import random
import sys
import threading
import time

from content import Results
from known import Known
from server import Server
from verifier import Verifier
from worker import Worker


def main():
    parser = argparse.ArgumentParser()
    for name in ("registry", "config", "store", "log", "pids", "results"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--workers", type=int, default=8)
    options = parser.parse_args()

    known, results = Known(), Results()
    server, verifier = Server(options, results), Verifier(options, known, results)
    states = [
        {"blobs": {}, "used": set(), "manifests": {}, "tags": {}, "kept": []} for _ in range(options.workers)
    ]
    delays = random.Random(f"{options.seed}/delays")
    started = time.monotonic()
    try:
        if not server.start():
            results.bad("restarts", "the registry did not start")
        for turn in range(1, options.kills + 1):
            if results.wrong["restarts"]:
                break
            verifier.turn = turn
            stop = threading.Event()
            workers = [
                Worker(n, states[n], server.address, options.seed, turn, known, results, stop)
                for n in range(options.workers)
            ]
            for worker in workers:
                worker.start()
            delay = delays.uniform(0.03, 0.9)
            time.sleep(delay)
            alive = server.kill()
            stop.set()
            for worker in workers:
                worker.join(30)
            results.judge("restarts", alive, f"kill {turn}: the registry had ended by itself")
            in_flight, under_way = known.in_flight, len(known.uploads)
            verifier.look_at_store()
            begun = time.monotonic()
            if not results.judge("restarts", server.start(), f"kill {turn}: the registry did not come back"):
                break
            verifier.verify(server.address, turn == options.kills)
            # What a request without an answer did is known now.
            for number, state in enumerate(states):
                learn(state, known, number)
            print(
                f"kill {turn:2}: after {delay:.3f} s, {in_flight} requests in flight, {under_way} uploads under way, "
                f"verified in {time.monotonic() - begun:.1f} s; wrong so far: {sum(map(len, results.wrong.values()))}",
                flush=True,
            )
    finally:
        if server.process is not None:
            server.kill()
    results.figures["blobs known"] = len(known.blobs)
    results.figures["manifests known"] = len(known.manifests)
    results.figures["tags known"] = len(known.tags)
    results.figures["seconds"] = round(time.monotonic() - started, 1)
    with open(options.results, "w", encoding="ascii") as file:
        json.dump({"verified": results.verified, "wrong": results.wrong, "figures": results.figures}, file, indent=1)
    for name, count in sorted(results.figures.items()):
        print(f"{name}: {count}")
    return 0


def learn(state, known, number):
    """Brings what a client believes in line with what was found."""
    for (repository, tag), history in known.tags.items():
        if tag.startswith(f"w{number}-"):
            (value,) = history.possible() if len(history.possible()) == 1 else (None,)
            if value is None:
                state["tags"].pop((repository, tag), None)
            else:
                state["tags"][repository, tag] = value
    for repository, digests in state["manifests"].items():
        digests[:] = [d for d in digests if known.manifests[repository, d].possible() == {True}]
    for repository, digests in state["blobs"].items():
        digests[:] = [d for d in digests if known.blobs[repository, d].possible() == {True}]


if __name__ == "__main__":
    sys.exit(main())
