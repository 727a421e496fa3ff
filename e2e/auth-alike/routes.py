"""Every route and method, with sufficient and insufficient access."""

from keys import Token
from table import BASE, BLOB, IMAGE, JWKS, LAYER, MANIFEST, Group, digest, repository

ROUTES = {
    "base": BASE, "base without slash": "/v2", "catalog": "/v2/_catalog", "tags": "/v2/team/app/tags/list", "manifest by tag": IMAGE,
    "manifest by digest": f"/v2/team/app/manifests/{digest(MANIFEST)}", "manifest that is not there": "/v2/team/app/manifests/none",
    "blob": BLOB, "blob that is not there": f"/v2/team/app/blobs/{digest(b'none')}", "uploads": "/v2/team/app/blobs/uploads/",
    "upload that is not there": "/v2/team/app/blobs/uploads/6ba7b810-9dad-41d1-80b4-00c04fd430c8",
    "repository that is not there": "/v2/team/none/tags/list", "below a repository": "/v2/team/app/x/manifests/one",
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get")
GRANTS = {"nothing": (), "pull": ("pull",), "push": ("push",), "pull and push": ("pull", "push"), "delete": ("delete",), "all": ("*",)}
CATALOG = {"type": "registry", "name": "catalog", "actions": ["*"]}

routes = Group("routes", JWKS)
for route, path in ROUTES.items():
    for method in METHODS:
        routes.add(f"{method} {route}, no token", method, path)
        # Tokens that do something would make later rows differ by what they did.
        changes = method in ("PUT", "DELETE") and route in ("manifest by tag", "manifest by digest", "blob")
        for grant, actions in GRANTS.items():
            if changes and (actions == ("*",) or method.lower() in actions):
                continue
            if method in ("OPTIONS", "TRACE", "PROPFIND", "get") and grant not in ("nothing", "all"):
                continue
            name = {"repository that is not there": "team/none", "below a repository": "team/app/x"}.get(route, "team/app")
            access = [repository(name, *actions)] if actions else []
            if route == "catalog" and grant == "all":
                access = [CATALOG]
            routes.add(f"{method} {route}, {grant}", method, path, bearer=Token(access=access))
routes.add("referrers, no token", path=f"/v2/team/app/referrers/{digest(MANIFEST)}")
routes.add("referrers, another repository", path=f"/v2/team/app/referrers/{digest(MANIFEST)}", bearer=Token(access=[repository("a", "*")]))
routes.add("a name that is none, no token", path="/v2/TEAM/app/tags/list")
routes.add("a path that leads nowhere, no token", path="/v2/team/app/nothing")
routes.add("dots in the path", path="/v2/team/x/../app/manifests/one", bearer=Token(access=[repository("team/app", "pull")]))
routes.add("an encoded slash", path="/v2/team%2Fapp/manifests/one", bearer=Token(access=[repository("team/app", "pull")]))
routes.add("an encoded slash, no token", path="/v2/team%2Fapp/manifests/one")
routes.add("an encoded letter, access to what it means", path="/v2/team/%61pp/manifests/one",
    bearer=Token(access=[repository("team/app", "pull")]))
routes.add("an encoded letter, access to how it is written", path="/v2/team/%61pp/manifests/one",
    bearer=Token(access=[repository("team/%61pp", "pull")]))
routes.add("two slashes", path="/v2//team/app/manifests/one", bearer=Token(access=[repository("team/app", "pull")]))
routes.add("a URL of another host", path="http://other.example" + IMAGE, bearer=Token(access=[repository("team/app", "pull")]))

mounts = Group("mounts", JWKS)
UPLOADS = "/v2/team/copy/blobs/uploads/"
FROM = f"{UPLOADS}?mount={digest(LAYER)}&from=team/app"
FORM = [("Content-Type", "application/x-www-form-urlencoded")]
SOURCES = {
    "nothing": [], "the target": [repository("team/copy", "pull", "push")], "the target to push": [repository("team/copy", "push")],
    "the source": [repository("team/app", "pull")], "the target, and push on the source": [repository("team/copy", "pull", "push"),
    repository("team/app", "push")],
    "the target, and delete on the source": [repository("team/copy", "pull", "push"), repository("team/app", "delete")],
    "the target, and another": [repository("team/copy", "pull", "push"), repository("team/other", "pull")],
    "both": [repository("team/copy", "pull", "push"), repository("team/app", "pull")],
    "the target to pull, the source": [repository("team/copy", "pull"), repository("team/app", "pull")],
    "all of both": [repository("team/copy", "*"), repository("team/app", "*")],
}
mounts.add("no token", "POST", FROM)
for name, access in SOURCES.items():
    mounts.add(f"with {name}", "POST", FROM, bearer=Token(access=access))
for label, path in (("from itself", f"{UPLOADS}?mount={digest(LAYER)}&from=team/copy"),
    ("from what is not there", f"{UPLOADS}?mount={digest(LAYER)}&from=team/none"),
                    ("from a name that is none", f"{UPLOADS}?mount={digest(LAYER)}&from=TEAM"),
                    ("from empty", f"{UPLOADS}?mount={digest(LAYER)}&from="),
                    ("from two", FROM + "&from=team/none"), ("from two, the other first", FROM.replace("&from", "&from=team/none&from")),
                    ("from, and no digest", f"{UPLOADS}?from=team/app"),
                    ("a digest, and no from", f"{UPLOADS}?mount={digest(b'not there')}"),
                    ("from in another case", FROM.replace("from", "From"))):
    for name in ("the target", "both"):
        mounts.add(f"{label}, with {name}", "POST", path, bearer=Token(access=SOURCES[name]))
    mounts.add(f"{label}, no token", "POST", path)
for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE"):
    mounts.add(f"from on {method} of a blob, no token", method, BLOB + "?from=team/other")
mounts.add("from on GET of a blob, pull on the blob's", "GET", BLOB + "?from=team/other",
    bearer=Token(access=[repository("team/app", "pull")]))
mounts.add("from on GET of tags, pull on the tags'", "GET", "/v2/team/app/tags/list?from=team/other",
    bearer=Token(access=[repository("team/app", "pull")]))
mounts.add("from on the catalog, no token", "GET", "/v2/_catalog?from=team/other")
mounts.add("from in a form, no token", "POST", UPLOADS, FORM, b"from=team/app&mount=" + digest(LAYER).encode())
mounts.add("from in a form, with the target", "POST", UPLOADS, FORM, b"from=team/app&mount=" + digest(LAYER).encode(),
    bearer=Token(access=SOURCES["the target"]))
