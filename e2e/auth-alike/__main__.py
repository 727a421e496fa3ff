"""What the same tokens, keys and requests come to with Distribution and with ours.

    auth-alike run WORK OURS THEIRS [GROUP…]    sends every row of the table to both and compares; with `-` for OURS
                                                it prints what Distribution answers
    auth-alike table                            what differs on purpose, as docs/migration.md has it
"""

import concurrent.futures
import json
import os
import shutil
import signal
import sys
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
# Starting and stopping registries is that suite's.
sys.path.insert(1, os.path.join(HERE, "..", "alike"))

import frame  # noqa: E402

import claims  # noqa: E402,F401
import differences  # noqa: E402
import routes  # noqa: E402,F401
import signatures  # noqa: E402,F401
import simple  # noqa: E402,F401
import starts  # noqa: E402
import table  # noqa: E402
import wire  # noqa: E402
from keys import Keys  # noqa: E402


def seed(work, binaries):
    """A store with an image in it, which every registry gets a copy of."""
    run = frame.Run(frame.Shared("seed", work, binaries), frame.THEIRS)
    try:
        run.start(text=configuration(run, ""))
        for data in (table.CONFIG, table.LAYER):
            place = run.ask("POST", "/v2/team/app/blobs/uploads/").header("Location")
            run.ask("PUT", f"{place[place.index('/v2/'):]}&digest={table.digest(data)}", data)
        if run.ask("PUT", table.IMAGE, table.MANIFEST, {"Content-Type": table.MANIFEST_TYPE}).status != 201:
            raise frame.Failed("the image could not be pushed")
    finally:
        run.close()
    return run.store


def configuration(run, auth):
    return run.configuration(storage="delete: {enabled: true}", http="secret: one-secret\nrelativeurls: true", more=auth)


class Side:
    """A registry with a group's configuration and a store of its own."""

    def __init__(self, group, number, side, work, binaries, store, keys):
        self.run = frame.Run(frame.Shared(f"group-{number}-{'ours' if side == frame.OURS else 'theirs'}", work, binaries), side)
        shutil.copytree(store, self.run.store)
        for name, data in group.files.items():
            with open(os.path.join(self.run.dir, name), "wb") as file:
                file.write(data)
        # Files of the group lie beside its store, keys in a directory of their own.
        auth = group.auth.replace("{dir}/htpasswd", f"{self.run.dir}/htpasswd").replace("{dir}", keys.directory)
        self.process = self.run.start(text=configuration(self.run, auth))

    def ask(self, row, request):
        answer = wire.send(self.run.port(), request, row.method == "HEAD")
        if self.process.child.poll() is not None:
            raise frame.Failed(f"{self.run.side} ended: {self.process.said()[-800:]}")
        return wire.seen(answer)


def run_group(number, group, work, binaries, store, keys):
    """Rows with what each side answered."""
    sides, results = [], []
    try:
        for side in binaries:
            sides.append(Side(group, number, side, work, binaries, store, keys))
        for row in group.rows:
            headers = [(name, value.text(keys) if isinstance(value, table.Bearer) else value) for name, value in row.headers]
            request = wire.request(row.method, row.path, headers, row.body)
            results.append((row.name, [side.ask(row, request) for side in sides]))
    finally:
        for side in sides:
            side.run.close()
    return results


def report(group, results):
    """Rows that differ without a reason, and how many have one."""
    problems, listed = [], 0
    for name, answers in results:
        theirs, ours = answers
        reason = differences.reason(group, name, theirs, ours)
        if theirs != ours and not reason:
            problems.append(f"{name}:\n  Distribution {json.dumps(theirs)}\n  ours         {json.dumps(ours)}")
        listed += theirs != ours and bool(reason)
    return problems, listed


def compare(work, ours, theirs, *names):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    binaries = {frame.THEIRS: theirs, frame.OURS: ours}
    if ours == "-":
        del binaries[frame.OURS]
    groups = [group for group in table.GROUPS if not names or group.name in names]
    passed = failed = rows = wanted = 0
    try:
        keys = Keys(os.path.join(work, "keys"))
        store = seed(work, {**binaries, frame.OURS: ours})
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            jobs = [(group.name, pool.submit(run_group, number, group, work, binaries, store, keys)) for number, group in enumerate(groups)]
            if not names or starts.NAME in names:
                jobs.append((starts.NAME, pool.submit(starts.run, work, binaries, keys, configuration)))
            for group, job in jobs:
                try:
                    results = job.result()
                except Exception:
                    failed += 1
                    print(f"FAIL {group}\n{traceback.format_exc()}", flush=True)
                    continue
                if ours == "-":
                    for name, answers in results:
                        print(f"{group} | {name} | {json.dumps(answers[0])}")
                    passed += 1
                    continue
                problems, listed = report(group, results)
                rows, wanted = rows + len(results), wanted + listed
                if problems:
                    failed += 1
                    print(f"FAIL {group}: {len(problems)} of {len(results)} rows")
                    for problem in problems:
                        print("     | " + problem.replace("\n", "\n     | "), flush=True)
                else:
                    passed += 1
                    print(f"ok   {group}: {len(results)} rows, {listed} of them different for a reason", flush=True)
        unused = [] if names or ours == "-" else differences.unused()
        for reason in unused:
            failed += 1
            print(f"FAIL no row shows any more: {reason}")
    finally:
        frame.end_all()
    print(f"{rows} requests and configurations were compared; {wanted} answers differ for a reason")
    return failed > 0 or passed == 0


def show():
    print("\n".join(differences.table()))


if __name__ == "__main__":
    sys.exit({"run": compare, "table": show}[sys.argv[1]](*sys.argv[2:]))
