"""Requests one by one, and what the answer to each vouches for."""

import hashlib
import http.client
import json
import random
import sys
import threading
import time
from urllib.parse import urlsplit

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCTETS = {"Content-Type": "application/octet-stream"}


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
