"""What is looked at after a kill: the store, and every answer."""

import hashlib
import json
import os
import random
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from client import Client, Died
from content import MANIFEST, OCTETS, TEMPORARIES, digest_of


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
