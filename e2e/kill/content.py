"""What is pushed, and what is written down of what was found."""

import hashlib
import random
import threading

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
OCTETS = {"Content-Type": "application/octet-stream"}
SHARED = "kill/shared"
TEMPORARIES = 6  # the most that one request has at a time
PROPERTIES = (
    "answers", "restarts", "blobs", "manifests", "tags", "deletes", "visible", "store", "uploads", "again", "early", "stray",
)


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


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def content(key, size):
    """The bytes of a blob; only its key and size are remembered."""
    return random.Random(key).randbytes(size)
