"""Keys, certificates and tokens, made anew in each run."""

import base64
import datetime
import hashlib
import json
import os
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HASHES = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
SIZES = {"secp256r1": 32, "secp384r1": 48, "secp521r1": 66}
ISSUER, SERVICE = "issuer.example", "registry.example"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def to_json(value):
    return json.dumps(value, separators=(",", ":")).encode()


def number(value, size=None):
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def public_jwk(key, **more):
    public = key.public_key() if hasattr(key, "public_key") else key
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        return {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e), **more}
    if isinstance(public, ec.EllipticCurvePublicKey):
        numbers, size = public.public_numbers(), SIZES[public.curve.name]
        curve = {32: "P-256", 48: "P-384", 66: "P-521"}[size]
        return {"kty": "EC", "crv": curve, "x": number(numbers.x, size), "y": number(numbers.y, size), **more}
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return {"kty": "OKP", "crv": "Ed25519", "x": b64(raw), **more}


def thumbprint(key, zeros=True):
    """RFC 7638; without zeros in front of coordinates it is Distribution's."""
    jwk = public_jwk(key)
    if not zeros:
        numbers = key.public_key().public_numbers()
        jwk.update(x=number(numbers.x), y=number(numbers.y))
    return b64(hashlib.sha256(json.dumps(jwk, separators=(",", ":"), sort_keys=True).encode()).digest())


def ec_key(curve=ec.SECP256R1, zero=False):
    """One whose coordinates begin with no zero, or one of which one does: Distribution's thumbprint of those is not
    that of RFC 7638."""
    while True:
        key = ec.generate_private_key(curve())
        numbers, size = key.public_key().public_numbers(), SIZES[curve.name]
        if (min(numbers.x.bit_length(), numbers.y.bit_length()) <= 8 * (size - 1)) == zero:
            return key


def sign(algorithm, key, message):
    kind, size = algorithm[:2], algorithm[2:]
    if algorithm == "none":
        return b""
    if algorithm == "EdDSA":
        return key.sign(message)
    if kind == "HS":
        mac = hmac.HMAC(key, HASHES[size]())
        mac.update(message)
        return mac.finalize()
    if kind == "RS":
        return key.sign(message, padding.PKCS1v15(), HASHES[size]())
    if kind == "PS":
        return key.sign(message, padding.PSS(padding.MGF1(HASHES[size]()), padding.PSS.DIGEST_LENGTH), HASHES[size]())
    r, s = utils.decode_dss_signature(key.sign(message, ec.ECDSA(HASHES[size]())))
    size = SIZES[key.curve.name]
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


DAY = datetime.timedelta(days=1)


class Authority:
    """A certificate and its key, which may sign others."""

    def __init__(self, name, parent=None, key=None, ca=False, days=(-1, 30), usages=None, key_usage=None, path=None, more=()):
        self.key = key or ec_key()
        self.parent = parent or self
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = self.parent.certificate.subject if parent else subject
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + days[0] * DAY).not_valid_after(now + days[1] * DAY)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=path), critical=True)
        )
        if usages:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        if key_usage:
            no = dict.fromkeys(("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
                                "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"), False)
            builder = builder.add_extension(x509.KeyUsage(**{**no, **dict.fromkeys(key_usage, True)}), critical=True)
        for extension, critical in more:
            builder = builder.add_extension(extension, critical=critical)
        algorithm = None if isinstance(self.parent.key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
        self.certificate = builder.sign(self.parent.key, algorithm)

    @property
    def der(self):
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def chain(*authorities):
    return [base64.b64encode(authority.der).decode() for authority in authorities]


class Keys:
    """All there is, and the files that the configurations name."""

    def __init__(self, directory):
        self.directory = directory
        os.makedirs(directory, exist_ok=True)
        self.rsa = rsa.generate_private_key(65537, 2048)
        self.rsa_short = rsa.generate_private_key(65537, 1024)
        self.rsa_other = rsa.generate_private_key(65537, 2048)
        self.p256, self.p384, self.p521 = ec_key(), ec_key(ec.SECP384R1), ec_key(ec.SECP521R1)
        self.p256_other = ec_key()
        self.ed25519 = ed25519.Ed25519PrivateKey.generate()
        self.secret = b"0123456789abcdef" * 4
        self.make_certificates()
        self.write_files()

    def key_for(self, algorithm):
        return {"RS": self.rsa, "PS": self.rsa, "HS": self.secret, "Ed": self.ed25519}.get(algorithm[:2]) or {
            "ES256": self.p256, "ES384": self.p384, "ES512": self.p521}[algorithm]

    def make_certificates(self):
        self.root = Authority("root", ca=True)
        self.self_signed = Authority("self", key=self.rsa)
        self.ed_root = Authority("edwards", key=self.ed25519)
        self.zero_root = Authority("zero root", key=ec_key(ec.SECP521R1, zero=True), ca=True)
        self.old_root = Authority("old root", ca=True, days=(-30, -1))
        self.other_root = Authority("other root", ca=True)
        # Has the name of the trusted root, and another key.
        self.false_root = Authority("root", ca=True)
        self.intermediate = Authority("intermediate", self.root, ca=True)
        self.old_intermediate = Authority("old intermediate", self.root, ca=True, days=(-30, -1))
        self.no_ca = Authority("no authority", self.root)
        self.no_cert_sign = Authority("may not sign", self.root, ca=True, key_usage=("digital_signature",))
        self.server_intermediate = Authority("for servers", self.root, ca=True, usages=[ExtendedKeyUsageOID.SERVER_AUTH])
        self.short_path = Authority("short path", self.root, ca=True, path=0)
        self.too_deep = Authority("too deep", self.short_path, ca=True)
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
        leaf = lambda name, parent, **how: Authority(name, parent, **how)
        self.leaves = {
            "direct": leaf("leaf", self.root),
            "rsa": leaf("leaf", self.root, key=self.rsa_other),
            "p384": leaf("leaf", self.root, key=ec_key(ec.SECP384R1)),
            "ed25519": leaf("leaf", self.root, key=ed25519.Ed25519PrivateKey.generate()),
            "short rsa": leaf("leaf", self.root, key=self.rsa_short),
            "by intermediate": leaf("leaf", self.intermediate),
            "expired": leaf("leaf", self.root, days=(-30, -1)),
            "not yet valid": leaf("leaf", self.root, days=(1, 30)),
            "by old intermediate": leaf("leaf", self.old_intermediate),
            "by no authority": leaf("leaf", self.no_ca),
            "by one that may not sign": leaf("leaf", self.no_cert_sign),
            "by one for servers": leaf("leaf", self.server_intermediate),
            "too deep": leaf("leaf", self.too_deep),
            "of another root": leaf("leaf", self.other_root),
            "of a false root": leaf("leaf", self.false_root),
            "of an old root": leaf("leaf", self.old_root),
            "for clients": leaf("leaf", self.root, usages=[ExtendedKeyUsageOID.CLIENT_AUTH]),
            "for servers": leaf("leaf", self.root, usages=[ExtendedKeyUsageOID.SERVER_AUTH]),
            "for code": leaf("leaf", self.root, usages=[ExtendedKeyUsageOID.CODE_SIGNING]),
            "for encipherment": leaf("leaf", self.root, key_usage=("key_encipherment",)),
            "for signatures": leaf("leaf", self.root, key_usage=("digital_signature",)),
            "unknown extension": leaf("leaf", self.root, more=[(unknown, False)]),
            "unknown critical extension": leaf("leaf", self.root, more=[(unknown, True)]),
            "with a name": leaf("leaf", self.root, more=[(x509.SubjectAlternativeName([x509.DNSName("a.example")]), False)]),
            "an authority": leaf("leaf", self.root, ca=True),
        }

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, data):
        with open(self.path(name), "wb") as file:
            file.write(data)

    def write_files(self):
        self.write("bundle.pem", b"".join(one.pem for one in (self.root, self.self_signed, self.old_root, self.ed_root, self.zero_root)))
        self.write("root.pem", self.root.pem)
        keys = [public_jwk(getattr(self, name), kid=name) for name in ("rsa", "p256", "p384", "p521", "ed25519")]
        self.write("jwks.json", to_json({"keys": keys}))
        # As token servers publish them, and as some do.
        decorated = [
            public_jwk(self.rsa, kid="with alg", alg="RS256", use="sig"),
            public_jwk(self.rsa_other, kid="for encryption", use="enc"),
            public_jwk(self.p384, kid="only verify", key_ops=["verify"]),
            public_jwk(self.p256, kid="twice"), public_jwk(self.p256_other, kid="twice"),
            public_jwk(self.ed25519),
            public_jwk(self.p521, kid="with x5c", x5c=chain(Authority("p521", key=self.p521))),
        ]
        self.write("decorated.json", to_json({"keys": decorated}))
        self.write("secret.json", to_json({"keys": [{"kty": "oct", "k": b64(self.secret), "kid": "secret"}]}))
        self.write("p256.json", to_json({"keys": [public_jwk(self.p256, kid="p256")]}))


class Token:
    """A recipe; `text(keys)` is a token of this moment.

    `kid` is the name of a key in `jwks.json` unless it is said to be another; `header` and `claims` change what is
    usual, a value of None leaves a member out, and bytes stand for themselves."""

    def __init__(self, alg="ES256", header=None, claims=None, access=(), key=None, signed_as=None, change=None):
        self.alg, self.key, self.signed_as, self.change = alg, key, signed_as or alg, change
        self.header = {} if header is None else header
        self.claims = {} if claims is None else claims
        self.access = access

    def parts(self, keys):
        now = int(time.time())
        value = lambda given: given(keys) if callable(given) else given
        kid = {"RS": "rsa", "PS": "rsa", "HS": "secret", "Ed": "ed25519"}.get(self.alg[:2]) or {
            "ES384": "p384", "ES512": "p521"}.get(self.alg, "p256")
        header = value(self.header)
        if isinstance(header, dict):
            full = {"typ": "JWT", "alg": self.alg, "kid": kid, **{name: value(given) for name, given in header.items()}}
            header = to_json({name: given for name, given in full.items() if given is not None})
        claims = self.claims(now) if callable(self.claims) else self.claims
        if isinstance(claims, dict):
            full = {"iss": ISSUER, "sub": "someone", "aud": SERVICE, "exp": now + 300, "nbf": now - 10, "iat": now,
                    "jti": os.urandom(6).hex(), "access": list(self.access), **claims}
            claims = to_json({name: given for name, given in full.items() if given != ABSENT})
        key = self.key(keys) if self.key else keys.key_for(self.signed_as)
        signed = f"{b64(header)}.{b64(claims)}"
        return b64(header), b64(claims), sign(self.signed_as, key, signed.encode()) if self.signed_as != "none" else b""

    def text(self, keys):
        head, body, signature = self.parts(keys)
        if self.change:
            return self.change(head, body, signature)
        return f"{head}.{body}.{b64(signature)}"


ABSENT = "(absent)"
