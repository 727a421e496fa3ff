"""A client that pushes, moves and deletes, and notes what was acknowledged."""

import json
import random
import threading

from client import Client, Died
from content import CONFIG, LAYER, MANIFEST, OCTETS, SHARED, content, digest_of
from known import Upload


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
        # Nothing is the same for all clients, and one that is not this may have a manifest of it.
        common = repository == SHARED and self.known.sizes[digest] == 0
        if common or (repository, digest) in self.state["used"]:
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
