# shellcheck shell=bash disable=SC2034,SC2154 # what is not assigned here is in lib.sh, and the other way round
# The official OCI suites, that of 2023 and the newest. For lib.sh, which reads it.

# The newest suite, if it is installed: the Go module proxy does not give it out.
NEWEST_CONFORMANCE=${OCI_CONFORMANCE:-$(command -v oci-conformance || true)}

# junit_attribute NAME FILE: summed over the test suites of a junit report.
junit_attribute() {
    grep -o '<testsuite [^>]*' "$2" | grep -o " $1=\"[0-9]*\"" | grep -o '[0-9]*' | awk '{ s += $1 } END { print s + 0 }'
}

# What a registry needs for the newest suite: it pushes manifests without what
# they refer to.
CONFORMANCE_CONFIG='validation:
  manifests:
    indexes:
      platforms: none
    images:
      layers: none'

# conforms_2023 DIRECTORY [USER PASSWORD]: the official suite of November 2023
# against REG, with nothing failing. DIRECTORY gets its report and its output.
conforms_2023() {
    local dir=$1
    mkdir -p "$dir"
    (
        cd "$dir"
        OCI_ROOT_URL=http://$REG OCI_NAMESPACE=conformance/one OCI_CROSSMOUNT_NAMESPACE=conformance/two \
            OCI_USERNAME=${2:-} OCI_PASSWORD=${3:-} \
            OCI_TEST_PULL=1 OCI_TEST_PUSH=1 OCI_TEST_CONTENT_DISCOVERY=1 OCI_TEST_CONTENT_MANAGEMENT=1 \
            OCI_HIDE_SKIPPED_WORKFLOWS=0 OCI_DELETE_MANIFEST_BEFORE_BLOBS=1 OCI_DEBUG=0 OCI_REPORT_DIR="$dir" \
            timeout 300 "$TOOLS/conformance-2023" -ginkgo.no-color >"$dir/output" 2>&1
    ) || {
        grep -E '\[FAIL(ED)?\]|^Ran ' "$dir/output" | sort -u
        fail "the suite failed; see $dir"
    }
    assert_eq "$(junit_attribute failures "$dir/junit.xml")" 0 "failures"
    assert_eq "$(junit_attribute errors "$dir/junit.xml")" 0 "errors"
    (($(junit_attribute tests "$dir/junit.xml") > 50)) || fail "only $(junit_attribute tests "$dir/junit.xml") tests ran"
}

# conforms_newest DIRECTORY [USER PASSWORD [SKIPPED]]: NEWEST_CONFORMANCE against
# REG, with every optional API on, nothing failing, and so many skipped. With
# tokens that is 4: the suite asks for no token for the source of a mount, so
# nothing is mounted.
conforms_newest() {
    local dir=$1 report=$1/junit.xml name
    mkdir -p "$dir"
    (
        cd "$dir"
        OCI_REGISTRY=$REG OCI_TLS=disabled OCI_VERSION=dev OCI_RESULTS_DIR=$dir \
            OCI_REPO1=conformance/one OCI_REPO2=conformance/two OCI_USERNAME=${2:-} OCI_PASSWORD=${3:-} \
            OCI_API_BLOBS_DIGEST_HEADER=true OCI_API_BLOBS_UPLOAD_CANCEL=true OCI_API_MANIFESTS_DIGEST_HEADER=true \
            OCI_API_MANIFESTS_TAG_PARAM=true OCI_DATA_SPARSE=true \
            timeout 300 "$NEWEST_CONFORMANCE" >"$dir/output" 2>&1
    ) || echo "the suite's exit code was $?"
    grep -o 'msg="failed test".*' "$dir/output" | cut -c1-300 | head -n 20 || true
    [[ -s $report ]] || fail "no report; see $dir/output"
    for name in tests failures errors skipped; do printf '%s=%s ' "$name" "$(junit_attribute "$name" "$report")"; done >"$dir/counts"
    echo "counts: $(cat "$dir/counts")"
    for name in failures errors; do
        assert_eq "$(junit_attribute "$name" "$report")" 0 "$name"
    done
    assert_eq "$(junit_attribute skipped "$report")" "${4:-0}" "skipped"
    (($(junit_attribute tests "$report") > 900)) || fail "only $(junit_attribute tests "$report") tests ran"
}

# no_newest: says that only the older suite was run.
no_newest() {
    echo "NOTE $SUITE: the newest suite was NOT run, only that of 2023: the Go module proxy does not give out newer versions. To run it, put its binary on PATH as oci-conformance, or name it in OCI_CONFORMANCE."
}
