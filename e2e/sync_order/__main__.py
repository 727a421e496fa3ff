#!/usr/bin/env python3
"""Tells from a system call trace whether a registry answers only what would
survive a power cut.

`drive` sends requests one by one and notes, for each, what its answer vouches
for: paths that have to be there, or gone, from then on. `judge` reads the trace
that strace wrote meanwhile and keeps a model of what is on disk: which version
of each file has been synced, and which entries of each directory. At each
answer it compares.

In the model a file's content is durable once fsync or fdatasync on it began
after its last write had ended; an entry (a file made, moved or removed) once
fsync on its directory began after the change. Directories that were there
before the process began are of unknown history: their entries count as not
durable until synced once.
"""

import argparse
import json
import sys

from calls import CALLS
from driver import Driver
from judge import Judge


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    drive = commands.add_parser("drive")
    drive.add_argument("what", choices=["everything", "restart", "race"])
    drive.add_argument("address")
    drive.add_argument("operations")
    drive.add_argument("--other", help="serves the same store and is not traced")
    drive.add_argument("--wait", type=float, help="how long a sync takes, in seconds")
    judge = commands.add_parser("judge")
    for name in ("trace", "operations", "existing", "root", "results"):
        judge.add_argument(name)
    commands.add_parser("calls")
    options = parser.parse_args()
    if options.command == "calls":
        # With a question mark strace passes over those that the machine does not have.
        print(",".join("?" + call for call in CALLS))
    elif options.command == "drive":
        driver = Driver(options.address)
        if options.what == "everything":
            driver.everything(options.other)
        elif options.what == "race":
            driver.race(options.wait)
        else:
            driver.after_restart()
        with open(options.operations, "w", encoding="ascii") as file:
            json.dump(driver.operations, file, indent=1)
    else:
        run = Judge(options)
        run.run()
        print(f"{'answer to':52} {'syncs':>6} {'phases':>7} {'in series':>10} {'at most':>8}")
        for name, method, raw, phases, series, most in run.table:
            if name != "upload POST":
                print(f"{name + ' (' + method + ')':52} {raw:6} {phases:7} {series:10} {'' if most is None else most:>8}")
        with open(options.results, "w", encoding="ascii") as file:
            json.dump({"verified": run.verified, "wrong": run.wrong}, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
