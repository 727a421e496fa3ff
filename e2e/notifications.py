"""A webhook receiver that misbehaves as it is told, and checks of what it was sent.

    notifications.py serve PORT FILE [CERTIFICATE KEY]
                                         logs each accepted request to FILE, one JSON object a line;
                                         PORT 0 picks one and prints it. POST /mode?ok|500|hang|reset sets
                                         what becomes of events. With a certificate it speaks TLS
    notifications.py compare OURS THEIRS compares two such logs field by field
    notifications.py push ADDRESSES ACKED COUNT MANIFEST
    notifications.py arrived FILE ACKED
"""

import http.client
import json
import re
import socket
import ssl
import struct
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    mode = "ok"
    lock = threading.Lock()
    log = None
    refused = 0

    def do_POST(self):
        if self.path.startswith("/mode?"):
            Receiver.mode = self.path.split("?", 1)[1]
            return self.answer(200, str(Receiver.refused))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        mode = Receiver.mode
        if mode != "ok":
            Receiver.refused += 1
        if mode == "500":
            return self.answer(500)
        if mode == "hang":
            time.sleep(30)
            self.close_connection = True
            return
        if mode == "reset":
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True
            self.connection.close()
            return
        entry = {
            "path": self.path,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "text": body.decode(),
            "body": json.loads(body),
        }
        with Receiver.lock:
            Receiver.log.write(json.dumps(entry) + "\n")
            Receiver.log.flush()
        self.answer(200)

    def answer(self, status, text=""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def finish(self):
        try:
            super().finish()
        except OSError:
            pass

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def handle_error(self, *_):
        pass


def serve(port, path, *certificate):
    Receiver.log = open(path, "a", encoding="utf-8")
    server = Server(("127.0.0.1", int(port)), Receiver)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    print(server.server_port, flush=True)
    server.serve_forever()


# What differs in every event of every registry, and what it has to look like.
SHAPES = {
    "id": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "timestamp": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)",
    "request.id": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "request.addr": r"127\.0\.0\.1:\d+",
    "request.host": r"127\.0\.0\.1:\d+",
    "target.url": r"http://127\.0\.0\.1:\d+/v2/.*",
    "source.addr": r"[^:]+:\d+",
    "source.instanceID": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
}

# Where we differ on purpose. That it does not differ any more fails as well.
ACTOR = (
    "actor.name: Distribution takes it from the Authorization header even where nothing checks passwords; "
    "here it is who was authenticated"
)


def flat(value, path=""):
    if isinstance(value, dict):
        if not value:
            yield path, {}
        for key, inner in value.items():
            yield from flat(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from flat(inner, f"{path}[{index}]")
    else:
        yield path, value


def normal(event):
    """Fields in their order; what differs by nature is checked for its form and blanked."""
    fields = []
    for path, value in flat(event):
        shape = SHAPES.get(path)
        if shape and re.fullmatch(shape, str(value)):
            value = "<%s>" % path
            if path == "target.url":
                value = event["target"]["url"].split("/v2/", 1)[1]
        elif shape and value != "10.9.8.7":
            value = "MALFORMED " + str(value)
        fields.append((path, value))
    return fields


def read(path):
    with open(path, encoding="utf-8") as log:
        return [json.loads(line) for line in log]


def compare(ours, theirs):
    ours, theirs = read(ours), read(theirs)
    failures = []
    unchecked = 0
    if len(ours) != len(theirs):
        describe = lambda log: [
            (e["action"], e["request"]["method"], e["target"].get("tag")) for r in log for e in r["body"]["events"]
        ]
        print("ours:", *describe(ours), "theirs:", *describe(theirs), sep="\n  ")
        failures.append(f"{len(ours)} requests of ours, {len(theirs)} of Distribution")
    for number, (one, other) in enumerate(zip(ours, theirs)):
        for header in ("content-type", "x-test", "authorization"):
            if one["headers"].get(header) != other["headers"].get(header):
                failures.append(f"{number}: {header}: {one['headers'].get(header)} / {other['headers'].get(header)}")
        # The white space of the body, line by line.
        indents = lambda text: [len(line) - len(line.lstrip()) for line in text.split("\n")]
        events = [log["body"]["events"] for log in (one, other)]
        same_fields = events[0][0]["actor"].keys() == events[1][0]["actor"].keys()
        if same_fields and indents(one["text"]) != indents(other["text"]):
            failures.append(f"{number}: the bodies are indented differently")
        if [len(e) for e in events] != [1, 1]:
            failures.append(f"{number}: {[len(e) for e in events]} events in an envelope")
        actors = [e[0].pop("actor") for e in events]
        if actors[0] != {}:
            failures.append(f"{number}: ours has the actor {actors[0]}")
        unchecked += actors[1] == {"name": "bob"}
        first, second = normal(events[0][0]), normal(events[1][0])
        if first != second:
            for a, b in zip(first + [None] * len(second), second + [None] * len(first)):
                if a != b and (a or b):
                    failures.append(f"{number}: ours {a}, Distribution {b}")
    if unchecked != 1:
        failures.append(f"{unchecked} events of Distribution name an actor that nobody has checked, expected 1")
    print("differs:", ACTOR)
    for failure in failures[:20]:
        print(failure)
    print(f"compared {len(ours)} envelopes, {sum(len(normal(o['body']['events'][0])) for o in ours)} fields")
    sys.exit(bool(failures))


def push(addresses, acked, count, manifest):
    """Pushes a manifest under t0, t1, … and tries each again until it is acknowledged, by whoever serves now."""
    body = open(manifest, "rb").read()
    with open(acked, "w", encoding="utf-8") as log:
        for number in range(int(count)):
            while True:
                address = open(addresses, encoding="utf-8").read().strip()
                url = f"http://{address}/v2/kill/manifests/t{number}"
                request = urllib.request.Request(url, body, method="PUT")
                request.add_header("Content-Type", "application/vnd.oci.image.manifest.v1+json")
                try:
                    with urllib.request.urlopen(request, timeout=10) as answer:
                        assert answer.status == 201
                    break
                except (OSError, http.client.HTTPException):
                    time.sleep(0.02)
            log.write(f"t{number}\n")
            log.flush()


def arrived(path, acked):
    """That every acknowledged push is there, and in order: a repeat may only go back over what came before."""
    tags = [event["target"]["tag"] for request in read(path) for event in request["body"]["events"]
            if event["action"] == "push" and event["target"]["repository"] == "kill" and "tag" in event["target"]]
    first = list(dict.fromkeys(tags))
    expected = open(acked, encoding="utf-8").read().split()
    missing = [tag for tag in expected if tag not in first]
    print(f"{len(expected)} acknowledged, {len(tags)} events, {len(tags) - len(first)} of them again")
    if missing or first != expected:
        print("missing:", missing[:10], "order:", first[:20])
        sys.exit(1)


if __name__ == "__main__":
    {"serve": serve, "compare": compare, "push": push, "arrived": arrived}[sys.argv[1]](*sys.argv[2:])
