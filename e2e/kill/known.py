"""What the clients know of the store: for each name, what it may be now."""

import threading
import time

from content import digest_of


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
