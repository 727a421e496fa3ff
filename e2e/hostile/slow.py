"""Clients that are slow, stand still, or close one side."""

import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor

from wire import (
    MIB, SLACK, TYPED, args, ask, begin, big_blob, chunked, content, eventually, expect, files, goes_on, Gone,
    manifest_of, Normal, request, Wire, with_digest,
)


def slowloris():
    """Heads that come a byte at a time, stop half-way, or never begin."""
    count = 1500
    half = b"GET /v2/ HTTP/1.1\r\nHost: registry.test\r\nX-Slow: "
    with Normal():
        started = time.monotonic()
        wires = [Wire() for _ in range(count)]
        for wire in wires[500:]:
            wire.send(half)
        dribbling = list(wires[1000:])
        eventually(lambda: len(files()) >= args.files + count // 3, "the connections are not open")
        while dribbling and time.monotonic() < started + args.timeout + SLACK:
            for wire in list(dribbling):
                try:
                    wire.socket.send(b"x", socket.MSG_DONTWAIT)
                except (OSError, Gone):
                    dribbling.remove(wire)
            time.sleep(0.2)
        expect(not dribbling, f"{len(dribbling)} heads may be sent for ever")
        for wire in wires:
            wire.socket.settimeout(args.timeout + SLACK)
            expect(wire.ended(), "a silent client is closed")
            wire.close()
        took = time.monotonic() - started
        expect(took > args.timeout * 0.9, f"they were closed after {took:.1f} s already")
    with Wire() as wire:
        expect(wire.ask("GET", "/v2/").status == 200, "a connection that was idle works")
        expect(wire.ended(), "an idle connection is closed in the end")


def stalled_bodies():
    """Uploads that stop in the middle and stay."""
    data = content("stalled", 300_000)
    half = len(data) // 2
    kinds = ("patch", "chunked patch", "put", "post", "manifest")

    def begun(kind, number):
        path, repository = None, f"stalled/{number}"
        if kind in ("patch", "chunked patch", "put"):
            path = begin(repository)
        wire = Wire()
        if kind == "patch":
            wire.send(request("PATCH", path, data)[: -(len(data) - half)])
        elif kind == "chunked patch":
            wire.send(chunked("PATCH", path, data[:half], last=b""))
        elif kind == "put":
            wire.send(request("PUT", with_digest(path, data), data)[: -(len(data) - half)])
        elif kind == "post":
            path = with_digest(f"/v2/{repository}/blobs/uploads/", data)
            wire.send(request("POST", path, data)[: -(len(data) - half)])
        else:
            path = f"/v2/{repository}/manifests/stalled"
            wire.send(request("PUT", path, b'{"schemaVersion":', TYPED, length=1000))
        return kind, path, wire

    with Normal():
        started = time.monotonic()
        pending = [begun(kind, number) for kind in kinds for number in range(20)]
        held = next(path for kind, path, _ in pending if kind == "patch")
        answer = ask("PATCH", held, b"second")
        expect(answer.status in (409, 416), f"a second writer while the first one stalls: {answer}")
        for kind, path, wire in pending:
            answer = wire.answer()
            expect(answer.status == 408 and answer.closes(), f"a stalled {kind}: {answer}")
            expect(answer.code() == ("MANIFEST_INVALID" if kind == "manifest" else "BLOB_UPLOAD_INVALID"), f"{answer}")
            expect(wire.ended(), f"the connection of a stalled {kind} is closed")
            wire.close()
        took = time.monotonic() - started
        expect(took > args.timeout * 0.9, f"they were given up after {took:.1f} s already")
    for kind, path, _ in pending:
        if kind in ("patch", "chunked patch", "put"):
            goes_on(path, data, half, half)
        elif kind == "manifest":
            expect(ask("GET", path).status == 404, "a stalled manifest is not there")
    uploads = [at for at, _, _ in os.walk(args.store) if "/_uploads/" in at]
    expect(not uploads, f"stalled single uploads left {uploads[:3]}")


def slow_clients():
    """A KiB a second up, little more down: slow, but never cut off."""
    data = content("slow", 7_168)
    big, blob = big_blob()

    def upload(kind):
        with Wire() as wire:
            if kind == "manifest":
                manifest = manifest_of(big[:10], "slow" * 500)
                pieces = [manifest[at : at + 128] for at in range(0, len(manifest), 128)]
                wire.send(request("PUT", "/v2/hostile/manifests/slow", b"", TYPED, length=len(manifest)))
            else:
                path = begin(f"slow/{kind}")
                pieces = [data[at : at + 512] for at in range(0, len(data), 512)]
                if kind == "chunked":
                    wire.send(request("PATCH", path, b"", [("Transfer-Encoding", "chunked")], length=False))
                    pieces = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces] + [b"0\r\n\r\n"]
                else:
                    wire.send(request("PATCH", path, b"", length=len(data)))
            for piece in pieces:
                wire.send(piece)
                time.sleep(0.5)
            answer = wire.answer()
            # (The manifest refers to what is not there, which is said when it has arrived.)
            expect(answer.status == (400 if kind == "manifest" else 202), f"a slow {kind}: {answer}")

    def download():
        with Wire(receive_buffer=65536) as wire:
            wire.send(request("GET", blob))
            status, headers = wire.head()
            expect(status == 200 and int(headers["content-length"]) == len(big), f"{status} {headers}")
            until = time.monotonic() + 2.5 * args.timeout
            got = [wire.buffer]
            while time.monotonic() < until:
                time.sleep(0.25)
                got.append(wire.socket.recv(32768))
                expect(got[-1], f"cut off after {sum(map(len, got))} bytes")
            while sum(map(len, got[-1:])):
                got.append(wire.socket.recv(MIB))
                if sum(len(piece) for piece in got) == len(big):
                    break
            expect(b"".join(got) == big, "what came slowly is right")

    with ThreadPoolExecutor() as pool:
        jobs = [pool.submit(upload, kind) for kind in ("patch", "chunked", "manifest")]
        jobs += [pool.submit(download) for _ in range(2)]
        for job in jobs:
            job.result()


def stalled_reads():
    """Clients that ask for a large blob and read no more than its head."""
    big, blob = big_blob()
    hexadecimal = blob.rpartition(":")[2]

    def open_blobs():
        return sum(hexadecimal in name for name in files())

    with Normal():
        wires = [Wire(receive_buffer=8192) for _ in range(50)]
        for wire in wires:
            wire.send(request("GET", blob))
        for wire in wires:
            expect(wire.head()[0] == 200, "a blob is served")
        expect(open_blobs() >= 1, "the file of the blob is open while it is sent")
        eventually(lambda: open_blobs() == 0, lambda: f"{open_blobs()} files are open for nobody", 2 * args.timeout + SLACK)
        for wire in wires:
            wire.close()


def half_closed():
    """Clients that close their sending side."""
    data = content("half", 100_000)
    with Wire() as wire:
        wire.send(request("GET", "/v2/hostile/manifests/latest"))
        wire.socket.shutdown(socket.SHUT_WR)
        expect(wire.answer().status == 200 and wire.ended(), "the answer comes, then the end")
    path = begin("half")
    with Wire() as wire:
        wire.send(request("PUT", with_digest(path, data), data))
        wire.socket.shutdown(socket.SHUT_WR)
        answer = wire.answer()
        expect(answer.status == 201 and wire.ended(), f"a blob is pushed: {answer}")
    with Wire() as wire:
        wire.send(request("GET", "/v2/") * 3)
        wire.socket.shutdown(socket.SHUT_WR)
        expect([wire.answer().status for _ in range(3)] == [200] * 3, "all three are answered")
        expect(wire.ended(), "then the connection ends")
    for kind in ("PATCH", "PUT", "chunked"):
        path = begin("half")
        with Wire() as wire:
            url = with_digest(path, data) if kind == "PUT" else path
            if kind == "chunked":
                wire.send(chunked("PATCH", url, data[:60_000], last=b"9c40\r\n"))
            else:
                wire.send(request(kind, url, data)[:-40_000])
            wire.socket.shutdown(socket.SHUT_WR)
            answer = wire.answer()
            expect(answer.status == 404 and answer.closes(), f"{kind} cut short: {answer}")
            expect(wire.ended(), "then the connection ends")
        goes_on(path, data, 60_000, 60_000)
    for start in (b"", b"GET /v2/ HT", b"GET /v2/ HTTP/1.1\r\nHost: x\r\n"):
        with Wire() as wire:
            wire.send(start)
            wire.socket.shutdown(socket.SHUT_WR)
            expect(wire.ended(), "nothing to answer, so it ends")
