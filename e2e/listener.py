"""Clients and managers that curl cannot be, for listener.sh."""

import base64
import http.client
import os
import pathlib
import resource
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time


def trusting(authority):
    context = ssl.create_default_context(cafile=authority)
    return context


def load(address, authority, stop, credentials=None):
    """Requests over fresh and kept connections, as `user:password` or nobody, until the file `stop` is there."""
    host, port = address.split(":")
    counts = {"fresh": 0, "kept": 0, "failed": 0}
    lock = threading.Lock()
    encoded = base64.b64encode((credentials or "").encode()).decode()
    headers = {"Authorization": f"Basic {encoded}"} if credentials else {}

    def one(connection):
        connection.request("GET", "/v2/", headers=headers)
        response = connection.getresponse()
        response.read()
        if response.status != 200:
            raise OSError(f"status {response.status}")

    def run(kept):
        context = trusting(authority)
        connection = None
        while not os.path.exists(stop):
            try:
                if connection is None or not kept:
                    connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=10)
                one(connection)
                with lock:
                    counts["kept" if kept else "fresh"] += 1
                if not kept:
                    connection.close()
                time.sleep(0.005)
            except Exception as error:  # whatever it is, a client would have failed
                with lock:
                    counts["failed"] += 1
                print(f"{'kept' if kept else 'fresh'}: {error!r}")
                connection = None

    threads = [threading.Thread(target=run, args=(kept,)) for kept in (False, False, True, True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"{counts['fresh']} fresh, {counts['kept']} kept, {counts['failed']} failed")


def activate(registry, config, work):
    """Starts the registry with two sockets, as systemd would, and a manager to notify."""
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(f"{work}/notify")
    manager.settimeout(10)
    tcp = socket.create_server(("127.0.0.1", 0))
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(f"{work}/given.sock")
    unix.listen()
    tcp_fd, unix_fd = os.dup(tcp.fileno()), os.dup(unix.fileno())
    # From 3 on, one after the other; LISTEN_PID is the process itself.
    script = f'exec 3<&{tcp_fd} 4<&{unix_fd}; export LISTEN_PID=$$; exec "$0" serve "$1"'
    environment = dict(os.environ, LISTEN_FDS="2", NOTIFY_SOCKET=f"{work}/notify")
    for name in [name for name in environment if name.startswith("REGISTRY_")]:
        del environment[name]
    process = subprocess.Popen(
        ["bash", "-c", script, registry, config],
        pass_fds=(tcp_fd, unix_fd),
        env=environment,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        assert manager.recv(100) == b"READY=1"
        for address in (tcp.getsockname(), f"{work}/given.sock"):
            client = socket.socket(socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX)
            client.settimeout(10)
            client.connect(address)
            client.sendall(b"GET /v2/ HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200 "), address
            client.close()
        process.send_signal(signal.SIGTERM)
        assert manager.recv(100) == b"STOPPING=1"
        assert process.wait(15) == 0
        assert os.path.exists(f"{work}/given.sock"), "the socket is not ours to remove"
    finally:
        if process.poll() is None:
            process.kill()
    # Meant for another process, they are not taken.
    environment["LISTEN_PID"] = "1"
    other = subprocess.Popen(
        [registry, "serve", config], env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    try:
        said = ""
        for line in other.stderr:
            said += line
            if "listening on" in line or "cannot listen" in line:
                break
        assert "LISTEN_FDS" not in said, said
    finally:
        other.kill()
        other.wait()


def activate_file(registry, config):
    file = os.open("/dev/null", os.O_RDONLY)
    script = f'exec 3<&{file}; export LISTEN_PID=$$ LISTEN_FDS=1; exec "$0" serve "$1"'
    sys.exit(subprocess.run(["bash", "-c", script, registry, config], pass_fds=(file,), timeout=15).returncode)


def proxied(address, authority):
    """Version 2 in front of TLS, for IPv4 and IPv6."""
    host, port = address.split(":")
    signature = b"\r\n\r\n\0\r\nQUIT\n"
    blocks = [
        signature
        + struct.pack("!BBH", 0x21, 0x11, 12)
        + socket.inet_aton("203.0.113.9")
        + socket.inet_aton("127.0.0.1")
        + struct.pack("!HH", 4242, int(port)),
        signature
        + struct.pack("!BBH", 0x21, 0x21, 36)
        + socket.inet_pton(socket.AF_INET6, "2001:db8::9")
        + socket.inet_pton(socket.AF_INET6, "::1")
        + struct.pack("!HH", 4242, int(port)),
    ]
    for block in blocks:
        plain = socket.create_connection((host, int(port)), timeout=10)
        plain.sendall(block)
        client = trusting(authority).wrap_socket(plain, server_hostname="localhost")
        client.sendall(b"GET /v2/ HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200 ")
        client.close()


def break_off(address):
    """A request whose body never comes."""
    host, port = address.split(":")
    client = socket.create_connection((host, int(port)), timeout=10)
    client.sendall(b"PUT /v2/a/manifests/b HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf")
    time.sleep(0.2)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def loiter(address, authority, ready):
    host, port = address.split(":")
    half = socket.create_connection((host, int(port)))
    half.sendall(b"\x16\x03\x01")
    clients = [
        trusting(authority).wrap_socket(socket.create_connection((host, int(port))), server_hostname="localhost")
        for _ in range(2)
    ]
    clients[0].sendall(b"GET /v2/ HTTP/1.1\r\nhost: a\r\n\r\n")
    assert clients[0].recv(1000).startswith(b"HTTP/1.1 200 ")
    clients[1].sendall(b"GET /v2/ HT")
    pathlib.Path(ready).touch()
    time.sleep(30)


def resident(pid):
    """In KiB."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def frame(kind, flags, stream, payload=b""):
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def frames(client):
    """The frames that a server sends: kind, flags, stream."""
    def exactly(count):
        data = b""
        while len(data) < count:
            piece = client.recv(count - len(data))
            assert piece, "the connection ended"
            data += piece
        return data

    while True:
        head = exactly(9)
        exactly(int.from_bytes(head[:3], "big"))
        yield head[3], head[4], int.from_bytes(head[5:], "big")


def idle(address, authority, pid, protocol, count, most):
    """So many connections that were used once and wait, for no more than `most` bytes; then they are used again.
    Without TLS where the authority is empty; `protocol` is `h1` or `h2`."""
    count, most = int(count), int(most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    host, port = address.split(":")
    context = trusting(authority) if authority else None
    if context:
        context.set_alpn_protocols(["h2"] if protocol == "h2" else ["http/1.1"])
    streams = {}

    def connect():
        client = socket.create_connection((host, int(port)), timeout=10)
        client = context.wrap_socket(client, server_hostname="localhost") if context else client
        if protocol == "h2":
            client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0))
        return client

    def use(client):
        if protocol == "h1":
            client.sendall(b"GET /v2/ HTTP/1.1\r\nhost: a\r\nuser-agent: containers/5.0\r\naccept: */*\r\n\r\n")
            assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
            return
        stream = streams[client] = streams.get(client, -1) + 2
        # Indexed: GET and the scheme. Literal, not indexed: the path, the authority, and as above.
        block = b"\x82" + (b"\x87" if context else b"\x86")
        block += b"\x04\x04/v2/" + b"\x01\x01a" + b"\x0f\x2b\x0econtainers/5.0" + b"\x0f\x04\x03*/*"
        client.sendall(frame(1, 5, stream, block))
        answered = frames(client)
        # To the frame that ends the stream; settings that come first are acknowledged.
        while True:
            kind, flags, of = next(answered)
            if (kind, flags & 1) == (4, 0):
                client.sendall(frame(4, 1, 0))
            assert kind not in (3, 7), f"frame {kind}"
            if of == stream and kind in (0, 1) and flags & 1:
                return

    for _ in range(20):
        with connect() as client:
            use(client)
    before = resident(pid)
    clients = [connect() for _ in range(count)]
    for client in clients:
        use(client)
    time.sleep(0.5)
    growth = (resident(pid) - before) * 1024
    print(f"{count} idle connections: {growth / 1e6:.1f} MB")
    assert growth <= most, f"{growth} bytes more, not {most}"
    for client in clients:
        use(client)
        client.close()


if __name__ == "__main__":
    {
        "load": load,
        "activate": activate,
        "activate-file": activate_file,
        "proxied": proxied,
        "break-off": break_off,
        "loiter": loiter,
        "idle": idle,
    }[sys.argv[1]](*sys.argv[2:])
