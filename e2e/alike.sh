#!/usr/bin/env bash
# The same configuration file and the same variables start Distribution 3 and
# ours, and both are asked the same: every key of http, storage, middleware,
# health, notifications, catalog and validation, by what it does, and by what it
# is refused for. `e2e/alike/` has the cases; where we differ on purpose is listed
# in `differences.py` with the reason, and has to differ still.
# `bash e2e/alike.sh headers draining` runs some of the cases.
SUITE=alike
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

export PYTHONDONTWRITEBYTECODE=1
PKI=$WORK/pki
mkdir "$PKI"
authority ca
authority stranger-ca
give ca server ec
give ca server-rsa rsa
give ca client ec
give stranger-ca stranger ec

alike() { python3 "$E2E/alike" "$@"; }

# Every key of the file with all keys in Distribution's own reference is in a
# case, and every case is about a key that there is.
keys() { alike keys "$TOOLS/distribution-configuration.md"; }

cases alike run "$WORK" "$PKI" "$REGISTRY_BIN" "$(registry_command v3)" "$@"
if (($# == 0)); then
    check "has every key of the reference in a case" keys
    check "lists the differences in docs/migration.md" documented alike table
fi
finish
