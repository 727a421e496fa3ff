"""silly and htpasswd."""

from table import BASE, BLOB, IMAGE, LAYER, Group, basic, digest

silly = Group("silly", "auth:\n  silly:\n    realm: silly-realm\n    service: silly-service\n")
for method, path in (("GET", BASE), ("GET", IMAGE), ("HEAD", IMAGE), ("GET", BLOB), ("PUT", "/v2/team/app/manifests/two"),
                     ("POST", "/v2/team/app/blobs/uploads/"), ("DELETE", BLOB.replace("team/app", "team/gone")), ("GET", "/v2/_catalog"),
                     ("GET", "/v2/team/app/tags/list"), ("OPTIONS", IMAGE), ("GET", "/v2/no/such/repository/tags/list")):
    silly.add(f"{method} {path[:44]}, nothing", method, path)
    silly.add(f"{method} {path[:44]}, something", method, path, [("Authorization", "Anything at all")])
silly.add("POST with from, nothing", "POST", f"/v2/team/app/blobs/uploads/?mount={digest(LAYER)}&from=team/other")
silly.add("POST with from and no digest, nothing", "POST", "/v2/team/app/blobs/uploads/?mount=sha256:0&from=team/other")
silly.add("an empty header", headers=[("Authorization", "")])
silly.add("one character", headers=[("Authorization", "x")])
silly.add("empty, then something", headers=[("Authorization", ""), ("Authorization", "x")])
silly.add("not UTF-8", headers=[("Authorization", b"\xff\xfe")])
silly.add("above the API", path="/")
quoted = Group("silly, quotes in its words", "auth:\n  silly:\n    realm: 'a \"b\" \\c'\n    service: 'söme'\n")
quoted.add("base", path=BASE)
quoted.add("an image")

SECRET = "$2b$04$QYtkIRaAUzpguKE3xUm7ZOXz6UTHZIVSv9iM.ChM1FmRfdeaR0ike"
FILE = """
# a comment: and:colons

someone:%(hash)s
  indented:%(hash)s \t
two-a:%(two_a)s
two-y:%(two_y)s
two-x:%(two_x)s
two:%(two)s
three:%(three)s
colon:$2b$04$kSQzNEM8nGlCdtYXA7O1E.BU9Fcq5wCx0tt4OkQEK4/yUDvraPkR2
umlaut:$2b$04$tsNUTTwRfh0081Baf0hWuuOepC8EuOC.MKhK.MD0Tpt.Oo9He5oLm
l\xe4tin:%(hash)s
latin:%(latin)s
long:$2b$04$lwFV/a4H2POZmgog6In/0ukS4Fzq706RvciHiyD3FgeXGd2TH9uze
empty:$2b$04$7HELfU9Q8S/1MmvIM4pyR.l02mxteKyBClScaX2ucaEPpSIx88S92
nothing:
plain:secret
apr1:$apr1$0UcThO2W$YnonR90sZFqainT7A.vr61
md5:$1$JJWsGnY.$Qa1fCl3pOc2Gkzx41VQp7.
sha:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=
crypt:$6$rounds=1000$uMX34VR14FsHJvKF$6ZoFn9vF2oILUogtDBOqHRkF.V3in0LGCiMOi7T9H8JeKpTIFe1CzFdd.RFbHcswcpAxsWQUl7DuC0IazSF1F1
cut:%(cut)s
field:%(hash)s:more
cost3:%(cost3)s
cost99:%(cost99)s
badsalt:%(badsalt)s
again:$2b$04$kSQzNEM8nGlCdtYXA7O1E.BU9Fcq5wCx0tt4OkQEK4/yUDvraPkR2
again:%(hash)s
with space:%(hash)s
#hash:%(hash)s
:%(hash)s
last:%(hash)s""" % {
    "hash": SECRET, "two_a": SECRET.replace("2b", "2a", 1), "two_y": SECRET.replace("2b", "2y", 1), "two_x": SECRET.replace("2b", "2x", 1),
    "two": SECRET.replace("2b", "2", 1), "three": SECRET.replace("2b", "3b", 1), "cut": SECRET[:-1],
    "latin": "$2b$04$/mUDdjczYbukvl/mMqC0qOxr3voLtv/HhsZEu0ozP53FNUnzL7gzC", "cost3": SECRET.replace("$04$", "$03$"),
    "cost99": SECRET.replace("$04$", "$99$"), "badsalt": SECRET.replace("QYtk", "!Ytk"),
}
HTPASSWD = "auth:\n  htpasswd:\n    realm: basic-realm\n    path: {dir}/htpasswd\n"
htpasswd = Group("htpasswd", HTPASSWD, {"htpasswd": FILE.encode("latin-1")})
htpasswd.add("nothing")
htpasswd.add("nothing, base", path=BASE)
htpasswd.add("nothing, catalog", path="/v2/_catalog")
htpasswd.add("nothing, HEAD", "HEAD")
htpasswd.add("nothing, PUT", "PUT", "/v2/team/app/manifests/two")
htpasswd.add("nothing, POST with from", "POST", f"/v2/team/app/blobs/uploads/?mount={digest(LAYER)}&from=team/other")
for path in (BASE, IMAGE, BLOB, "/v2/_catalog", "/v2/team/app/tags/list", "/v2/no/such/tags/list"):
    htpasswd.add(f"good, {path[:40]}", path=path, headers=[basic("someone", "secret")])
htpasswd.add("good, HEAD", "HEAD", headers=[basic("someone", "secret")])
htpasswd.add("good, POST", "POST", "/v2/team/app/blobs/uploads/", [basic("someone", "secret")])
htpasswd.add("good, DELETE of nothing", "DELETE", "/v2/team/gone/manifests/one", [basic("someone", "secret")])
for user in ("someone", "indented", "two-a", "two-y", "two-x", "two", "three", "plain", "apr1", "md5", "sha", "crypt", "cut", "field",
             "cost3", "cost99", "badsalt", "nothing", "again", "with space", "#hash", "#", "", "last", "unknown", "SOMEONE", " someone", "some:one"):
    htpasswd.add(f"secret for {user!r}", headers=[basic(user, "secret")])
for user, password in (("someone", "wrong"), ("someone", ""), ("someone", "Secret"), ("someone", "secret "), ("someone", "secret\0"),
                       ("someone", "secret\0more"), ("someone", "secret\n"), ("unknown", "wrong"), ("colon", "se:cret"), ("colon", "se"),
                       ("umlaut", "pässwörd"), ("umlaut", "password"), ("empty", ""), ("nothing", ""), ("unknown", ""), ("long", "a" * 72),
                       ("long", "a" * 71), ("long", "a" * 73), ("long", "a" * 71 + "b"), ("someone", "x" * 1000), ("again", "se:cret"),
                       ("x" * 3000, "secret")):
    htpasswd.add(f"{password[:9]!r}…{password[-3:]!r} ({len(password)}) for {user[:20]!r}", headers=[basic(user, password)])
htpasswd.add("a password in Latin-1 for UTF-8", headers=[basic("umlaut:pässwörd".encode("latin-1"))])
htpasswd.add("a password in Latin-1 for Latin-1", headers=[basic(b"latin:p\xe4ss")])
htpasswd.add("a user in Latin-1", headers=[basic("lätin:secret".encode("latin-1"))])
htpasswd.add("a user in UTF-8 for Latin-1", headers=[basic("lätin", "secret")])
htpasswd.add("bytes that are no text", headers=[basic(b"\xff\xfe:\x80\x81")])
htpasswd.add("no colon", headers=[basic(b"someone")])
htpasswd.add("nothing encoded", headers=[basic(b"")])
htpasswd.add("a colon alone", headers=[basic(b":")])
for form in ("basic {}", "BASIC {}", "Basic  {}", "Basic\t{}", "Basic {} ", "Basic {}=", "Basic {}\t", "Basic{}", "{}", "Basic", "Basic ",
    "Bearer {}",
             "Digest {}", "Basic {}, Basic x", 'Basic "{}"'):
    htpasswd.add(f"the form {form!r}", headers=[basic("someone", "secret", form)])
htpasswd.add("padding left out", headers=[("Authorization", "Basic c29tZW9uZTpzZWNyZXQ")])
htpasswd.add("a padding too much", headers=[("Authorization", "Basic c29tZW9uZTpzZWNyZXQ==")])
htpasswd.add("the alphabet of URLs", headers=[("Authorization", "Basic Pz8_Oj8_Pw==")])
htpasswd.add("no base64", headers=[("Authorization", "Basic !!!!")])
htpasswd.add("bits left over", headers=[("Authorization", "Basic c29tZW9uZTpzZWNyZXR=")])
htpasswd.add("an empty header", headers=[("Authorization", "")])
htpasswd.add("good, then bad", headers=[basic("someone", "secret"), basic("someone", "wrong")])
htpasswd.add("bad, then good", headers=[basic("someone", "wrong"), basic("someone", "secret")])
htpasswd.add("in Proxy-Authorization", headers=[("Proxy-Authorization", basic("someone", "secret")[1])])
htpasswd.add("a name in upper case", headers=[("AUTHORIZATION", basic("someone", "secret")[1])])
htpasswd.add("an underscore in its name", headers=[("Authorization_", basic("someone", "secret")[1])])
htpasswd.add("a user in the URL", path="http://someone:secret@registry.example:5000" + IMAGE)
htpasswd.add("64 KiB", headers=[basic("someone", "x" * 48000)])

for name, text in (("not UTF-8", b"someone:" + SECRET.encode() + b"\n\xff\xfe:x\n"),
                   ("DOS lines", f"someone:{SECRET}\r\nother:{SECRET}\r\n"), ("empty", ""),
                   ("a byte order mark", f"\ufeffsomeone:{SECRET}\n"),
                   ("a very long line", f"someone:{SECRET}\nother:{'x' * 70000}\n")):
    group = Group(f"htpasswd, {name}", HTPASSWD, {"htpasswd": text if isinstance(text, bytes) else text.encode()})
    group.add("nothing")
    group.add("good", headers=[basic("someone", "secret")])
    group.add("wrong", headers=[basic("someone", "wrong")])
