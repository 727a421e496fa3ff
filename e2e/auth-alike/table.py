"""How the rows are written: groups have a configuration, rows a request."""

import base64
import hashlib

from keys import Token

GROUPS = []
LAYER = b"a layer"
CONFIG = b'{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[]}}'


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
MANIFEST = (
    '{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"%s","size":%d},'
    '"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"%s","size":%d}]}'
    % (MANIFEST_TYPE, digest(CONFIG), len(CONFIG), digest(LAYER), len(LAYER))
).encode()
IMAGE, BLOB = "/v2/team/app/manifests/one", f"/v2/team/app/blobs/{digest(LAYER)}"
ACCEPT = ("Accept", MANIFEST_TYPE)
BASE = "/v2/"


class Row:
    def __init__(self, name, method, path, headers=(), body=b""):
        self.name, self.method, self.path, self.headers, self.body = name, method, path, headers, body


class Group:
    """Rows under one configuration: `auth` is its section with `{dir}` for the directory of keys, or a function."""

    def __init__(self, name, auth, files=None, before=None):
        self.name, self.auth, self.files, self.before = name, auth, files or {}, before or {}
        self.rows = []
        GROUPS.append(self)

    def add(self, name, method="GET", path=IMAGE, headers=(), body=b"", bearer=None):
        """`bearer` is a Token or text; `headers` may hold recipes."""
        headers = [ACCEPT, *headers]
        if bearer is not None:
            headers.append(("Authorization", Bearer(bearer)))
        if any(row.name == name for row in self.rows):
            raise ValueError(f"{self.name}: {name} is there twice")
        self.rows.append(Row(name, method, path, headers, body))


class Bearer:
    """The value of a header, once there are keys. `form` has `{}` for the token."""

    def __init__(self, token, form="Bearer {}"):
        self.token, self.form = token, form

    def text(self, keys):
        return self.form.replace("{}", self.token.text(keys) if isinstance(self.token, Token) else self.token)


def basic(user, password=None, form="Basic {}"):
    """With one argument: bytes before they are encoded."""
    pair = user if password is None else f"{user}:{password}".encode()
    return ("Authorization", form.replace("{}", base64.b64encode(pair).decode()))


def repository(name, *actions, **more):
    return {"type": "repository", "name": name, "actions": list(actions), **more}


PULL = (repository("team/app", "pull"),)
PUSH = (repository("team/app", "pull", "push"),)


def token_auth(*lines, realm="https://auth.example/token"):
    fixed = (f"realm: {realm}", "service: registry.example", "issuer: issuer.example")
    return "auth:\n  token:\n" + "".join(f"    {line}\n" for line in (*fixed, *lines))


JWKS = token_auth("jwks: {dir}/jwks.json")
BUNDLE = token_auth("rootcertbundle: {dir}/bundle.pem")
