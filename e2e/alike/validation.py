"""catalog, validation."""

import re

from content import CONFIG, INDEX, MANIFEST, descriptor, image, index, push_blob, push_image, put
from frame import case


@case("catalog.maxentries")
def catalog(run):
    def pages(label):
        for query in (
            "",
            "?n=1",
            "?n=3",
            "?n=4",
            "?n=5",
            "?n=0",
            "?n=-1",
            "?n=abc",
            "?n=2&last=b",
            "?last=c",
            "?n=1000",
            "?n=1001",
        ):
            answer = run.get(f"/v2/_catalog{query}")
            run.note(
                f"{label}, {query}",
                [
                    answer.status,
                    answer.header("Link"),
                    answer.json().get("repositories"),
                    answer.status >= 400
                    and [(error["code"], error.get("detail")) for error in answer.json()["errors"]],
                ],
            )

    process = run.start()
    for name in ("a", "b", "b/c", "b-d", "c"):
        push_image(run, name, "one")
    # No repository, as it has no manifests.
    push_blob(run, "z", CONFIG)
    pages("nothing said")
    process.kill()
    process = run.start(more="catalog: {maxentries: 3}")
    pages("3")
    process.kill()
    process = run.start(more="catalog: {maxentries: 3}", env={"REGISTRY_CATALOG_MAXENTRIES": "2"})
    run.see("by variable", "GET", "/v2/_catalog?n=3")
    process.kill()
    for value in ("0", "-5"):
        process = run.start(more=f"catalog: {{maxentries: {value}}}")
        run.note(f"maxentries: {value}", [run.get(f"/v2/_catalog?n={n}").status for n in (5, 1000, 1001)])
        process.kill()
    for value in ("many", "'3'", "1.5", "[1]"):
        run.refused(f"maxentries: {value}", more=f"catalog: {{maxentries: {value}}}")


def foreign(*urls, media_type="application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"):
    return image(descriptor(b"elsewhere", media_type, urls=list(urls)))


@case("validation.enabled", "validation.disabled", "validation.manifests.urls.allow", "validation.manifests.urls.deny")
def urls(run):
    docker = "application/vnd.docker.distribution.manifest.v2+json"
    good, bad, odd = "https://images.example/layer", "https://images.example/private/layer", "ftp://other.example/x"

    def try_all(label):
        push_blob(run, "a", CONFIG)
        for name, found in (
            ("good", [good]),
            ("denied", [bad]),
            ("other", ["https://other.example/x"]),
            ("two", [good, bad]),
            ("ftp", [odd]),
            ("empty", [""]),
            ("fragment", [good + "#x"]),
        ):
            manifest = foreign(*found).replace(MANIFEST.encode(), docker.encode(), 1)
            answer = put(run, "a", f"{name}-{len(run.started)}", manifest, docker)
            run.note(f"{label}, {name}", "taken" if answer.status == 201 else "refused")
        if label == "deny alone":
            run.note("how it is refused", answer.status)

    rules = "validation: {manifests: {urls: {allow: ['^https://images\\.example/'], deny: ['/private/']}}%s}"
    for label, how in (
        ("nothing said", {}),
        ("allow and deny", {"more": rules % ""}),
        ("disabled", {"more": rules % ", disabled: true"}),
        ("enabled and disabled", {"more": rules % ", disabled: true, enabled: true"}),
        ("enabled: false", {"more": rules % ", enabled: false"}),
        ("allow alone", {"more": "validation: {manifests: {urls: {allow: [images]}}}"}),
        ("deny alone", {"more": "validation: {manifests: {urls: {deny: [private]}}}"}),
        (
            "by variable",
            {
                "env": {
                    "REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW": "[images]",
                    "REGISTRY_VALIDATION_MANIFESTS_URLS_DENY": "[private]",
                }
            },
        ),
        ("disabled by variable", {"more": rules % "", "env": {"REGISTRY_VALIDATION_DISABLED": "true"}}),
    ):
        process = run.start(**how)
        try_all(label)
        process.kill()
    for text in ("allow: ['(']", "deny: ['[']", "allow: ['(?!x)']", "allow: '^https:'", "allow: []"):
        run.refused(text, more=f"validation: {{manifests: {{urls: {{{text}}}}}}}")
    for text in ("disabled: 'true'", "enabled: 1"):
        run.refused(text, more=f"validation: {{{text}}}")


@case(
    "validation.manifests.indexes.platforms",
    "validation.manifests.indexes.platformlist[].architecture",
    "validation.manifests.indexes.platformlist[].os",
    "validation.disabled",
)
def indexes(run):
    there, gone = image(annotations={"a": "there"}), image(annotations={"a": "gone"})
    on = lambda manifest, os_, architecture: descriptor(
        manifest, MANIFEST, platform={"os": os_, "architecture": architecture}
    )
    cases = {
        "complete": index(on(there, "linux", "amd64")),
        "amd64 missing": index(on(gone, "linux", "amd64")),
        "arm64 missing": index(on(there, "linux", "amd64"), on(gone, "linux", "arm64")),
        "windows missing": index(on(there, "linux", "amd64"), on(gone, "windows", "amd64")),
        "variant missing": index(
            descriptor(gone, MANIFEST, platform={"os": "linux", "architecture": "amd64", "variant": "v3"})
        ),
        "nothing in it": index(),
    }
    amd64 = "platformlist: [{architecture: amd64, os: linux}]"
    one = "validation: {manifests: {indexes: {%s}}%s}"
    for label, how in (
        ("nothing said", {}),
        ("all", {"more": one % ("platforms: all", "")}),
        ("none", {"more": one % ("platforms: none", "")}),
        ("NONE", {"more": one % ("platforms: NONE", "")}),
        ("list", {"more": one % (f"platforms: list, {amd64}", "")}),
        (
            "list of two",
            {
                "more": one
                % (
                    "platforms: list, platformlist: [{architecture: amd64, os: linux},"
                    " {os: windows, architecture: amd64}]",
                    "",
                )
            },
        ),
        ("an empty list", {"more": one % ("platforms: list", "")}),
        ("a list that is not used", {"more": one % (amd64, "")}),
        ("disabled", {"more": one % ("platforms: all", ", disabled: true")}),
        ("half a platform", {"more": one % ("platforms: list, platformlist: [{os: linux}]", "")}),
        ("by variable", {"env": {"REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMS": "none"}}),
        (
            "list by variable",
            {
                "env": {
                    "REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMS": "list",
                    "REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMLIST_0_OS": "linux",
                    "REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMLIST_0_ARCHITECTURE": "amd64",
                }
            },
        ),
    ):
        process = run.start(**how)
        push_blob(run, "a", CONFIG)
        put(run, "a", "there", there)
        for name, manifest in cases.items():
            answer = put(run, "a", f"i{len(run.started)}", manifest, INDEX)
            run.note(f"{label}, {name}", [answer.status, answer.status >= 400 and answer.codes()])
        warned = re.search(r"level=warning.*(platforms|completeness)", process.said()) is not None
        run.note(f"{label}, warns", warned)
        process.kill()
    for text in ("platforms: some", "platforms: [all]", "platforms: list, platformlist: amd64", "platforms: ''"):
        run.refused(text, more=one % (text, ""))
