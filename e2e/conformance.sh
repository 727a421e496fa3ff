#!/usr/bin/env bash
# The official OCI conformance suite against the registry. Always: the newest
# version that the Go module proxy gives out (November 2023). Where the newest
# suite is installed as `oci-conformance` (or $OCI_CONFORMANCE names it): that
# one as well, with every optional API on, and nothing failing or skipped.
SUITE=conformance
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

REPORTS=$E2E/.work/conformance
rm -rf "$REPORTS"

export EXTRA_CONFIG=$CONFORMANCE_CONFIG
start_registry main "$WORK/store"

check "passes the suite of the module proxy (2023)" conforms_2023 "$REPORTS/2023"
[[ ! -s $REPORTS/2023/output ]] || grep -E '^(Ran |PASS|FAIL|(SUCCESS|FAIL)!)' "$REPORTS/2023/output" |
    sed 's/^/suite of 2023: /' || true

if [[ -n $NEWEST_CONFORMANCE ]]; then
    check "passes the newest suite ($NEWEST_CONFORMANCE)" conforms_newest "$REPORTS/newest"
    [[ ! -s $REPORTS/newest/counts ]] || echo "newest suite: $(cat "$REPORTS/newest/counts")"
else
    no_newest
fi
finish
