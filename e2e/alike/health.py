"""health: what makes a registry unwell, and what it says then."""

import os
import re
import shutil
import socket
import time

from content import push_image
from frame import Failed, Listener, case


def until(run, healthy, seconds=6):
    """Waits until the API serves or does not; how long that took."""
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        if (run.get("/v2/").status == 200) == healthy:
            return time.monotonic() - begun
        time.sleep(0.02)
    raise Failed(f"{run.side} does not become {'healthy' if healthy else 'unhealthy'}")


def look(run, label):
    """What an unhealthy registry says, here and on the debug server."""
    for path in ("/v2/", "/", "/v2/a/tags/list", "/none"):
        answer = run.get(path)
        run.note(
            f"{label}, {path}",
            [
                answer.status,
                (answer.header("Content-Type") or "").split(";")[0],
                answer.status == 503 and answer.codes(),
            ],
        )
    answer = run.get("/debug/health", port="debug")
    report = {key: re.sub(r"\d+\.\d+\.\d+\.\d+:\d+->", "", text) for key, text in answer.json().items()}
    run.note(
        f"{label}, keys of the report",
        [answer.status, sorted(key.replace(str(run.port("check")), "PORT") for key in report)],
    )
    return report


def debug(run):
    return f"debug: {{addr: '127.0.0.1:{run.port('debug')}'}}"


@case("health.file[].file", "health.file[].interval")
def files(run):
    path = os.path.join(run.dir, "down")
    section = f"health:\n  file:\n    - file: {path}\n      interval: 200ms\n"
    process = run.start(http=debug(run), more=section)
    run.get("/debug/health", port="debug")
    for round_ in ("first", "again"):
        run.file("down", "")
        until(run, False)
        report = look(run, round_)
        run.note(f"{round_}, the reason", report)
        os.unlink(path)
        until(run, True)
        run.note(f"{round_}, after", run.get("/debug/health", port="debug").json())
    process.kill()
    run.file("down", "")
    process = run.start(
        http=debug(run), more=section.replace("200ms", "1h"), env={"REGISTRY_HEALTH_FILECHECKERS_0_INTERVAL": "200ms"}
    )
    until(run, False)
    run.note("the interval by variable", run.get("/v2/").status)
    process.kill()
    process = run.start(env={"REGISTRY_HEALTH_FILECHECKERS": f"[{{file: {path}, interval: 200ms}}]"})
    until(run, False)
    run.note("all by variable", run.get("/v2/").status)
    process.kill()
    process = run.start(more=section.replace("200ms", "3s"))
    time.sleep(0.5)
    run.note("before the first interval is over", run.get("/v2/").status)
    process.kill()
    for text in (
        f"[{{file: {path}}}, {{file: {path}}}]",
        "[{interval: 10s}]",
        f"[{{file: {path}, interval: soon}}]",
        "{}",
        f"[{{file: {path}, interval: -1s}}]",
        f"[{{file: {path}x, interval: 10}}]",
        f"[{{file: {path}, threshold: many}}]",
    ):
        # A ticker of less than nothing panics in a goroutine of its own, when that comes to run.
        dies = "-1s" in text
        run.refused(f"file: {text}".replace(path, "PATH"), more=f"health: {{file: {text}}}", dies=dies)


@case("health.file[].threshold")
def file_threshold(run):
    run.file("down", "")
    run.start(more=f"health:\n  file:\n    - file: {run.dir}/down\n      interval: 300ms\n      threshold: 5\n")
    time.sleep(0.9)
    run.note("after three failures of five", run.get("/v2/").status)
    until(run, False)
    run.note("in the end", run.get("/v2/").status)


@case(
    "health.http[].uri",
    "health.http[].headers",
    "health.http[].statuscode",
    "health.http[].interval",
    "health.http[].threshold",
    "health.http[].timeout",
)
def servers(run):
    status = [200]
    listener = run.helper(Listener(run.port("check"), lambda _: status[0]))
    uri = f"http://127.0.0.1:{run.port('check')}/up?a=b"
    section = (
        f"health:\n  http:\n    - uri: {uri}\n      headers: {{X-One: [a, b], Authorization: [Basic abc]}}\n"
        "      interval: 250ms\n      threshold: 3\n      timeout: 2s\n"
    )
    process = run.start(http=debug(run), more=section)
    time.sleep(0.6)
    run.note("healthy", run.get("/v2/").status)
    _, method, path, headers, _ = listener.seen[0]
    run.note("what it asks", [method, path, headers.get_all("X-One"), headers.get("Authorization")])
    status[0], failures = 500, len(listener.seen)
    until(run, False)
    # One more may have begun.
    run.note("failures before that", 3 <= len(listener.seen) - failures <= 4)
    report = look(run, "down")
    run.note("the reason", [text.replace(uri, "URI") for text in report.values()])
    status[0] = 200
    until(run, True)
    run.note("one success is enough", listener.seen[-1][0] - listener.seen[-2][0] > 0.1)
    process.kill()
    status[0] = 404
    process = run.start(http=debug(run), more=section.replace("timeout", "statuscode: 404\n      timeout"))
    time.sleep(0.6)
    run.note("statuscode", run.get("/v2/").status)
    status[0] = 200
    until(run, False)
    run.note("statuscode, another", run.get("/v2/").status)
    process.kill()
    status[0] = 500
    process = run.start(env={"REGISTRY_HEALTH_HTTPCHECKERS": f"[{{uri: '{uri}', interval: 100ms}}]"})
    until(run, False)
    run.note("by variable", run.get("/v2/").status)
    process.kill()
    for text in (
        "[{interval: 10s}]",
        f"[{{uri: '{uri}'}}, {{uri: '{uri}'}}]",
        f"[{{uri: '{uri}', statuscode: ok}}]",
        "[{uri: nothing}]",
        f"[{{uri: '{uri}', headers: {{X-A: b}}}}]",
    ):
        run.refused(f"http: {text}".replace(uri, "URI"), more=f"health: {{http: {text}}}")


@case("health.http[].timeout", "health.tcp[].timeout")
def timeouts(run):
    """A port on which nobody accepts: connections are made, and nothing answers."""
    silent = socket.create_server(("127.0.0.1", run.port("check")))
    run.helper(silent)
    uri = f"http://127.0.0.1:{run.port('check')}/"
    process = run.start(more=f"health: {{http: [{{uri: '{uri}', interval: 200ms, timeout: 300ms}}]}}")
    took = until(run, False, 3)
    run.note("http, a timeout", [run.get("/v2/").status, took > 0.2])
    process.kill()
    process = run.start(
        more=f"health: {{tcp: [{{addr: '127.0.0.1:{run.port('check')}', interval: 200ms, timeout: 300ms}}]}}"
    )
    time.sleep(1)
    run.note("tcp, a connection is enough", run.get("/v2/").status)
    process.kill()


@case("health.tcp[].addr", "health.tcp[].interval", "health.tcp[].threshold")
def ports(run):
    addr = f"127.0.0.1:{run.port('check')}"

    def listen():
        return socket.create_server(("127.0.0.1", run.port("check")), backlog=64)

    server = listen()
    section = f"health:\n  tcp:\n    - addr: '{addr}'\n      interval: 250ms\n      threshold: 3\n      timeout: 1s\n"
    process = run.start(http=debug(run), more=section)
    time.sleep(0.6)
    run.note("healthy", run.get("/v2/").status)
    server.close()
    took = until(run, False)
    run.note("three failures take their time", 0.3 < took < 2)
    report = look(run, "closed")
    run.note("the reason", [text.replace(addr, "ADDR") for text in report.values()])
    server = listen()
    run.note("recovers with one success", until(run, True) < 1)
    process.kill()
    server.close()
    process = run.start(env={"REGISTRY_HEALTH_TCPCHECKERS": f"[{{addr: '{addr}', interval: 100ms}}]"})
    until(run, False)
    run.note("by variable", run.get("/v2/").status)
    process.kill()
    for text in (
        "[{interval: 10s}]",
        f"[{{addr: '{addr}'}}, {{addr: '{addr}'}}]",
        "[{addr: nothing}]",
        f"[{{addr: '{addr}', timeout: long}}]",
    ):
        run.refused(f"tcp: {text}".replace(addr, "ADDR"), more=f"health: {{tcp: {text}}}")


@case("health.storagedriver.enabled", "health.storagedriver.interval", "health.storagedriver.threshold")
def the_store(run):
    above = os.path.join(run.dir, "above")
    driver = f"filesystem: {{rootdirectory: {above}/store}}"

    def broken():
        """A store whose directory cannot be: what is above it has become a file."""
        shutil.move(above, above + ".away")
        run.file("above", "")

    def mended():
        os.unlink(above)
        shutil.move(above + ".away", above)

    section = "health: {storagedriver: {enabled: true, interval: 250ms, threshold: 3}}"
    process = run.start(http=debug(run), more=section, driver=driver)
    push_image(run, "a", "one", b"layer")
    time.sleep(0.5)
    run.note("healthy", run.get("/v2/").status)
    broken()
    took = until(run, False)
    run.note("three failures take their time", 0.3 < took < 2)
    look(run, "broken")
    mended()
    run.note("recovers with one success", until(run, True) < 1)
    shutil.rmtree(above)
    time.sleep(1.5)
    run.note("the directory is gone", run.get("/v2/").status)
    process.kill()
    process = run.start(
        driver=driver,
        env={
            "REGISTRY_HEALTH_STORAGEDRIVER_ENABLED": "true",
            "REGISTRY_HEALTH_STORAGEDRIVER_INTERVAL": "100ms",
            "REGISTRY_HEALTH_STORAGEDRIVER_THRESHOLD": "1",
        },
    )
    push_image(run, "a", "one", b"layer")
    broken()
    until(run, False)
    run.note("by variable", run.get("/v2/").status)
    process.kill()
    mended()
    process = run.start(driver=driver, more="health: {storagedriver: {enabled: false, interval: 100ms}}")
    broken()
    time.sleep(0.4)
    run.note("not enabled", run.get("/v2/").status)
    process.kill()
    mended()
    for text in (
        "{enabled: 'true'}",
        "{enabled: true, interval: 10}",
        "{enabled: true, threshold: -1}",
        "{enabled: true, interval: often}",
    ):
        run.refused(f"storagedriver: {text}", more=f"health: {{storagedriver: {text}}}")
