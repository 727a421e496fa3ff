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
mkdir -p "$REPORTS/2023" "$REPORTS/newest"

export EXTRA_CONFIG='validation:
  manifests:
    indexes:
      platforms: none
    images:
      layers: none'
start_registry main "$WORK/store"

# attribute NAME FILE: summed over the test suites of a junit report.
attribute() {
    grep -o '<testsuite [^>]*' "$2" | grep -o " $1=\"[0-9]*\"" | grep -o '[0-9]*' | awk '{ s += $1 } END { print s + 0 }'
}

from_module_proxy() {
    local report=$REPORTS/2023/junit.xml
    (
        cd "$REPORTS/2023"
        OCI_ROOT_URL=http://$REG OCI_NAMESPACE=conformance/one OCI_CROSSMOUNT_NAMESPACE=conformance/two \
            OCI_TEST_PULL=1 OCI_TEST_PUSH=1 OCI_TEST_CONTENT_DISCOVERY=1 OCI_TEST_CONTENT_MANAGEMENT=1 \
            OCI_HIDE_SKIPPED_WORKFLOWS=0 OCI_DELETE_MANIFEST_BEFORE_BLOBS=1 OCI_DEBUG=0 OCI_REPORT_DIR="$REPORTS/2023" \
            timeout 300 "$TOOLS/conformance-2023" -ginkgo.no-color >"$REPORTS/2023/output" 2>&1
    ) || {
        grep -E '\[FAIL(ED)?\]|^Ran ' "$REPORTS/2023/output" | sort -u
        fail "the suite failed; see $REPORTS/2023"
    }
    assert_eq "$(attribute failures "$report")" 0 "failures"
    assert_eq "$(attribute errors "$report")" 0 "errors"
    (($(attribute tests "$report") > 50)) || fail "only $(attribute tests "$report") tests ran"
}

newest() {
    local report=$REPORTS/newest/junit.xml
    (
        cd "$REPORTS/newest"
        OCI_REGISTRY=$REG OCI_TLS=disabled OCI_VERSION=dev OCI_RESULTS_DIR=$REPORTS/newest \
            OCI_API_BLOBS_DIGEST_HEADER=true OCI_API_BLOBS_UPLOAD_CANCEL=true OCI_API_MANIFESTS_DIGEST_HEADER=true \
            OCI_API_MANIFESTS_TAG_PARAM=true OCI_DATA_SPARSE=true \
            timeout 300 "$NEWEST" >"$REPORTS/newest/output" 2>&1
    ) || echo "the suite's exit code was $?"
    grep -o 'msg="failed test".*' "$REPORTS/newest/output" | cut -c1-300 | head -n 20 || true
    [[ -s $report ]] || fail "no report; see $REPORTS/newest/output"
    local name
    for name in tests failures errors skipped; do printf '%s=%s ' "$name" "$(attribute "$name" "$report")"; done >"$REPORTS/newest/counts"
    echo "counts: $(cat "$REPORTS/newest/counts")"
    for name in failures errors skipped; do
        assert_eq "$(attribute "$name" "$report")" 0 "$name"
    done
    (($(attribute tests "$report") > 900)) || fail "only $(attribute tests "$report") tests ran"
}

check "passes the suite of the module proxy (2023)" from_module_proxy
[[ ! -s $REPORTS/2023/output ]] || grep -E '^(Ran |PASS|FAIL|(SUCCESS|FAIL)!)' "$REPORTS/2023/output" |
    sed 's/^/suite of 2023: /' || true

NEWEST=${OCI_CONFORMANCE:-$(command -v oci-conformance || true)}
if [[ -n $NEWEST ]]; then
    check "passes the newest suite ($NEWEST)" newest
    [[ ! -s $REPORTS/newest/counts ]] || echo "newest suite: $(cat "$REPORTS/newest/counts")"
else
    echo "NOTE conformance: the newest suite was NOT run, only that of 2023: the Go module proxy does not give out newer versions. To run it, put its binary on PATH as oci-conformance, or name it in OCI_CONFORMANCE."
fi
finish
