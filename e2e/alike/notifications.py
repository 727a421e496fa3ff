"""notifications: who is told what, when, and how often."""

import json
import re
import time

from content import (
    ACCEPT,
    CONFIG,
    INDEX,
    MANIFEST,
    begin,
    descriptor,
    digest,
    image,
    index,
    local,
    push_blob,
    push_image,
    put,
)
from frame import Failed, Listener, case


def receiver(run, status=lambda _: 200, name="hook"):
    return run.helper(Listener(run.port(name), status))


def section(run, *lines, name="hook", more=""):
    url = f"http://127.0.0.1:{run.port(name)}/events?a=b"
    text = f"notifications:\n{more}  endpoints:\n    - name: hook\n      url: {url}\n"
    return text + "".join(f"      {line}\n" for line in lines)


def wait(run, hook, count, seconds=10):
    """Waits for this many requests, and that none comes after them."""
    end = time.monotonic() + seconds
    while len(hook.seen) < count:
        if time.monotonic() > end:
            raise Failed(f"{run.side}: {len(hook.seen)} of {count} requests: {[seen[4][:300] for seen in hook.seen]}")
        time.sleep(0.02)
    time.sleep(0.3)
    return hook.seen


def events(hook):
    return [event for seen in list(hook.seen) for event in json.loads(seen[4])["events"]]


def brief(event):
    target = event["target"]
    return " ".join(
        str(part)
        for part in (
            event["action"],
            event["request"]["method"],
            target["repository"],
            target.get("mediaType") or "-",
            target.get("tag", ""),
            target.get("fromRepository", ""),
        )
    )


def requests(run):
    """One of each that makes an event."""
    push_image(run, "a", "one", b"layer")
    put(
        run,
        "a",
        "all",
        index(descriptor(image(b"layer"), MANIFEST, platform={"os": "linux", "architecture": "arm", "variant": "v7"})),
        INDEX,
    )
    run.get("/v2/a/manifests/one", headers={**ACCEPT, "User-Agent": "tester/1.0"})
    run.ask("HEAD", "/v2/a/manifests/all", headers=ACCEPT)
    run.ask("HEAD", f"/v2/a/blobs/{digest(b'layer')}")
    run.get(f"/v2/a/blobs/{digest(b'layer')}", headers={"Range": "bytes=0-1"})
    run.ask("POST", f"/v2/b/blobs/uploads/?mount={digest(b'layer')}&from=a")
    run.get("/v2/a/manifests/none", headers=ACCEPT)
    run.get("/v2/a/tags/list")
    run.ask("DELETE", local(begin(run, "a")))
    run.ask("DELETE", "/v2/a/manifests/all")
    run.ask("DELETE", f"/v2/a/manifests/{digest(image(b'layer'))}")
    run.ask("DELETE", f"/v2/a/blobs/{digest(b'layer')}")
    # Two blobs and two manifests; four pulls; a mount; four deletes, as a tag goes with its manifest.
    return 13


DELETES = "delete: {enabled: true}"
RANDOM = {
    "id": r"<uuid>",
    "timestamp": r"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)",
    "request.id": r"<uuid>",
    "request.addr": r"127\.0\.0\.1:\d+",
    "source.instanceID": r"<uuid>",
}


def flat(value, path=""):
    if isinstance(value, dict) and value:
        return [entry for key, inner in value.items() for entry in flat(inner, f"{path}.{key}" if path else key)]
    if isinstance(value, list) and value:
        return [entry for number, inner in enumerate(value) for entry in flat(inner, f"{path}[{number}]")]
    shape = RANDOM.get(path)
    if shape and re.fullmatch(shape.replace("<uuid>", r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), value):
        value = "*"
    return [(path, value)]


@case("notifications.events.includereferences", "notifications.endpoints[].url", "notifications.endpoints[].headers")
def envelopes(run):
    hook = receiver(run)
    for label, how in (
        ("plain", {"more": section(run)}),
        (
            "references",
            {
                "more": section(
                    run,
                    "headers: {Authorization: [Bearer token], X-Several: [one, two]}",
                    more="  events: {includereferences: true}\n",
                )
            },
        ),
        (
            "by variable",
            {"more": section(run), "env": {"REGISTRY_NOTIFICATIONS_EVENTCONFIG_INCLUDEREFERENCES": "true"}},
        ),
    ):
        hook.seen.clear()
        process = run.start(storage=DELETES, **how)
        wait(run, hook, requests(run))
        for number, event in enumerate(events(hook)):
            run.note(f"{label}, {number}", flat(event))
        _, method, path, headers, body = hook.seen[0]
        run.note(
            f"{label}, request",
            [
                method,
                path,
                headers.get("Content-Type"),
                headers.get("Authorization"),
                headers.get_all("X-Several"),
                [len(line) - len(line.lstrip()) for line in body.decode().split("\n")],
            ],
        )
        process.kill()


@case(
    "notifications.endpoints[].ignoredmediatypes",
    "notifications.endpoints[].ignore.mediatypes",
    "notifications.endpoints[].ignore.actions",
    "notifications.endpoints[].disabled",
    "notifications.endpoints[].name",
)
def who_is_told(run):
    hook, second = receiver(run), receiver(run, name="second")
    octets = "application/octet-stream"
    for label, lines in (
        ("ignoredmediatypes", [f"ignoredmediatypes: [{octets}]"]),
        ("ignore.mediatypes", [f"ignore: {{mediatypes: [{MANIFEST}, {INDEX}]}}"]),
        ("ignore.actions", ["ignore: {actions: [pull, mount]}"]),
        ("all three", [f"ignoredmediatypes: [{octets}]", f"ignore: {{mediatypes: [{INDEX}], actions: [delete]}}"]),
        ("unknown words", ["ignore: {mediatypes: [none/such], actions: [nothing, PULL]}"]),
    ):
        hook.seen.clear()
        process = run.start(storage=DELETES, more=section(run, *lines))
        requests(run)
        push_blob(run, "end", b"end")
        time.sleep(0.6)
        run.note(label, [brief(event) for event in events(hook)])
        process.kill()
    hook.seen.clear()
    text = section(run, "disabled: true") + f"    - name: second\n      url: http://127.0.0.1:{run.port('second')}/\n"
    process = run.start(more=text)
    push_blob(run, "a", CONFIG)
    wait(run, second, 1)
    run.note("disabled, and another", [len(hook.seen), len(second.seen)])
    process.kill()
    second.seen.clear()
    process = run.start(more=section(run) + f"    - url: http://127.0.0.1:{run.port('second')}/\n")
    push_blob(run, "a", b"both")
    wait(run, second, 1)
    wait(run, hook, 1)
    run.note("two, one without a name", [len(hook.seen), len(second.seen)])
    process.kill()
    hook.seen.clear()
    process = run.start(
        env={
            "REGISTRY_NOTIFICATIONS_ENDPOINTS_0_NAME": "hook",
            "REGISTRY_NOTIFICATIONS_ENDPOINTS_0_URL": f"http://127.0.0.1:{run.port('hook')}/",
            "REGISTRY_NOTIFICATIONS_ENDPOINTS_0_HEADERS_AUTHORIZATION": "[secret]",
        }
    )
    push_blob(run, "a", b"by variable")
    wait(run, hook, 1)
    run.note("by variable", [len(hook.seen), hook.seen[0][3].get("Authorization")])
    process.kill()


@case("notifications.endpoints[].threshold", "notifications.endpoints[].backoff")
def what_fails_is_sent_again(run):
    left = [0]

    def status(_):
        left[0] -= 1
        return 500 if left[0] >= 0 else 200

    hook = receiver(run, status)
    gaps = lambda: [
        "pause" if later[0] - earlier[0] > 0.6 else "at once" for earlier, later in zip(hook.seen, hook.seen[1:])
    ]
    for label, lines, failures in (
        ("threshold 3", ["threshold: 3", "backoff: 800ms"], 4),
        ("threshold 1", ["threshold: 1", "backoff: 800ms"], 2),
        ("nothing said", [], 3),
    ):
        hook.seen.clear()
        left[0] = failures
        process = run.start(more=section(run, *lines))
        push_blob(run, "a", label.encode())
        push_blob(run, "a", b"then " + label.encode())
        wait(run, hook, failures + 2)
        run.note(label, gaps())
        run.note(
            f"{label}, order",
            [event["target"]["digest"] for event in events(hook)][-2:]
            == [digest(label.encode()), digest(b"then " + label.encode())],
        )
        process.kill()
    for answered in (201, 204, 301, 304, 400, 404):
        # What 400 and above mean is seen by being asked again.
        hook = receiver(run, lambda _: answered, name=str(answered))
        process = run.start(more=section(run, "threshold: 2", "backoff: 300ms", name=str(answered)))
        push_blob(run, "a", f"{answered}".encode())
        time.sleep(1)
        run.note(f"answered with {answered}, sent again", len(hook.seen) > 1)
        process.kill()


@case("notifications.endpoints[].timeout")
def slow_endpoints(run):
    def slowly(_):
        time.sleep(0.8)
        return 200

    hook = receiver(run, slowly)
    for label, lines in (("300ms", ["timeout: 300ms"]), ("5s", ["timeout: 5s"]), ("0", ["timeout: 0s"])):
        hook.seen.clear()
        process = run.start(more=section(run, "threshold: 10", *lines))
        begun = time.monotonic()
        push_blob(run, "a", label.encode())
        run.note(f"timeout {label}, the push waits", time.monotonic() - begun > 0.7)
        time.sleep(1.6)
        run.note(f"timeout {label}, sent again", len(hook.seen) > 1)
        process.kill()


@case(
    "notifications.endpoints[].name",
    "notifications.endpoints[].url",
    "notifications.endpoints[].timeout",
    "notifications.endpoints[].threshold",
    "notifications.endpoints[].backoff",
    "notifications.endpoints[].headers",
)
def endpoints_in_vars(run):
    hook = receiver(run)
    debug = f"debug: {{addr: '127.0.0.1:{run.port('debug')}'}}"
    for label, lines in (
        (
            "everything",
            [
                "headers: {X-A: [b]}",
                "timeout: 700ms",
                "threshold: 4",
                "backoff: 3s",
                "ignoredmediatypes: [a/b]",
                "ignore: {mediatypes: [c/d], actions: [mount]}",
            ],
        ),
        ("nothing", []),
        ("zeros", ["timeout: 0", "threshold: -1", "backoff: 0s"]),
    ):
        hook.seen.clear()
        process = run.start(http=debug, more=section(run, *lines))
        push_blob(run, "a", label.encode())
        wait(run, hook, 1)
        (entry,) = run.get("/debug/vars", port="debug").json()["registry"]["notifications"]["endpoints"]
        entry["url"] = entry["url"].replace(str(run.port("hook")), "PORT")
        for key, value in flat(entry):
            run.note(f"{label}, {key}", value)
        process.kill()


@case("notifications.endpoints[].url", "notifications.endpoints[].timeout", "notifications.endpoints[].threshold")
def mistakes(run):
    url = "url: 'http://127.0.0.1:9/'"
    for text in (
        "{name: a}",
        f"{{name: a, {url}, timeout: soon}}",
        f"{{name: a, {url}, threshold: many}}",
        f"{{name: a, {url}, headers: {{A: b}}}}",
        f"{{name: a, {url}, disabled: 'yes'}}",
        "{name: a, url: nothing}",
        "{name: a, url: 'ftp://127.0.0.1/'}",
        "{name: a, disabled: true}",
        f"{{name: a, {url}, ignore: [pull]}}",
    ):
        run.refused(text, more=f"notifications: {{endpoints: [{text}]}}")
    for text in ("endpoints: {}", "endpoints:", "events: {includereferences: 'true'}"):
        run.refused(text, more=f"notifications: {{{text}}}")
