"""Where we differ from Distribution on purpose.

Each has the cases and labels in which it is seen, and what is seen there; that it is not seen any more fails as well.
The same list is a table in docs/migration.md, which `alike.sh` compares.
"""

import re


class Anything:
    """Whatever it is, as long as the two differ."""

    def __repr__(self):
        return "(anything)"


ANY = Anything()
STARTS, REFUSED = "starts", "refused"


class Difference:
    def __init__(self, topic, theirs, ours, reason, *seen):
        self.topic, self.theirs, self.ours, self.reason, self.seen = topic, theirs, ours, reason, seen

    def row(self):
        return f"| {self.topic} | {self.theirs} | {self.ours} | {self.reason} |"


def refused_here(case, *labels):
    return [(case, re.escape(label), STARTS, REFUSED) for label in labels]


def taken_here(case, *labels):
    return [(case, re.escape(label), REFUSED, STARTS) for label in labels]


def with_prefix(theirs):
    """What Distribution says, with the prefix where it belongs."""
    if isinstance(theirs, list):
        return [with_prefix(value) for value in theirs]
    return theirs.replace("/v2/", "/p/v2/") if isinstance(theirs, str) else theirs


def whole_answer(theirs):
    """What is said of a blob of ten digits besides where it is."""
    status, header = theirs
    name = header.split(":")[0]
    tag = "sha256:84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882"
    values = {"Docker-Content-Digest": tag, "ETag": f'"{tag}"', "Content-Type": None}
    return [status, f"{name}: {values[name]}"]


PURGING = "upload_purging"
LIST = [
    Difference(
        "`http.addr` left out",
        "a random port",
        "`:5000`",
        "nobody can want a random port",
        ("no_address", "no address", "a random port", "port 5000"),
    ),
    Difference(
        "a socket file that somebody listens on",
        "taken away",
        "error",
        "the other process would serve nobody from then on",
        *refused_here("unix_sockets", "somebody listens on it"),
    ),
    Difference(
        "`http.host` without a scheme and with a port, `hub.example.com:443`",
        "read as the scheme `hub.example.com`, ignored",
        "error",
        "a mistake that shows in the URLs",
        *refused_here("urls_with_host_and_port_by_variable", "host: hub.example.com:443"),
    ),
    Difference(
        "`http.prefix` without a slash in front",
        "every request is 404",
        "error",
        "no request would match",
        *refused_here("prefixes", "prefix: p", "prefix: p/"),
    ),
    Difference(
        "`/v2` without a slash at the end",
        "301",
        "answered",
        "a redirected POST becomes a GET",
        ("prefixes", "GET /nested/path/v2", [301, "/nested/path/v2/"], [200, None]),
    ),
    Difference(
        "`http.prefix` in `Location` with `http.relativeurls` or `http.host`",
        "missing",
        "there",
        "an upload would go on at a path that is 404",
        ("prefix_and_relative_urls|prefix_and_host", "(upload|part|blob|mount|manifest), .*", ANY, with_prefix),
    ),
    Difference(
        "`http.headers` on paths that are none",
        "not sent",
        "sent",
        "what protects answers protects these too",
        ("headers", "GET (/v2/a)?/none", [404, ["nosniff"], None, None], [404, ["nosniff"], ["one", "two"], ["*"]]),
    ),
    Difference(
        "`REGISTRY_HTTP_HEADERS_X-A` where the file has `X-A`",
        "both values are sent",
        "replaces that of the file",
        "variables override",
        ("headers", "by variable", ["one", "three", "two"], ["three"]),
    ),
    Difference(
        "no `http.draintimeout`",
        "SIGTERM ends the process at once",
        "10 s to finish requests",
        "pushes survive an update",
        ("draining", "no draintimeout", -15, 0),
    ),
    Difference(
        "negative `http.draintimeout`",
        "0",
        "error",
        "it means nothing",
        *refused_here("draining", "draintimeout: -5s"),
    ),
    Difference(
        "`1.5` where a duration or a whole number is wanted",
        "1",
        "error",
        "1.5 what, and 1 is not what was meant",
        *refused_here("draining", "draintimeout: 1.5"),
        *refused_here("catalog", "maxentries: 1.5"),
    ),
    Difference(
        "uploads in progress over a restart without `http.secret`",
        "404",
        "go on",
        "ids cannot be guessed, and the store has the truth",
        ("secrets", "no secret, after a restart", [404, ["BLOB_UPLOAD_INVALID"]], [202]),
    ),
    Difference(
        "`http.tls.key` without `certificate`, `clientcas` without TLS, `clientauth` without `clientcas`",
        "ignored",
        "error",
        "somebody believes in TLS, or in asking clients",
        *refused_here("certificates", "a key alone"),
        *refused_here("client_certificates", "a mode, and no authorities", "authorities without TLS"),
    ),
    Difference(
        "cipher suites with CBC or RSA key exchange",
        "partly taken",
        "error",
        "not safe, and not there",
        *refused_here(
            "versions_and_suites",
            "ciphersuites: [TLS_RSA_WITH_AES_128_GCM_SHA256]",
            "ciphersuites: [TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA]",
        ),
    ),
    Difference(
        "which of several common cipher suites is used",
        "the first of Go's list",
        "the client's first",
        "the client knows what its processor is good at; `ciphersuites` says which there are",
        (
            "versions_and_suites",
            "(nothing said|tls1.2|two suites), of several",
            ["TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256", "HTTP/1.1 200 OK"],
            ["TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384", "HTTP/1.1 200 OK"],
        ),
    ),
    Difference(
        "paths that are none",
        "404 as text",
        "404 as JSON, `UNSUPPORTED`",
        "one form of errors",
        ("debug_server", "on the other listener|no addr", [404, "404 page not found"], [404, ["UNSUPPORTED"]]),
    ),
    Difference(
        "`registry.proxy` in `/debug/vars`",
        "there, zeros without a proxy",
        "not there",
        "there is no pull-through cache yet",
        (
            "debug_server",
            "kinds of variables",
            [["cmdline", "memstats"], ["notifications", "proxy"]],
            [["cmdline", "memstats"], ["notifications"]],
        ),
    ),
    Difference(
        "`rootdirectory: 0123`",
        "the directory `83`",
        "the directory `0123`",
        "text is taken as it is written",
        ("root_directory", "a number", ["83"], ["0123"]),
    ),
    Difference(
        "a `rootdirectory` that cannot be one",
        "found out by the first push",
        "error at the start",
        "nothing is served that cannot be kept",
        *refused_here(
            "root_directory", "a file in its place", "below a file", "storage: filesystem: {rootdirectory: [a]}"
        ),
    ),
    Difference(
        "files in the store that Distribution passes over",
        "none",
        "types and notes of tags beside manifests, `_referrers`",
        "see [below](#what-is-taken-over-unchanged)",
        ("root_directory", "notes of tags and types", False, True),
    ),
    Difference(
        "hash state of an upload without a byte",
        "kept",
        "not kept",
        "a digest of nothing needs no state; both go on without it",
        ("root_directory", "the state of a digest of nothing", True, False),
    ),
    Difference(
        '`storage.delete.enabled: "true"`',
        "false",
        "error",
        "the opposite of what was meant",
        *refused_here("deletes", "delete: {enabled: 'true'}"),
    ),
    Difference(
        "`storage.redirect: {}`",
        "a crash",
        "the default",
        "nothing is asked for",
        *taken_here("redirects", "redirect: {}"),
    ),
    Difference(
        "a blob that is elsewhere",
        "`Content-Type`, no digest",
        "`Docker-Content-Digest`, `ETag`, no `Content-Type`",
        "the digest is that of the blob, the type of what is not there",
        ("redirect_middleware", "header (Docker-Content-Digest|ETag|Content-Type)", ANY, whole_answer),
        ("redirect_middleware", "whole, HEAD", ANY, lambda theirs: [*theirs[:2], "Content-Length: 0", *theirs[3:]]),
    ),
    Difference(
        "several ranges of a blob that is elsewhere",
        "307, and the whole blob there",
        "206",
        "object stores know one range",
        ("redirect_middleware", "Range: bytes=0-1,5-6", ANY, [206, "Location: None"]),
    ),
    Difference(
        "a range that is none, of a blob that is elsewhere",
        "307",
        "416",
        "as for blobs that are here",
        ("redirect_middleware", "Range: bytes=4-2", ANY, [416, ["RANGE_INVALID"], "Location: None"]),
    ),
    Difference(
        "conditions on a blob that is elsewhere",
        "307: the store judges by tags of its own",
        "304, 412, or the blob",
        "the client asks about our entity tag",
        ("redirect_middleware", "If-None-Match", ANY, [304, "Location: None"]),
        ("redirect_middleware", "If-(Match|Range)", ANY, [206, "Location: None"]),
    ),
    Difference(
        "`baseurl` of `redirect` with a user, query, fragment, blank or another scheme than `http` and `https`",
        "taken, and partly dropped",
        "error",
        "clients would be sent where nothing is",
        *refused_here(
            "redirect_middleware",
            "baseurl: ftp://cdn.example.com",
            "baseurl: https://user:password@cdn.example.com",
            "baseurl: https://cdn.example.com/?a=b",
            "baseurl: https://cdn.example.com/#a",
            "baseurl: https://cdn.example.com/a b",
        ),
    ),
    Difference(
        "`rewrite` over a driver that gives no URLs",
        "clients are sent to `//host`",
        "the blob, and a warning at the start",
        "nothing is there",
        ("rewrite_middleware", "rewrite where there is no URL", [307, "Location: //h"], [200, "Location: None"]),
    ),
    Difference(
        "`scheme` and `host` of `rewrite` that are none",
        "taken",
        "error",
        "as above",
        *refused_here(
            "rewrite_middleware", "rewrite: {scheme: ftp}", "rewrite: {host: a/b}", "rewrite: {host: 'u@h'}"
        ),
    ),
    Difference(
        "options of storage middleware that it does not have",
        "ignored",
        "error",
        "a mistake",
        *refused_here("redirect_middleware", "another option"),
        *refused_here("rewrite_middleware", "rewrite: {hots: h}"),
    ),
    Difference(
        "`disabled: true` on storage middleware",
        "ignored",
        "obeyed",
        "it is documented",
        ("middleware_lists", "disabled: true", ANY, [200, "Location: None"]),
        *taken_here("middleware_lists", "disabled, and wrong"),
    ),
    Difference(
        "names of storage middleware in capitals",
        "error",
        "taken",
        "as other words",
        *taken_here("middleware_lists", "Redirect"),
    ),
    Difference(
        "`cloudfront` over a driver without objects",
        "a warning at each request",
        "error",
        "it could do nothing",
        *refused_here("middleware_lists", "cloudfront without a bucket"),
    ),
    Difference(
        "`storage.cache: {}`",
        "a warning",
        "no cache",
        "nothing is asked for",
        ("descriptor_caches", re.escape("cache: {}, None, warns"), True, False),
    ),
    Difference(
        "a list for a word, `blobdescriptor: [a]`",
        "a warning",
        "error",
        "a mistake",
        *refused_here("descriptor_caches", "cache: {blobdescriptor: [a]}"),
    ),
    Difference(
        "a manifest asked for as a blob, with a descriptor cache",
        "200 if it is cached, 404 if not",
        "404",
        "the kinds are kept apart",
        ("descriptor_caches", "a manifest asked for as a blob", 200, 404),
    ),
    Difference(
        "`REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED`",
        "a crash",
        "works",
        "it is documented",
        *taken_here("read_only", "enabled, by variable"),
    ),
    Difference(
        "`uploadpurging` without `age`, `interval` or `dryrun`",
        "a crash",
        "the defaults `168h`, `24h`, `false`",
        "they are documented as defaults",
        *taken_here(PURGING, "no age", "no interval", "no dryrun"),
        (PURGING, "no (age|interval|dryrun), planned", "(nothing)", True),
    ),
    Difference(
        "`uploadpurging.age` as a number",
        "a crash",
        "nanoseconds",
        "as everywhere else",
        *taken_here(PURGING, "age: number", "interval: number"),
        (PURGING, "(age|interval): number, planned", "(nothing)", True),
    ),
    Difference(
        '`uploadpurging.enabled` that is no boolean, `"false"` too',
        "true",
        "error",
        "the opposite of what was meant",
        *refused_here(PURGING, "enabled: number", "quoted"),
        (PURGING, "enabled: number, planned|quoted, planned", True, "(nothing)"),
    ),
    Difference(
        "first run of a health check",
        "after one interval",
        "at the start",
        "a registry that is not ready says so",
        ("files", "before the first interval is over", 200, 503),
    ),
    Difference(
        "`health.file[].threshold`",
        "read and not used",
        "obeyed",
        "it is documented",
        ("file_threshold", "after three failures of five", 503, 200),
    ),
    Difference(
        "a health check without `file`, `uri` or `addr`, or with one that is none",
        "never fails, or always",
        "error",
        "a mistake",
        *refused_here("files", "file: [{interval: 10s}]"),
        *refused_here("servers", "http: [{interval: 10s}]", "http: [{uri: nothing}]"),
        *refused_here("ports", "tcp: [{interval: 10s}]", "tcp: [{addr: nothing}]"),
    ),
    Difference(
        "`health.storagedriver` when the directory of the store is gone",
        "healthy",
        "unhealthy",
        "a mount that is missing is not an empty store",
        ("the_store", "the directory is gone", 200, 503),
    ),
    Difference(
        "a full page of the catalog, after which there are only directories without manifests",
        "has a `Link`, to an empty page",
        "has none",
        "one request less",
        ("catalog", r"nothing said, \?n=5", ANY, lambda theirs: [theirs[0], None, *theirs[2:]]),
    ),
    Difference(
        "a manifest that `validation.manifests.urls` refuses",
        "500 `UNKNOWN`",
        "400 `MANIFEST_INVALID`",
        "it is the client's mistake",
        ("urls", "how it is refused", 500, 400),
    ),
    Difference(
        "`platforms: ''`",
        "error",
        "`all`",
        "nothing is said",
        *taken_here("indexes", "platforms: ''"),
    ),
    Difference(
        "secrets in `/debug/vars`: headers and queries of endpoints",
        "shown",
        "hidden",
        "the debug server has no access control",
        ("endpoints_in_vars", ".*, url", "http://127.0.0.1:PORT/events?a=b", "http://127.0.0.1:PORT/events"),
        ("endpoints_in_vars", r"everything, Headers\.X-A\[0\]", "b", "(nothing)"),
        ("endpoints_in_vars", r"everything, Headers\.x-a\[0\]", "(nothing)", "[hidden]"),
    ),
    Difference(
        "`Ignore.MediaTypes` and `IgnoredMediaTypes` in `/debug/vars`",
        "as in the file",
        "both lists together in each",
        "the two keys mean the same",
        ("endpoints_in_vars", r"everything, Ignore\.MediaTypes\[0\]", "c/d", "a/b"),
        ("endpoints_in_vars", r"everything, Ignore(d)?\.?MediaTypes\[1\]", "(nothing)", "c/d"),
    ),
    Difference(
        "events dropped, in `/debug/vars`",
        "never dropped: memory grows",
        "`Metrics.Dropped`",
        "queues have a bound",
        ("endpoints_in_vars", r".*, Metrics\.Dropped", "(nothing)", 0),
    ),
    Difference(
        "`notifications.endpoints[].url` that is missing or none",
        "every event fails",
        "error",
        "a mistake",
        *refused_here("mistakes", "{name: a}", "{name: a, url: nothing}", "{name: a, url: 'ftp://127.0.0.1/'}"),
    ),
    Difference(
        "a bucket that cannot be reached",
        "starts, and pushes fail",
        "error at the start",
        "nothing is served that cannot be kept; the start says what is wrong",
        *refused_here("s3_mistakes", "nobody answers"),
        *refused_here("azure_mistakes", "nobody answers"),
    ),
    Difference(
        "`chunksize: 10485760abc`",
        "10485760",
        "error",
        "a mistake",
        *refused_here("s3_mistakes", "chunksize: 10485760abc"),
    ),
    Difference(
        "`storage.s3.keyid` without `encrypt`",
        "sent, and refused by the service or ignored",
        "error",
        "somebody believes in encryption",
        *refused_here("s3_mistakes", "keyid without encrypt"),
    ),
    Difference(
        "`accesskey` or `secretkey` alone",
        "ignored; credentials of the environment",
        "error",
        "it would be somebody else's bucket",
        *refused_here("s3_mistakes", "accesskey alone", "secretkey alone"),
    ),
]


def of(name):
    """What is known of a case: patterns of labels, and what the two sides see there."""
    return [entry for difference in LIST for entry in difference.seen if re.fullmatch(entry[0], name)]


def table():
    return "\n".join(
        ["| Topic | Distribution | Here | Reason |", "|---|---|---|---|", *(difference.row() for difference in LIST)]
    )
