"""middleware.storage, and where it sends clients."""

import os
import subprocess

from content import digest, push_blob
from frame import case

BLOB = b"0123456789"
PATH = f"/v2/a/b/blobs/{digest(BLOB)}"


def of(*entries):
    return "middleware:\n  storage:\n" + "".join(f"    - {entry}\n" for entry in entries)


def entry(name, options, more=""):
    return f"{{name: {name}, {more}options: {{{options}}}}}"


def redirect(url):
    return entry("redirect", f"baseurl: {url!r}")


def where(run, label, *entries, env=None):
    """Where a blob is, with these middleware."""
    process = run.start(more=of(*entries) if entries else "", env=env)
    push_blob(run, "a/b", BLOB)
    run.see(label, "GET", PATH, "Location")
    process.kill()


@case("middleware.storage[].name", "middleware.storage[].options.baseurl")
def redirect_middleware(run):
    process = run.start(more=of(redirect("https://cdn.example.com/base/x")))
    push_blob(run, "a/b", BLOB)
    for method in ("GET", "HEAD"):
        run.see(f"whole, {method}", method, PATH, "Location", "Content-Length", "Cache-Control")
        run.see(f"unknown blob, {method}", method, f"/v2/a/b/blobs/{digest(b'other')}", "Location")
        run.see(f"unknown repository, {method}", method, f"/v2/a/c/blobs/{digest(BLOB)}", "Location")
    for name in ("Docker-Content-Digest", "ETag", "Content-Type"):
        run.see(f"header {name}", "GET", PATH, name)
    for ranges in ("bytes=2-4", "bytes=2-", "bytes=-3", "bytes=0-1,5-6", "bytes=4-2"):
        run.see(f"Range: {ranges}", "GET", PATH, "Location", headers={"Range": ranges})
    tag = f'"{digest(BLOB)}"'
    for name in ("If-None-Match", "If-Match", "If-Range"):
        run.see(name, "GET", PATH, "Location", headers={name: tag, "Range": "bytes=0-1"})
    process.kill()
    for url in (
        "http://127.0.0.1:8080",
        "https://cdn.example.com/",
        "https://cdn.example.com/base//x/../y/",
        "https://cdn.example.com/%20a",
        "HTTPS://CDN.example.com/",
    ):
        where(run, f"baseurl: {url}", redirect(url))
    for url in (
        "cdn.example.com",
        "https:///base",
        "//cdn.example.com/base",
        "ftp://cdn.example.com",
        "https://user:password@cdn.example.com",
        "https://cdn.example.com/?a=b",
        "https://cdn.example.com/#a",
        "https://cdn.example.com/a b",
        "",
    ):
        run.refused(f"baseurl: {url}", more=of(redirect(url)))
    run.refused("no baseurl", more=of("{name: redirect, options: {}}"))
    run.refused("another option", more=of(entry("redirect", "baseurl: 'https://a', host: b")))


@case(
    "middleware.storage[].name",
    "middleware.storage[].options.scheme",
    "middleware.storage[].options.host",
    "middleware.storage[].options.trimpathprefix",
)
def rewrite_middleware(run):
    base = redirect("https://cdn.example.com/base")
    for options in (
        "scheme: http",
        "host: other.example.com",
        "host: '[::1]:8080'",
        "trimpathprefix: /base",
        "trimpathprefix: /base/",
        "trimpathprefix: base",
        "trimpathprefix: /other",
        "scheme: http, host: h, trimpathprefix: /base/docker",
        "",
    ):
        where(run, f"rewrite: {{{options}}}", base, entry("rewrite", options))
    where(run, "rewrite before redirect", entry("rewrite", "host: h"), base)
    where(run, "rewrite where there is no URL", entry("rewrite", "host: h"))
    for options in ("scheme: ftp", "host: a/b", "host: 'u@h'", "hots: h"):
        run.refused(f"rewrite: {{{options}}}", more=of(base, entry("rewrite", options)))


@case("middleware.storage[].name", "middleware.storage[].disabled")
def middleware_lists(run):
    one, other = redirect("https://one.example.com"), redirect("https://other.example.com")
    where(run, "several", one, other)
    where(run, "the other way round", other, one)
    where(run, "disabled: false", entry("redirect", "baseurl: 'https://one.example.com'", "disabled: false, "))
    where(run, "disabled: true", entry("redirect", "baseurl: 'https://one.example.com'", "disabled: true, "))
    run.refused("disabled, and wrong", more=of("{name: redirect, disabled: true, options: {}}"))
    run.refused("an unknown name", more=of(entry("nothing", "")))
    run.refused("no name", more=of("{options: {}}"))
    run.refused("Redirect", more=of(entry("Redirect", "baseurl: 'https://one.example.com'")))
    options = "baseurl: d111.cloudfront.net, privatekey: /nowhere, keypairid: K"
    run.refused("cloudfront: a key that is not there", more=of(entry("cloudfront", options)))
    key = os.path.join(run.dir, "key.pem")
    subprocess.run(["openssl", "genrsa", "-traditional", "-out", key, "2048"], check=True, capture_output=True)
    run.refused("cloudfront without a bucket", more=of(entry("cloudfront", options.replace("/nowhere", key))))
    where(run, "by variable", env={"REGISTRY_MIDDLEWARE": f"{{storage: [{one}]}}"})
