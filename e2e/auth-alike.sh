#!/usr/bin/env bash
# The same tokens, keys, users and requests are sent to Distribution 3 and to
# ours under the same `auth` section: status, challenge, errors and decision are
# the same, or the difference is one of `auth-alike/differences.py` and has a
# reason. `auth-alike/*.py` has the table; keys and tokens are made in each run.
# `bash e2e/auth-alike.sh claims htpasswd` runs some of its groups.
SUITE=auth-alike
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$TOOLS/python

alike() { python3 "$E2E/auth-alike" "$@"; }

cases alike run "$WORK" "$REGISTRY_BIN" "$(registry_command v3)" "$@"
(($# > 0)) || check "lists the differences in docs/migration.md" documented alike table
finish
