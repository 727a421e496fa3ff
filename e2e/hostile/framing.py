"""Requests whose bytes are not what they say, or more than anybody sends."""

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from wire import (
    MIB, PATIENCE, TYPED, ask, begin, big_blob, chunked, content, digest_of, end_session, expect, goes_on, Gone,
    manifest_of, Normal, pulls, push_blob, received, request, Wire, with_digest,
)


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
