"""Which configurations are served, and which are refused at the start."""

import base64
import os

import frame
from keys import ec_key, public_jwk, to_json
from table import token_auth

NAME = "what starts"


def files(keys):
    """File names of this group and what is in them."""
    good = public_jwk(keys.p256, kid="a")
    curve = {**good, "crv": "secp256k1", "kid": "b"}
    der = base64.encodebytes(keys.root.der).decode()
    private = {**good, "d": base64.urlsafe_b64encode(keys.p256.private_numbers().private_value.to_bytes(32, "big")).rstrip(b"=").decode()}
    return {
        "empty": b"", "no-json": b"{", "no-keys.json": b"{}", "null-keys.json": b'{"keys":null}', "empty.json": b'{"keys":[]}',
        "list.json": to_json([good]),
        "one.json": to_json(good), "unknown-kty.json": to_json({"keys": [{"kty": "XX", "kid": "x"}, good]}),
        "unknown-only.json": to_json({"keys": [{"kty": "XX"}]}),
        "unknown-curve.json": to_json({"keys": [curve, good]}), "no-kty.json": to_json({"keys": [{"kid": "x"}, good]}),
        "half.json": to_json({"keys": [{"kty": "RSA", "kid": "x", "n": "AQAB"}, good]}),
        "short.json": to_json({"keys": [public_jwk(keys.rsa_short, kid="s")]}),
        "private.json": to_json({"keys": [private]}), "secret.json": to_json({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "s"}]}),
        "mixed.json": to_json({"keys": [{"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "kid": "s"}, good]}),
        "x25519.json": to_json({"keys": [{"kty": "OKP", "crv": "X25519", "x": "c" * 43, "kid": "x"}, good]}),
        "others.json": to_json({"keys": [good], "issuer": "x", "next": None}),
        "same-kid.json": to_json({"keys": [good, public_jwk(ec_key(), kid="a")]}),
        "no-pem": b"certificates\n", "key-only.pem": b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        "broken.pem": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "half.pem": f"-----BEGIN CERTIFICATE-----\n{der}".encode(),
        "text-before.pem": b"Certificate:\n  Data\n" + keys.root.pem,
        "good-then-broken.pem": keys.root.pem + b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "good-then-half.pem": keys.root.pem + b"-----BEGIN CERTIFICATE-----\nAAAA\n", "dos.pem": keys.root.pem.replace(b"\n", b"\r\n"),
        "der.pem": keys.root.der,
        "short.pem": keys.leaves["short rsa"].pem, "users": b"a:b\n", "broken-users": b"a\n",
    }


def token(*lines, without=None, **how):
    text = token_auth(*lines, **how)
    return "".join(line + "\n" for line in text.splitlines() if not without or not line.strip().startswith(without))


JWKS_LINE = "jwks: {dir}/jwks.json"
CASES = {
    "silly": "auth: {silly: {realm: a, service: b}}\n", "silly, no realm": "auth: {silly: {service: b}}\n",
    "silly, no service": "auth: {silly: {realm: a}}\n",
    "silly, empty words": "auth: {silly: {realm: '', service: ''}}\n",
    "silly, words that are numbers": "auth: {silly: {realm: 1, service: 2}}\n",
    "silly as a word": "auth: silly\n", "none": "auth: none\n", "NONE": "auth: NONE\n", "none with options": "auth: {none: {a: b}}\n",
    "auth empty": "auth: {}\n",
    "auth null": "auth:\n", "an unknown provider": "auth: {ldap: {server: a}}\n",
    "two providers": "auth: {silly: {realm: a, service: b}, htpasswd: {realm: a, path: {here}/users}}\n",
    "token": token(JWKS_LINE), "token without realm": token(JWKS_LINE, without="realm"),
    "token without service": token(JWKS_LINE, without="service"),
    "token without issuer": token(JWKS_LINE, without="issuer"), "token without keys": token(),
    "token with an empty realm": token(JWKS_LINE, realm="''"),
    "token with an empty issuer": token(JWKS_LINE).replace("issuer.example", "''"),
    "token with an empty service": token(JWKS_LINE).replace("registry.example", "''"),
    "token with a realm that is no URL": token(JWKS_LINE, realm="somewhere"),
    "token with an issuer that is a number": token(JWKS_LINE).replace("issuer.example", "5"),
    "token with both": token("jwks: {dir}/jwks.json", "rootcertbundle: {dir}/bundle.pem"),
    "a bundle that is not there": token("rootcertbundle: {here}/absent"),
    "a JWKS that is not there": token("jwks: {here}/absent"), "a bundle that is a directory": token("rootcertbundle: {here}"),
    "an empty path": token("rootcertbundle: ''", JWKS_LINE),
    "a bundle that is a list": token("rootcertbundle: [a]"), "autoredirect a text": token(JWKS_LINE, "autoredirect: 'true'"),
    "autoredirect a number": token(JWKS_LINE, "autoredirect: 1"),
    "autoredirectpath a number": token(JWKS_LINE, "autoredirect: true", "autoredirectpath: 1"),
    "autoredirectpath a number, unused": token(JWKS_LINE, "autoredirectpath: 1"),
    "autoredirect, no realm": token(JWKS_LINE, "autoredirect: true", without="realm"),
    "autoredirectpath with a space": token(JWKS_LINE, "autoredirect: true", "autoredirectpath: /a b"),
    "signingalgorithms": token(JWKS_LINE, "signingalgorithms: [RS256, ES256]"),
    "signingalgorithms empty": token(JWKS_LINE, "signingalgorithms: []"),
    "signingalgorithms unknown": token(JWKS_LINE, "signingalgorithms: [ES256K]"),
    "signingalgorithms none": token(JWKS_LINE, "signingalgorithms: [none]"),
    "signingalgorithms in lower case": token(JWKS_LINE, "signingalgorithms: [es256]"),
    "signingalgorithms a text": token(JWKS_LINE, "signingalgorithms: ES256"),
    "signingalgorithms a number among them": token(JWKS_LINE, "signingalgorithms: [ES256, 1]"),
    "signingalgorithms twice": token(JWKS_LINE, "signingalgorithms: [ES256, ES256]"),
    "signingalgorithms null": token(JWKS_LINE, "signingalgorithms:"), "an unknown option": token(JWKS_LINE, "colour: red"),
    "htpasswd": "auth: {htpasswd: {realm: a, path: {here}/users}}\n", "htpasswd without realm": "auth: {htpasswd: {path: {here}/users}}\n",
    "htpasswd without path": "auth: {htpasswd: {realm: a}}\n", "htpasswd with an empty path": "auth: {htpasswd: {realm: a, path: ''}}\n",
    "htpasswd, a file that is broken": "auth: {htpasswd: {realm: a, path: {here}/broken-users}}\n",
    "htpasswd, a directory": "auth: {htpasswd: {realm: a, path: {here}}}\n",
    "htpasswd, a file that is not there": "auth: {htpasswd: {realm: a, path: {here}/new/users}}\n",
    "htpasswd, a directory that cannot be made": "auth: {htpasswd: {realm: a, path: {here}/users/below}}\n",
    "htpasswd, an empty file": "auth: {htpasswd: {realm: a, path: {here}/empty}}\n",
}
for name in ("empty", "no-json", "no-keys.json", "null-keys.json", "empty.json", "list.json", "one.json", "unknown-kty.json",
    "unknown-only.json", "unknown-curve.json", "no-kty.json",
             "half.json", "short.json", "private.json", "secret.json", "mixed.json", "x25519.json", "others.json", "same-kid.json"):
    CASES[f"jwks {name}"] = token(f"jwks: {{here}}/{name}")
for name in ("empty", "no-pem", "key-only.pem", "broken.pem", "half.pem", "text-before.pem", "good-then-broken.pem", "good-then-half.pem",
    "dos.pem", "der.pem", "short.pem"):
    CASES[f"rootcertbundle {name}"] = token(f"rootcertbundle: {{here}}/{name}")
ENVIRONMENT = {
    "silly by variables": {"REGISTRY_AUTH_SILLY_REALM": "a", "REGISTRY_AUTH_SILLY_SERVICE": "b"},
    "silly, half by variables": {"REGISTRY_AUTH_SILLY_REALM": "a"},
    "silly by one variable": {"REGISTRY_AUTH": "{silly: {realm: a, service: b}}"},
    "the word silly by variable": {"REGISTRY_AUTH": "silly"}, "none by variable": {"REGISTRY_AUTH": "none"},
    "token by variables": {"REGISTRY_AUTH": "token", "REGISTRY_AUTH_TOKEN_REALM": "a", "REGISTRY_AUTH_TOKEN_SERVICE": "b",
    "REGISTRY_AUTH_TOKEN_ISSUER": "c",
                           "REGISTRY_AUTH_TOKEN_JWKS": "{dir}/jwks.json", "REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE": "{dir}/bundle.pem"},
    "token by variables, autoredirect": {"REGISTRY_AUTH_TOKEN_REALM": "a", "REGISTRY_AUTH_TOKEN_SERVICE": "b",
    "REGISTRY_AUTH_TOKEN_ISSUER": "c",
                                         "REGISTRY_AUTH_TOKEN_JWKS": "{dir}/jwks.json", "REGISTRY_AUTH_TOKEN_AUTOREDIRECT": "true",
                                         "REGISTRY_AUTH_TOKEN_SIGNINGALGORITHMS": "[ES256]"},
    "htpasswd by variables": {"REGISTRY_AUTH": "htpasswd", "REGISTRY_AUTH_HTPASSWD_REALM": "a b",
    "REGISTRY_AUTH_HTPASSWD_PATH": "{here}/users"},
    "htpasswd by variables, no word": {"REGISTRY_AUTH_HTPASSWD_REALM": "a", "REGISTRY_AUTH_HTPASSWD_PATH": "{here}/users"},
}


def run(work, binaries, keys, configuration):
    """For each case what each side did: like the rows of a group."""
    runs = []
    try:
        for side in binaries:
            one = frame.Run(frame.Shared(f"starts-{'ours' if side == frame.OURS else 'theirs'}", work, binaries), side)
            for name, data in files(keys).items():
                with open(os.path.join(one.dir, name), "wb") as file:
                    file.write(data)
            fill = lambda text, one=one: text.replace("{here}", one.dir).replace("{dir}", keys.directory)
            for name, auth in CASES.items():
                one.refused(name, text=configuration(one, fill(auth)))
            for name, variables in ENVIRONMENT.items():
                one.refused(name, env={variable: fill(value) for variable, value in variables.items()}, text=configuration(one, ""))
            runs.append(one)
    finally:
        for one in runs:
            one.close()
    return [(name, [{"decision": one.notes[name]} for one in runs]) for name in runs[0].notes]
