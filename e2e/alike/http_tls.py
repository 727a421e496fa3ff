"""http: TLS, versions of HTTP, the debug server."""

import os
import re
import socket
import ssl
import subprocess

from content import begin, push_image
from frame import case, tls_context

PKI = lambda name: os.path.join(os.environ["ALIKE_PKI"], name)
V2, V3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def section(certificate="server", more=""):
    return f"tls:\n  certificate: {PKI(certificate + '.crt')}\n  key: {PKI(certificate + '.key')}\n{more}"


def meet(run, **how):
    """What a client gets: the version, and the status, or that it gets nothing; the suite if there was no choice."""
    context = tls_context(os.environ["ALIKE_PKI"], **how)
    try:
        with socket.create_connection(run.base, timeout=5) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as connection:
                met = [connection.version()] + ([connection.cipher()[0]] if "ciphers" in how else [])
                if connection.selected_alpn_protocol() == "h2":
                    return met + ["h2"]
                connection.sendall(b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                return met + [connection.recv(100).split(b"\r\n")[0].decode()]
    except (ssl.SSLError, OSError):
        return "turned away"


def curl(run, *arguments, scheme="https", path="/v2/"):
    """Status and version of HTTP."""
    done = subprocess.run(
        [
            "curl",
            "-sS",
            "-o",
            "/dev/null",
            "--max-time",
            "10",
            "--cacert",
            PKI("ca.crt"),
            "-w",
            "%{http_code} %{http_version}",
            *arguments,
            f"{scheme}://127.0.0.1:{run.port()}{path}",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout if done.returncode == 0 else "nothing"


@case("http.tls.certificate", "http.tls.key")
def certificates(run):
    process = run.start(http=section())
    run.note("a client", meet(run, version=V3, alpn=["http/1.1"]))
    run.note("in the clear", [curl(run, scheme="http"), run.get("/v2/").body.decode().strip()])
    context = tls_context(os.environ["ALIKE_PKI"])
    run.note("Location", run.hidden_port(begin(run, "a", tls=context)).split("uploads/")[0])
    process.kill()
    process = run.start(http=section("server-rsa"))
    run.note("RSA", meet(run, version=V2))
    process.kill()
    process = run.start(
        env={"REGISTRY_HTTP_TLS_CERTIFICATE": PKI("server.crt"), "REGISTRY_HTTP_TLS_KEY": PKI("server.key")}
    )
    run.note("by variable", curl(run))
    process.kill()
    for label, text in (
        ("no key", f"tls: {{certificate: {PKI('server.crt')}}}"),
        ("a key alone", f"tls: {{key: {PKI('server.key')}}}"),
        ("a file that is not there", f"tls: {{certificate: /none, key: {PKI('server.key')}}}"),
        ("another's key", f"tls: {{certificate: {PKI('server.crt')}, key: {PKI('client.key')}}}"),
        ("no certificate in the file", f"tls: {{certificate: {PKI('server.key')}, key: {PKI('server.key')}}}"),
    ):
        run.refused(label, http=text)


@case("http.tls.clientcas", "http.tls.clientauth")
def client_certificates(run):
    modes = (
        "request-client-cert",
        "require-any-client-cert",
        "verify-client-cert-if-given",
        "require-and-verify-client-cert",
    )
    for mode in (None, *modes):
        text = f"  clientcas: [{PKI('ca.crt')}]\n" + (f"  clientauth: {mode}\n" if mode else "")
        process = run.start(http=section(more=text))
        for version in (V2, V3):
            for who in (None, "client", "stranger"):
                met = meet(run, version=version, certificate=who)
                run.note(f"{mode}, {who or 'no certificate'}, {version.name}", met)
        process.kill()
    process = run.start(
        http=section(),
        env={
            "REGISTRY_HTTP_TLS_CLIENTCAS": f"[{PKI('ca.crt')}]",
            "REGISTRY_HTTP_TLS_CLIENTAUTH": "verify-client-cert-if-given",
        },
    )
    run.note("by variable", [meet(run, version=V2), meet(run, version=V2, certificate="stranger")])
    process.kill()
    for label, text in (
        ("an unknown mode", f"  clientcas: [{PKI('ca.crt')}]\n  clientauth: maybe"),
        ("an unknown mode, and no authorities", "  clientauth: maybe"),
        ("a mode, and no authorities", "  clientauth: require-and-verify-client-cert"),
        ("authorities that are not there", "  clientcas: [/none]"),
        ("authorities that are none", f"  clientcas: [{PKI('server.key')}]"),
    ):
        run.refused(label, http=section(more=text))
    run.refused("authorities without TLS", http=f"tls: {{clientcas: [{PKI('ca.crt')}]}}")


@case("http.tls.minimumtls", "http.tls.ciphersuites")
def versions_and_suites(run):
    def everything(name):
        for version in (V2, V3):
            run.note(f"{name}, {version.name}", meet(run, version=version))
        order = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305"
        run.note(f"{name}, of several", meet(run, version=V2, ciphers=order))
        for suite in (
            "ECDHE-ECDSA-AES128-GCM-SHA256",
            "ECDHE-ECDSA-AES256-GCM-SHA384",
            "ECDHE-ECDSA-CHACHA20-POLY1305",
            "ECDHE-ECDSA-AES128-SHA",
            "ECDHE-ECDSA-AES128-SHA256",
        ):
            run.note(f"{name}, {suite}", meet(run, version=V2, ciphers=suite))

    for name, text in (
        ("nothing said", ""),
        ("tls1.2", "  minimumtls: tls1.2"),
        ("tls1.3", "  minimumtls: tls1.3"),
        ("one suite", "  ciphersuites: [TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256]"),
        (
            "two suites",
            "  ciphersuites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_AES_128_GCM_SHA256,"
            " TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]",
        ),
        ("suites and tls1.3", "  minimumtls: tls1.3\n  ciphersuites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]"),
    ):
        process = run.start(http=section(more=text))
        everything(name)
        process.kill()
    process = run.start(
        http=section(),
        env={
            "REGISTRY_HTTP_TLS_MINIMUMTLS": "tls1.2",
            "REGISTRY_HTTP_TLS_CIPHERSUITES": "[TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]",
        },
    )
    everything("by variable")
    process.kill()
    for text in (
        "minimumtls: tls1.0",
        "minimumtls: tls1.1",
        "minimumtls: '1.2'",
        "minimumtls: TLS1.3",
        "ciphersuites: [NONE]",
        "ciphersuites: [TLS_RSA_WITH_AES_128_GCM_SHA256]",
        "ciphersuites: [TLS_RSA_WITH_RC4_128_SHA]",
        "ciphersuites: [TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA]",
        "ciphersuites: [TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256]",
        "ciphersuites: [TLS_AES_128_GCM_SHA256]",
        "ciphersuites: []",
    ):
        run.refused(text, http=section(more=f"  {text}"))


@case("http.http2.disabled")
def http2(run):
    for text in ("", "http2: {disabled: false}", "http2: {disabled: true}"):
        process = run.start(http=section(more=text))
        run.note(f"{text}, offered", meet(run, alpn=["h2", "http/1.1"])[1])
        run.note(f"{text}, only h2 wanted", meet(run, alpn=["h2"]))
        run.note(f"{text}, curl", [curl(run, "--http2"), curl(run, "--http1.1")])
        process.kill()
    process = run.start(http=section(), env={"REGISTRY_HTTP_HTTP2_DISABLED": "true"})
    run.note("by variable", curl(run, "--http2"))
    process.kill()
    run.refused("disabled: 'true'", http="http2: {disabled: 'true'}")


@case("http.h2c.enabled")
def http2_in_the_clear(run):
    for text in ("", "h2c: {enabled: false}", "h2c: {enabled: true}"):
        process = run.start(http=text)
        run.note(f"{text}, prior knowledge", curl(run, "--http2-prior-knowledge", scheme="http"))
        run.note(f"{text}, upgrade", curl(run, "--http2", scheme="http"))
        run.note(f"{text}, HTTP/1.1", curl(run, "--http1.1", scheme="http"))
        process.kill()
    process = run.start(env={"REGISTRY_HTTP_H2C_ENABLED": "true"})
    run.note("by variable", curl(run, "--http2-prior-knowledge", scheme="http"))
    process.kill()
    process = run.start(http=section(more="h2c: {enabled: true}"))
    run.note("beside TLS", [curl(run, "--http2"), curl(run, "--http2-prior-knowledge", scheme="http")])
    process.kill()


@case("http.debug.addr", "http.debug.prometheus.enabled", "http.debug.prometheus.path")
def debug_server(run):
    port = run.port("debug")
    names = lambda text: sorted(
        set(re.findall(r"^# TYPE (registry_(?:http|storage_action|notifications|proxy)\S+ \S+)", text, re.M))
    )

    def look(name, *paths):
        for path in paths:
            answer = run.get(path, port="debug")
            body = answer.body.decode() if path == "/debug/health" else answer.status == 200 and len(answer.body) > 0
            kind = [] if "pprof" in path else [(answer.header("Content-Type") or "").split(";")[0]]
            run.note(f"{name}, {path}", [answer.status, *kind, body])

    process = run.start(http=f"debug: {{addr: '127.0.0.1:{port}'}}")
    look(
        "addr",
        "/debug/health",
        "/debug/vars",
        "/metrics",
        "/debug/pprof/",
        "/debug/health/up",
        "/debug/health/down",
        "/",
        "/v2/",
    )
    values = run.get("/debug/vars", port="debug").json()
    run.note("kinds of variables", [sorted(values)[:2], sorted(values["registry"])])
    run.see("on the other listener", "GET", "/debug/health")
    process.kill()
    process = run.start(http=f"debug:\n  addr: '127.0.0.1:{port}'\n  prometheus: {{enabled: true}}")
    push_image(run, "a", "one", b"layer")
    look("prometheus", "/metrics", "/debug/health")
    theirs = names(run.get("/metrics", port="debug").body.decode())
    # Ours has more: the names that both have count.
    run.note(
        "metrics of requests",
        [
            name
            for name in theirs
            if name.split()[0]
            in (
                "registry_http_in_flight_requests",
                "registry_http_requests_total",
                "registry_http_request_duration_seconds",
                "registry_http_request_size_bytes",
                "registry_http_response_size_bytes",
                "registry_storage_action_seconds",
            )
        ],
    )
    process.kill()
    process = run.start(http=f"debug:\n  addr: '127.0.0.1:{port}'\n  prometheus: {{enabled: true, path: /numbers}}")
    look("path", "/numbers", "/metrics")
    process.kill()
    process = run.start(
        env={
            "REGISTRY_HTTP_DEBUG_ADDR": f"127.0.0.1:{port}",
            "REGISTRY_HTTP_DEBUG_PROMETHEUS_ENABLED": "true",
            "REGISTRY_HTTP_DEBUG_PROMETHEUS_PATH": "/there",
        }
    )
    look("by variable", "/there", "/metrics")
    process.kill()
    process = run.start(http="debug: {prometheus: {enabled: true}}")
    run.see("no addr", "GET", "/metrics")
    process.kill()
    with socket.create_server(("127.0.0.1", port)):
        run.refused("a port in use", http=f"debug: {{addr: '127.0.0.1:{port}'}}", ready=lambda: False)
    for text in ("{addr: nowhere}", f"{{addr: '127.0.0.1:{port}', prometheus: {{enabled: 'true'}}}}"):
        run.refused(
            f"debug: {text}".replace(str(port), "PORT"),
            http=f"debug: {text}",
            ready=None if "enabled" in text else lambda: False,
        )
