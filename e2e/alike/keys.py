"""Which keys there are, by the reference of Distribution, and which case each of them is in."""

import re

import frame

SECTIONS = ("http", "storage", "middleware", "health", "notifications", "catalog", "validation")

# Keys that no case here is about, and who is.
ELSEWHERE = {
    "http.tls.letsencrypt": "e2e/acme.sh: an authority, and Distribution on our cache",
    "middleware.registry": "refused until there are some; Distribution has none",
    "middleware.repository": "refused until there are some; Distribution has none",
    **{
        f"middleware.storage[].options.{name}": "e2e/redirect.sh: needs a bucket"
        for name in (
            "privatekey",
            "keypairid",
            "duration",
            "ipfilteredby",
            "awsregion",
            "updatefrequency",
            "iprangesurl",
        )
    },
    "storage.s3": "what is refused is in buckets.py; the rest needs a bucket: registry-bin/tests/buckets.rs",
    "storage.s3aws": "another name of s3",
    "storage.azure": "as s3",
    "storage.gcs": "as s3",
}

# Keys that Distribution reads and its sample leaves out.
UNLISTED = {
    "health.file[].threshold",
    "http.net",
    "http.tls.ciphersuites",
    "http.tls.minimumtls",
    "middleware.storage[].disabled",
    "middleware.storage[].options.host",
    "middleware.storage[].options.scheme",
    "middleware.storage[].options.trimpathprefix",
    "storage.cache.layerinfo",
    "validation.disabled",
    "validation.enabled",
}


def paths(text):
    """The keys of a YAML document that is written as the reference is: one to a line, or in one-line sections."""
    found, levels = [], []
    for line in text.split("\n"):
        line = line.split(" #")[0].rstrip()
        at = re.match(r"( *)(- )?([A-Za-z0-9_]+):(?: +(.*))?$", line)
        if not at:
            continue
        indent, item, key, value = len(at.group(1)), at.group(2), at.group(3), at.group(4) or ""
        inner = indent + (2 if item else 0)
        while levels and levels[-1][0] >= inner:
            levels.pop()
        above = levels[-1][1] if levels else ""
        if item and not above.endswith("[]"):
            above += "[]"
            levels.append((indent + 1, above))
        elif above and not item and levels[-1][0] == inner - 1:
            pass
        path = f"{above}.{key}" if above else key
        levels.append((inner, path))
        found.append(path)
        found += [f"{path}.{name}" for name in re.findall(r"[{,] *([A-Za-z0-9_]+):", value) if value.startswith("{")]
    return found


def leaves(text):
    """The keys of the six sections that hold no other keys."""
    known = paths(text)
    holds = lambda key: any(other.startswith((f"{key}.", f"{key}[].")) for other in known)
    return sorted({key for key in known if key.split(".")[0] in SECTIONS and not holds(key)})


def sample(reference):
    """The document with all keys in Distribution's configuration.md."""
    return reference.split("## List of configuration options", 1)[1].split("```yaml\n", 1)[1].split("\n```", 1)[0]


def problems(reference):
    """Keys that are in no case, and cases of keys that are none."""
    keys = leaves(sample(reference)) + sorted(UNLISTED)
    covered = {key for _, of_case, _ in frame.CASES for key in of_case}
    # What is free below `headers` is the name of a header.
    under = lambda key: any(key == one or key.startswith((f"{one}.", f"{one}[]")) for one in covered)
    elsewhere = lambda key: any(key == one or key.startswith((f"{one}.", f"{one}[]")) for one in ELSEWHERE)
    found = [f"{key}: in no case" for key in keys if not under(key) and not elsewhere(key)]
    if len(keys) < 60:
        found.append(f"only {len(keys)} keys in the reference")
    known = set(paths(sample(reference))) | UNLISTED
    found += [f"{key}: a case, and no key of the reference" for key in sorted(covered - known)]
    return found


def unused(keys, files):
    """Keys that a case says it is about, and that are in none of its files and variables."""
    said = " ".join(text + " " + " ".join(env).lower() + " ".join(env.values()) for text, env in files.values())
    aliases = {"health.file": "filecheckers", "health.http": "httpcheckers", "health.tcp": "tcpcheckers"}
    name = lambda key: key.split(".")[-1].removesuffix("[]")
    return [key for key in keys if name(key) not in said and aliases.get(key, name(key)) not in said]
