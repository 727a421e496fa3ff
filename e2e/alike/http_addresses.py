"""http: where it listens and which URLs it hands out."""

import base64
import hashlib
import hmac
import json
import os
import socket
import stat
import threading
import time
import urllib.parse

from content import ACCEPT, CONFIG, begin, digest, image, local, push_image, put
from frame import case


@case("http.addr")
def addresses(run):
    port = run.port()
    for address, asked in (
        (f"127.0.0.1:{port}", ["127.0.0.1"]),
        (f"localhost:{port}", ["127.0.0.1"]),
        (f":{port}", ["127.0.0.1", "::1", "127.0.0.2"]),
        (f"0.0.0.0:{port}", ["127.0.0.1", "127.0.0.2"]),
        (f"[::1]:{port}", ["::1"]),
        (f"[::]:{port}", ["::1", "127.0.0.1"]),
    ):
        process = run.start(addr=address, ready=lambda: run.open_port(address=asked[0]))
        name = address.replace(str(port), "PORT")
        run.note(name, [run.get("/v2/", host=host).status for host in asked])
        run.note(f"{name}, elsewhere", [run.open_port(address=host) for host in ("127.0.0.1", "::1", "127.0.0.3")])
        process.kill()
    for address in (
        "127.0.0.1",
        str(port),
        f"http://127.0.0.1:{port}",
        "127.0.0.1:port",
        "127.0.0.1:70000",
        "::1:5000",
        f"nowhere.invalid:{port}",
    ):
        run.refused(f"addr: {address}".replace(str(port), "PORT"), addr=address)
    process = run.start(addr="127.0.0.1:1", env={"REGISTRY_HTTP_ADDR": f"127.0.0.1:{port}"})
    run.see("by variable", "GET", "/v2/")
    process.kill()
    with socket.create_server(("127.0.0.1", port)):
        run.refused("a port in use", ready=lambda: False)


def listens(process):
    """The ports that the process listens on."""
    inodes = set()
    for name in os.listdir(f"/proc/{process.child.pid}/fd"):
        try:
            inodes.add(os.readlink(f"/proc/{process.child.pid}/fd/{name}"))
        except OSError:
            pass
    ports = []
    for table in ("tcp", "tcp6"):
        with open(f"/proc/net/{table}", encoding="ascii") as lines:
            for line in list(lines)[1:]:
                fields = line.split()
                if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                    ports.append(int(fields[1].rsplit(":", 1)[1], 16))
    return ports


@case("http.addr")
def no_address(run):
    process = run.launch(run.configuration(addr=""))
    found = []
    process.wait_for(lambda: found.extend(listens(process)) or found)
    # Where somebody has that port already, the message names it.
    known = found == [5000] or "5000" in process.said()
    run.note("no address", "port 5000" if known else "a random port")
    process.kill()


@case("http.net", "http.addr")
def unix_sockets(run):
    path = os.path.join(run.dir, "registry.sock")

    def open_socket():
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(path) == 0

    process = run.start(addr=path, http="net: unix", ready=open_socket)
    run.see("over a socket", "GET", "/v2/", unix=path)
    location = begin(run, "a", unix=path)
    run.note("Location over a socket", location.split("/v2/")[0])
    run.note("it is a socket", stat.S_ISSOCK(os.stat(path).st_mode))
    process.kill()
    run.note("left behind by SIGKILL", os.path.exists(path))
    process = run.start(addr=path, env={"REGISTRY_HTTP_NET": "unix"}, ready=open_socket)
    run.see("over a stale socket, by variable", "GET", "/v2/", unix=path)
    process.kill()
    os.unlink(path)
    run.file("registry.sock", "a file of somebody")
    run.refused("a file is in the way", addr=path, http="net: unix", ready=open_socket)
    run.note("the file is still there", open(path, encoding="ascii").read())
    os.unlink(path)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        other.listen()
        theirs = os.stat(path).st_ino
        run.refused(
            "somebody listens on it",
            addr=path,
            http="net: unix",
            ready=lambda: os.path.exists(path) and os.stat(path).st_ino != theirs,
        )
    for net in ("tcp", "tcp6", "udp"):
        run.refused(f"net: {net}", http=f"net: {net}")


def links(run, prefix=""):
    """Every kind of URL that is handed out."""
    port = f":{run.port()}"
    clean = lambda text: text and text.replace(port, ":PORT")
    push_image(run, "a/b", "one", b"layer", prefix=prefix)
    put(run, "a/b", "two", image(b"layer"), prefix=prefix)
    push_image(run, "c", "one", b"other", prefix=prefix)
    for label, headers in (
        ("plain", {}),
        ("forwarded", {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "front.example"}),
        ("by name", {"Host": "named.example:81"}),
    ):
        answer = run.ask("POST", f"{prefix}/v2/a/b/blobs/uploads/", headers=headers)
        run.note(f"upload, {label}", clean(answer.header("Location").split("uploads/")[0]))
        path = local(answer.header("Location"), prefix)
        answer = run.ask("PATCH", path, b"some bytes", headers=headers)
        run.note(f"part, {label}", [answer.status, clean((answer.header("Location") or "").split("uploads/")[0])])
        if answer.status == 202:
            path = local(answer.header("Location"), prefix)
            answer = run.ask("PUT", f"{path}&digest={digest(b'some bytes')}", headers=headers)
            run.note(f"blob, {label}", [answer.status, clean(answer.header("Location"))])
        answer = run.ask("POST", f"{prefix}/v2/c/blobs/uploads/?mount={digest(b'layer')}&from=a/b", headers=headers)
        run.note(f"mount, {label}", [answer.status, clean(answer.header("Location"))])
        answer = put(run, "a/b", "one", image(b"layer"), prefix=prefix, headers=headers)
        run.note(f"manifest, {label}", [answer.status, clean(answer.header("Location"))])
        for what in ("a/b/tags/list", "_catalog"):
            answer = run.get(f"{prefix}/v2/{what}?n=1", headers=headers)
            run.note(f"{what}, {label}", [answer.status, clean(answer.header("Link"))])
    run.see("base", "GET", f"{prefix}/v2/", "Docker-Distribution-Api-Version")


@case("http.addr")
def urls_as_they_come(run):
    run.start()
    links(run)


@case("http.host")
def urls_with_host(run):
    run.start(http="host: https://hub.example.com")
    links(run)


@case("http.host")
def urls_with_host_and_port_by_variable(run):
    process = run.start(env={"REGISTRY_HTTP_HOST": "http://hub.example.com:8080"})
    run.note("Location", begin(run, "a").split("uploads/")[0])
    process.kill()
    process = run.start(http="host: https://hub.example.com/")
    run.note("Location, a slash at the end", begin(run, "a").split("uploads/")[0])
    process.kill()
    process = run.start(http="host: https://hub.example.com\nrelativeurls: true")
    run.note("Location, relativeurls too", begin(run, "a").split("uploads/")[0])
    process.kill()
    process = run.start(http="host: hub.example.com")
    run.note("Location, no scheme", run.hidden_port(begin(run, "a")).split("uploads/")[0])
    process.kill()
    for host in ("http://[::1", "https://hub.example.com:port", "hub.example.com:443"):
        run.refused(f"host: {host}", http=f"host: '{host}'")


@case("http.relativeurls")
def urls_without_host(run):
    process = run.start(http="relativeurls: true")
    links(run)
    process.kill()
    process = run.start(env={"REGISTRY_HTTP_RELATIVEURLS": "true"})
    run.note("by variable", begin(run, "d").split("uploads/")[0])
    process.kill()
    run.refused("relativeurls: 'true'", http="relativeurls: 'true'")


@case("http.prefix")
def prefixes(run):
    process = run.start(http="prefix: /nested/path/")
    links(run, "/nested/path")
    for path in ("/v2/", "/nested/v2/", "/nested/path/v2", "/nested/path/", "/nested/path", "/"):
        answer = run.get(path)
        run.note(f"GET {path}", [answer.status, answer.header("Location")])
    process.kill()
    for prefix in ("/p", "/", "p/", "p"):
        run.refused(f"prefix: {prefix}", http=f"prefix: {prefix}")
    process = run.start(http="prefix: /p/", env={"REGISTRY_HTTP_PREFIX": "/q/"})
    run.note("by variable", [run.get("/p/v2/").status, run.get("/q/v2/").status])
    process.kill()


@case("http.prefix")
def prefix_without_a_slash_at_the_end(run):
    run.start(http="prefix: /p")
    run.note("requests", [run.get(path).status for path in ("/p/v2/", "/v2/", "/pv2/")])


@case("http.prefix", "http.relativeurls")
def prefix_and_relative_urls(run):
    run.start(http="prefix: /p/\nrelativeurls: true")
    links(run, "/p")


@case("http.prefix", "http.host")
def prefix_and_host(run):
    process = run.start(http="prefix: /p/\nhost: https://hub.example.com")
    links(run, "/p")
    process.kill()
    run.start(http="prefix: /p/\nhost: https://hub.example.com/p/")
    run.note("prefix in host too", begin(run, "x", "/p").split("uploads/")[0])


@case("http.headers")
def headers(run):
    text = (
        "headers:\n  X-Content-Type-Options: [nosniff]\n  X-Several: [one, two]\n  Access-Control-Allow-Origin: ['*']"
    )
    process = run.start(http=text, storage="delete: {enabled: true}")
    push_image(run, "a", "one", b"layer")
    for method, path in (
        ("GET", "/v2/"),
        ("GET", "/v2/_catalog"),
        ("GET", "/v2/a/tags/list"),
        ("GET", "/v2/b/tags/list"),
        ("GET", "/v2/a/manifests/one"),
        ("HEAD", "/v2/a/manifests/two"),
        ("GET", f"/v2/a/blobs/{digest(b'layer')}"),
        ("POST", "/v2/a/blobs/uploads/"),
        ("DELETE", "/v2/"),
        ("OPTIONS", "/v2/"),
        ("GET", "/"),
        ("GET", "/none"),
        ("GET", "/v2/a/none"),
        ("DELETE", "/v2/a/manifests/one"),
    ):
        answer = run.ask(method, path, headers=ACCEPT)
        got = [
            answer.headers.get_all(name)
            for name in ("X-Content-Type-Options", "X-Several", "Access-Control-Allow-Origin")
        ]
        run.note(f"{method} {path}", [answer.status, *got])
    process.kill()
    process = run.start(http=text, env={"REGISTRY_HTTP_HEADERS_X-SEVERAL": "[three]"})
    run.note("by variable", sorted(run.get("/v2/").headers.get_all("X-Several")))
    process.kill()
    process = run.start(http=text, env={"REGISTRY_HTTP_HEADERS": "{X-Only: [this]}"})
    answer = run.get("/v2/")
    run.note("all by variable", [answer.header("X-Only"), answer.header("X-Several")])
    process.kill()
    for value in ("{X-A: b}", "[X-A]", "{X-A: [{a: b}]}"):
        run.refused(f"headers: {value}", http=f"headers: {value}")


@case("http.draintimeout")
def draining(run):
    def slow_upload(seconds):
        """A part of an upload that takes this long, and its status."""
        path = local(begin(run, "a"))
        outcome = []

        def upload():
            with socket.create_connection(run.base) as connection:
                connection.settimeout(15)
                head = f"PATCH {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n"
                connection.sendall(f"{head}Content-Length: 10\r\n\r\n12345".encode())
                time.sleep(seconds)
                try:
                    connection.sendall(b"67890")
                    outcome.append(connection.recv(1024).split(b"\r\n")[0].decode())
                except OSError:
                    outcome.append("cut off")

        thread = threading.Thread(target=upload)
        thread.start()
        time.sleep(0.3)
        return thread, outcome

    for signal, name in ((15, "SIGTERM"), (2, "SIGINT")):
        process = run.start(http="draintimeout: 5s")
        thread, outcome = slow_upload(1)
        process.signal(signal)
        time.sleep(0.2)
        run.note(f"{name}: new connections", run.open_port())
        thread.join()
        run.note(f"{name}: the request, the exit code", [outcome, process.end()])
    process = run.start(http="draintimeout: 500ms")
    thread, outcome = slow_upload(2.5)
    begun = time.monotonic()
    process.signal(15)
    code = process.end()
    run.note("too slow: exit code", [code, "in time" if time.monotonic() - begun < 2 else "late"])
    thread.join()
    process = run.start(env={"REGISTRY_HTTP_DRAINTIMEOUT": "5s"})
    process.signal(15)
    run.note("by variable, nothing under way", process.end())
    process = run.start()
    process.signal(15)
    run.note("no draintimeout", process.end())
    for value in ("soon", "'5'", "1.5", "-5s", "5000000000", "1h30m", "''"):
        run.refused(f"draintimeout: {value}", http=f"draintimeout: {value}")


@case("http.secret")
def secrets(run):
    def state(location):
        """The signed state of an upload: the fields, and whether the secret signed them."""
        token = base64.urlsafe_b64decode(urllib.parse.unquote(location.split("_state=")[1]) + "==")
        return lambda secret: hmac.new(secret, token[32:], hashlib.sha256).digest() == token[:32], json.loads(
            token[32:]
        )

    process = run.start(http="secret: one-secret")
    location = begin(run, "a/b")
    signed, fields = state(location)
    run.note("fields", sorted(fields))
    run.note("values", [fields["Name"], fields["Offset"], fields["UUID"] in location.split("?")[0]])
    run.note("signed with the secret", [signed(b"one-secret"), signed(b"other")])
    path = local(location)
    forged = (
        path.split("_state=")[0]
        + "_state="
        + base64.urlsafe_b64encode(
            hmac.new(b"other", json.dumps(fields).encode(), hashlib.sha256).digest() + json.dumps(fields).encode()
        ).decode()
    )
    run.see("forged", "PATCH", forged, body=b"data")
    own = (
        path.split("_state=")[0]
        + "_state="
        + base64.urlsafe_b64encode(
            hmac.new(b"one-secret", json.dumps(fields).encode(), hashlib.sha256).digest() + json.dumps(fields).encode()
        ).decode()
    )
    run.see("signed by another with the secret", "PATCH", own, "Range", body=b"data")
    process.kill()
    process = run.start(http="secret: one-secret")
    run.see("after a restart", "PUT", f"{path}&digest={digest(CONFIG)}", body=CONFIG)
    process.kill()
    process = run.start(http="secret: another")
    run.see("after a restart with another", "PATCH", path, body=CONFIG)
    process.kill()
    process = run.start()
    path = local(begin(run, "a/b"))
    run.see("no secret", "PATCH", path, "Range", body=CONFIG)
    path = local(begin(run, "a/b"))
    process.kill()
    process = run.start()
    run.see("no secret, after a restart", "PATCH", path, body=CONFIG)
    process.kill()
    for text, value in (("0123", b"0123"), ("yes", b"yes"), ("'a: b'", b"a: b")):
        process = run.start(http=f"secret: {text}")
        run.note(f"secret: {text}", state(begin(run, "a"))[0](value))
        process.kill()
    process = run.start(http="secret: file", env={"REGISTRY_HTTP_SECRET": "12345"})
    run.note("by variable", state(begin(run, "a"))[0](b"12345"))
    process.kill()
