"""Runs the same cases against Distribution and against ours, and compares what was seen.

A case is a function with `@case(keys…)`. It is called twice, first with Distribution and then with ours, with the
same directory (emptied between) and the same ports, so that the configuration file and the environment are the same
to the letter: `Run.start` fails if they are not. What it sees it says by `run.note(label, value)`. Labels whose values
differ must be in `differences.py`, and what is in there must still differ.
"""

import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

THEIRS, OURS = "Distribution", "ours"
CASES = []
LOCK = threading.Lock()
CHILDREN = set()
PORTS = set()


def case(*keys):
    """A case of these keys."""

    def add(function):
        CASES.append((function.__name__, keys, function))
        return function

    return add


class Failed(Exception):
    """A case that does not work at all, on whatever side."""


def free_port():
    while True:
        # Below those that the kernel gives to clients, as in lib.sh.
        port = random.randrange(20000, 32000)
        with socket.socket() as probe, LOCK:
            if port not in PORTS and probe.connect_ex(("127.0.0.1", port)) != 0:
                PORTS.add(port)
                return port


class Shared:
    """What both runs of a case have in common."""

    def __init__(self, name, work, binaries):
        self.name, self.binaries = name, binaries
        self.dir = os.path.join(work, name)
        self.ports, self.files = {}, {}


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def header(self, name):
        return self.headers.get(name)

    def json(self):
        return json.loads(self.body)

    def codes(self):
        """Codes of an error of the API, or the text."""
        try:
            return [error["code"] for error in self.json()["errors"]]
        except (ValueError, KeyError, TypeError):
            return self.body.decode("utf-8", "replace").strip()[:200]

    def brief(self, *headers):
        seen = [self.status]
        if self.status >= 400:
            seen.append(self.codes())
        return seen + [f"{name}: {tidy(self.header(name))}" for name in headers]


HIDDEN = [
    (r"_state=[A-Za-z0-9_=-]+", "_state=*"),
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<uuid>"),
]


def tidy(value):
    """What differs in each run, and means nothing."""
    if isinstance(value, str):
        for pattern, stand_in in HIDDEN:
            value = re.sub(pattern, stand_in, value)
    return value


class Process:
    def __init__(self, run, arguments, environment, number):
        self.run = run
        self.log = os.path.join(run.shared.dir, f"log-{number}")
        clean = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LC_ALL") if name in os.environ}
        clean["OTEL_TRACES_EXPORTER"] = "none"
        with open(self.log, "wb") as log, LOCK:
            self.child = subprocess.Popen(
                arguments,
                env={**clean, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=run.shared.dir,
                start_new_session=True,
            )
            CHILDREN.add(self.child)

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def wait_for(self, ready, seconds=15):
        """Whether `ready()` came true before the process ended."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.child.poll() is not None:
                return False
            if ready():
                return True
            time.sleep(0.02)
        raise Failed(f"{self.run.side} is not ready after {seconds} s: {self.said()[-500:]}")

    def signal(self, number):
        self.child.send_signal(number)

    def end(self, seconds=15):
        """Waits for the end; the exit code, negative for a signal."""
        try:
            code = self.child.wait(seconds)
        except subprocess.TimeoutExpired as late:
            raise Failed(f"{self.run.side} does not end") from late
        CHILDREN.discard(self.child)
        return code

    def kill(self):
        if self.child.poll() is None:
            os.killpg(self.child.pid, signal.SIGKILL)
        return self.end()


class Run:
    """One side of a case."""

    def __init__(self, shared, side):
        self.shared, self.side, self.dir = shared, side, shared.dir
        self.notes, self.started, self.refusals = {}, [], 0
        self.helpers = []
        shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(self.dir)
        self.store = os.path.join(self.dir, "store")

    def note(self, label, value):
        if label in self.notes:
            raise Failed(f"{label!r} is noted twice")
        self.notes[label] = value

    def port(self, name="main"):
        if name not in self.shared.ports:
            self.shared.ports[name] = free_port()
        return self.shared.ports[name]

    @property
    def base(self):
        return ("127.0.0.1", self.port())

    def file(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    # ------------------------------------------------------------ processes

    def configuration(self, http="", storage="", more="", addr=None, driver=None):
        """The file of most cases; lines of sections are given without their indentation."""
        addr = f"127.0.0.1:{self.port()}" if addr is None else addr
        driver = driver or f"filesystem: {{rootdirectory: {self.store}}}"
        inner = lambda text: "".join(f"  {line}\n" for line in text.strip("\n").split("\n") if line)
        return (
            "version: 0.1\nlog: {accesslog: {disabled: true}}\n"
            f"storage:\n{inner(driver)}{inner(storage)}"
            f"http:\n{inner(f'addr: {addr!r}' if addr else '')}{inner(http)}{more}\n"
        )

    def launch(self, text, env=None, wrap=()):
        number = str(len(self.started))
        env = env or {}
        known = self.shared.files.setdefault(number, (text, env))
        if known != (text, env):
            raise Failed(f"the two get different files or variables:\n{known}\n{text}\n{env}")
        path = self.file(f"config-{number}.yml", text)
        process = Process(self, [*wrap, self.shared.binaries[self.side], "serve", path], env, number)
        self.started.append(process)
        return process

    def open_port(self, name="main", address="127.0.0.1"):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family) as probe:
            probe.settimeout(2)
            return probe.connect_ex((address, self.port(name))) == 0

    def serves(self, process):
        """Distribution opens its port before it has read its certificates: the line in its log counts too."""
        return lambda: "listening on" in process.said() and self.open_port()

    def start(self, text=None, env=None, ready=None, wrap=(), **configuration):
        text = self.configuration(**configuration) if text is None else text
        process = self.launch(text, env, wrap)
        if not process.wait_for(ready or self.serves(process)):
            raise Failed(f"{self.side} does not start (exit {process.end()}): {process.said()[-600:]}")
        return process

    def refused(self, label, env=None, ready=None, text=None, dies=False, **configuration):
        """Notes whether the configuration is refused, or what `ready` found out once it serves.

        With `dies`, Distribution may serve before the part that cannot work runs, and ends all of it.
        """
        process = self.launch(text or self.configuration(**configuration), env)
        ready = ready or self.serves(process)
        if dies:
            ready = lambda: False
        if process.wait_for(ready):
            self.note(label, "starts")
        else:
            code = process.end()
            self.note(label, "refused")
            lines = process.said().strip().split("\n")
            clear = code == 1 and all(line.startswith("registry: ") for line in lines if "level=" not in line)
            if self.side == OURS and not clear:
                raise Failed(f"{label}: exit {code}, {lines}")
            self.refusals += 1
        process.kill()
        return process

    def helper(self, thing):
        """Something with `close()` that does not outlive the run."""
        self.helpers.append(thing)
        return thing

    def close(self):
        for process in self.started:
            process.kill()
        for thing in self.helpers:
            thing.close()

    # ------------------------------------------------------------- requests

    def ask(self, method, path, body=None, headers=None, tls=None, port="main", unix=None, timeout=10, host=None):
        """One request on a connection of its own. `tls` is an `ssl.SSLContext`."""
        where = host or "127.0.0.1"
        connection = http.client.HTTPConnection(where, self.port(port), timeout=timeout)
        if unix:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(timeout)
            connection.sock.connect(unix)
        elif tls:
            plain = socket.create_connection((where, self.port(port)), timeout=timeout)
            connection.sock = tls.wrap_socket(plain, server_hostname="localhost")
        try:
            sent = {"Content-Type": "application/octet-stream"} if isinstance(body, bytes) else {}
            connection.request(method, path, body, {**sent, **(headers or {})})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path, **how):
        return self.ask("GET", path, **how)

    def see(self, label, method, path, *headers, **how):
        """Asks and notes status, codes of errors and these headers."""
        answer = self.ask(method, path, **how)
        self.note(label, answer.brief(*headers))
        return answer

    def hidden_port(self, text, name="main"):
        return text and text.replace(f":{self.port(name)}", ":<port>")


class Listener:
    """A server that answers with what `answer(request)` says, and remembers who asked."""

    def __init__(self, port, answer):
        seen = self.seen = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                seen.append((time.monotonic(), self.command, self.path, self.headers, body))
                status = answer(seen[-1])
                if status is None:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_HEAD = do_GET = do_POST = handle_one

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = allow_reuse_address = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def end_all():
    for child in list(CHILDREN):
        if child.poll() is None:
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def one_side(shared, side, function):
    run = Run(shared, side)
    try:
        function(run)
    finally:
        run.close()
    return run


def tls_context(pki, certificate=None, version=None, ciphers=None, alpn=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(os.path.join(pki, "ca.crt"))
    if certificate:
        context.load_cert_chain(os.path.join(pki, certificate + ".crt"), os.path.join(pki, certificate + ".key"))
    if version:
        context.minimum_version = context.maximum_version = version
    if ciphers:
        context.set_ciphers(ciphers)
    if alpn:
        context.set_alpn_protocols(alpn)
    return context
