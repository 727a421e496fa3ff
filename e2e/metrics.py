"""Compares metrics: names, types and labels, as a real parser reads them.

    metrics.py same THEIRS OURS     what of Distribution's metrics is not among ours, with reasons for all of it
    metrics.py value FILE NAME [LABEL=VALUE…]    the sum of the samples with these labels
"""

import sys

from prometheus_client.parser import text_string_to_metric_families

# What Distribution has and we do not.
MISSING = {
    "go_": "about Go's runtime",
    "registry_proxy_": "there is no pull-through cache yet",
}


def families(path):
    with open(path, encoding="utf-8") as file:
        return {family.name: family for family in text_string_to_metric_families(file.read())}


def samples(family):
    """The names of samples, each with the names of its labels."""
    return {(sample.name, tuple(sorted(sample.labels))) for sample in family.samples}


def same(theirs, ours):
    wrong = []
    for name, family in theirs.items():
        reason = next((reason for prefix, reason in MISSING.items() if name.startswith(prefix)), None)
        if reason is not None:
            print(f"not here, {reason}: {name}")
            continue
        own = ours.get(name)
        if own is None:
            wrong.append(f"{name} is not there")
            continue
        if own.type != family.type:
            wrong.append(f"{name} is a {own.type}, not a {family.type}")
        if missing := samples(family) - samples(own):
            wrong.append(f"{name}: no samples like {sorted(missing)}")
        # Everything that a label can say, apart from who was asked how often.
        for label in ("handler", "action", "type", "le", "driver", "method"):
            values = {sample.labels[label] for sample in family.samples if label in sample.labels}
            if lost := values - {sample.labels.get(label) for sample in own.samples}:
                wrong.append(f"{name}: {label} is never {sorted(lost)}")
    for line in wrong:
        print(line)
    assert not wrong, f"{len(wrong)} differences"
    assert len(theirs) > 20, "too few metrics to compare"


def value(path, name, labels):
    wanted = dict(label.split("=", 1) for label in labels)
    found = [
        sample.value
        for family in families(path).values()
        for sample in family.samples
        if sample.name == name and wanted.items() <= sample.labels.items()
    ]
    total = sum(found)
    print("none" if not found else int(total) if total == int(total) else total)


match sys.argv[1:]:
    case ["same", theirs, ours]:
        same(families(theirs), families(ours))
    case ["value", path, name, *labels]:
        value(path, name, labels)
    case _:
        sys.exit(__doc__)
