#!/usr/bin/env python3
"""Clients that no server likes: slow, stalled, half-closed, lying, huge, many.

Each scenario runs against a registry that is up, with the timeouts that are
given (hostile.sh sets short ones), speaks HTTP over plain sockets, and fails
by an exception that says what was seen. What holds after each of them is
checked here too: files and memory of the registry, and its store.
"""

import argparse
import json
import os
import random
import resource
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from hostile_wire import (
    Gone, MIB, Normal, PATIENCE, SLACK, TYPED, Wire, args, ask, begin, big_blob, chunked, content, digest_of,
    end_session, eventually, expect, files, goes_on, manifest_of, no_uploads, pulls, push_blob, push_image,
    received, request, settled, with_digest,
)

# ------------------------------------------------------------- the scenarios


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


def lengths():
    """Bodies that are longer, shorter, or otherwise not as announced."""
    data = content("lengths", 50_000)

    # What follows a body is the next request.
    path = begin("lengths")
    with Wire() as wire:
        wire.send(request("PATCH", path, data) + b"this is no request\r\n\r\n")
        answer = wire.answer()
        expect(answer.status == 202 and answer.headers["range"] == f"0-{len(data) - 1}", f"{answer}")
        answer = wire.answer()
        expect(answer.status == 400 and wire.ended(), f"the surplus is refused: {answer}")
    goes_on(path, data, len(data), len(data))

    for kind in ("PATCH", "PUT"):
        for sent in (0, 2, 30_000, len(data) - 1):
            path = begin("lengths")
            url = with_digest(path, data) if kind == "PUT" else path
            with Wire() as wire:
                whole = request(kind, url, data)
                wire.send(whole[: len(whole) - len(data) + sent])
            goes_on(path, data, sent, sent)

    # A request that says twice how long it is, or cannot be understood, is not guessed at.
    lying = [
        (b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
        (b"Content-Length: 5, 6\r\n\r\nhello", 400),
        (b"Content-Length: -1\r\n\r\n", 400),
        (b"Content-Length: +5\r\n\r\nhello", 400),
        (b"Content-Length: 0x5\r\n\r\nhello", 400),
        (b"Content-Length: five\r\n\r\nhello", 400),
        (b"Content-Length:\r\n\r\nhello", 400),
        (b"Content-Length: 18446744073709551616\r\n\r\nhello", 400),
        (b"Content-Length: 18446744073709551615\r\n\r\nhello", (400, 413, 431)),
        (b"Transfer-Encoding: gzip\r\n\r\nhello", 400),
        (b"Transfer-Encoding: chunked, gzip\r\n\r\nhello", 400),
        (b"Transfer-Encoding: identity\r\n\r\nhello", 400),
        (b"Content-Length : 5\r\n\r\nhello", 400),
        (b"Content-Le\x00ngth: 5\r\n\r\nhello", 400),
        (b" folded: 5\r\n\r\nhello", 400),
    ]
    for tail, statuses in lying:
        path = begin("lengths")
        with Wire() as wire:
            wire.send(f"PATCH {path} HTTP/1.1\r\nHost: x\r\n".encode() + tail)
            answer = wire.answer()
            statuses = statuses if isinstance(statuses, tuple) else (statuses,)
            expect(answer.status in statuses and wire.ended(), f"{tail}: {answer}")
        goes_on(path, data, 0, 0)
    with Wire() as wire:
        wire.send(f"PATCH {begin('lengths')} HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".encode())
        answer = wire.answer()
        expect(answer.status == 400, f"no chunks in HTTP/1.0: {answer}")

    # Both headers: the chunks count, so nobody's bytes are taken for a request.
    for order in (0, 1):
        path = begin("lengths")
        both = ["Content-Length: 4", "Transfer-Encoding: chunked"]
        both = "\r\n".join(both[::-1] if order else both)
        smuggled = b"GET /v2/smuggled/tags/list HTTP/1.1\r\nHost: x\r\n\r\n"
        with Wire() as wire:
            wire.send(f"PATCH {path} HTTP/1.1\r\nHost: x\r\n{both}\r\n\r\n".encode())
            wire.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(smuggled), smuggled))
            answer = wire.answer()
            expect(answer.status in (202, 400), f"{both}: {answer}")
            wire.socket.shutdown(socket.SHUT_WR)
            expect(wire.ended() and b"smuggled" not in wire.buffer, "nothing was smuggled")
        if answer.status == 202:
            expect(received(path)[0] == len(smuggled), "the chunks count")
        ask("DELETE", received(path)[1])


def chunks():
    """Bodies without a length: good ones, broken ones, endless ones."""
    data = content("chunks", 200_000)
    path = begin("chunks")
    with Wire() as wire:
        wire.send(chunked("PATCH", path, data[:150_000], size=777))
        answer = wire.answer()
        expect(answer.status == 202 and answer.headers["range"] == "0-149999", f"{answer}")
        trailer = b"0\r\nX-Checksum: 1\r\nContent-Length: 3\r\n\r\n"
        wire.send(chunked("PUT", with_digest(answer.location(), data), data[150_000:], last=trailer))
        answer = wire.answer()
        expect(answer.status == 201, f"a chunked PUT with trailers: {answer}")
        push_blob("chunks", b"{}")
        manifest = manifest_of(data)
        wire.send(chunked("PUT", "/v2/chunks/manifests/x", manifest, TYPED, size=100))
        expect(wire.answer().status == 201, "a chunked manifest")
        pulls("chunks", "x", manifest, data)

    # Those that contain some more bytes have the right ones.
    five = data[100_000:100_005]
    for broken in (
        b"zz\r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"\r\nhello\r\n0\r\n\r\n",
        b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        b"5\r\n" + five + b"world\r\n0\r\n\r\n",
        b"5;" + b"x" * 100_000 + b"\r\n" + five + b"\r\n0\r\n\r\n",
        b"0\r\n" + b"X-Trailer: y\r\n" * 100_000 + b"\r\n",
    ):
        path = begin("chunks")
        with Wire() as wire:
            try:
                wire.send(chunked("PATCH", path, data[:100_000], last=broken))
                answer = wire.answer()
                expect(400 <= answer.status < 500 and answer.closes(), f"{broken[:20]}: {answer}")
            except Gone:
                pass  # closed while all of it was still being sent
            expect(wire.ended(), "what comes after broken chunks is not guessed at")
        goes_on(path, data, 100_000, 100_005)

    # A manifest has a limit, said or not.
    with Wire() as wire:
        wire.send(chunked("PUT", "/v2/chunks/manifests/big", b" " * (5 * MIB), TYPED))
        answer = wire.answer()
        expect(answer.status == 413 and answer.code() == "MANIFEST_INVALID" and answer.closes(), f"{answer}")
    for headers in ([("Transfer-Encoding", "chunked")], [("Content-Length", 1 << 30)]):
        with Wire() as wire:
            wire.send(request("PUT", "/v2/chunks/manifests/endless", b"", [*TYPED, *headers], length=False))
            piece, sent = b"10000\r\n" + b" " * 0x10000 + b"\r\n", 0
            wire.socket.settimeout(0.0)
            while sent < 512 * MIB:
                try:
                    sent += wire.socket.send(piece[sent % len(piece) :])
                except BlockingIOError:
                    time.sleep(0.001)
                except ConnectionError:
                    break
                try:
                    if wire.socket.recv(1, socket.MSG_PEEK):
                        break
                except (BlockingIOError, ConnectionError):
                    pass
            wire.socket.settimeout(PATIENCE)
            answer = wire.answer()
            expect(answer.status == 413 and answer.closes(), f"{answer}")
            expect(sent < 48 * MIB, f"{sent // MIB} MiB were taken before the refusal")
    expect(ask("GET", "/v2/chunks/manifests/endless").status == 404, "it is not there")


def expectations():
    """Clients that ask before they send."""
    data = content("expect", 300_000)
    expects = [("Expect", "100-continue")]
    path = begin("expect")
    with Wire() as wire:
        wire.send(request("PATCH", path, b"", expects, length=len(data)))
        expect(wire.answer().status == 100, "it may be sent")
        wire.send(data)
        answer = wire.answer()
        expect(answer.status == 202, f"{answer}")
        expect(wire.ask("GET", path).status == 204, "the connection is kept")
    for method, url, headers, length, status in (
        ("PATCH", path.replace("/blobs/uploads/", "/blobs/uploads/0"), [], 5, (400, 404)),
        ("PATCH", path, [("Content-Range", "7-11")], 5, (416,)),
        ("PUT", path, [], 5, (400, 416)),
        ("PUT", "/v2/expect/manifests/x", TYPED, 1 << 30, (413,)),
        ("PUT", "/v2/UPPER/manifests/x", TYPED, 5, (400,)),
    ):
        with Wire() as wire:
            wire.send(request(method, url, b"", [*expects, *headers], length=length))
            answer = wire.answer()
            expect(answer.status in status and answer.closes(), f"{method} {url}: {answer}")
            wire.socket.shutdown(socket.SHUT_WR)
            expect(wire.ended(), "the body was not asked for, so the connection ends")
    goes_on(path, data, len(data), len(data))


def early_answers():
    """Refusals of uploads whose body nobody reads: every client hears them."""
    path = begin("early")
    wrong = [("Content-Range", "5-9")]

    def long(number):
        # Sends everything before it reads anything, as simple clients do.
        body = b"x" * (8 * MIB)
        own = begin("early")
        with Wire() as wire:
            wire.send(request("PATCH", own, body, [("Content-Range", f"5-{len(body) + 4}")]))
            answer = wire.answer()
            expect(answer.status == 416 and answer.closes(), f"a long chunk out of order: {answer}")
            expect(wire.ended(), "and the connection ends, as was said")
        end_session(own)

    with ThreadPoolExecutor(8) as pool:
        for job in [pool.submit(long, number) for number in range(24)]:
            job.result()
    with Wire() as wire:
        for _ in range(50):
            # Short ones do not cost the connection, whether they come with the head or after it.
            answer = wire.ask("PATCH", path, b"short", wrong)
            expect(answer.status == 416 and not answer.closes(), f"a short chunk out of order: {answer}")
            wire.send(request("PATCH", path, b"", wrong, length=5))
            answer = wire.answer()
            expect(answer.status == 416 and not answer.closes(), f"a short chunk out of order: {answer}")
            wire.send(b"short")
            expect(wire.ask("GET", "/v2/").status == 200, "the next request")
    with Wire() as wire:
        wire.send(chunked("PATCH", path, b"x" * MIB, wrong))
        answer = wire.answer()
        expect(answer.status == 416 and answer.closes(), f"a chunked one out of order: {answer}")
    ask("DELETE", path)


def heads():
    """Heads of a MiB, of 10,000 lines, of 10,000 parameters, ranges and types."""
    big, blob = big_blob()

    def refused(what, head, statuses):
        with Wire() as wire:
            wire.send(head)
            answer = wire.answer()
            expect(answer.status in statuses and wire.ended(), f"{what}: {answer}")

    many = b"".join(b"X-%d: y\r\n" % number for number in range(10_000))
    cases = [
        ("a header of a MiB", b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX: " + b"y" * MIB + b"\r\n\r\n", (431,)),
        ("a header of a MiB without end", b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX: " + b"y" * MIB, (431,)),
        ("10,000 headers", b"GET /v2/ HTTP/1.1\r\nHost: x\r\n" + many + b"\r\n", (431,)),
        ("1,000 headers", b"GET /v2/ HTTP/1.1\r\nHost: x\r\n" + many[:10_890] + b"\r\n", (431,)),
        ("a name of a MiB", b"GET /v2/ HTTP/1.1\r\nHost: x\r\n" + b"y" * MIB + b": x\r\n\r\n", (431, 400)),
        ("a first line of a MiB", b"GET /v2/" + b"a" * MIB + b"/tags/list HTTP/1.1\r\nHost: x\r\n\r\n", (414, 431)),
        ("a method of a MiB", b"G" * MIB + b" /v2/ HTTP/1.1\r\nHost: x\r\n\r\n", (431, 400)),
        ("10,000 long ranges", request("GET", blob, headers=[("Range", "bytes=" + "1000000-1000001," * 10_000)]), (431,)),
        ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500, (400,)),
        ("a preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 505)),
    ]
    with Normal(), ThreadPoolExecutor(16) as pool:
        for job in [pool.submit(refused, *case) for case in cases[:-1] for _ in range(12)]:
            job.result()
    with Wire() as wire:
        wire.send(cases[-1][1])
        expect(wire.ended(), "HTTP/2 is not spoken")

    with Wire() as wire:
        answer = wire.ask("GET", "/v2/hostile/tags/list?" + "a=1&" * 10_000 + "n=1")
        expect(answer.status == 200 and json.loads(answer.body)["tags"], f"10,000 parameters: {answer}")
        answer = wire.ask("HEAD", blob, headers=[("Accept", "application/vnd.example.something+json, " * 1_500)])
        expect(answer.status == 200, f"an Accept of 60 KB: {answer}")
        answer = wire.ask("GET", "/v2/hostile/manifests/latest", headers=[("If-None-Match", '"x", ' * 10_000)])
        expect(answer.status == 200, f"10,000 entity tags: {answer}")
    # Ranges that would make an answer of many parts, each of the whole.
    for ranges, most in (
        (",".join(f"{at * 2}-{at * 2}" for at in range(5_000)), len(big)),
        (",".join(["0-"] * 10_000), len(big)),
        (",".join(["0-"] * 200), len(big)),
        (",".join(f"{at * 2}-{at * 2}" for at in range(256)), MIB),
    ):
        with Wire() as wire:
            wire.send(request("GET", blob, headers=[("Range", "bytes=" + ranges)]))
            status, headers = wire.head()
            expect(status in (200, 206) and int(headers["content-length"]) <= most, f"{status} {headers}")


def pipelining():
    """Requests that do not wait for answers."""
    sizes = {f"p{number}": content(f"p{number}", number * 10) for number in range(1, 8)}
    for data in sizes.values():
        push_blob("pipeline", data)
    blobs = list(sizes.values())
    with Wire() as wire:
        sent = b"".join(
            request("GET", f"/v2/pipeline/blobs/{digest_of(blobs[n % 7])}") if n % 3 else request("GET", f"/v2/none/manifests/t{n}")
            for n in range(1000)
        )
        sender = threading.Thread(target=wire.send, args=(sent,))
        sender.start()
        for n in range(1000):
            answer = wire.answer()
            if n % 3:
                expect(answer.status == 200 and answer.body == blobs[n % 7], f"answer {n}: {answer}")
            else:
                expect(answer.status == 404 and f"t{n}\"" in answer.body.decode(), f"answer {n}: {answer}")
        sender.join()

    # Whole pushes, of which the next step is sent before the one before is acknowledged.
    with Wire() as wire:
        push_blob("pipeline", b"{}")
        for number in range(20):
            data = content(f"pipelined {number}", 30_000)
            manifest = manifest_of(data, str(number))
            session = begin("pipeline")
            wire.send(
                request("POST", "/v2/pipeline/blobs/uploads/")
                + request("PUT", with_digest(session, data), data)
                + request("GET", f"/v2/pipeline/blobs/{digest_of(data)}")
                + request("PUT", f"/v2/pipeline/manifests/n{number}", manifest, TYPED)
                + request("GET", f"/v2/pipeline/manifests/n{number}")
            )
            answers = [wire.answer() for _ in range(5)]
            expect([answer.status for answer in answers] == [202, 201, 200, 201, 200], f"{answers}")
            expect(answers[2].body == data and answers[4].body == manifest, "what was pushed is what is pulled")
            expect(ask("DELETE", answers[0].location()).status == 204, "the session that was only begun is ended")


def resets():
    """Connections that are reset in the midst of each kind of request."""
    count = 500
    data = content("resets", 100_000)
    big, blob = big_blob()
    manifest = manifest_of(data, "reset")
    push_blob("resets", b"{}")
    sessions, lock = [], threading.Lock()

    def session():
        path = begin(f"resets/{random.randrange(20)}")
        with lock:
            sessions.append(path)
        return path

    def cut(whole, at):
        wire = Wire()
        wire.send(whole[:at])
        return wire

    kinds = {
        "head": lambda: cut(request("GET", "/v2/hostile/tags/list"), 25),
        "get": lambda: cut(request("GET", "/v2/hostile/manifests/latest"), None),
        "blob": lambda: cut(request("GET", blob), None),
        "post": lambda: cut(request("POST", "/v2/resets/begun/blobs/uploads/"), None),
        "patch": lambda: cut(request("PATCH", session(), data), -30_000),
        "chunked": lambda: cut(chunked("PATCH", session(), data), -30_000),
        "put": lambda: cut(request("PUT", with_digest(session(), data), data), -30_000),
        "whole put": lambda: cut(request("PUT", with_digest(session(), data), data), None),
        "single post": lambda: cut(request("POST", with_digest("/v2/resets/single/blobs/uploads/", b"?"), data), -30_000),
        "manifest": lambda: cut(request("PUT", "/v2/resets/manifests/half", manifest, TYPED), -50),
        "whole manifest": lambda: cut(request("PUT", "/v2/resets/manifests/whole", manifest, TYPED), None),
        "delete": lambda: cut(request("DELETE", f"/v2/resets/manifests/{digest_of(manifest)}"), None),
    }

    def run(kind, number):
        wire = kinds[kind]()
        if number % 2:
            time.sleep(0.002)  # the other half while the request is under way
        wire.reset()

    with Normal(), ThreadPoolExecutor(8) as pool:
        for job in [pool.submit(run, kind, number) for number in range(count) for kind in kinds]:
            job.result()
    print(f"{count} resets of each of {', '.join(kinds)}")

    # Nobody holds a session, and each goes on where it was cut.
    for path in random.Random(1).sample(sessions, 40):
        answer = ask("GET", path)
        if answer.status == 404:
            continue  # a whole PUT that was carried out
        goes_on(path, data, 0, len(data))
    expect(ask("GET", "/v2/resets/manifests/half").status == 404, "half a manifest is none")
    answer = ask("GET", "/v2/resets/manifests/whole")
    expect(answer.status == 404 or answer.body == manifest, f"a manifest is whole or not there: {answer}")

    # What a client can see of a session, it can end; and then nothing is left.
    names = {}
    for at, directories, _ in os.walk(os.path.join(args.store, "docker/registry/v2/repositories")):
        if os.path.basename(at) == "_uploads":
            names[os.path.relpath(os.path.dirname(at), os.path.join(args.store, "docker/registry/v2/repositories"))] = directories
            for name in directories:
                held = os.path.join(at, name)
                expect(os.path.exists(os.path.join(held, "startedat")), f"{held} has no beginning: {os.listdir(held)}")
    for repository, ids in names.items():
        for name in ids:
            end_session(f"/v2/{repository}/blobs/uploads/{name}")
    no_uploads()


def sessions_open():
    """10,000 sessions at once."""
    count = 10_000

    def some(worker):
        with Wire() as wire:
            return [begin(f"many/{worker}", wire) for _ in range(count // 8)]

    with ThreadPoolExecutor(8) as pool:
        sessions = sum(pool.map(some, range(8)), [])
    with open(args.state, "w") as state:
        json.dump(sessions, state)
    expect(len(set(sessions)) == count, "every session has its own URL")
    expect(len(files()) <= args.files + 50, f"{len(files())} files are open for {count} sessions")
    sample(sessions, 0)


def sample(sessions, skip):
    for number in range(skip, len(sessions), 250):
        data = content(f"session {number}", 5_000)
        have, path = received(sessions[number])
        expect(have == 0, f"a new session has {have} bytes")
        answer = ask("PATCH", path, data[:3_000])
        expect(answer.status == 202, f"session {number}: {answer}")
        goes_on(sessions[number], data, 3_000, 3_000)


def sessions_go_on():
    """The same after a restart."""
    with open(args.state) as state:
        sessions = json.load(state)
    sample(sessions, 1)


def sessions_end():
    """All of those that are left are cancelled, and leave nothing."""
    with open(args.state) as state:
        sessions = json.load(state)

    def some(paths):
        gone = 0
        with Wire() as wire:
            for path in paths:
                answer = wire.ask("DELETE", path)
                expect(answer.status in (204, 404), f"a session is cancelled: {answer}")
                gone += answer.status == 204
        return gone

    with ThreadPoolExecutor(8) as pool:
        ended = sum(pool.map(some, [sessions[worker::8] for worker in range(8)]))
    expect(ended == len(sessions) - 80, f"{ended} sessions were there to cancel")
    no_uploads()


def prepare():
    """What the other scenarios read."""
    push_image("hostile", "latest", b"a small layer")
    push_blob("hostile", big_blob()[0])


def works():
    """A push and a pull, as if nothing had been."""
    data = content(f"works {time.time()}", 2 * MIB)
    manifest = push_image("works", "latest", data)
    pulls("works", "latest", manifest, data)


SCENARIOS = (
    prepare, works, slowloris, stalled_bodies, slow_clients, stalled_reads, half_closed, lengths, chunks, expectations,
    early_answers, heads, pipelining, resets, sessions_open, sessions_go_on, sessions_end,
)  # fmt: skip


def main():
    names = {scenario.__name__: scenario for scenario in SCENARIOS}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", choices=names)
    parser.add_argument("--address", required=True, type=lambda text: (text.split(":")[0], int(text.split(":")[1])))
    parser.add_argument("--pid", required=True, type=int)
    parser.add_argument("--store", required=True)
    parser.add_argument("--timeout", type=float, required=True, help="seconds, of every kind")
    parser.add_argument("--files", type=int, required=True, help="open files of the registry when it was new")
    parser.add_argument("--memory", type=int, required=True, help="its resident bytes then")
    parser.add_argument("--state", help="where sessions are written down")
    parser.parse_args(namespace=args)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    started = time.monotonic()
    names[args.scenario]()
    print(f"{args.scenario}: {time.monotonic() - started:.1f} s")
    settled()


if __name__ == "__main__":
    sys.exit(main())
