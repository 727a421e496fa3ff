"""Holds what was answered against the model of the disk, call by call."""

import json
import os
import re
import sys

from calls import LINKS, MAKES, MOVES, OPENS, REMOVES, SENDS, SYNCS, WRITES, read_trace
from disk import Disk, File


def relaxed(path):
    """What may be lost in a power cut: when a session began, and states of digests."""
    return "/_uploads/" in path and (path.endswith("/startedat") or ".tmp" in path and "/startedat." in path or "/hashstates" in path)


class Judge:
    def __init__(self, options):
        with open(options.operations, encoding="ascii") as file:
            self.operations = json.load(file)
        with open(options.existing, encoding="utf-8") as file:
            existing = [line.rstrip("\n") for line in file]
        self.root = os.path.normpath(options.root)
        self.base = os.path.join(self.root, "docker/registry/v2")
        self.disk = Disk(self.root, existing)
        self.trace = options.trace
        self.wrong = {name: [] for name in ("content", "answer", "unknown", "others", "race", "move", "states", "waits")}
        self.verified = {name: 0 for name in self.wrong}
        self.table = []
        self.operation = None
        self.syncs, self.changes = [], []

    def complain(self, name, text):
        where = self.operation["name"] if self.operation else "before the first request"
        self.wrong[name].append(f"{where}: {text}")

    def run(self):
        events = list(read_trace(self.trace))
        sends = [
            call for kind, call in events
            if kind == "begin" and call.name in SENDS and call.socket() and '"HTTP/1.1 ' in call.text
        ]
        # Those before are answers to whoever waited for the registry to be ready.
        if len(sends) < len(self.operations):
            sys.exit(f"{len(sends)} answers in the trace, {len(self.operations)} requests")
        answers = dict(zip(map(id, sends[len(sends) - len(self.operations):]), self.operations))
        upcoming = iter(self.operations)
        if len(sends) == len(self.operations):
            self.operation = next(upcoming)
        before = {id(sends[-len(self.operations) - 1])} if len(sends) > len(self.operations) else set()
        for kind, call in events:
            if call.name == "io_uring_enter":
                sys.exit("the registry uses io_uring, which this cannot see through")
            if kind == "begin":
                self.begin(call)
                if id(call) in before:
                    self.operation = next(upcoming)
                    self.syncs, self.changes = [], []
                if id(call) in answers:
                    status = re.search(r'"HTTP/1\.1 (\d+)', call.text)[1]
                    if int(status) != self.operation["status"]:
                        sys.exit(f"{self.operation['name']}: answer {status} in the trace")
                    self.answer(call)
                    self.operation = next(upcoming, None)
                    self.syncs, self.changes = [], []
            elif not call.failed():
                self.finish(call)

    # ------------------------------------------------------------ system calls

    def begin(self, call):
        if call.name in SYNCS:
            path = call.descriptor()
            if path is None or not self.disk.inside(path) and path != os.path.dirname(self.root):
                return
            self.syncs.append(call)
            file = self.disk.file(path)
            # What it covers: what had been done when it began.
            call.covers = (file, file.version) if file else [self.disk.entries[p] for p in self.disk.in_directory(path)]
        elif call.name in MOVES | LINKS:
            self.check_publish(call)
        elif call.name in REMOVES:
            for path in call.paths()[:1]:
                self.check_before(path)

    def finish(self, call):
        disk = self.disk
        if call.name in OPENS:
            path = call.opened()
            if path and disk.inside(path) and "O_CREAT" in call.text or call.name == "creat":
                known = disk.entries.get(path)
                if known is None or known.node is None:
                    disk.set(path, File(), "made here")
            if path and "O_TRUNC" in call.text and disk.file(path):
                disk.file(path).version += 1
        elif call.name in WRITES and call.descriptor():
            file = disk.file(call.descriptor())
            if file:
                file.version += 1
        elif call.name in SYNCS and call.covers is not None:
            if isinstance(call.covers, tuple):
                file, version = call.covers
                file.durable = max(file.durable, version)
            else:
                for entry in call.covers:
                    entry.durable = True
        elif call.name in MAKES:
            for path in call.paths()[:1]:
                if disk.inside(path):
                    disk.set(path, "directory", "made here")
        elif call.name in REMOVES:
            for path in call.paths()[:1]:
                if disk.inside(path):
                    disk.remove(path, "removed here")
                    if not path.endswith(".tmp"):
                        self.changes.append(call.end)
        elif call.name in MOVES | LINKS:
            source, target = call.paths()[:2]
            if disk.inside(target):
                entry = disk.entries.get(source)
                if entry is not None:
                    node = entry.node
                    if call.name in MOVES:
                        disk.remove(source, "moved away")
                    disk.set(target, node, "moved into place here")
                self.changes.append(call.end)
        elif call.name in ("sync", "syncfs"):
            sys.exit(f"the registry calls {call.name}, which this does not model")

    # ------------------------------------------------------------ the order

    def check_publish(self, call):
        source, target = call.paths()[:2]
        if not self.disk.inside(target):
            return
        if not relaxed(target):
            file = self.disk.file(source)
            self.verified["content"] += 1
            if file is None or not file.synced():
                self.complain("content", f"{self.disk.short(target)} was put in place before its content was synced")
        elif "/hashstates/" in target:
            # A state that outlived its bytes would vouch for what is not there.
            data = target.partition("/hashstates/")[0] + "/data"
            if os.path.basename(target) != "0" and self.disk.file(data):
                self.verified["states"] += 1
                if not self.disk.file(data).synced():
                    self.complain("states", f"{self.disk.short(target)} was saved before the bytes were synced")
        self.check_before(target)

    def check_before(self, path):
        """Of what the operation says has to be durable before this path is replaced or removed."""
        before = (self.operation or {}).get("before")
        if not before or path != os.path.join(self.base, before["replaces"]):
            return
        self.verified["move"] += 1
        for needed in before.get("there", []):
            for text in self.disk.missing_there(os.path.join(self.base, needed)):
                self.complain("move", f"when {before['replaces']} was replaced: {text}")
        for needed in before.get("gone", []):
            for text in self.disk.missing_gone(os.path.join(self.base, needed)):
                self.complain("move", f"when {before['replaces']} was removed: {text}")

    def answer(self, call):
        operation = self.operation
        wrong = []
        for path in operation.get("there", []):
            wrong += self.disk.missing_there(os.path.join(self.base, path))
        for path in operation.get("listed", []):
            wrong += self.disk.missing_there(os.path.join(self.base, path), content=False)
        for path in operation.get("gone", []):
            wrong += self.disk.missing_gone(os.path.join(self.base, path))
        if any(key in operation for key in ("there", "listed", "gone")):
            self.verified[operation.get("sort", "answer")] += 1
            self.verified["unknown"] += 1
        for text in dict.fromkeys(wrong):
            self.complain("unknown" if "was there before" in text else operation.get("sort", "answer"), text)
        phases, series = self.phases(call), self.series(call)
        most = operation.get("waits")
        self.table.append((operation["name"], operation["method"], len(self.syncs), phases, series, most))
        if most is not None:
            self.verified["waits"] += 1
            if phases > most or series > most:
                self.complain("waits", f"{phases} phases and {series} waits in series, at most {most} expected")

    def phases(self, call):
        """Runs of syncs with nothing becoming visible in between."""
        phases, last = 0, None
        for sync in self.syncs:
            if last is None or any(last < change < sync.begin for change in self.changes):
                phases += 1
                last = sync.begin
            else:
                last = max(last, sync.begin)
        return phases

    def series(self, call):
        """The most syncs of which each began after the one before had ended."""
        count, free = 0, -1
        for sync in sorted(self.syncs, key=lambda s: s.end if s.end is not None else call.begin):
            if sync.begin > free:
                count += 1
                free = sync.end if sync.end is not None else call.begin
        return count
