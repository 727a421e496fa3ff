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
import hashlib
import http.client
import json
import os
import random
import re
import sys
import threading
import time
from urllib.parse import urlsplit

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCTETS = {"Content-Type": "application/octet-stream"}

# --------------------------------------------------------------------- drive


class Driver:
    def __init__(self, address):
        self.address = address
        self.operations = []
        self.random = random.Random(1)
        self.location = None

    def ask(self, name, expected, method, url, body=b"", headers=None, address=None, **promise):
        """One request on a connection of its own. `promise`: there, gone, first, waits."""
        split = urlsplit(url)
        connection = http.client.HTTPConnection(address or self.address, timeout=60)
        path = split.path + ("?" + split.query if split.query else "")
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        content = response.read()
        connection.close()
        if promise.pop("or_session", False) and response.status == 202:
            # Distribution has no single POST: it begins a session.
            promise, expected = {}, 202
        if response.status != expected:
            sys.exit(f"{name}: {method} {path}: {response.status} {content[:300]!r}, expected {expected}")
        if address is None:
            self.operations.append({"name": name, "method": method, "status": response.status, **promise})
        self.location = response.headers["Location"]
        time.sleep(0.1)

    def blob(self, size):
        data = self.random.randbytes(size)
        return data, "sha256:" + hashlib.sha256(data).hexdigest()

    def blob_paths(self, repository, digest):
        hexadecimal = digest[7:]
        return [
            f"blobs/sha256/{hexadecimal[:2]}/{hexadecimal}/data",
            f"repositories/{repository}/_layers/sha256/{hexadecimal}/link",
        ]

    def close(self, name, repository, digest, rest, **promise):
        url = self.location + ("&" if "?" in self.location else "?") + "digest=" + digest
        self.ask(name, 201, "PUT", url, rest, OCTETS, there=self.blob_paths(repository, digest), **promise)

    def push(self, repository, size, name="blob PUT"):
        data, digest = self.blob(size)
        self.ask("upload POST", 202, "POST", f"/v2/{repository}/blobs/uploads/")
        self.close(name, repository, digest, data, waits=2)
        return digest, size

    def session_paths(self, repository):
        session = urlsplit(self.location).path.rsplit("/", 1)[1]
        directory = f"repositories/{repository}/_uploads/{session}"
        return {"there": [f"{directory}/data"], "listed": [f"{directory}/startedat"]}

    def manifest(self, config, layer, note):
        def describe(media_type, blob):
            return {"mediaType": media_type, "digest": blob[0], "size": blob[1]}
        return json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": describe("application/vnd.oci.image.config.v1+json", config),
            "layers": [describe("application/vnd.oci.image.layer.v1.tar+gzip", layer)],
            "annotations": {"note": note},
        }).encode()

    def put(self, name, repository, tag, payload, **promise):
        hexadecimal = hashlib.sha256(payload).hexdigest()
        root = f"repositories/{repository}/_manifests"
        first = [f"blobs/sha256/{hexadecimal[:2]}/{hexadecimal}/data", f"{root}/revisions/sha256/{hexadecimal}/link"]
        tags = [f"{root}/tags/{tag}/current/link", f"{root}/tags/{tag}/index/sha256/{hexadecimal}/link"]
        if promise.pop("moves", False):
            promise["before"] = {"replaces": tags[0], "there": first}
        self.ask(name, 201, "PUT", f"/v2/{repository}/manifests/{tag}", payload, {"Content-Type": MANIFEST},
                 there=first + tags, **promise)
        return f"sha256:{hexadecimal}"

    def everything(self, other):
        """The requests. `other` serves the same store without being traced."""
        repository = "sync/one"
        config = self.push(repository, 700, "first blob PUT in a new repository")
        layer = self.push(repository, 300_000)
        self.push(repository, 0, "empty blob PUT")

        data, digest = self.blob(400_000)
        self.ask("upload POST", 202, "POST", f"/v2/{repository}/blobs/uploads/")
        session = self.session_paths(repository)
        for start in (0, 100_000, 200_000):
            span = dict(OCTETS, **{"Content-Range": f"{start}-{start + 99_999}"})
            self.ask("upload PATCH", 202, "PATCH", self.location, data[start:start + 100_000], span, waits=2, **session)
        self.close("blob PUT with the last chunk", repository, digest, data[300_000:], waits=2)

        data, digest = self.blob(100_000)
        self.ask("upload POST", 202, "POST", f"/v2/{repository}/blobs/uploads/")
        self.ask("upload PATCH", 202, "PATCH", self.location, data, OCTETS, waits=2, **self.session_paths(repository))
        self.close("blob PUT after PATCH", repository, digest, b"", waits=2)

        data, digest = self.blob(5_000)
        self.ask("blob by a single POST", 201, "POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", data, OCTETS,
                 there=self.blob_paths(repository, digest), waits=2, or_session=True)
        if self.operations[-1]["status"] == 202:
            self.close("blob PUT", repository, digest, data, waits=2)
        self.ask("mount into a new repository", 201, "POST",
                 f"/v2/sync/two/blobs/uploads/?mount={digest}&from={repository}", there=self.blob_paths("sync/two", digest))
        self.ask("upload POST", 202, "POST", f"/v2/{repository}/blobs/uploads/")
        self.close("blob PUT of what is there already", repository, digest, data)

        one, two, three = (self.manifest(config, layer, note) for note in ("one", "two", "three"))
        self.put("manifest PUT with the first tag of a repository", repository, "v1", one, waits=2)
        self.put("manifest PUT with a new tag", repository, "v2", two, waits=2)
        self.put("tag move to a new manifest", repository, "v1", three, moves=True, waits=3)
        self.put("tag move back", repository, "v1", one, moves=True)
        self.put("manifest PUT of what is there already", repository, "v1", one)
        manifests = f"repositories/{repository}/_manifests"
        self.ask("tag DELETE", 202, "DELETE", f"/v2/{repository}/manifests/v1", gone=[f"{manifests}/tags/v1/current/link"])
        self.put("the deleted tag made again", repository, "v1", one)
        digest = hashlib.sha256(two).hexdigest()
        revision, tag = f"{manifests}/revisions/sha256/{digest}/link", f"{manifests}/tags/v2/current/link"
        self.ask("manifest DELETE with its tag", 202, "DELETE", f"/v2/{repository}/manifests/sha256:{digest}",
                 gone=[revision, tag], before={"replaces": revision, "gone": [tag]})
        self.put("the deleted manifest made again", repository, "v2", two)
        link = self.blob_paths("sync/two", "sha256:" + hashlib.sha256(data).hexdigest())[1]
        self.ask("blob DELETE", 202, "DELETE",
                 f"/v2/sync/two/blobs/sha256:{hashlib.sha256(data).hexdigest()}", gone=[link])

        if other:
            # What this process knows to be durable is gone, and it was not the one to delete it.
            self.ask("", 202, "DELETE", f"/v2/{repository}/manifests/v1", address=other)
            self.put("a tag made again that another process deleted", repository, "v1", one, sort="others")

    def race(self, wait):
        """A tag that is deleted while the directories it was put in are being synced, and made again."""
        repository = "sync/race"
        config, layer = self.push(repository, 900), self.push(repository, 1_000)
        payload = self.manifest(config, layer, "race")
        url = f"/v2/{repository}/manifests/v1"
        first = Driver(self.address)
        headers = {"Content-Type": MANIFEST}
        thread = threading.Thread(target=first.ask, args=("tag PUT", 201, "PUT", url, payload, headers))
        thread.start()
        # The content is synced, everything is in place, the directories are being synced.
        time.sleep(1.5 * wait)
        self.ask("tag DELETE meanwhile", 202, "DELETE", url)
        thread.join()
        self.operations[-1:-1] = first.operations
        self.put("a tag made again that was deleted while it was made", repository, "v1", payload, sort="race")

    def after_restart(self):
        """On a store of which the process knows nothing: its directories may never have been synced."""
        repository = "sync/one"
        config = self.push(repository, 900, "first blob PUT after a restart")
        layer = self.push(repository, 1_000)
        self.put("first manifest PUT after a restart", repository, "v9", self.manifest(config, layer, "nine"), waits=2)


# --------------------------------------------------------------------- trace

WRITES = {"write", "writev", "pwrite64", "pwritev", "pwritev2", "ftruncate", "fallocate", "copy_file_range", "sendfile", "splice"}
SENDS = {"write", "writev", "sendto", "sendmsg", "sendmmsg"}
SYNCS = {"fsync", "fdatasync"}
OPENS = {"open", "openat", "openat2", "creat"}
MOVES = {"rename", "renameat", "renameat2"}
LINKS = {"link", "linkat"}
REMOVES = {"unlink", "unlinkat", "rmdir"}
MAKES = {"mkdir", "mkdirat"}
CALLS = sorted(WRITES | SENDS | SYNCS | OPENS | MOVES | LINKS | REMOVES | MAKES | {"truncate", "sync", "syncfs", "io_uring_enter"})


class Call:
    """A system call: its text up to the result, and the lines where it begins and ends."""

    def __init__(self, thread, name, text, line):
        self.thread, self.name, self.text, self.begin = thread, name, text, line
        self.end, self.result, self.covers = None, None, None

    def paths(self):
        """The path arguments, with those that are relative to an open directory resolved."""
        found = []
        pattern = r'(?:(?:AT_FDCWD|\d+)<((?:[^<>\\]|\\.)*)>, )?"((?:[^"\\]|\\.)*)"'
        for base, path in re.findall(pattern, self.text):
            path = unescape(path)
            found.append(path if path.startswith("/") else os.path.join(unescape(base), path))
        return [os.path.normpath(path) for path in found]

    def descriptor(self):
        """The file behind the first argument."""
        match = re.match(r"\d+<(/(?:[^<>\\]|\\.)*)>(\(deleted\))?", self.text)
        return None if not match or match[2] else os.path.normpath(unescape(match[1]))

    def opened(self):
        match = re.search(r"\d+<(/(?:[^<>\\]|\\.)*)>", self.result or "")
        return os.path.normpath(unescape(match[1])) if match else None

    def socket(self):
        return re.match(r"\d+<TCP(?:v6)?:\[", self.text) is not None

    def failed(self):
        return self.result is None or self.result.startswith(("-1", "?"))


def unescape(text):
    return re.sub(r"\\(.)", r"\1", text)


def read_trace(path):
    """Beginnings and ends of calls in the order in which strace saw them.

    That a call ended before another began is certain if the lines are in that order: strace holds
    each thread at both ends of a call.
    """
    under_way = {}
    with open(path, encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file):
            match = re.match(r"(\d+) +(.*)", line)
            if not match:
                continue
            thread, rest = match.groups()
            resumed = re.match(r"<\.\.\. (\w+) resumed>(.*)", rest)
            if resumed:
                call = under_way.pop(thread, None)
                if call is None:
                    continue
                text = call.text + resumed[2]
            else:
                started = re.match(r"(\w+)\((.*)", rest)
                if not started:
                    continue
                call = Call(thread, started[1], started[2], number)
                text = started[2]
                if text.endswith("<unfinished ...>"):
                    call.text = text[: -len("<unfinished ...>")].rstrip()
                    under_way[thread] = call
                    yield "begin", call
                    continue
                yield "begin", call
            body, _, result = text.rpartition(" = ")
            call.text, call.result, call.end = body, result.strip(), number
            yield "end", call


# --------------------------------------------------------------------- model


class File:
    def __init__(self, version=0, durable=0):
        self.version, self.durable = version, durable

    def synced(self):
        return self.durable >= self.version


class Entry:
    """A name in a directory. `node` is a File, "directory", or None where it has been removed."""

    def __init__(self, node, why):
        self.node, self.durable, self.why = node, False, why


class Disk:
    """The tree below a root, and what of it would survive a power cut."""

    def __init__(self, root, existing):
        self.root = root
        self.entries = {}
        for path in existing:
            directory = os.path.isdir(path)
            self.entries[path] = Entry("directory" if directory else File(), "was there before, never synced by this process")

    def inside(self, path):
        return path == self.root or path.startswith(self.root + "/")

    def set(self, path, node, why):
        self.entries[path] = Entry(node, why)

    def remove(self, path, why):
        entry = self.entries.get(path)
        node = entry.node if entry else None
        for below in [p for p in self.entries if p.startswith(path + "/")]:
            del self.entries[below]
        self.entries[path] = Entry(None, why)
        return node

    def file(self, path):
        entry = self.entries.get(path)
        return entry.node if entry and isinstance(entry.node, File) else None

    def in_directory(self, directory):
        return [path for path, entry in self.entries.items() if os.path.dirname(path) == directory and not entry.durable]

    def ancestors(self, path):
        while path != self.root:
            path = os.path.dirname(path)
            yield path

    def missing_above(self, path):
        """What keeps the directories of a path from being durable."""
        return [
            f"directory {self.short(above)}: {self.entries[above].why}"
            for above in self.ancestors(path)
            if above in self.entries and not self.entries[above].durable
        ]

    def missing_there(self, path, content=True):
        entry = self.entries.get(path)
        if entry is None or entry.node is None:
            return [f"{self.short(path)}: not there"]
        wrong = []
        if content and not entry.node.synced():
            wrong.append(f"{self.short(path)}: its content was not synced after the last write")
        if not entry.durable:
            wrong.append(f"{self.short(path)}: its directory was not synced: {entry.why}")
        return wrong + self.missing_above(path)

    def missing_gone(self, path):
        """A path is gone for good if it or something above it is, durably."""
        wrong = []
        for candidate in [path, *self.ancestors(path)]:
            entry = self.entries.get(candidate)
            if entry is None:
                continue
            if entry.node is not None:
                return wrong or [f"{self.short(path)}: still there"]
            if entry.durable:
                return []
            wrong = [f"{self.short(candidate)}: the removal was not synced: {entry.why}"]
        return wrong or [f"{self.short(path)}: never seen"]

    def short(self, path):
        return os.path.relpath(path, self.root)


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
