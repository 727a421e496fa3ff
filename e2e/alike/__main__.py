"""Runs the cases, several at a time; one that fails so is run again alone.

Cases look at both after a while ("not yet healthy after half a second"). Where one of the two was not given the
processor for that long, they seem to differ; alone they do not. A difference shows both times.

python3 alike run WORK PKI OURS THEIRS [CASE…]   all cases, or those
python3 alike keys CONFIGURATION.MD              that every key of Distribution's reference is in a case
python3 alike table                              what differs on purpose, for docs/migration.md
"""

import concurrent.futures
import os
import re
import signal
import sys
import time
import traceback

import buckets  # noqa: F401, cases
import differences
import frame
import health  # noqa: F401, cases
import http_addresses  # noqa: F401, cases
import http_tls  # noqa: F401, cases
import keys
import middleware  # noqa: F401, cases
import notifications  # noqa: F401, cases
import storage  # noqa: F401, cases
import validation  # noqa: F401, cases

NOTHING = "(nothing)"
# They wait most of the time, and begin first.
LONGEST = (
    "what_fails_is_sent_again",
    "file_operations_at_once",
    "draining",
    "who_is_told",
    "slow_endpoints",
    "the_store",
    "servers",
)


def compare(theirs, ours, known):
    """What differs and is not known, and what is known and does not."""
    problems, used = [], set()
    shown = lambda value: frame.tidy(repr(value))
    for label in [*theirs.notes, *(label for label in ours.notes if label not in theirs.notes)]:
        one, other = theirs.notes.get(label, NOTHING), ours.notes.get(label, NOTHING)
        seen = f"{label}:\n  Distribution {shown(one)}\n  ours         {shown(other)}"
        entries = [entry for entry in known if re.fullmatch(entry[1], label)]
        used.update(map(id, entries))
        if not entries and shown(one) != shown(other):
            problems.append(seen)
        for _, _, expected, wanted in entries:
            wanted = wanted(one) if callable(wanted) else wanted
            as_listed = expected is differences.ANY or shown(expected) == shown(one)
            if not as_listed or shown(wanted) != shown(other) or shown(one) == shown(other):
                problems.append(f"differs, if at all, otherwise than listed: {seen}")
    problems.extend(f"listed, and not seen: {entry[1]}" for entry in known if id(entry) not in used)
    return problems


def run_case(name, of_case, function, work, binaries):
    begun = time.monotonic()
    shared = frame.Shared(name, work, binaries)
    try:
        theirs = frame.one_side(shared, frame.THEIRS, function)
        ours = frame.one_side(shared, frame.OURS, function)
        problems = compare(theirs, ours, differences.of(name))
        problems += [f"{key}: not in a file or variable of this case" for key in keys.unused(of_case, shared.files)]
        seen = len(theirs.notes)
    except Exception:
        problems, seen = [traceback.format_exc()], 0
    return name, problems, seen, time.monotonic() - begun


def show(name, problems, seen, seconds):
    print(f"{'FAIL' if problems else 'ok  '} {name}{'' if problems else f': {seen} observations'} ({seconds:.1f} s)")
    quote(problems)


def quote(problems):
    for problem in problems:
        print("     | " + problem.replace("\n", "\n     | "), flush=True)


def run(work, pki, ours, theirs, *names):
    os.environ["ALIKE_PKI"] = pki
    binaries = {frame.OURS: ours, frame.THEIRS: theirs}
    cases = [one for one in frame.CASES if not names or one[0] in names]
    cases.sort(key=lambda one: one[0] not in LONGEST)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results, again = [], []
    try:
        with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("ALIKE_JOBS", "4"))) as pool:
            jobs = {pool.submit(run_case, *case, work, binaries): case for case in cases}
            for job in concurrent.futures.as_completed(jobs):
                if job.result()[1]:
                    print(f"     {job.result()[0]} failed beside others, and will be run alone:")
                    quote(job.result()[1])
                    again.append(jobs[job])
                else:
                    results.append(job.result())
                    show(*results[-1])
        for case in again:
            results.append(run_case(*case, work, binaries))
            show(*results[-1])
    finally:
        frame.end_all()
    failed = sum(bool(problems) for _, problems, _, _ in results)
    print(f"alike: {len(results) - failed} passed, {failed} failed, {sum(seen for _, _, seen, _ in results)} observations")
    return failed > 0 or not results


def check_keys(path):
    with open(path, encoding="utf-8") as reference:
        problems = keys.problems(reference.read())
    print(*problems, sep="\n")
    for name, of_case, _ in frame.CASES:
        print(f"{name}: {', '.join(of_case)}")
    return bool(problems)


if __name__ == "__main__":
    commands = {"run": run, "keys": check_keys, "table": lambda: print(differences.table())}
    sys.exit(commands[sys.argv[1]](*sys.argv[2:]))
