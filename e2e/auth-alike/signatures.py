"""Which signatures, by which keys, are believed."""

import base64

from keys import Token, b64, chain, public_jwk, thumbprint
from table import BUNDLE, JWKS, PULL, Group, token_auth

ALGORITHMS = ("EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "HS256", "HS384", "HS512")


def flipped(at):
    """A signature with one bit changed."""
    def change(head, body, signature):
        changed = bytearray(signature)
        changed[at] ^= 1
        return f"{head}.{body}.{b64(bytes(changed))}"
    return change


def other_claims(head, body, signature):
    decoded = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)).replace(b"someone", b"admins!")
    return f"{head}.{b64(decoded)}.{b64(signature)}"


def pull(**how):
    return Token(access=PULL, **how)


jwks = Group("keys of a JWKS", JWKS)
for alg in ALGORITHMS:
    jwks.add(f"{alg}, good", bearer=pull(alg=alg))
    jwks.add(f"{alg}, a bit of the signature changed", bearer=pull(alg=alg, change=flipped(3)))
    jwks.add(f"{alg}, other claims", bearer=pull(alg=alg, change=other_claims))
    jwks.add(f"{alg}, no signature", bearer=pull(alg=alg, change=lambda head, body, signature: f"{head}.{body}."))
    jwks.add(f"{alg}, one byte short", bearer=pull(alg=alg, change=lambda head, body, signature: f"{head}.{body}.{b64(signature[:-1])}"))
for alg in ("none", "None", "NONE", "nOnE", "", "es256", "HS1", "ES256K", "RSA-OAEP", "dir", "RS1", "ES256 "):
    jwks.add(f"alg {alg!r}", bearer=pull(header={"alg": alg}))
    jwks.add(f"alg {alg!r}, no signature", bearer=pull(header={"alg": alg}, change=lambda head, body, signature: f"{head}.{body}."))
for label, alg in (("a number", 1), ("left out", None), ("a list", ["ES256"]), ("a boolean", True)):
    jwks.add(f"alg {label}", bearer=pull(header={"alg": alg}))
jwks.add("alg null", bearer=pull(header=b'{"typ":"JWT","alg":null,"kid":"p256"}'))
for said, signed, kid in (("RS256", "RS384", "rsa"), ("RS256", "PS256", "rsa"), ("PS256", "RS256", "rsa"), ("RS256", "ES256", "p256"),
    ("RS256", "ES256", "rsa"),
                          ("ES256", "RS256", "rsa"), ("ES256", "ES256", "p384"), ("ES384", "ES384", "p256"), ("ES256", "EdDSA", "ed25519"),
                          ("EdDSA", "ES256", "p256"), ("EdDSA", "ES256", "ed25519"), ("ES512", "ES384", "p384"), 
                          ("RS256", "RS256", "unknown"), ("RS256", "RS256", ""), ("RS256", "RS256", "RSA"), ("ES256", "ES256", "p256 ")):
    jwks.add(f"says {said}, is signed with {signed}, kid {kid!r}", bearer=pull(alg=said, signed_as=signed, header={"kid": kid}))
jwks.add("ES256 with a key on P-384, said to be it", bearer=pull(alg="ES256", key=lambda keys: keys.p384, header={"kid": "p384"}))
jwks.add("ES384 with a key on P-256, said to be it", bearer=pull(alg="ES384", key=lambda keys: keys.p256, header={"kid": "p256"}))
jwks.add("another key under this kid", bearer=pull(key=lambda keys: keys.p256_other))
jwks.add("no kid", bearer=pull(header={"kid": None}))
jwks.add("kid a number", bearer=pull(header={"kid": 1}))
jwks.add("kid null", bearer=pull(header=b'{"alg":"ES256","kid":null}'))
jwks.add("kid by thumbprint", bearer=pull(header={"kid": lambda keys: thumbprint(keys.p256)}))


def der(head, body, signature):
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
    half = len(signature) // 2
    return f"{head}.{body}.{b64(encode_dss_signature(int.from_bytes(signature[:half], 'big'), int.from_bytes(signature[half:], 'big')))}"


jwks.add("ES256 in DER", bearer=pull(change=der))
jwks.add("ES256 of zeros", bearer=pull(change=lambda head, body, signature: f"{head}.{body}.{b64(bytes(64))}"))
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
jwks.add("ES256, the other s", bearer=pull(change=lambda head, body, signature: f"{head}.{body}." + b64(
    signature[:32] + (ORDER - int.from_bytes(signature[32:], "big")).to_bytes(32, "big"))))


# The public key as a secret: CVE-2015-9235 and the like.
def pem(key):
    from cryptography.hazmat.primitives import serialization
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def spki(key):
    from cryptography.hazmat.primitives import serialization
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


for alg in ("HS256", "HS384", "HS512"):
    jwks.add(f"{alg} with the RSA key's PEM", bearer=pull(alg=alg, key=lambda keys: pem(keys.rsa), header={"kid": "rsa"}))
    jwks.add(f"{alg} with the RSA key's DER", bearer=pull(alg=alg, key=lambda keys: spki(keys.rsa), header={"kid": "rsa"}))
    jwks.add(f"{alg} with the EC key's PEM", bearer=pull(alg=alg, key=lambda keys: pem(keys.p256), header={"kid": "p256"}))
jwks.add("HS256 with an empty secret", bearer=pull(alg="HS256", key=lambda keys: b"", header={"kid": "p256"}))
jwks.add("HS256 with the kid as secret", bearer=pull(alg="HS256", key=lambda keys: b"p256", header={"kid": "p256"}))

# What else a header may hold.
for label, more in (
    ("typ at+jwt", {"typ": "at+jwt"}), ("typ of no kind", {"typ": "picture"}), ("no typ", {"typ": None}), ("typ a number", {"typ": 7}),
    ("cty JWT", {"cty": "JWT"}), ("crit of exp", {"crit": ["exp"], "exp": 1}), ("crit of something unknown", {"crit": ["x"], "x": 1}),
    ("crit that is not there", {"crit": ["x"]}), ("crit empty", {"crit": []}), ("crit a text", {"crit": "exp"}),
    ("crit of b64", {"crit": ["b64"], "b64": True}),
    ("b64 false", {"b64": False}), ("b64 false and critical", {"crit": ["b64"], "b64": False}), ("zip", {"zip": "DEF"}),
    ("nonce", {"nonce": "n"}),
    ("jku", {"jku": "http://127.0.0.1:1/keys"}), ("x5u", {"x5u": "http://127.0.0.1:1/chain"}),
    ("something of its own", {"own": {"a": [1]}}),
    ("x5t of nothing", {"x5t": "AAAA"}), ("nested deeply", {"own": [[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}),
):
    jwks.add(f"header with {label}", bearer=pull(header=more))
for label, text in (
    ("alg twice, none last", b'{"alg":"ES256","alg":"none","kid":"p256"}'),
    ("alg twice, none first", b'{"alg":"none","alg":"ES256","kid":"p256"}'),
    ("kid twice", b'{"alg":"ES256","kid":"rsa","kid":"p256"}'), ("Alg", b'{"Alg":"ES256","kid":"p256"}'),
    ("KID", b'{"alg":"ES256","KID":"p256"}'),
    ("white space", b' {"alg" : "ES256",\n"kid":\t"p256" } '), ("an escape", b'{"alg":"ES2\\u00356","kid":"p256"}'),
    ("no object", b'"ES256"'),
    ("a list", b'[{"alg":"ES256","kid":"p256"}]'), ("no JSON", b'alg=ES256'), ("nothing", b""),
    ("an object, and more", b'{"alg":"ES256","kid":"p256"}{}'),
    ("not UTF-8", b'{"alg":"ES256","kid":"p256","own":"\xff"}'), ("a zero byte", b'{"alg":"ES256","kid":"p256","own":"\x00"}'),
    ("a byte order mark", b'\xef\xbb\xbf{"alg":"ES256","kid":"p256"}'),
):
    jwks.add(f"header is {label}", bearer=pull(header=text))

# A key that the token brings itself: CVE-2025-24976.
for label, header in (
    ("with a trusted kid", {"kid": None, "jwk": lambda keys: public_jwk(keys.p256, kid="p256")}),
    ("with a trusted kid, kid beside it", {"jwk": lambda keys: public_jwk(keys.p256, kid="p256")}),
    ("with a trusted kid, another beside it", {"kid": "rsa", "jwk": lambda keys: public_jwk(keys.p256, kid="p256")}),
    ("of its own", {"kid": None, "jwk": lambda keys: public_jwk(keys.p256_other)}),
    ("of its own, kid beside it", {"jwk": lambda keys: public_jwk(keys.p256_other)}),
    ("of its own under a trusted kid", {"kid": None, "jwk": lambda keys: public_jwk(keys.p256_other, kid="p256")}),
    ("of its own under its thumbprint", {"kid": None, "jwk": lambda keys: public_jwk(keys.p256_other, kid=thumbprint(keys.p256_other))}),
    ("a trusted one without kid", {"kid": None, "jwk": lambda keys: public_jwk(keys.p256)}),
    ("a trusted one, kid beside it", {"jwk": lambda keys: public_jwk(keys.p256)}),
    ("with a trusted kid and another's key", {"kid": None, "jwk": lambda keys: public_jwk(keys.rsa_other, kid="p256")}),
    ("that is null", b'{"alg":"ES256","kid":"p256","jwk":null}'),
    ("that is empty", {"jwk": {}}), ("that is a text", {"jwk": "p256"}), ("of an unknown kind", {"jwk": {"kty": "XX", "kid": "p256"}}),
    ("a secret", {"jwk": lambda keys: {"kty": "oct", "k": b64(keys.secret), "kid": "p256"}}),
    ("a private one", {"kid": None, "jwk": lambda keys: {**public_jwk(keys.p256, kid="p256"), "d": b64(
        keys.p256.private_numbers().private_value.to_bytes(32, "big"))}}),
    ("off its curve", {"kid": None, "jwk": lambda keys: {**public_jwk(keys.p256, kid="p256"), "x": b64(bytes(32))}}),
):
    for signer in ("p256", "p256_other"):
        jwks.add(f"a jwk {label}, signed by {signer}", bearer=pull(header=header, key=lambda keys, signer=signer: getattr(keys, signer)))
jwks.add("x5c, with no certificates configured", bearer=pull(
    header={"x5c": lambda keys: chain(keys.leaves["direct"])}, key=lambda keys: keys.leaves["direct"].key))

decorated = Group("keys with alg, use and other members", token_auth("jwks: {dir}/decorated.json"))
for alg, kid, key in (("RS256", "with alg", "rsa"), ("RS512", "with alg", "rsa"), ("PS256", "with alg", "rsa"),
    ("RS256", "for encryption", "rsa_other"),
                      ("ES384", "only verify", "p384"), ("ES256", "twice", "p256"), ("ES256", "twice", "p256_other"),
                      ("EdDSA", None, "ed25519"),
                      ("EdDSA", "", "ed25519"), ("ES512", "with x5c", "p521")):
    decorated.add(f"{alg} by {key}, kid {kid!r}", bearer=pull(alg=alg, header={"kid": kid}, key=lambda keys, key=key: getattr(keys, key)))
decorated.add("a jwk without kid where a trusted key has none, its own", bearer=pull(
    header={"kid": None, "jwk": lambda keys: public_jwk(keys.p256_other)}, key=lambda keys: keys.p256_other))
decorated.add("a jwk without kid where a trusted key has none, the trusted", bearer=pull(
    alg="EdDSA", header={"kid": None, "jwk": lambda keys: public_jwk(keys.ed25519)}))

secret = Group("a shared secret", token_auth("jwks: {dir}/secret.json"))
for alg in ("HS256", "HS384", "HS512"):
    secret.add(f"{alg}, good", bearer=pull(alg=alg))
    secret.add(f"{alg}, another secret", bearer=pull(alg=alg, key=lambda keys: b"another" * 10))
secret.add("HS256 with an empty secret", bearer=pull(alg="HS256", key=lambda keys: b""))
secret.add("HS256, no kid", bearer=pull(alg="HS256", header={"kid": None}))

few = Group("two algorithms allowed", token_auth("jwks: {dir}/jwks.json", "signingalgorithms: [ES256, RS256]"))
for alg in ALGORITHMS:
    few.add(alg, bearer=pull(alg=alg))
few.add("none", bearer=pull(header={"alg": "none"}))
few.add("PS256 said to be RS256", bearer=pull(alg="RS256", signed_as="PS256"))

bundle = Group("certificates", BUNDLE)


def by(leaf, *others, header=None, alg="ES256"):
    """Signed by this leaf, with it and these others as its chain."""
    pick = lambda keys, name: keys.leaves[name] if name in keys.leaves else getattr(keys, name)
    return pull(alg=alg, header={"kid": None, "x5c": lambda keys: chain(pick(keys, leaf), *(pick(keys, one) for one in others)),
        **(header or {})},
                key=lambda keys: pick(keys, leaf).key)


for leaf, alg in (("direct", "ES256"), ("rsa", "RS256"), ("rsa", "PS512"), ("p384", "ES384"), ("ed25519", "EdDSA"), ("short rsa", "RS256"),
    ("expired", "ES256"),
                  ("not yet valid", "ES256"), ("of another root", "ES256"), ("of a false root", "ES256"), ("of an old root", "ES256"),
                  ("for clients", "ES256"), ("for servers", "ES256"), ("for code", "ES256"), ("for encipherment", "ES256"),
                  ("for signatures", "ES256"),
                  ("unknown extension", "ES256"), ("unknown critical extension", "ES256"), ("with a name", "ES256"),
                  ("an authority", "ES256"),
                  ("by intermediate", "ES256")):
    bundle.add(f"x5c of a leaf: {leaf} ({alg})", bearer=by(leaf, alg=alg))
for leaf, others in (("direct", ("root",)), ("direct", ("other_root",)), ("direct", ("direct",)), ("by intermediate", ("intermediate",)),
                     ("by intermediate", ("intermediate", "root")), ("by intermediate", ("root", "intermediate")),
                     ("by intermediate", ("old_intermediate", "intermediate")), ("by intermediate", ("no_ca",)),
                     ("by old intermediate", ("old_intermediate",)), ("by no authority", ("no_ca",)),
                     ("by one that may not sign", ("no_cert_sign",)),
                     ("by one for servers", ("server_intermediate",)), ("too deep", ("too_deep", "short_path")),
                     ("of another root", ("other_root",)), ("of an old root", ("old_root",)), ("root", ()), ("self_signed", ()),
                     ("old_root", ())):
    bundle.add(f"x5c of {leaf}, {', '.join(others) or 'alone'}",
        bearer=by(leaf, *others, alg="RS256" if leaf == "self_signed" else "ES256"))
bundle.add("x5c of a leaf that did not sign", bearer=pull(header={"kid": None, "x5c": lambda keys: chain(keys.leaves["direct"])}))
bundle.add("x5c in the wrong order", bearer=pull(header={"kid": None,
    "x5c": lambda keys: chain(keys.intermediate, keys.leaves["by intermediate"])},
                                               key=lambda keys: keys.leaves["by intermediate"].key))
bundle.add("x5c good, another alg", bearer=by("direct", alg="ES256", header={"alg": "RS256"}))
bundle.add("x5c is null", bearer=pull(header=b'{"alg":"ES256","x5c":null}'))
for label, value in (("empty", []), ("a text", "MIIB"), ("no base64", ["!!"]), ("no certificate", ["AAAA"]), ("numbers", [1]),
                     ("an empty text", [""])):
    bundle.add(f"x5c is {label}", bearer=pull(header={"kid": None, "x5c": value}))
bundle.add("x5c in the alphabet of URLs", bearer=pull(
    header={"kid": None, "x5c": lambda keys: [b64(keys.leaves["direct"].der)]}, key=lambda keys: keys.leaves["direct"].key))
bundle.add("x5c good, then something broken", bearer=pull(
    header={"kid": None, "x5c": lambda keys: [*chain(keys.leaves["direct"]), "AAAA"]}, key=lambda keys: keys.leaves["direct"].key))
bundle.add("x5c bad beside a trusted kid", bearer=pull(alg="RS256",
    header={"kid": lambda keys: thumbprint(keys.rsa), "x5c": lambda keys: chain(
    keys.leaves["of another root"])}))
bundle.add("x5c empty beside a trusted kid", bearer=pull(alg="RS256", header={"kid": lambda keys: thumbprint(keys.rsa), "x5c": []}))
bundle.add("x5c of 100 certificates", bearer=by("direct", *["intermediate"] * 99))
for label, key, alg in (("the root's", lambda keys: keys.root.key, "ES256"), ("the self-signed one's", lambda keys: keys.rsa, "RS256"),
                        ("the expired root's", lambda keys: keys.old_root.key, "ES256"),
                        ("an Ed25519 root's", lambda keys: keys.ed25519, "EdDSA"),
                        ("a leaf's", lambda keys: keys.leaves["direct"].key, "ES256"),
                        ("another root's", lambda keys: keys.other_root.key, "ES256")):
    bundle.add(f"kid is {label} thumbprint", bearer=pull(alg=alg, key=key, header={"kid": lambda keys, key=key: thumbprint(key(keys))}))
    bundle.add(f"a jwk with {label} thumbprint as kid", bearer=pull(alg=alg, key=key, header={
        "kid": None, "jwk": lambda keys, key=key: public_jwk(key(keys), kid=thumbprint(key(keys)))}))
    bundle.add(f"a jwk of {label}, no kid", bearer=pull(alg=alg, key=key,
        header={"kid": None, "jwk": lambda keys, key=key: public_jwk(key(keys))}))
for zeros in (True, False):
    bundle.add(f"kid is a thumbprint of a key with zeros in front, {'with' if zeros else 'without'} them", bearer=pull(
        alg="ES512", key=lambda keys: keys.zero_root.key, header={"kid": lambda keys, zeros=zeros: thumbprint(keys.zero_root.key, zeros)}))
bundle.add("kid of no kind", bearer=pull(alg="RS256", header={"kid": "whatever"}))
bundle.add("nothing to find the key by", bearer=pull(alg="RS256", header={"kid": None}))


def jwk_chain(leaf, *others):
    return {"kid": None, "jwk": lambda keys: public_jwk(keys.leaves[leaf].key, x5c=chain(
        keys.leaves[leaf], *(getattr(keys, one) for one in others)))}


for leaf, others in (("direct", ()), ("by intermediate", ("intermediate",)), ("by intermediate", ()), ("expired", ()),
    ("of another root", ()),
                     ("of another root", ("other_root",)), ("for clients", ()), ("by old intermediate", ("old_intermediate",))):
    bundle.add(f"a jwk with x5c of {leaf}, {', '.join(others) or 'alone'}", bearer=pull(
        header=jwk_chain(leaf, *others), key=lambda keys, leaf=leaf: keys.leaves[leaf].key))
bundle.add("a jwk with x5c of another key", bearer=pull(
    header={"kid": None, "jwk": lambda keys: public_jwk(keys.p256_other, x5c=chain(keys.leaves["direct"]))},
    key=lambda keys: keys.p256_other))
bundle.add("a jwk with x5c of another key, signed by the leaf", bearer=pull(
    header={"kid": None, "jwk": lambda keys: public_jwk(keys.p256_other, x5c=chain(keys.leaves["direct"]))},
    key=lambda keys: keys.leaves["direct"].key))

both = Group("certificates and a JWKS", token_auth("rootcertbundle: {dir}/root.pem", "jwks: {dir}/p256.json"))
both.add("kid of the JWKS", bearer=pull())
both.add("kid of a certificate", bearer=pull(key=lambda keys: keys.root.key, header={"kid": lambda keys: thumbprint(keys.root.key)}))
both.add("x5c", bearer=by("direct"))
both.add("x5c, and a kid of the JWKS that did not sign", bearer=by("direct", header={"kid": "p256"}))
both.add("x5c of another root, and a kid of the JWKS that signed",
    bearer=pull(header={"x5c": lambda keys: chain(keys.leaves["of another root"])}))
both.add("a jwk with a kid of the JWKS", bearer=pull(header={"kid": None, "jwk": lambda keys: public_jwk(keys.p256, kid="p256")}))
both.add("thumbprint of a key of the JWKS", bearer=pull(header={"kid": lambda keys: thumbprint(keys.p256)}))
both.add("no token")
