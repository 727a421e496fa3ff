#!/usr/bin/env python3
"""What a request costs the server, counted instead of timed, with one thing on against without it.

    cost.py [--only access-log,…] [--workload manifest-tag,…] [--count calls,…] [--keep DIRECTORY-FOR-PROFILES]

Sixteen connections, one request on each at a time. Of the server it tells, for each request:

- instructions in the process, by `valgrind --tool=callgrind`, between two points of a run when everything is warm;
- system calls and context switches, by the tracepoints of `perf stat`;
- processor time by the scheduler's own account (`/proc/PID/task/*/schedstat`), in turns with a server without the
  thing, the median of nine. It depends on what else the machine does; the counts do not.

Needs valgrind and perf, root, and Python's cryptography. docs/performance.md says what came of it.
"""

import argparse
import base64
import glob
import hashlib
import http.server
import json
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "auth-alike"))
from keys import b64, ec_key, public_jwk, sign, to_json  # noqa: E402

CONNECTIONS = 16
TURNS = 9
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
# As long as those of clients are.
AGENT = "user-agent: containers/5.34 (github.com/containers/image)\r\n"
# user:password at bcrypt's lowest cost.
USER, PASSWORD = "alice", "alice:password"
HASH = "$2y$04$0CSgM0l9kokKnCtyDWAiGehhlwd89JmRI1G4c3tPA6BHGaqzzjtya"


def digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def manifest(layer):
    config = b"{}"
    return to_json({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(config), "size": 2},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest(layer), "size": len(layer)}],
    })


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes events."""

    protocol_version = "HTTP/1.1"
    taken = 0

    def do_POST(self):
        Receiver.taken += 1
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def settle():
    """Waits until all events have arrived, so that they count where they belong."""
    seen = None
    while seen != Receiver.taken:
        seen = Receiver.taken
        time.sleep(0.5)


class Variants:
    """Sections of a configuration, and what a client has to send."""

    def __init__(self, work, hook):
        key = ec_key()
        now = int(time.time())
        access = [{"type": "repository", "name": "cost", "actions": ["pull", "push"]}]
        claims = {"iss": "i", "aud": "s", "sub": USER, "exp": now + 86400, "nbf": now - 60, "iat": now, "jti": "1",
                  "access": access}
        signed = ".".join(b64(to_json(part)) for part in ({"alg": "ES256", "typ": "JWT", "kid": "k"}, claims))
        token = signed + "." + b64(sign("ES256", key, signed.encode()))
        (work / "jwks.json").write_bytes(to_json({"keys": [public_jwk(key, kid="k")]}))
        (work / "htpasswd").write_text(f"{USER}:{HASH}\n")
        basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        endpoint = f"notifications:\n  endpoints:\n    - {{name: hook, url: 'http://{hook}/', timeout: 5s}}\n"
        self.all = {
            "off": ("", "", ""),
            "access-log": ("", "", ""),
            "metrics": ("", "  debug: {addr: '127.0.0.1:0', prometheus: {enabled: true}}\n", ""),
            "notifications": (endpoint, "", ""),
            "notifications-disk": (endpoint + f"  queue: {{directory: {work}/queue}}\n", "", ""),
            "htpasswd": (f"auth: {{htpasswd: {{realm: r, path: {work}/htpasswd}}}}\n", "",
                         f"authorization: Basic {basic}\r\n"),
            "token": (f"auth: {{token: {{realm: 'http://t/', service: s, issuer: i, jwks: {work}/jwks.json}}}}\n", "",
                      f"authorization: Bearer {token}\r\n"),
        }

    def config(self, name, store, port):
        top, http_section, _ = self.all[name]
        disabled = "false" if name == "access-log" else "true"
        return (f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: {disabled}}}}}\n"
                f"storage:\n  filesystem: {{rootdirectory: {store}}}\n  delete: {{enabled: true}}\n"
                f"http:\n  addr: 127.0.0.1:{port}\n  secret: s\n{http_section}{top}")

    def headers(self, name):
        return self.all[name][2]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


class Server:
    """A registry in one variant, and connections to it."""

    def __init__(self, binary, work, variants, name, callgrind=False):
        self.port, self.work = free_port(), work
        config = work / f"{name}.yml"
        store = work / f"store-{name}"
        config.write_text(variants.config(name, store, self.port))
        command = [binary, "serve", str(config)]
        if callgrind:
            out = work / f"callgrind.{name}"
            command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--fair-sched=yes", *command]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("REGISTRY_")}
        environment["OTEL_TRACES_EXPORTER"] = "none"
        if callgrind:
            # Which thread happens to look for work first does not count then.
            environment["TOKIO_WORKER_THREADS"] = "1"
        self.log = open(work / f"{name}.log", "ab")
        access = open(work / f"{name}.access", "ab")
        self.process = subprocess.Popen(command, env=environment, stdout=access, stderr=self.log)
        self.pid = self.process.pid
        self.headers = AGENT + variants.headers(name)
        until = time.monotonic() + 120
        while True:
            try:
                Connection(self.port, self.headers).socket.close()
                break
            except OSError:
                if time.monotonic() > until or self.process.poll() is not None:
                    sys.exit(f"{name}: did not start, see {self.log.name}")
                time.sleep(0.05)
        self.connections = []
        self.connect()
        self.pushed = 0
        layer = b"x" * 4096
        self.layer = digest(layer)
        for blob in (layer, b"{}"):
            self.push_blobs([blob])
        self.all_answer(201, [self.put_manifest("v1", manifest(layer))])

    def connect(self):
        """Anew: those that wait for long are closed."""
        for connection in self.connections:
            connection.socket.close()
        self.connections = [Connection(self.port, self.headers) for _ in range(CONNECTIONS)]

    def all_answer(self, expected, requests):
        """Sends the requests at once, one on each connection, and waits for all answers."""
        used = self.connections[:len(requests)]
        for connection, request in zip(used, requests):
            connection.send(request)
        answers = [connection.receive() for connection in used]
        for status, headers in answers:
            if status != expected:
                sys.exit(f"{status} instead of {expected}: {headers}, see {self.log.name}")
        return answers

    def put_manifest(self, tag, content):
        return "PUT", f"/v2/cost/manifests/{tag}", f"content-type: {MANIFEST}\r\n", content

    def push_blobs(self, blobs):
        began = self.all_answer(202, [("POST", "/v2/cost/blobs/uploads/", "", b"") for _ in blobs])
        locations = [re.search(r"(?i)\nlocation: (\S+)", headers)[1] for _, headers in began]
        paths = [re.sub(r"^https?://[^/]+", "", location) for location in locations]
        self.all_answer(201, [
            ("PUT", f"{path}{'&' if '?' in path else '?'}digest={digest(blob)}",
             "content-type: application/octet-stream\r\n", blob)
            for path, blob in zip(paths, blobs)])

    def round(self, workload):
        """One operation on each connection."""
        ask = {
            "manifest-tag": ("GET", "/v2/cost/manifests/v1", f"accept: {MANIFEST}\r\n", None),
            "blob-head": ("HEAD", f"/v2/cost/blobs/{self.layer}", "", None),
            "blob-get": ("GET", f"/v2/cost/blobs/{self.layer}", "", None),
        }
        if workload in ask:
            self.all_answer(200, [ask[workload]] * CONNECTIONS)
            return
        layers = []
        for _ in range(CONNECTIONS):
            self.pushed += 1
            layers.append(f"{self.port} {self.pushed} ".encode().ljust(4096, b"y"))
        self.push_blobs(layers)
        first = self.pushed - CONNECTIONS
        self.all_answer(201, [self.put_manifest(f"t{first + i}", manifest(l)) for i, l in enumerate(layers)])

    def rounds(self, workload, count):
        for _ in range(count):
            self.round(workload)

    def cpu(self):
        """Nanoseconds on a processor, of all threads there are: none ends while requests are served."""
        total = 0
        for file in glob.glob(f"/proc/{self.pid}/task/*/schedstat"):
            total += int(pathlib.Path(file).read_text().split()[0])
        return total

    def user_share(self):
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]), int(fields[12])

    def stop(self):
        for connection in self.connections:
            connection.socket.close()
        self.process.terminate()
        self.process.wait(60)


class Connection:
    def __init__(self, port, headers):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.headers = f"host: 127.0.0.1:{port}\r\n{headers}"

    def send(self, request):
        method, path, headers, body = request
        self.method = method
        length = f"content-length: {len(body)}\r\n" if body is not None else ""
        self.socket.sendall(f"{method} {path} HTTP/1.1\r\n{self.headers}{headers}{length}\r\n".encode() + (body or b""))

    def receive(self):
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self.socket.recv(65536)
            if not piece:
                raise OSError("closed")
            data += piece
        head, _, rest = data.partition(b"\r\n\r\n")
        head = head.decode()
        length = re.search(r"(?i)\ncontent-length: (\d+)", head)
        left = int(length[1]) if length and self.method != "HEAD" else 0
        left -= len(rest)
        while left > 0:
            left -= len(self.socket.recv(65536))
        return int(head.split()[1]), head


def instructions(server, workload, rounds, keep):
    """Per operation, when warm."""
    control = ["callgrind_control"]
    server.connect()
    server.rounds(workload, max(4, rounds // 4))
    settle()
    for option in ("-z", f"-d={workload}"):
        subprocess.run([*control, option, str(server.pid)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if option == "-z":
            server.rounds(workload, rounds)
            settle()
    dumps = sorted(glob.glob(f"{server.work}/callgrind.*"), key=os.path.getmtime)
    text = pathlib.Path(dumps[-1]).read_text()
    if keep:
        shutil.copy(dumps[-1], keep)
    return int(re.search(r"(?m)^(?:totals|summary): (\d+)", text)[1]) / (rounds * CONNECTIONS)


def calls(server, workload, rounds):
    """System calls and context switches per operation."""
    server.connect()
    server.rounds(workload, 20)
    settle()
    events = "raw_syscalls:sys_enter,context-switches"
    perf = subprocess.Popen(["perf", "stat", "-x", ";", "-e", events, "-p", str(server.pid)],
                            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    time.sleep(0.3)
    server.rounds(workload, rounds)
    settle()
    perf.send_signal(2)
    lines = [line.split(";") for line in perf.communicate()[1].splitlines() if ";" in line]
    return [float(line[0]) / (rounds * CONNECTIONS) for line in lines]


def times(server, base, workload, rounds):
    """Processor time of one operation in both, in nanoseconds."""
    taken = ([], [])
    for one in (server, base):
        one.connect()
        one.rounds(workload, 20)
    settle()
    for turn in range(TURNS):
        for which in ((0, 1), (1, 0))[turn % 2]:
            one = (server, base)[which]
            before = one.cpu()
            one.rounds(workload, rounds)
            settle()
            taken[which].append((one.cpu() - before) / (rounds * CONNECTIONS))
    return statistics.median(taken[0]), statistics.median(taken[1]), statistics.median(
        ours / theirs for ours, theirs in zip(*taken))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=str(HERE.parent / "target/release/registry"))
    parser.add_argument("--rounds", type=int, default=50, help="of sixteen operations, under callgrind")
    parser.add_argument("--only", default="access-log,metrics,notifications,notifications-disk,htpasswd,token")
    parser.add_argument("--workload", default="manifest-tag,blob-head,blob-get,image-push")
    parser.add_argument("--keep", help="directory for callgrind's profiles")
    parser.add_argument("--count", default="instructions,calls,time", help="what")
    options = parser.parse_args()
    hook = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=hook.serve_forever, daemon=True).start()
    work = pathlib.Path(tempfile.mkdtemp(prefix="cost."))
    variants = Variants(work, f"127.0.0.1:{hook.server_port}")
    workloads = options.workload.split(",")
    names = ["off", *[name for name in options.only.split(",") if name]]
    rows = {(name, workload): {} for name in names for workload in workloads}
    if "instructions" in options.count:
        for name in names:
            server = Server(options.binary, work, variants, name, callgrind=True)
            for workload in workloads:
                keep = options.keep and f"{options.keep}/{name}.{workload}"
                rows[name, workload]["instructions"] = instructions(server, workload, options.rounds, keep)
            server.stop()
    if "calls" in options.count or "time" in options.count:
        servers = {name: Server(options.binary, work, variants, name) for name in names}
        for (name, workload), row in rows.items():
            rounds = 30 if workload == "image-push" else 150
            if "calls" in options.count:
                row["calls"], row["switches"] = calls(servers[name], workload, rounds)
            if "time" in options.count and name != "off":
                ours, base, ratio = times(servers[name], servers["off"], workload, rounds)
                row.update({"µs": ours / 1e3, "µs off": base / 1e3, "ratio": ratio})
        user, system = servers["off"].user_share()
        print(f"off: {user} ticks in the process, {system} in the kernel")
        for server in servers.values():
            server.stop()
    for workload in workloads:
        print(f"\n{workload}")
        base = rows["off", workload]
        for name in names:
            row = rows[name, workload]
            cells = [f"{key} {value:.2f}" + (f" ({value - base[key]:+.2f})" if key in base and name != "off" else "")
                     for key, value in row.items()]
            print(f"  {name:20} " + ", ".join(cells))
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
