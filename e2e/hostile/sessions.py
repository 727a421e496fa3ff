"""Uploads that are cut off, and very many at once."""

import json
import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from wire import (
    TYPED, args, ask, begin, big_blob, chunked, content, digest_of, end_session, expect, files, goes_on, manifest_of,
    no_uploads, Normal, push_blob, received, request, Wire, with_digest,
)


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
