"""One connection byte by byte, the registry at its other end, and what is left
of both: what all scenarios have in common."""

import argparse
import functools
import hashlib
import json
import os
import random
import socket
import struct
import threading
import time
from urllib.parse import urlsplit

MIB = 1 << 20
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
PATIENCE = 60  # no answer takes as long; it turns a hang into a failure
SLACK = 15  # how much later than it should a busy machine may do something
# The most resident memory, at any time, over what the registry had when it was new.
MEMORY = 96 * MIB

args = argparse.Namespace()  # filled by __main__.py


def expect(fine, text):
    if not fine:
        raise AssertionError(text)


# ------------------------------------------------------------------ the wire


class Gone(Exception):
    """The connection ended, by FIN or reset, before there was a whole answer."""


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def code(self):
        return json.loads(self.body)["errors"][0]["code"]

    def closes(self):
        return self.headers.get("connection", "").lower() == "close"

    def location(self):
        split = urlsplit(self.headers["location"])
        return split.path + ("?" + split.query if split.query else "")

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:300]!r}"


class Wire:
    """One connection, byte by byte."""

    def __init__(self, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(args.address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Ends the connection by RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Gone(f"while sending: {error!r}") from error

    def more(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionError as error:
            raise Gone(f"after {self.buffer[:200]!r}: {error!r}") from error
        if not data:
            raise Gone(f"after {self.buffer[:200]!r}")
        self.buffer += data

    def until(self, mark):
        while mark not in self.buffer:
            self.more()
        head, _, self.buffer = self.buffer.partition(mark)
        return head

    def exactly(self, count):
        while len(self.buffer) < count:
            self.more()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def head(self):
        lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        pairs = (line.split(":", 1) for line in lines[1:])
        return int(lines[0].split(" ")[1]), {name.lower(): value.strip() for name, value in pairs}

    def answer(self, method="GET"):
        status, headers = self.head()
        body = b""
        if method != "HEAD" and status not in (100, 204, 304):
            body = self.exactly(int(headers.get("content-length", "0")))
        return Answer(status, headers, body)

    def ended(self):
        """Waits for the end of the connection; what came before it is dropped."""
        try:
            while True:
                self.buffer = b""
                self.more()
        except Gone:
            return True

    def ask(self, method, path, body=b"", headers=()):
        self.send(request(method, path, body, headers))
        return self.answer(method)


def request(method, path, body=b"", headers=(), length=True):
    lines = [f"{method} {path} HTTP/1.1", "Host: registry.test"]
    lines += [f"{name}: {value}" for name, value in headers]
    if length and (body or method not in ("GET", "HEAD")):
        lines.append(f"Content-Length: {len(body) if length is True else length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunked(method, path, data, headers=(), size=10_000, last=b"0\r\n\r\n"):
    head = request(method, path, b"", [*headers, ("Transfer-Encoding", "chunked")], length=False)
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return head + b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + last


def ask(method, path, body=b"", headers=()):
    with Wire() as wire:
        return wire.ask(method, path, body, headers)


# -------------------------------------------------------------- the registry


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def content(key, size):
    return random.Random(key).randbytes(size)


@functools.cache
def big_blob():
    """A blob that no buffer holds, and where it is. Made once: that takes longer than some of the timeouts."""
    data = content("big", 64 * MIB)
    return data, f"/v2/hostile/blobs/{digest_of(data)}"


def with_digest(path, data):
    return path + ("&" if "?" in path else "?") + "digest=" + digest_of(data)


def begin(repository, wire=None):
    answer = (wire.ask if wire else ask)("POST", f"/v2/{repository}/blobs/uploads/")
    expect(answer.status == 202, f"a session begins: {answer}")
    return answer.location()


def push_blob(repository, data):
    answer = ask("PUT", with_digest(begin(repository), data), data)
    expect(answer.status == 201, f"a blob is pushed: {answer}")


def manifest_of(data, note=""):
    config = b"{}"
    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest_of(data), "size": len(data)}
    return json.dumps({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest_of(config), "size": 2},
        "layers": [layer], "annotations": {"note": note},
    }).encode()  # fmt: skip


TYPED = [("Content-Type", MANIFEST)]


def push_image(repository, tag, data):
    push_blob(repository, b"{}")
    push_blob(repository, data)
    manifest = manifest_of(data, tag)
    answer = ask("PUT", f"/v2/{repository}/manifests/{tag}", manifest, TYPED)
    expect(answer.status == 201, f"an image is pushed: {answer}")
    return manifest


def pulls(repository, tag, manifest, data):
    answer = ask("GET", f"/v2/{repository}/manifests/{tag}")
    expect(answer.status == 200 and answer.body == manifest, f"the manifest is pulled: {answer}")
    answer = ask("GET", f"/v2/{repository}/blobs/{digest_of(data)}")
    expect(answer.status == 200 and answer.body == data, f"the blob is pulled: {answer.status}")


def received(session):
    """How many bytes a session has, and where it goes on. (`0-0` counts as none.)"""
    answer = ask("GET", session)
    expect(answer.status == 204, f"the session is there: {answer}")
    last = int(answer.headers["range"].partition("-")[2])
    return (last + 1 if last else 0), answer.location()


def goes_on(session, data, at_least, at_most):
    """The session has between so many bytes, nobody holds it, and its blob can be finished."""
    # The registry may not have read all that was sent, nor seen that the connection is gone.
    eventually(lambda: received(session)[0] >= at_least, lambda: f"the session has {received(session)[0]} bytes, not {at_least}")
    until = time.monotonic() + SLACK
    while True:
        have, path = received(session)
        expect(have <= at_most, f"the session has {have} bytes, more than {at_most}")
        answer = ask("PATCH", path, data[have:])
        if answer.status == 202:
            break
        expect(answer.status in (409, 416) and time.monotonic() < until, f"the session goes on: {answer}")
        time.sleep(0.05)
    answer = ask("PUT", with_digest(answer.location(), data))
    expect(answer.status == 201, f"the session ends: {answer}")
    repository = session.split("/blobs/")[0]
    answer = ask("GET", f"{repository}/blobs/{digest_of(data)}")
    expect(answer.body == data, "the blob that was resumed is right")


def resident(key="VmRSS"):
    with open(f"/proc/{args.pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(key + ":"))


def files():
    found = []
    for name in os.listdir(f"/proc/{args.pid}/fd"):
        try:
            found.append(os.readlink(f"/proc/{args.pid}/fd/{name}"))
        except FileNotFoundError:
            pass
    return found


def eventually(fine, text, seconds=SLACK):
    until = time.monotonic() + seconds
    while not fine():
        expect(time.monotonic() < until, text() if callable(text) else text)
        time.sleep(0.05)


def store_files(suffix):
    return [os.path.join(at, name) for at, _, names in os.walk(args.store) for name in names if name.endswith(suffix)]


def settled():
    """Nothing is left of the clients that were here."""
    # A connection is lingered on for ten seconds at most after it was closed.
    seconds = args.timeout + 10 + SLACK
    eventually(lambda: len(files()) <= args.files, lambda: f"{args.files} open files before, now {files()}", seconds)
    eventually(lambda: not store_files(".tmp"), lambda: f"temporary files are left: {store_files('.tmp')}")
    memory = resident()
    print(f"{len(files())} open files (at first {args.files}), {memory // MIB} MiB resident, peak {resident('VmHWM') // MIB} MiB")
    expect(memory <= args.memory + MEMORY, f"{memory // MIB} MiB resident, {args.memory // MIB} at first")


class Normal:
    """A client that behaves, and wants its answers meanwhile."""

    def __init__(self):
        self.count, self.slowest, self.error, self.peak = 0, 0, None, 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        try:
            while not self.stop.is_set():
                started = time.monotonic()
                answer = ask("GET", "/v2/hostile/manifests/latest")
                expect(answer.status == 200, f"the client that behaves gets {answer}")
                self.slowest = max(self.slowest, time.monotonic() - started)
                self.peak = max(self.peak, resident())
                self.count += 1
                self.stop.wait(0.02)
        except Exception as error:  # noqa: BLE001 - told by the main thread
            self.error = error

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.stop.set()
        self.thread.join()
        if kind is None:
            expect(self.error is None, f"a client that behaves: {self.error!r}")
            expect(self.count > 0, "no answer for the client that behaves")
            expect(self.slowest < SLACK, f"the client that behaves waited for {self.slowest:.1f} s")
            expect(self.peak <= args.memory + MEMORY, f"{self.peak // MIB} MiB resident meanwhile")
            print(f"meanwhile {self.count} answers, slowest {self.slowest * 1000:.0f} ms, peak {self.peak // MIB} MiB")


def end_session(path):
    until = time.monotonic() + SLACK
    while True:
        answer = ask("GET", path)
        if answer.status == 404:
            return
        answer = ask("DELETE", answer.location())
        if answer.status in (204, 404):
            return
        expect(answer.status == 409 and time.monotonic() < until, f"a session is ended: {answer}")
        time.sleep(0.05)


def no_uploads():
    left = [at for at, _, _ in os.walk(args.store) if "/_uploads/" in at]
    expect(not left, f"{len(left)} directories of sessions are left: {left[:5]}")
