"""Where we differ on purpose, by the form of the difference, and why.

Each must still be seen. `table()` is what docs/migration.md shows."""

import starts

WANTED = []


class Difference:
    """`fits(row, theirs, ours)` says whether two answers that differ do so in this way; in these groups only."""

    def __init__(self, topic, theirs, here, why, groups, fits):
        self.topic, self.theirs, self.here, self.why, self.groups, self.fits, self.seen = topic, theirs, here, why, groups, fits, 0
        WANTED.append(self)


def reason(group, row, theirs, ours):
    """The difference that this pair of answers is an instance of."""
    if theirs == ours:
        return None
    for one in WANTED:
        if (one.groups is ALL or group in one.groups) and one.fits(row, theirs, ours):
            one.seen += 1
            return one
    return None


def unused():
    return [one.topic for one in WANTED if not one.seen]


def table():
    lines = ["| Topic | Distribution | Here | Reason |", "|---|---|---|---|"]
    return lines + [f"| {one.topic} | {one.theirs} | {one.here} | {one.why} |" for one in WANTED]


ALL = object()


def statuses(*pairs):
    return lambda row, theirs, ours: (theirs.get("status"), ours.get("status")) in pairs


def rows(*names, fits=lambda row, theirs, ours: True):
    return lambda row, theirs, ours: row in names and fits(row, theirs, ours)


def begins(*beginnings, fits=lambda row, theirs, ours: True):
    return lambda row, theirs, ours: row.startswith(beginnings) and fits(row, theirs, ours)


def scopes(answer):
    return (answer.get("challenge") or [{}])[0].get("scope", [])


def error(answer):
    return (answer.get("challenge") or [{}])[0].get("error")


granted_here, refused_here = statuses((401, 200)), statuses((200, 401))


def fewer_scopes(row, theirs, ours):
    return theirs["status"] == ours["status"] == 401 and set(scopes(ours)) < set(scopes(theirs)) and error(ours) == error(theirs)


def differ_in_realm(row, theirs, ours):
    less = lambda answer: {**answer, "challenge": [{**one, "realm": None} for one in answer["challenge"]]}
    return theirs["status"] == ours["status"] == 401 and less(theirs) == less(ours)


# ------------------------------------------------------------------- routes
Difference("a method that an endpoint does not have", "401, and 405 or 404 with a token", "405 without asking who it is",
    "it tells nothing about the content", (
    "routes", "mounts"), lambda row, theirs, ours: theirs["status"] in (401, 404) and ours["status"] == 405)
Difference("`OPTIONS`", "401 without a token, 404 for uploads", "200 with `Allow`", "it tells nothing about the content",
    ("routes", "silly"),
           begins("OPTIONS", fits=statuses((401, 200), (404, 200))))
Difference("`GET` and `HEAD` of `…/blobs/uploads/`", "401 without `pull`", "404 without asking", "no endpoint", ("routes",),
           begins("GET uploads,", "HEAD uploads,", fits=statuses((401, 404))))
Difference("`HEAD` of the catalog and of tags", "405", "as `GET`", "RFC 9110, 9.3.2", ("routes", "claims"), lambda row, theirs, ours: (
    "HEAD" in row and theirs["status"] == 405 and ours["status"] in (200, 404)))
Difference("`/v2` without the slash", "301", "as with it", "a redirected POST becomes a GET", ("routes",), lambda row, theirs, ours: (
    "base without slash" in row and theirs["status"] == 301))
Difference("`//` and `..` in a path", "301", "400 `NAME_INVALID`", "as above", ("routes",),
    rows("dots in the path", "two slashes", fits=statuses((301, 400))))
Difference("an unknown path", "404 as text", "404 as JSON", "one form of errors", ("routes",),
    rows("a path that leads nowhere, no token", fits=statuses((404, 404))))
Difference("a name or a digest that is none", "401 without access to it", "400 without asking", "it tells nothing about the content",
    ("routes", "mounts", "silly"),
           lambda row, theirs, ours: theirs["status"] == 401 and ours["status"] == 400 and ours["errors"] in (["NAME_INVALID"],
           ["DIGEST_INVALID"]))
Difference("cancelling an upload", "needs `delete`", "needs `pull` and `push`", "whoever began it may end it", ("routes",),
           begins("DELETE upload that is not there", fits=lambda row, theirs,
           ours: "repository:team/app:delete" in scopes(theirs) or row.endswith(", delete")))
Difference("referrers", "404, no endpoint", "401 without `pull`", "end-12", ("routes",), begins("referrers,", fits=statuses((404, 401))))
Difference("a mount whose source the token does not cover", "401 `insufficient_scope`", "202, an upload begins",
    "the specification: a mount that cannot be made is an upload", (
    "mounts",), lambda row, theirs, ours: (theirs["status"], ours["status"], error(theirs)) == (401, 202, "insufficient_scope"))
Difference("`from` in a form, without `mount`, or on anything but the beginning of an upload", "asks for `pull` on it", "means nothing",
    "parameters count in the URL, and where they mean something",
           ("mounts",), lambda row, theirs, ours: (row.startswith(("from on", "from in a form", "from, and no digest")) and (
               fewer_scopes(row, theirs, ours) or granted_here(row, theirs, ours))))

# ------------------------------------------------------- what is sent, and how
Difference("two `Authorization` headers", "the first counts", "401", "a proxy may have looked at the other",
    ("htpasswd", "spelling of the header"),
           rows("good, then bad", "empty, then good", "basic, then good", fits=statuses((200, 401), (401, 401))))
Difference("`Basic` with two spaces behind it", "401", "taken", "RFC 9110, 11.4", ("htpasswd",),
    rows("the form 'Basic  {}'", fits=granted_here))
Difference("base64 with bits left over", "taken", "401", "RFC 4648, 3.5: one text for each token", ("htpasswd", "spelling of the header"),
           rows("a token, bits left over", "bits left over", fits=refused_here))
Difference("headers of more than 64 KiB in all", "read up to 1 MiB", "431", "bounded memory", ("spelling of the header",),
    rows("300,000 bytes of nothing", fits=statuses((401, 431))))
Difference("requests that are no HTTP, and too large headers", "400 and 431 with a line of text", "400 and 431 without a body",
    "nobody reads it", ("spelling of the header",), lambda row, theirs, ours: (
    theirs["status"] == ours["status"] in (400, 431) and theirs["errors"] == "text" and ours["errors"] == []))

# ------------------------------------------------------------------- tokens
Difference("`exp` and `nbf` near 2^63", "overflow: the first is over, the second long since begun", "compared as they are",
    "neither is meant", ("claims",), lambda row, theirs, ours: (
    row == "exp: 2^63 - 1" and granted_here(row, theirs, ours) or row == "nbf: 2^63 - 1" and refused_here(row, theirs, ours)))
Difference("`null` among the entries of `access`", "the connection is closed: a crash", "401", "a token must not end the connection",
    ("claims",), begins("access:", fits=lambda row, theirs, ours: (
    theirs["decision"] == "connection closed" and ours["status"] == 401)))
Difference("claims that are not UTF-8, or have half a character", "taken", "401", "RFC 8259, 8", ("claims",),
           rows("claims: an escape of half a character", "claims: not UTF-8", fits=refused_here))
Difference("claims nested more than 128 deep", "taken", "401", "bounded stack", ("claims",),
    rows("claims: deep lists", "claims: very deep lists", fits=refused_here))
Difference("claims that are `null`", "`error=\"invalid_token\"`", "no `error`", "like all that cannot be read", ("claims",),
    rows("claims: null", fits=lambda row, theirs, ours: (
    error(theirs) == "invalid_token" and error(ours) is None and theirs["status"] == ours["status"] == 401)))
Difference("`crit` that is empty or names `b64`", "taken", "401", "RFC 7515, 4.1.11: nothing that may be critical is known",
    ("keys of a JWKS",),
           rows("header with crit empty", "header with crit of b64", fits=refused_here))
Difference("a key of the JWKS for encryption (`use: enc`)", "verifies", "does not", "RFC 7517, 4.2",
    ("keys with alg, use and other members",),
           rows("RS256 by rsa_other, kid 'for encryption'", fits=refused_here))
Difference("a key of the JWKS without `kid`", "is found by a `jwk` without `kid`", "is not found", "what has no name cannot be named",
    ("keys with alg, use and other members",),
           begins("a jwk without kid where a trusted key has none", fits=lambda row, theirs,
           ours: ours["status"] == 401 and error(ours) == "invalid_token"))
Difference("`HS256`, `HS384`, `HS512` with a secret in the JWKS", "allowed, and never verify",
    "verify; secrets of less than 32 bytes are refused at the start", "the list of algorithms has them", (
    "a shared secret",), lambda row, theirs, ours: row.endswith(", good") and granted_here(row, theirs, ours))
Difference("RSA keys of less than 2,048 bits", "taken", "refused: in a JWKS at the start, in `x5c` with 401", "NIST SP 800-131A",
    ("certificates",),
           rows("x5c of a leaf: short rsa (RS256)", fits=refused_here))
Difference("the id of a certificate's EC key", "its thumbprint without zeros in front of coordinates", "that, and its thumbprint",
    "RFC 7638, and old tokens are good", ("certificates",),
           rows("kid is a thumbprint of a key with zeros in front, with them", fits=granted_here))
Difference("`x5c` of a hundred certificates", "taken", "401", "bounded work", ("certificates",),
    rows("x5c of 100 certificates", fits=refused_here))
Difference("`autoredirect` and `X-Forwarded-Proto`", "verbatim, whatever it says", "`http` and `https` only",
    "a client must not be sent anywhere", ("autoredirect",),
           begins("X-Forwarded-Proto", fits=differ_in_realm))
Difference("`autoredirect` and a `Host` that is none", "400, or a realm of it", "`realm` of the configuration",
    "a client must not be sent anywhere", ("autoredirect",), begins("a host", "an empty host", "a user in", fits=(
    lambda row, theirs, ours: theirs["status"] == 400 and ours["status"] == 401 or differ_in_realm(row, theirs, ours))))
Difference("`autoredirectpath` with `%`", "a path before it is encoded: `%20` becomes `%2520`", "as it stands in a URL",
    "what is configured is what is sent", ("autoredirect to an odd path",), differ_in_realm)

# ----------------------------------------------------------------- htpasswd
Difference("hashes that begin with `$2$` or `$2x$`", "taken for `$2a$`", "401", "they are marks of bcrypts with errors", ("htpasswd",),
           rows("secret for 'two'", "secret for 'two-x'", fits=refused_here))
Difference("a user without a name in the file", "can log in", "401", "logs and events have to name somebody", ("htpasswd",),
    rows("secret for ''", fits=refused_here))
Difference("users and passwords that are not UTF-8", "compared as bytes", "401", "RFC 7617, 2.1", ("htpasswd",),
           rows("a password in Latin-1 for Latin-1", "a user in Latin-1", fits=refused_here))
Difference("a line of the file of more than 64 KiB", "400 for everybody", "read", "one line must not shut everybody out",
    ("htpasswd, a very long line",), statuses((400, 200), (400, 401)))

# -------------------------------------------------------------- at the start
STARTS = (starts.NAME,)


def only(side):
    return lambda row, theirs, ours: (theirs["decision"], ours["decision"]) == (("starts", "refused") if side == "there" else ("refused",
        "starts"))


Difference("an htpasswd file that cannot be read", "starts, and answers 400 to everybody",
    "does not start; once it runs, the users before stay", "found out at the start, and one line must not shut everybody out", STARTS, rows(
    "htpasswd, a file that is broken", "htpasswd, a directory", "htpasswd with an empty path", fits=only("there")))
Difference("`issuer` or `service` empty", "starts: a token without them is good", "does not start", "any token of this signer would do",
    STARTS, rows("token with an empty issuer", "token with an empty service", fits=only("there")))
Difference("`autoredirectpath` with what a URL cannot have", "encoded", "does not start", "as above", STARTS,
    rows("autoredirectpath with a space", fits=only("there")))
Difference("unknown options of a provider", "ignored", "does not start, or starts with a warning under `--lenient-config`",
    "a mistyped key of access control", STARTS, rows("an unknown option", fits=only("there")))
Difference("a bundle that ends within a certificate", "what is before it counts", "does not start", "half a file", STARTS,
    rows("rootcertbundle good-then-half.pem", fits=only("there")))
Difference("keys of a JWKS of an unknown kind or curve", "does not start", "passed over, if there are others", "RFC 7517, 5", STARTS,
    begins("jwks unknown-", "jwks x25519", fits=only("here")))
Difference("keys and secrets of a JWKS that are too short", "taken", "does not start", "as above", STARTS,
    rows("jwks short.json", "jwks secret.json", "jwks mixed.json", fits=only("there")))
Difference("numbers and nothing where a text or a list should be", "does not start", "read as their text; nothing is nothing",
    "as in other sections", STARTS, rows(
    "silly, words that are numbers", "token with an issuer that is a number", "autoredirectpath a number", "signingalgorithms null",
    fits=only("here")))
