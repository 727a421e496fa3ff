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
import hashlib
import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
OCTETS = {"Content-Type": "application/octet-stream"}
SHARED = "kill/shared"
TEMPORARIES = 6  # the most that one request has at a time
PROPERTIES = (
    "answers", "restarts", "blobs", "manifests", "tags", "deletes", "visible", "store", "uploads", "again", "early", "stray",
)


class Died(Exception):
    """No answer: the registry was killed."""


class Results:
    """What was verified, and what was wrong, for each property."""

    def __init__(self):
        self.lock = threading.Lock()
        self.verified = {name: 0 for name in PROPERTIES}
        self.wrong = {name: [] for name in PROPERTIES}
        self.figures = {}

    def good(self, name, count=1):
        with self.lock:
            self.verified[name] += count

    def bad(self, name, text):
        with self.lock:
            self.wrong[name].append(text)

    def judge(self, name, fine, text):
        if fine:
            self.good(name)
        else:
            self.bad(name, text)
        return fine

    def add(self, figure, count=1):
        with self.lock:
            self.figures[figure] = self.figures.get(figure, 0) + count


class Client:
    """One connection. Whatever cuts it off is `Died`."""

    def __init__(self, address, timeout=20):
        self.connection = http.client.HTTPConnection(*address, timeout=timeout)

    def ask(self, method, url, body=None, headers=None):
        split = urlsplit(url)
        path = split.path + ("?" + split.query if split.query else "")
        headers = dict(headers or {})
        if body is None and method in ("POST", "PUT", "PATCH"):
            body = b""
        try:
            try:
                self.connection.request(method, path, body=body, headers=headers)
            except (BrokenPipeError, ConnectionResetError):
                # Answered before all of the body was taken? Then the answer is there to be read.
                if self.connection.sock is None:
                    raise
            response = self.connection.getresponse()
            content = response.read()
            if response.status >= 400:
                # A server may close a connection on which it refused a body.
                self.connection.close()
        except TimeoutError:
            self.connection.close()
            raise
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            raise Died(f"{method} {path}: {error!r}") from error
        return response.status, response.headers, content


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def content(key, size):
    """The bytes of a blob; only its key and size are remembered."""
    return random.Random(key).randbytes(size)


class History:
    """What was asked of one name, and so what it may be now.

    An operation counts unless one that was acknowledged began after it had ended.
    """

    def __init__(self, value=None):
        self.steps = [(float("-inf"), float("-inf"), value)]

    def began(self, value):
        step = [time.monotonic(), None, value]
        self.steps.append(step)
        return step

    @staticmethod
    def acknowledged(step):
        step[1] = time.monotonic()

    def refuse(self, step):
        """It was answered, and not done."""
        self.steps.remove(step)

    def possible(self):
        newest = max(step[0] for step in self.steps if step[1] is not None)
        return {step[2] for step in self.steps if step[1] is None or step[1] >= newest}

    def settle(self, value):
        self.steps = [(float("-inf"), float("-inf"), value)]


class Known:
    """All that the clients know of the store."""

    def __init__(self):
        self.lock = threading.Lock()
        self.tags = {}  # (repository, tag) -> History of digests, None where there is none
        self.manifests = {}  # (repository, digest) -> History of True and None
        self.blobs = {}  # (repository, digest) -> History of True and None
        self.sizes = {}  # digest of a blob -> size
        self.payloads = {}  # digest of a manifest -> bytes
        self.touched = set()  # (kind, repository, name) since the last kill
        self.uploads = []  # uploads under way at a kill
        self.in_flight = 0  # requests without an answer
        self.sessions_in_flight = 0

    def history(self, kind, repository, name):
        with self.lock:
            self.touched.add((kind, repository, name))
            return getattr(self, kind).setdefault((repository, name), History())


class Upload:
    """A session: what is to be sent, how much has been, where to go on."""

    def __init__(self, repository, data, location):
        self.repository, self.data, self.location = repository, data, location
        self.digest = digest_of(data)
        self.acknowledged = 0
        self.sent = 0
        self.closing = False
        self.closing_url = None

    def __repr__(self):
        return f"upload of {self.digest} to {self.repository}"


class Worker(threading.Thread):
    """One client. Its random numbers come from the seed, the round and its number."""

    def __init__(self, number, state, address, seed, turn, known, results, stop):
        super().__init__(daemon=True)
        self.number, self.state, self.known, self.results, self.stop_event = number, state, known, results, stop
        self.client = Client(address)
        self.random = random.Random(f"{seed}/{turn}/{number}")
        self.prefix = f"{seed}/{turn}/{number}"
        self.counter = 0

    def run(self):
        actions = [
            (self.push_put, 4), (self.push_post, 3), (self.push_chunks, 5), (self.push_common, 2), (self.mount, 1),
            (self.push_manifest, 6), (self.move_tag, 5), (self.move_common_tag, 2),
            (self.delete_tag, 2), (self.delete_manifest, 2), (self.delete_blob, 1),
        ]
        functions, weights = zip(*actions)
        try:
            while not self.stop_event.is_set():
                self.random.choices(functions, weights)[0]()
        except Died:
            with self.known.lock:
                self.known.in_flight += 1
        except TimeoutError:
            self.results.bad("answers", f"worker {self.number}: no answer within 20 s")
        except Exception as error:  # a mistake in this program must not look like success
            self.results.bad("answers", f"worker {self.number}: {error!r}")

    # ------------------------------------------------------------- requests

    def ask(self, expected, method, url, body=None, headers=None):
        status, headers, content = self.client.ask(method, url, body, headers)
        self.results.add("requests answered")
        self.results.judge("answers", status == expected, f"{method} {url[:160]}: {status}, expected {expected}: {content[:200]!r}")
        return status == expected, headers

    def change(self, changes, expected, method, url, body=None, headers=None):
        """A request that, once answered, has made these changes: (history, value)."""
        steps = [(history, history.began(value)) for history, value in changes]
        fine, headers = self.ask(expected, method, url, body, headers)
        for history, step in steps:
            if fine:
                history.acknowledged(step)
            else:
                history.refuse(step)
        return fine, headers

    # -------------------------------------------------------------- choices

    def repository(self):
        return self.random.choice([SHARED, f"kill/w{self.number}/a", f"kill/w{self.number}/b"])

    def size(self):
        kind = self.random.random()
        if kind < 0.05:
            return 0
        if kind < 0.6:
            return self.random.randint(1, 8192)
        if kind < 0.95:
            return self.random.randint(8192, 300_000)
        return self.random.randint(1_000_000, 3_000_000)

    def fresh(self, size=None):
        self.counter += 1
        size = self.size() if size is None else size
        return content(f"{self.prefix}/{self.counter}", size)

    # ---------------------------------------------------------------- blobs

    def blob_change(self, repository, data):
        digest = digest_of(data)
        with self.known.lock:
            self.known.sizes[digest] = len(data)
        return [(self.known.history("blobs", repository, digest), True)], digest

    def pushed(self, repository, digest):
        self.state["blobs"].setdefault(repository, []).append(digest)

    def begin(self, repository):
        with self.known.lock:
            self.known.sessions_in_flight += 1
        fine, headers = self.ask(202, "POST", f"/v2/{repository}/blobs/uploads/")
        with self.known.lock:
            self.known.sessions_in_flight -= 1
        return headers["Location"] if fine else None

    def finish(self, upload, rest=b"", headers=None):
        url = upload.location + ("&" if "?" in upload.location else "?") + "digest=" + upload.digest
        changes, digest = self.blob_change(upload.repository, upload.data)
        upload.closing, upload.closing_url, upload.sent = True, url, len(upload.data)
        fine, _ = self.change(changes, 201, "PUT", url, rest, dict(OCTETS, **(headers or {})))
        return digest if fine else None

    def upload(self, repository, data, cuts):
        """POST, a PATCH for each piece but the last, PUT."""
        location = self.begin(repository)
        if location is None:
            return None
        upload = Upload(repository, data, location)
        with self.known.lock:
            self.known.uploads.append(upload)
        for start, end in zip([0] + cuts, cuts):
            upload.sent = end
            headers = dict(OCTETS, **{"Content-Range": f"{start}-{end - 1}"})
            fine, answer = self.ask(202, "PATCH", upload.location, data[start:end], headers)
            if fine:
                self.results.judge("answers", answer["Range"] == f"0-{end - 1}", f"Range {answer['Range']} after {end} bytes")
                upload.location, upload.acknowledged = answer["Location"], end
        digest = self.finish(upload, data[cuts[-1] if cuts else 0:])
        with self.known.lock:
            self.known.uploads.remove(upload)
        return digest

    def push(self, repository, data, cuts=()):
        digest = self.upload(repository, data, list(cuts))
        if digest:
            self.pushed(repository, digest)
        return digest

    def push_put(self):
        return self.push(self.repository(), self.fresh())

    def push_post(self):
        repository, data = self.repository(), self.fresh()
        changes, digest = self.blob_change(repository, data)
        with self.known.lock:
            self.known.sessions_in_flight += 1
        fine, _ = self.change(changes, 201, "POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", data, OCTETS)
        with self.known.lock:
            self.known.sessions_in_flight -= 1
        if fine:
            self.pushed(repository, digest)

    def push_chunks(self):
        # Now and then pieces large enough to be cut off in the middle.
        largest = 8_000_000 if self.random.random() < 0.15 else 500_000
        data = self.fresh(self.random.randint(4, largest))
        cuts = sorted(self.random.sample(range(1, len(data)), min(self.random.randint(1, 5), len(data) - 1)))
        if self.random.random() < 0.5:
            cuts.append(len(data))  # then the PUT has no bytes
        self.push(self.repository(), data, cuts)

    def push_common(self):
        """Content that other clients push at the same time."""
        self.upload(SHARED, content(f"common/{self.random.randrange(8)}", 50_000), [])

    def mount(self):
        blobs = self.state["blobs"].get(f"kill/w{self.number}/a")
        if not blobs:
            return
        digest = self.random.choice(blobs)
        target = f"kill/w{self.number}/b"
        history = self.known.history("blobs", target, digest)
        url = f"/v2/{target}/blobs/uploads/?mount={digest}&from=kill/w{self.number}/a"
        fine, _ = self.change([(history, True)], 201, "POST", url)
        if fine:
            self.pushed(target, digest)

    def delete_blob(self):
        repository = self.repository()
        blobs = self.state["blobs"].get(repository)
        if not blobs:
            return
        digest = self.random.choice(blobs)
        # Not again, and in no manifest: not one that is there, nor one to come.
        self.state["blobs"][repository] = [blob for blob in blobs if blob != digest]
        if (repository, digest) in self.state["used"]:
            return
        history = self.known.history("blobs", repository, digest)
        self.change([(history, None)], 202, "DELETE", f"/v2/{repository}/blobs/{digest}")

    # ------------------------------------------------------------ manifests

    def tag(self):
        return f"w{self.number}-{self.random.randrange(4)}"

    def make_manifest(self, repository):
        blobs = self.state["blobs"].get(repository, [])
        while len(blobs) < 2:
            if self.push(repository, self.fresh(2000)) is None:
                return None
            blobs = self.state["blobs"][repository]
        chosen = self.random.sample(blobs, min(len(blobs), self.random.randint(2, 4)))
        for digest in chosen:
            self.state["used"].add((repository, digest))
        described = [{"mediaType": LAYER, "digest": d, "size": self.known.sizes[d]} for d in chosen]
        described[0]["mediaType"] = CONFIG
        self.counter += 1
        document = {
            "schemaVersion": 2, "mediaType": MANIFEST, "config": described[0], "layers": described[1:],
            "annotations": {"made": f"{self.prefix}/{self.counter}"},
        }
        payload = json.dumps(document).encode()
        with self.known.lock:
            self.known.payloads[digest_of(payload)] = payload
        return payload

    def put(self, repository, reference, payload, more=()):
        digest = digest_of(payload)
        changes = [(self.known.history("manifests", repository, digest), True), *more]
        fine, _ = self.change(changes, 201, "PUT", f"/v2/{repository}/manifests/{reference}", payload, {"Content-Type": MANIFEST})
        if fine and digest not in self.state["manifests"].setdefault(repository, []):
            self.state["manifests"][repository].append(digest)
        return fine

    def put_tag(self, repository, tag, payload):
        history = self.known.history("tags", repository, tag)
        digest = digest_of(payload)
        if self.put(repository, tag, payload, [(history, digest)]):
            self.state["tags"][repository, tag] = digest

    def push_manifest(self):
        repository = self.repository()
        payload = self.make_manifest(repository)
        if payload is None:
            return
        if self.random.random() < 0.3:
            self.put(repository, digest_of(payload), payload)
        else:
            self.put_tag(repository, self.tag(), payload)

    def move_tag(self):
        repository = self.repository()
        manifests = self.state["manifests"].get(repository)
        if manifests:
            self.put_tag(repository, self.tag(), self.known.payloads[self.random.choice(manifests)])

    def move_common_tag(self):
        """A tag that all clients move at the same time, to manifests that are never deleted."""
        kept = self.state["kept"]
        if len(kept) < 3:
            payload = self.make_manifest(SHARED)
            if payload is None:
                return
            kept.append(digest_of(payload))
        payload = self.known.payloads[self.random.choice(kept)]
        history = self.known.history("tags", SHARED, "common")
        digest = digest_of(payload)
        changes = [(self.known.history("manifests", SHARED, digest), True), (history, digest)]
        self.change(changes, 201, "PUT", f"/v2/{SHARED}/manifests/common", payload, {"Content-Type": MANIFEST})

    def delete_tag(self):
        if not self.state["tags"]:
            return
        repository, tag = self.random.choice(sorted(self.state["tags"]))
        history = self.known.history("tags", repository, tag)
        fine, _ = self.change([(history, None)], 202, "DELETE", f"/v2/{repository}/manifests/{tag}")
        if fine:
            del self.state["tags"][repository, tag]

    def delete_manifest(self):
        repository = self.repository()
        manifests = self.state["manifests"].get(repository)
        if not manifests:
            return
        digest = self.random.choice(manifests)
        tags = [key for key, value in self.state["tags"].items() if key[0] == repository and value == digest]
        changes = [(self.known.history("manifests", repository, digest), None)]
        changes += [(self.known.history("tags", *key), None) for key in tags]
        fine, _ = self.change(changes, 202, "DELETE", f"/v2/{repository}/manifests/{digest}")
        if fine:
            manifests.remove(digest)
            for key in tags:
                del self.state["tags"][key]


class Server:
    """The registry, started and killed."""

    def __init__(self, options, results):
        self.options, self.results = options, results
        self.process = None
        self.address = None

    def start(self):
        """Whether it answers within 15 s."""
        for _ in range(5):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            environment = {k: v for k, v in os.environ.items() if not k.startswith("REGISTRY_")}
            environment["REGISTRY_HTTP_ADDR"] = f"127.0.0.1:{port}"
            with open(self.options.log, "ab") as log:
                self.process = subprocess.Popen(
                    [self.options.registry, "serve", self.options.config],
                    env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                )
            with open(self.options.pids, "a", encoding="ascii") as pids:
                print(self.process.pid, file=pids)
            self.address = ("127.0.0.1", port)
            for _ in range(750):
                if self.process.poll() is not None:
                    break
                try:
                    if Client(self.address, 2).ask("GET", "/v2/")[0] == 200:
                        return True
                except (Died, TimeoutError):
                    pass
                time.sleep(0.02)
            else:
                break
            # It ended by itself: perhaps somebody else took the port.
        return False

    def kill(self):
        """Whether it was alive until now."""
        alive = self.process.poll() is None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        with open(self.options.pids, encoding="ascii") as pids:
            others = [line for line in pids if line.strip() != str(self.process.pid)]
        with open(self.options.pids, "w", encoding="ascii") as pids:
            pids.writelines(others)
        return alive


class Verifier:
    """Looks at the store, and asks a registry that was started on it."""

    def __init__(self, options, known, results):
        self.options, self.known, self.results = options, known, results
        self.seen = {}  # files of the store that have been read
        self.random = random.Random(f"{options.seed}/verify")
        self.in_flight = 0  # over all rounds
        self.sessions_in_flight = 0
        self.turn = 0

    def wrong(self, name, text):
        self.results.bad(name, f"kill {self.turn}: {text}")

    def judge(self, name, fine, text):
        return self.results.judge(name, fine, f"kill {self.turn}: {text}")

    # ------------------------------------------------------------ the store

    def look_at_store(self):
        """Nobody writes. What has its final name is whole; the rest is little and known."""
        root = os.path.join(self.options.store, "docker/registry/v2")
        temporary = 0
        for directory, _, files in os.walk(root):
            for name in files:
                path = os.path.join(directory, name)
                if re.search(r"\.tmp$", name):
                    temporary += 1
                    continue
                where = path[len(root) + 1:]
                stat = os.stat(path)
                mark = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
                if "/_uploads/" in where or self.seen.get(path) == mark:
                    continue
                with open(path, "rb") as file:
                    data = file.read()
                if where.startswith("blobs/"):
                    wanted = where.split("/")[3]
                    self.judge("store", name == "data" and hashlib.sha256(data).hexdigest() == wanted, f"{where} is torn")
                elif name == "link":
                    self.judge("store", re.fullmatch(rb"sha256:[0-9a-f]{64}", data), f"{where} has {data!r}")
                self.seen[path] = mark
        self.in_flight += self.known.in_flight
        self.sessions_in_flight += self.known.sessions_in_flight + len(self.known.uploads)
        limit = TEMPORARIES * self.in_flight
        self.judge("stray", temporary <= limit, f"{temporary} temporary files, more than {limit}")
        self.results.figures["temporary files left"] = temporary
        self.results.add("requests in flight at a kill", self.known.in_flight)
        self.known.in_flight = self.known.sessions_in_flight = 0

    def look_at_sessions(self):
        """After all known sessions were ended: those are left whose id nobody was told."""
        root = os.path.join(self.options.store, "docker/registry/v2/repositories")
        left = sum(len(dirs) for path, dirs, _ in os.walk(root) if os.path.basename(path) == "_uploads")
        self.judge("stray", left <= self.sessions_in_flight, f"{left} sessions left, more than {self.sessions_in_flight}")
        self.results.figures["session directories left"] = left

    # ------------------------------------------------------------ the answers

    def verify(self, address, everything):
        local = threading.local()

        def client():
            if not hasattr(local, "client"):
                local.client = Client(address)
            return local.client

        uploads, self.known.uploads = self.known.uploads, []
        with ThreadPoolExecutor(6) as pool:
            def each(function, items):
                def guarded(item):
                    try:
                        function(client(), item)
                    except (Died, TimeoutError) as error:
                        self.wrong("restarts", f"while verifying {item}: {error!r}")
                list(pool.map(guarded, items))

            each(self.resume, uploads)
            chosen = {kind: set() for kind in ("blobs", "manifests", "tags")}
            for kind, keys in chosen.items():
                keys.update((r, n) for k, r, n in self.known.touched if k == kind)
                old = sorted(set(getattr(self.known, kind)) - keys)
                if kind == "tags" or everything:
                    keys.update(old)
                else:
                    keys.update(self.random.sample(old, min(len(old), 60)))
            each(self.blob, sorted(chosen["blobs"]))
            each(self.manifest, sorted(chosen["manifests"]))
            each(self.tag, sorted(chosen["tags"]))
            self.walk(client(), each)
        self.known.touched.clear()
        self.look_at_sessions()

    def is_blob(self, client, repository, digest):
        """200 with exactly its bytes, 404, or what is wrong."""
        status, headers, data = client.ask("GET", f"/v2/{repository}/blobs/{digest}")
        if status == 404:
            return None
        if status != 200:
            return f"status {status}"
        if digest_of(data) != digest or headers["Docker-Content-Digest"] != digest:
            return f"{len(data)} bytes with digest {digest_of(data)}, said to be {headers['Docker-Content-Digest']}"
        return True

    def blob(self, client, key):
        repository, digest = key
        history = self.known.blobs[key]
        possible, found = history.possible(), self.is_blob(client, repository, digest)
        name = "deletes" if possible == {None} else "blobs"
        if self.judge(name, found in possible, f"blob {digest} of {repository}: {found}, expected one of {possible}"):
            history.settle(found)

    def manifest(self, client, key):
        repository, digest = key
        history = self.known.manifests[key]
        possible = history.possible()
        status, headers, data = client.ask("GET", f"/v2/{repository}/manifests/{digest}", headers={"Accept": MANIFEST})
        found = None if status == 404 else f"status {status}"
        if status == 200:
            same = data == self.known.payloads[digest] and headers["Docker-Content-Digest"] == digest
            found = True if same else "other bytes"
        name = "deletes" if possible == {None} else "manifests"
        if self.judge(name, found in possible, f"manifest {digest} of {repository}: {found}, expected one of {possible}"):
            history.settle(found)

    def tag(self, client, key):
        repository, tag = key
        history = self.known.tags[key]
        possible = history.possible()
        status, headers, data = client.ask("GET", f"/v2/{repository}/manifests/{tag}", headers={"Accept": MANIFEST})
        found = None if status == 404 else f"status {status}"
        if status == 200:
            found = digest_of(data)
            if headers["Docker-Content-Digest"] != found:
                found = f"bytes of {found}, said to be {headers['Docker-Content-Digest']}"
        name = "deletes" if possible == {None} else "tags"
        if self.judge(name, found in possible, f"tag {tag} of {repository}: {found}, expected one of {possible}"):
            history.settle(found)

    def walk(self, client, each):
        """What a stranger sees: the catalog, all tags, what they lead to."""
        status, _, data = client.ask("GET", "/v2/_catalog?n=1000")
        if not self.judge("visible", status == 200, f"catalog: {status}"):
            return
        blobs = set()

        def look(client, key):
            repository, tag = key
            status, headers, data = client.ask("GET", f"/v2/{repository}/manifests/{tag}", headers={"Accept": MANIFEST})
            digest = digest_of(data)
            fine = status == 200 and headers["Docker-Content-Digest"] == digest and digest in self.known.payloads
            if self.judge("visible", fine, f"listed tag {tag} of {repository}: status {status}, {digest}: {data[:100]!r}"):
                document = json.loads(data)
                blobs.update((repository, blob["digest"]) for blob in [document["config"], *document["layers"]])

        tags = []
        for repository in json.loads(data)["repositories"]:
            status, _, data = client.ask("GET", f"/v2/{repository}/tags/list")
            if self.judge("visible", status == 200 or status == 404, f"tags of {repository}: {status}") and status == 200:
                tags += [(repository, tag) for tag in json.loads(data)["tags"] or []]
        for repository, tag in tags:
            self.judge("visible", (repository, tag) in self.known.tags, f"nobody ever made tag {tag} of {repository}")
        each(look, tags)

        def read(client, key):
            self.judge("visible", self.is_blob(client, *key) is True, f"blob of a manifest: {key}: {self.is_blob(client, *key)}")

        each(read, sorted(blobs))

    # -------------------------------------------------------------- uploads

    def resume(self, client, upload):
        """Goes on with a session that was under way."""
        what = f"{upload}, {upload.acknowledged} of {len(upload.data)} acknowledged"
        if upload.closing:
            self.again(client, upload, what)
            return
        status, headers, _ = client.ask("GET", upload.location)
        if not self.judge("uploads", status == 204, f"{what}: status of the session: {status}"):
            return
        held = int(headers["Range"].partition("-")[2]) + 1
        if headers["Range"] == "0-0" and upload.acknowledged == 0:
            # One byte or none: the form cannot tell.
            held = 0 if self.held_on_disk(upload) == 0 else 1
        if not self.judge("uploads", upload.acknowledged <= held <= upload.sent, f"{what}: Range {headers['Range']}, {upload.sent} sent"):
            return
        self.results.add("uploads resumed")
        if 0 < held < upload.sent and held != upload.acknowledged:
            self.results.add("uploads resumed within a chunk")
        location, data = headers["Location"], upload.data
        middle = held + (len(data) - held) // 2
        for start, end in ((held, middle), (middle, len(data))):
            if start < end:
                span = dict(OCTETS, **{"Content-Range": f"{start}-{end - 1}"})
                status, headers, _ = client.ask("PATCH", location, data[start:end], span)
                if not self.judge("uploads", status == 202, f"{what}: PATCH {start}-{end}: {status}"):
                    return
                location = headers["Location"]
        self.close(client, upload, location, what)

    def held_on_disk(self, upload):
        session = urlsplit(upload.location).path.rsplit("/", 1)[1]
        path = f"docker/registry/v2/repositories/{upload.repository}/_uploads/{session}/data"
        return os.path.getsize(os.path.join(self.options.store, path))

    def close(self, client, upload, location, what):
        url = location + ("&" if "?" in location else "?") + "digest=" + upload.digest
        status, _, body = client.ask("PUT", url, b"", OCTETS)
        if self.judge("uploads", status == 201, f"{what}: PUT after resuming: {status} {body[:200]!r}"):
            found = self.is_blob(client, upload.repository, upload.digest)
            self.judge("uploads", found is True, f"{what}: read after resuming: {found}")
            self.done(upload)

    def done(self, upload):
        self.known.sizes[upload.digest] = len(upload.data)
        self.known.history("blobs", upload.repository, upload.digest).settle(True)

    def again(self, client, upload, what):
        """The PUT had no answer. Sent again as it was it succeeds, or says where to go on, or the
        session is one that can be asked; a new push of the same content works in any case."""
        rest = upload.data[upload.acknowledged:]
        try:
            status, headers, _ = client.ask("PUT", upload.closing_url, rest, OCTETS)
            self.results.good("early")
        except Died as error:
            # Refused before all of the body was taken, and the refusal was lost with the connection.
            self.wrong("early", f"{what}: PUT of {len(rest)} bytes sent again: {error}")
            status, headers, _ = client.ask("GET", upload.location)
            status = 416 if status == 204 else status
        # The answer may have come without a look at the body; then the connection is of no more use.
        client.connection.close()
        self.results.add(f"PUT without an answer sent again: {status}")
        if status == 416 and headers["Location"]:
            # More of its body had arrived than was acknowledged.
            held = int(headers["Range"].partition("-")[2]) + 1
            url = headers["Location"]
            url += ("&" if "?" in url else "?") + "digest=" + upload.digest
            status, _, _ = client.ask("PUT", url, upload.data[held:], OCTETS)
            client.connection.close()
        self.judge("again", status == 201, f"{what}: PUT sent again: {status}")
        if status != 201:
            status, headers, _ = client.ask("POST", f"/v2/{upload.repository}/blobs/uploads/")
            if self.judge("uploads", status == 202, f"{what}: a new session: {status}"):
                self.close_whole(client, upload, headers["Location"], what)
            return
        found = self.is_blob(client, upload.repository, upload.digest)
        if self.judge("again", found is True, f"{what}: after the PUT sent again: {found}"):
            self.done(upload)

    def close_whole(self, client, upload, location, what):
        url = location + ("&" if "?" in location else "?") + "digest=" + upload.digest
        status, _, _ = client.ask("PUT", url, upload.data, OCTETS)
        if self.judge("uploads", status == 201, f"{what}: pushed anew: {status}"):
            self.done(upload)


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
