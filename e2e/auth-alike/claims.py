"""What a token says, and how it is sent."""

import base64

from keys import ABSENT, ISSUER, SERVICE, Token, b64, to_json
from table import BASE, IMAGE, JWKS, PULL, Bearer, Group, repository, token_auth


def pull(**how):
    return Token(access=PULL, **how)


def saying(claims):
    return pull(claims=claims)


claims = Group("claims", JWKS)
for label, value in (("another", "other.example"), ("none", ABSENT), ("empty", ""), ("null", None), ("a list", [ISSUER]), ("a number", 1),
                     ("longer", ISSUER + "."), ("upper case", ISSUER.upper()), ("as a URL", "https://" + ISSUER)):
    claims.add(f"iss: {label}", bearer=saying({"iss": value}))
for label, value in (("another", "other.example"), ("none", ABSENT), ("empty", ""), ("null", None), ("a list", [SERVICE]),
    ("a list with others", ["a", SERVICE, "b"]),
                     ("a list of others", ["a", "b"]), ("an empty list", []), ("a list with a number", [1, SERVICE]),
                     ("a list with null", [None, SERVICE]),
                     ("a list in a list", [[SERVICE]]), ("a number", 1), ("an object", {"aud": SERVICE}), ("longer", SERVICE + ":443"),
                     ("upper case", SERVICE.upper()),
                     ("two in one text", f"a {SERVICE}")):
    claims.add(f"aud: {label}", bearer=saying({"aud": value}))
for seconds in (-100000, -120, -63, -57, -1, 0, 1, 3600):
    claims.add(f"exp in {seconds} s", bearer=saying(lambda now, seconds=seconds: {"exp": now + seconds}))
for seconds in (-100000, -1, 0, 1, 57, 63, 3600):
    claims.add(f"nbf in {seconds} s", bearer=saying(lambda now, seconds=seconds: {"nbf": now + seconds}))
claims.add("exp before nbf, both within the leeway", bearer=saying(lambda now: {"exp": now - 30, "nbf": now + 30}))
claims.add("iat in an hour", bearer=saying(lambda now: {"iat": now + 3600}))
TIMES = (("none", lambda now: ABSENT), ("null", lambda now: None), ("zero", lambda now: 0), ("negative", lambda now: -5),
    ("fractional", lambda now: now + 300.5),
         ("fractional, whole", lambda now: float(now + 300)), ("a text", lambda now: str(now + 300)), ("a list", lambda now: [now + 300]),
         ("true", lambda now: True),
         ("2^31", lambda now: 2**31 + 5), ("2^53", lambda now: 2**53), ("2^63 - 1", lambda now: 2**63 - 1), ("2^63", lambda now: 2**63),
         ("-2^63", lambda now: -(2**63)), ("10^30", lambda now: 10**30), ("in milliseconds", lambda now: now * 1000))
for name in ("exp", "nbf", "iat"):
    for label, value in TIMES:
        claims.add(f"{name}: {label}", bearer=saying(lambda now, name=name, value=value: {name: value(now)}))
    claims.add(f"{name}: with an exponent", bearer=pull(claims=lambda now, name=name: to_json(
        {"iss": ISSUER, "aud": SERVICE, "exp": now + 300, "access": list(PULL), name: "@"}).replace(b'"@"', b"4e9")))
for label, value in (("none", ABSENT), ("empty", ""), ("null", None), ("a number", 5), ("an object", {}), ("long", "u" * 5000),
    ("with line breaks", "a\nb\r\n"),
                     ("with quotes", 'a"b')):
    claims.add(f"sub: {label}", bearer=saying({"sub": value}))
claims.add("jti: none", bearer=saying({"jti": ABSENT}))
claims.add("jti: a number", bearer=saying({"jti": 7}))
for label in ("used once", "used twice"):
    claims.add(f"a jti {label}", bearer=saying({"jti": "the same"}))
for label, value in (
    ("none", ABSENT), ("null", None), ("empty", []), ("an object", {}), ("a text", "repository:team/app:pull"),
    ("a list of texts", ["repository:team/app:pull"]),
    ("a list of numbers", [1]), ("an empty entry", [{}]), ("an empty entry, then a good one", [{}, *PULL]),
    ("null, then a good one", [None, *PULL]),
    ("a good one, then null", [*PULL, None]), ("a good one, then a number", [*PULL, 5]),
    ("another name", [repository("team/other", "pull")]), ("a prefix of the name", [repository("team", "pull")]),
    ("a name below", [repository("team/app/x", "pull")]),
    ("the name *", [repository("*", "pull")]), ("the name team/*", [repository("team/*", "pull")]),
    ("no name", [{"type": "repository", "actions": ["pull"]}]),
    ("the name in upper case", [repository("TEAM/APP", "pull")]), ("a slash before the name", [repository("/team/app", "pull")]),
    ("another type", [{**repository("team/app", "pull"), "type": "registry"}]),
    ("the type in upper case", [{**repository("team/app", "pull"), "type": "Repository"}]),
    ("no type", [{"name": "team/app", "actions": ["pull"]}]), ("the type *", [{**repository("team/app", "pull"), "type": "*"}]),
    ("the type repository(plugin)", [{**repository("team/app", "pull"), "type": "repository(plugin)"}]),
    ("class plugin", [repository("team/app", "pull", **{"class": "plugin"})]),
    ("class image", [repository("team/app", "pull", **{"class": "image"})]),
    ("class a number", [repository("team/app", "pull", **{"class": 5})]),
    ("no actions", [{"type": "repository", "name": "team/app"}]), ("actions null", [{**repository("team/app"), "actions": None}]),
    ("actions empty", [repository("team/app")]), ("actions a text", [{**repository("team/app"), "actions": "pull"}]),
    ("actions a number among them", [repository("team/app", "pull", 5)]), ("action *", [repository("team/app", "*")]),
    ("action push", [repository("team/app", "push")]),
    ("action PULL", [repository("team/app", "PULL")]), ("action 'pull '", [repository("team/app", "pull ")]),
    ("action 'pull,push'", [repository("team/app", "pull,push")]),
    ("an action of its own", [repository("team/app", "scan")]),
    ("an action of its own, and pull", [repository("team/app", "scan", "pull")]),
    ("pull twice", [repository("team/app", "pull", "pull")]),
    ("two entries of one name", [repository("team/app", "push"), repository("team/app", "pull")]),
    ("many entries", [repository(f"a/b{number}", "pull") for number in range(150)] + list(PULL)),
    ("unknown members", [{**PULL[0], "until": 5}]),
    ("the name as a number", [{**PULL[0], "name": 5}]), ("the type null", [{**PULL[0], "type": None}]),
):
    claims.add(f"access: {label}", bearer=saying({"access": value}))
for label, value in (("catalog", [{"type": "registry", "name": "catalog", "actions": ["*"]}]),
    ("catalog, pull", [{"type": "registry", "name": "catalog", "actions": ["pull"]}]),
                     ("catalog, list", [{"type": "registry", "name": "catalog", "actions": ["list"]}]), ("a repository", list(PULL)),
                     ("a repository of this name", [repository("catalog", "*")]),
                     ("registry *", [{"type": "registry", "name": "*", "actions": ["*"]}]), ("nothing", [])):
    claims.add(f"the catalog with {label}", path="/v2/_catalog", bearer=saying({"access": value}))
    claims.add(f"the catalog by HEAD with {label}", "HEAD", "/v2/_catalog", bearer=saying({"access": value}))
for label, text in (
    ("iss twice, the good one last", '{"iss":"bad","iss":"%(iss)s","aud":"%(aud)s","exp":%(exp)d,"access":%(access)s}'),
    ("iss twice, the good one first", '{"iss":"%(iss)s","iss":"bad","aud":"%(aud)s","exp":%(exp)d,"access":%(access)s}'),
    ("access twice", '{"iss":"%(iss)s","aud":"%(aud)s","exp":%(exp)d,"access":[],"access":%(access)s}'),
    ("exp twice", '{"iss":"%(iss)s","aud":"%(aud)s","exp":1,"exp":%(exp)d,"access":%(access)s}'),
    ("names in upper case", '{"ISS":"%(iss)s","AUD":"%(aud)s","EXP":%(exp)d,"ACCESS":%(access)s}'),
    ("Access in another case", '{"iss":"%(iss)s","aud":"%(aud)s","exp":%(exp)d,"Access":%(access)s}'),
    ("white space", ' {"iss" : "%(iss)s",\n"aud":"%(aud)s" , "exp":%(exp)d,"access":%(access)s }\n'),
    ("and more behind", '{"iss":"%(iss)s","aud":"%(aud)s","exp":%(exp)d,"access":%(access)s}{}'),
    ("escapes", '{"iss":"\\u0069ssuer.example","aud":"%(aud)s","exp":%(exp)d,"access":%(access)s}'),
    ("an escape of half a character", '{"iss":"%(iss)s","sub":"\\ud800","aud":"%(aud)s","exp":%(exp)d,"access":%(access)s}'),
    ("not UTF-8", '{"iss":"%(iss)s","sub":"\udcff","aud":"%(aud)s","exp":%(exp)d,"access":%(access)s}'),
    ("a comma too many", '{"iss":"%(iss)s","aud":"%(aud)s","exp":%(exp)d,"access":%(access)s,}'),
    ("a list", '[{"iss":"%(iss)s"}]'), ("a text", '"claims"'), ("null", "null"), ("nothing", ""), ("no JSON", "claims"),
    ("deep lists", '{"iss":"%(iss)s","aud":"%(aud)s","exp":%(exp)d,"access":%(access)s,"own":' + "[" * 500 + "]" * 500 + "}"),
    ("very deep lists", '{"iss":"%(iss)s","aud":"%(aud)s","exp":%(exp)d,"access":%(access)s,"own":' + "[" * 4000 + "]" * 4000 + "}"),
):
    claims.add(f"claims: {label}", bearer=pull(claims=lambda now, text=text: (text % {
        "iss": ISSUER, "aud": SERVICE, "exp": now + 300, "access": to_json(list(PULL)).decode()}).encode("utf-8", "surrogateescape")))

spelling = Group("spelling of the header", JWKS)
spelling.add("no header")
spelling.add("no header, base", path=BASE)
spelling.add("good, base", path=BASE, bearer=pull())
spelling.add("a token without any access, base", path=BASE, bearer=Token())
for form in ("bearer {}", "BEARER {}", "Bearer  {}", "Bearer   {}", "Bearer\t{}", "Bearer {} ", "Bearer {}\t", "Bearer{}", "{}", "Bearer",
    "Bearer ", "Bearer  ", "Token {}", "JWT {}", "Basic {}",
             'Bearer "{}"', "Bearer {},", "Bearer {}, Bearer x", "Bearer x, Bearer {}", "Bearer token={}", "Bearer {} more", "Bearer {}=",
             "Bearer {}.", ".{}", "Bearer .{}",
             "Bearer {};", "Bearer {}\x0b", "Bearer: {}", "X Bearer {}"):
    spelling.add(f"the form {form!r}", headers=[("Authorization", Bearer(pull(), form))])
for text in ("x", ".", "..", "...", "a.b.c", "a.b", "a..c", ".b.c", "a.b.", "null", "undefined", "{}", "eyJhbGciOiJub25lIn0..",
    "eyJhbGciOiJub25lIn0.e30.", "=" * 40, "ä.ö.ü",
             "a.b.c.d", "a.b.c.d.e", "%2e%2e", "../../etc/passwd"):
    spelling.add(f"the text {text!r}", headers=[("Authorization", ("Bearer " + text).encode())])
spelling.add("not UTF-8", headers=[("Authorization", b"Bearer \xff\xfe.\x80.\x81")])
spelling.add("an empty header", headers=[("Authorization", "")])
spelling.add("a user and a password", headers=[("Authorization", "Basic c29tZW9uZTpzZWNyZXQ=")])
spelling.add("a user and a token as password", headers=[("Authorization", "Basic b2F1dGgyYWNjZXNzdG9rZW46eA==")])
spelling.add("good, then bad", headers=[("Authorization", Bearer(pull())), ("Authorization", "Bearer x")])
spelling.add("bad, then good", headers=[("Authorization", "Bearer x"), ("Authorization", Bearer(pull()))])
spelling.add("empty, then good", headers=[("Authorization", ""), ("Authorization", Bearer(pull()))])
spelling.add("basic, then good", headers=[("Authorization", "Basic c29tZW9uZTpzZWNyZXQ="), ("Authorization", Bearer(pull()))])
spelling.add("in Proxy-Authorization", headers=[("Proxy-Authorization", Bearer(pull()))])
spelling.add("in X-Registry-Auth", headers=[("X-Registry-Auth", Bearer(pull()))])
spelling.add("a name in capitals", headers=[("AUTHORIZATION", Bearer(pull()))])
spelling.add("a name in lower case", headers=[("authorization", Bearer(pull()))])
spelling.add("an underscore in its name", headers=[("Authorization_", Bearer(pull()))])
spelling.add("named to be forgotten", headers=[("Authorization", Bearer(pull())), ("Connection", "Authorization")])
for label, change in (
    ("cut in the header", lambda head, body, signature: head[:20]),
    ("cut in the claims", lambda head, body, signature: f"{head}.{body[:20]}"),
    ("cut before the signature", lambda head, body, signature: f"{head}.{body}"),
    ("cut in the signature", lambda head, body, signature: f"{head}.{body}.{b64(signature)[:20]}"),
    ("its last character gone", lambda head, body, signature: f"{head}.{body}.{b64(signature)[:-1]}"),
    ("one character more", lambda head, body, signature: f"{head}.{body}.{b64(signature)}A"),
    ("bits left over", lambda head, body, signature: f"{head}.{body}.{b64(signature)[:-1]}" + {"A": "B", "Q": "R", "g": "h",
    "w": "x"}[b64(signature)[-1]]),
    ("four parts", lambda head, body, signature: f"{head}.{body}.{b64(signature)}.{b64(signature)}"),
    ("a part before", lambda head, body, signature: f"{head}.{head}.{body}.{b64(signature)}"),
    ("five parts", lambda head, body, signature: f"{head}.x.{body}.y.{b64(signature)}"),
    ("padding", lambda head, body, signature: ".".join(part + "=" * (-len(part) % 4) for part in (head, body, b64(signature)))),
    ("a padded signature", lambda head, body, signature: f"{head}.{body}.{b64(signature)}=="),
    ("the other alphabet", lambda head, body, signature: f"{head}.{body}." + base64.b64encode(b"\xfb\xff" * 32).decode().rstrip("=")),
    ("a space in the signature", lambda head, body, signature: f"{head}.{body}.{b64(signature)[:9]} {b64(signature)[9:]}"),
    ("a tab between the parts", lambda head, body, signature: f"{head}.\t{body}.{b64(signature)}"),
    ("spaces around", lambda head, body, signature: f" {head}.{body}.{b64(signature)} "),
    ("parts in another order", lambda head, body, signature: f"{body}.{head}.{b64(signature)}"),
    ("no claims", lambda head, body, signature: f"{head}..{b64(signature)}"),
    ("in JSON, flattened", lambda head, body, signature: '{"protected":"%s","payload":"%s","signature":"%s"}' % (head, body,
    b64(signature))),
    ("in JSON", lambda head, body, signature: '{"payload":"%s","signatures":[{"protected":"%s","signature":"%s"}]}' % (body, head,
    b64(signature))),
):
    spelling.add(f"a token, {label}", bearer=pull(change=change))
for size in (4_000, 30_000, 60_000):
    spelling.add(f"a good token of more than {size} bytes", bearer=pull(claims={"own": "x" * (size * 3 // 4)}))
    spelling.add(f"{size} bytes of nothing", bearer="x" * size)
    spelling.add(f"{size} dots", bearer="." * size)
spelling.add("300,000 bytes of nothing", bearer="x" * 300_000)
spelling.add("2,000,000 bytes of nothing", bearer="x" * 2_000_000)
spelling.add("in the query", path=IMAGE + "?access_token=x")
spelling.add("a user in the URL", path="http://someone:secret@registry.example:5000" + IMAGE)

# One issuer of several: as many registries' worth of tokens.
for issuer in ("issuer.example", "https://issuer.example/realm", "a b"):
    group = Group(f"the issuer {issuer!r}", token_auth("jwks: {dir}/jwks.json").replace("issuer: issuer.example", f"issuer: '{issuer}'"))
    for said in ("issuer.example", "https://issuer.example/realm", "https://issuer.example/realm/", "", "a b", ABSENT):
        group.add(f"iss {said!r}", bearer=saying({"iss": said}))

redirect = ("jwks: {dir}/jwks.json", "autoredirect: true")
HOSTS = (("a host", [("Host", "other.example")]), ("a host and its port", [("Host", "other.example:8443")]),
    ("an address", [("Host", "127.0.0.1:5000")]),
         ("an IPv6 address", [("Host", "[::1]:5000")]), ("upper case", [("Host", "OTHER.example")]), ("an empty host", [("Host", "")]),
         ("X-Forwarded-Proto http", [("X-Forwarded-Proto", "http")]), ("X-Forwarded-Proto https", [("X-Forwarded-Proto", "https")]),
         ("X-Forwarded-Proto HTTPS", [("X-Forwarded-Proto", "HTTPS")]),
         ("X-Forwarded-Proto of its own", [("X-Forwarded-Proto", "javascript")]),
         ("X-Forwarded-Proto with a list", [("X-Forwarded-Proto", "http, https")]),
         ("X-Forwarded-Proto with a quote", [("X-Forwarded-Proto", 'http"')]),
         ("X-Forwarded-Proto empty", [("X-Forwarded-Proto", "")]), ("X-Forwarded-Host", [("X-Forwarded-Host", "front.example")]),
         ("Forwarded", [("Forwarded", "proto=http;host=front.example")]), ("a host with a quote", [("Host", 'other"example')]),
         ("a host with a space", [("Host", "other example")]), ("a host with a comma", [("Host", "a,b")]),
         ("a user in the host", [("Host", "a@b")]))
for name, lines in (("autoredirect", redirect), ("autoredirect to a path", (*redirect, "autoredirectpath: /tokens/give")),
                    ("autoredirect to a path without slash", (*redirect, "autoredirectpath: tokens")),
                    ("autoredirect to an odd path", (*redirect, "autoredirectpath: '/a%20b/c=d;e'")),
                    ("autoredirect to an empty path", (*redirect, "autoredirectpath: ''")),
                    ("no autoredirect, but a path", ("jwks: {dir}/jwks.json", "autoredirectpath: /tokens")),
                    ("autoredirect false", ("jwks: {dir}/jwks.json", "autoredirect: false"))):
    group = Group(name, token_auth(*lines))
    group.add("nothing")
    group.add("nothing, base", path=BASE)
    group.add("too little", bearer=Token())
    if name == "autoredirect":
        for label, headers in HOSTS:
            group.add(label, headers=headers)
words = Group("odd words in the configuration", token_auth("jwks: {dir}/jwks.json", realm="'https://a.example/?x=\"y\"&z=\\'").replace(
    "service: registry.example", "service: 'my \"service\"'"))
words.add("nothing")
words.add("base", path=BASE)
words.add("good", bearer=saying({"aud": 'my "service"'}))
