"""A token server with rules, for the suite auth-token, and the keys of both of its servers.

It speaks what docs.docker.com calls the token authentication of registries: GET with Basic credentials or none, POST
as OAuth 2 with a password or a refresh token. Its tokens are signed with ES256 and carry a chain of two certificates.

    auth_token.py prepare DIRECTORY         keys, certificates, JWKS and htpasswd
    auth_token.py serve DIRECTORY PORT
"""

import base64
import fnmatch
import http.server
import json
import os
import secrets
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "auth-alike"))

from cryptography.hazmat.primitives import serialization  # noqa: E402
from keys import Authority, b64, chain, ec_key, public_jwk, sign, to_json  # noqa: E402

USERS = {"alice": "alice:password", "bob": "password", "conformance": "password"}
# In htpasswd's form, at bcrypt's lowest cost.
HASHES = {"alice": "$2y$04$0CSgM0l9kokKnCtyDWAiGehhlwd89JmRI1G4c3tPA6BHGaqzzjtya", "bob": "$2y$04$ryzTwDF.QlQRHHFzoaADreRz/Wqksp5g2Rt6kToGt4UxvlAsdXkuq", "conformance": "$2y$04$Xt7Nd/sWSgLI5TG9EZgcB.zNZTYjwKAQCPO7O5qOPDPnZDUOz2MF2"}
# User, repository, actions; the first that fits decides.
RULES = [
    ("*", "team/secret/*", ()),
    ("alice", "*", ("pull", "push")),
    ("conformance", "conformance/*", ("pull", "push", "delete")),
    ("*", "public/*", ("pull",)),
    ("bob", "team/*", ("pull",)),
]


def libtrust_id(key):
    """The id under which Distribution's token server names its key: 240 bits of the SHA-256 of its DER, in base32."""
    import hashlib
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    text = base64.b32encode(hashlib.sha256(der).digest()[:30]).decode()
    return ":".join(text[at:at + 4] for at in range(0, len(text), 4))


def private_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())


def prepare(directory):
    def write(name, data):
        with open(os.path.join(directory, name), "wb") as file:
            file.write(data)

    theirs = ec_key()
    write("distribution.pem", private_pem(theirs))
    write("distribution.json", to_json({"keys": [public_jwk(theirs, kid=libtrust_id(theirs))]}))
    write("htpasswd", "".join(f"{user}:{hash_}\n" for user, hash_ in HASHES.items()).encode())
    root = Authority("root", ca=True)
    intermediate = Authority("intermediate", root, ca=True)
    leaf = Authority("token server", intermediate)
    write("root.pem", root.pem)
    write("leaf.pem", private_pem(leaf.key))
    write("x5c.json", to_json(chain(leaf, intermediate)))


def allowed(user, repository):
    for who, where, actions in RULES:
        if who in ("*", user) and fnmatch.fnmatchcase(repository, where):
            return actions
    return ()


def granted(user, scopes):
    """What of the scopes this user gets."""
    access = []
    for scope in " ".join(scopes).split():
        kind, _, rest = scope.partition(":")
        name, _, actions = rest.rpartition(":")
        if kind == "repository":
            may = [action for action in actions.split(",") if action in allowed(user, name)]
            if may:
                access.append({"type": kind, "name": name, "actions": may})
    return access


class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    refresh = {}

    def answer(self, status, value, **headers):
        body = to_json(value)
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        self.wfile.write(body)

    def refuse(self):
        self.answer(401, {"errors": [{"code": "UNAUTHORIZED", "message": "unknown user or wrong password"}]},
                    WWW_Authenticate='Basic realm="rules"')

    def token(self, user, query, **more):
        now = int(time.time())
        header = to_json({"typ": "JWT", "alg": "ES256", "x5c": self.server.x5c})
        claims = to_json({"iss": "rules", "sub": user or "", "aud": query.get("service", [""])[0], "exp": now + 120, "nbf": now - 5,
                          "iat": now, "jti": secrets.token_hex(8), "access": granted(user, query.get("scope", []))})
        signed = f"{b64(header)}.{b64(claims)}"
        token = f"{signed}.{b64(sign('ES256', self.server.key, signed.encode()))}"
        self.answer(200, {"token": token, "access_token": token, "expires_in": 120, **more})

    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        user, header = None, self.headers.get("Authorization")
        if header:
            user, _, password = base64.b64decode(header.split()[-1]).decode().partition(":")
            if USERS.get(user) != password:
                return self.refuse()
        more = {}
        if user and query.get("offline_token") == ["true"]:
            more["refresh_token"] = secrets.token_hex(16)
            self.refresh[more["refresh_token"]] = user
        return self.token(user, query, **more)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        form = urllib.parse.parse_qs(body)
        given = lambda name: form.get(name, [""])[0]
        more = {}
        if given("grant_type") == "password":
            user = given("username")
            if USERS.get(user) != given("password"):
                return self.refuse()
            if given("access_type") == "offline":
                more["refresh_token"] = secrets.token_hex(16)
                self.refresh[more["refresh_token"]] = user
        else:
            user = self.refresh.get(given("refresh_token"))
            if not user:
                return self.refuse()
        return self.token(user, form, **more)


def serve(directory, port):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Server)
    with open(os.path.join(directory, "leaf.pem"), "rb") as file:
        server.key = serialization.load_pem_private_key(file.read(), None)
    with open(os.path.join(directory, "x5c.json"), encoding="utf-8") as file:
        server.x5c = json.load(file)
    server.serve_forever()


if __name__ == "__main__":
    {"prepare": prepare, "serve": serve}[sys.argv[1]](*sys.argv[2:])
