"""storage, without the drivers of clouds."""

import concurrent.futures
import os
import re

from content import ACCEPT, CONFIG, INDEX, begin, digest, image, index, local, push_blob, push_image, put
from frame import case

DELETES = "delete: {enabled: true}"


def tree(store, keep=lambda path: True):
    """The files of a store, what is random in them left out."""
    found = set()
    for directory, _, files in os.walk(store):
        for file in files:
            path = os.path.relpath(os.path.join(directory, file), store)
            path = re.sub(r"_uploads/[0-9a-f-]{36}", "_uploads/ID", path)
            if keep(path):
                found.add(path)
    return sorted(found)


@case("storage.filesystem.rootdirectory")
def root_directory(run):
    process = run.start()
    push_image(run, "a/b", "one", b"layer")
    run.ask("PATCH", local(begin(run, "a/b")), b"begun")
    notes = re.compile(r"/revisions/.*/(mediatype|tags|tags?\.[^/]*)$|/_referrers/")
    state = re.compile(r"/hashstates/sha256/0$")
    run.note("files", tree(run.store, lambda path: not notes.search(path) and not state.search(path)))
    run.note("notes of tags and types", bool(tree(run.store, notes.search)))
    run.note("the state of a digest of nothing", bool(tree(run.store, state.search)))
    link = os.path.join(run.store, "docker/registry/v2/repositories/a/b/_manifests/tags/one/current/link")
    run.note("a link", open(link, "rb").read())
    process.kill()
    other = os.path.join(run.dir, "other")
    process = run.start(env={"REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": other})
    run.see("by variable, elsewhere", "GET", "/v2/a/b/manifests/one", headers=ACCEPT)
    push_blob(run, "c", CONFIG)
    run.note("made when needed", sorted(os.listdir(os.path.join(other, "docker/registry/v2"))))
    process.kill()
    process = run.start(driver="filesystem:\n    rootdirectory: 'relative path/ä'")
    push_blob(run, "c", CONFIG)
    run.note("a relative one", os.path.isdir(os.path.join(run.dir, "relative path/ä/docker")))
    process.kill()
    process = run.start(driver="filesystem: {rootdirectory: 0123}")
    push_blob(run, "c", CONFIG)
    run.note("a number", [name for name in ("0123", "83") if os.path.isdir(os.path.join(run.dir, name))])
    process.kill()
    run.file("file", "no directory")
    run.refused("a file in its place", driver=f"filesystem: {{rootdirectory: {run.dir}/file}}")
    run.refused("below a file", driver=f"filesystem: {{rootdirectory: {run.dir}/file/store}}")
    for text in ("filesystem", "filesystem: {rootdirectory: [a]}", "filesystem: {}\n  inmemory: {}", "nothing: {}"):
        run.refused(
            f"storage: {text}".replace("\n ", ","),
            text=run.configuration(driver="x: {}").replace("  x: {}", f"  {text}"),
        )


def at_once(trace, numbers):
    """How many pushes were waiting for the disk at the same time, at most. `numbers` are those of their digests."""
    waiting, most = {}, 0
    for line in trace:
        pid, _, call = line.partition(" ")
        begun = re.search(r"f(?:data)?sync\(\d+<([^>]*)>", call)
        if begun and "unfinished" in call:
            path = begun.group(1)
            owner = re.search(r"/repositories/many/(\d+)/", path)
            content = re.search(r"/blobs/sha256/../([0-9a-f]{64})", path)
            if owner:
                waiting[pid] = int(owner.group(1))
            elif content:
                waiting[pid] = numbers[content.group(1)]
        elif "resumed>" in call:
            waiting.pop(pid, None)
        most = max(most, len(set(waiting.values())))
    return most


@case("storage.filesystem.maxthreads")
def file_operations_at_once(run):
    """Sixty pushes at the same time, on a disk that takes 0.15 s for each sync."""
    for value, env in (("10", None), ("10", {"REGISTRY_STORAGE_FILESYSTEM_MAXTHREADS": "40"})):
        trace = os.path.join(run.dir, f"trace-{bool(env)}")
        slow = (
            "strace",
            "-f",
            "-y",
            "-qq",
            "--seccomp-bpf",
            "-o",
            trace,
            "-e",
            "trace=fsync,fdatasync",
            "-e",
            "inject=fsync,fdatasync:delay_enter=150000",
        )
        process = run.start(
            driver=f"filesystem: {{rootdirectory: {run.store}, maxthreads: {value}}}", env=env, wrap=slow
        )
        manifests = [index(annotations={"number": f"{env} {number}"}) for number in range(60)]
        numbers = {digest(manifest).removeprefix("sha256:"): number for number, manifest in enumerate(manifests)}
        push = lambda number: put(run, f"many/{number}", "one", manifests[number], INDEX, timeout=60).status
        with concurrent.futures.ThreadPoolExecutor(60) as pool:
            statuses = set(pool.map(push, range(60)))
        process.kill()
        with open(trace, encoding="utf-8", errors="replace") as lines:
            run.note(f"maxthreads: {value}, {env}", [statuses, at_once(lines, numbers)])
    for value in ("abc", "1.5", "-3", "0", "[1]", "''"):
        run.refused(f"maxthreads: {value}", driver=f"filesystem: {{rootdirectory: {run.store}, maxthreads: {value}}}")


@case("storage.inmemory")
def in_memory(run):
    text = run.configuration().replace(
        f"storage:\n  filesystem: {{rootdirectory: {run.store}}}\n", "storage: inmemory\n"
    )
    for label, how in (
        ("short", {"text": text}),
        ("long", {"driver": "inmemory: {}"}),
        ("empty", {"driver": "inmemory:"}),
        ("by variable", {"env": {"REGISTRY_STORAGE": "inmemory"}}),
    ):
        process = run.start(**how)
        push_image(run, "a", "one", b"layer")
        run.see(f"{label}, there", "GET", "/v2/a/manifests/one", "Docker-Content-Digest", headers=ACCEPT)
        process.kill()
        process = run.start(**how)
        run.see(f"{label}, after a restart", "GET", "/v2/a/manifests/one", headers=ACCEPT)
        process.kill()
    run.note("files", tree(run.store))


@case("storage.delete.enabled")
def deletes(run):
    for label, how in (
        ("not said", {}),
        ("false", {"storage": "delete: {enabled: false}"}),
        ("true", {"storage": DELETES}),
        ("by variable", {"env": {"REGISTRY_STORAGE_DELETE_ENABLED": "true"}}),
        ("off by variable", {"storage": DELETES, "env": {"REGISTRY_STORAGE_DELETE_ENABLED": "false"}}),
    ):
        process = run.start(**how)
        push_image(run, "a", "one", b"layer")
        put(run, "a", "two", image(b"layer"))
        for what in (
            "manifests/two",
            f"manifests/{digest(image(b'layer'))}",
            "manifests/none",
            f"blobs/{digest(b'layer')}",
            f"blobs/{digest(b'none')}",
            f"manifests/{digest(b'none')}",
        ):
            run.see(f"{label}, {what}", "DELETE", f"/v2/a/{what}")
        run.see(f"{label}, the tag after that", "GET", "/v2/a/manifests/one", headers=ACCEPT)
        run.note(f"{label}, cancelling an upload", run.ask("DELETE", local(begin(run, "a"))).status)
        process.kill()
    for text in ("delete: true", "delete: {enabled: 'true'}", "delete: {}", "delete:"):
        run.refused(text, storage=text)


@case("storage.redirect.disable")
def redirects(run):
    for text in ("redirect: {disable: true}", "redirect: {disable: false}"):
        process = run.start(storage=text)
        push_blob(run, "a", b"layer")
        run.see(text, "GET", f"/v2/a/blobs/{digest(b'layer')}", "Location")
        process.kill()
    process = run.start(env={"REGISTRY_STORAGE_REDIRECT_DISABLE": "true"})
    run.see("by variable", "GET", "/v2/")
    process.kill()
    for text in ("redirect: {disable: 'true'}", "redirect: {disable: 1}", "redirect: {}", "redirect: true"):
        run.refused(text, storage=text)


@case("storage.tag.concurrencylimit")
def tags_at_once(run):
    for value, env in (("0", None), ("1", None), ("8", None), ("1", {"REGISTRY_STORAGE_TAG_CONCURRENCYLIMIT": "3"})):
        process = run.start(storage=f"{DELETES}\ntag: {{concurrencylimit: {value}}}", env=env)
        push_image(run, "a", "t0", b"layer")
        for number in range(1, 20):
            put(run, "a", f"t{number}", image(b"layer"))
        run.see(f"{value}, {env}", "DELETE", f"/v2/a/manifests/{digest(image(b'layer'))}")
        run.note(f"tags after that, {value}, {env}", run.get("/v2/a/tags/list").json())
        process.kill()
    for value in ("-1", "'8'", "1.5", "many"):
        run.refused(f"concurrencylimit: {value}", storage=f"tag: {{concurrencylimit: {value}}}")


@case("storage.cache.blobdescriptor", "storage.cache.blobdescriptorsize", "storage.cache.layerinfo")
def descriptor_caches(run):
    for text, env in (
        ("{blobdescriptor: inmemory}", None),
        ("{layerinfo: inmemory}", None),
        ("{blobdescriptor: inmemory, blobdescriptorsize: 1}", None),
        ("{blobdescriptor: inmemory, blobdescriptorsize: '100'}", None),
        ("{blobdescriptor: inmemory, blobdescriptorsize: -1}", None),
        ("{blobdescriptor: none}", None),
        ("{}", None),
        ("{}", {"REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR": "inmemory"}),
        ("{blobdescriptor: inmemory}", {"REGISTRY_STORAGE_CACHE_BLOBDESCRIPTORSIZE": "2"}),
    ):
        process = run.start(storage=f"{DELETES}\ncache: {text}", env=env)
        label = f"cache: {text}, {env}"
        push_image(run, "a", "one", b"layer")
        blob = f"/v2/a/blobs/{digest(b'layer')}"
        seen = [
            run.ask(method, path).status
            for path in (blob, f"/v2/b/blobs/{digest(b'layer')}")
            for method in ("HEAD", "GET", "GET")
        ]
        seen.append(run.get("/v2/a/manifests/one", headers=ACCEPT).status)
        seen += [run.ask("DELETE", blob).status, run.get(blob).status, run.ask("DELETE", blob).status]
        run.note(label, seen)
        run.note(f"{label}, warns", "unknown cache type" in process.said())
        process.kill()
    process = run.start(storage="cache: {blobdescriptor: inmemory}")
    push_image(run, "a", "one", b"layer")
    run.note("a manifest asked for as a blob", run.get(f"/v2/a/blobs/{digest(image(b'layer'))}").status)
    process.kill()
    for text in (
        "{blobdescriptor: redis}",
        "{blobdescriptor: inmemory, blobdescriptorsize: abc}",
        "{blobdescriptor: [a]}",
        "inmemory",
    ):
        run.refused(f"cache: {text}", storage=f"cache: {text}")


@case("storage.maintenance.readonly.enabled")
def read_only(run):
    secret = "secret: the-same"
    process = run.start(http=secret, storage=DELETES)
    push_image(run, "a", "one", b"layer")
    upload = local(begin(run, "a"))
    process.kill()
    manifest = digest(image(b"layer"))
    for label, how in (
        ("by file", {"storage": f"{DELETES}\nmaintenance: {{readonly: {{enabled: true}}}}"}),
        ("by variable", {"storage": DELETES, "env": {"REGISTRY_STORAGE_MAINTENANCE_READONLY": "{enabled: true}"}}),
    ):
        process = run.start(http=secret, **how)
        for method, path, body in (
            ("GET", "/v2/", None),
            ("GET", "/v2/a/manifests/one", None),
            ("HEAD", f"/v2/a/blobs/{digest(b'layer')}", None),
            ("GET", "/v2/a/tags/list", None),
            ("GET", "/v2/_catalog", None),
            ("POST", "/v2/a/blobs/uploads/", None),
            ("POST", f"/v2/b/blobs/uploads/?mount={digest(b'layer')}&from=a", None),
            ("PUT", "/v2/a/manifests/two", image(b"layer")),
            ("DELETE", "/v2/a/manifests/one", None),
            ("DELETE", f"/v2/a/manifests/{manifest}", None),
            ("DELETE", f"/v2/a/blobs/{digest(b'layer')}", None),
            ("PATCH", upload, b"data"),
            ("PUT", upload, b"data"),
            ("DELETE", upload, None),
            ("GET", upload, None),
        ):
            shown = re.sub(r"uploads/.+", "uploads/ID", path)
            answer = run.ask(method, path, body, headers=ACCEPT)
            run.note(
                f"{label}, {method} {shown}",
                [answer.status, answer.header("Allow"), answer.status >= 400 and answer.codes()],
            )
        process.kill()
    run.note("still there", tree(run.store, lambda path: "_layers" in path))
    for text in ("readonly: true", "readonly: {enabled: 'true'}", "readonly: {}", "readonly: {enabled: false}"):
        run.refused(text, storage=f"maintenance: {{{text}}}")
    run.refused("enabled, by variable", env={"REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED": "true"})


@case(
    "storage.maintenance.uploadpurging.enabled",
    "storage.maintenance.uploadpurging.age",
    "storage.maintenance.uploadpurging.interval",
    "storage.maintenance.uploadpurging.dryrun",
)
def upload_purging(run):
    """The first run comes within an hour, so that what can be compared is what is taken, and that it is planned."""
    full = {"enabled": "true", "age": "168h", "interval": "24h", "dryrun": "false"}
    planned = re.compile(r"[Ss]tarting upload purge|upload(?:s are| purging|.*purged).*in ", re.S)

    def purging(label, **changes):
        section = ", ".join(f"{key}: {value}" for key, value in {**full, **changes}.items() if value)
        process = run.refused(label, storage=f"maintenance: {{uploadpurging: {{{section}}}}}")
        if "starts" == run.notes[label]:
            run.note(f"{label}, planned", bool(planned.search(process.said())))

    purging("all of it")
    purging("dry", dryrun="true")
    purging("off", enabled="false")
    purging("off, nothing else", enabled="false", age=None, interval=None, dryrun=None)
    for key in ("enabled", "age", "interval", "dryrun"):
        purging(f"no {key}", **{key: None})
        purging(f"{key}: number", **{key: "5000000000"})
    purging("age: soon", age="soon")
    purging("quoted", enabled="'false'")
    run.refused("uploadpurging: true", storage="maintenance: {uploadpurging: true}")
    process = run.start()
    run.note("nothing said, planned", bool(planned.search(process.said())))
    process.kill()
