#!/usr/bin/env bash
# Installs what is needed and runs the end-to-end suites, all or those named
# (`e2e/run.sh raw docker`), against the registry that REGISTRY_BIN names.
# Ends with a table and `N passed, N failed`; fails if anything did.
set -uo pipefail
E2E=$(cd "$(dirname "$0")" && pwd)
ALL=(serve config alike logging raw hostile metrics listener acme kill full-disk sync-order redis redirect notifications auth-basic auth-alike auth-token auth-issuer auth-policy conformance skopeo crane oras buildah podman docker distribution-store distribution-gc stores migrate replicas s3-large azure deploy)
LIMIT=${E2E_SUITE_SECONDS:-600}

bash "$E2E/install.sh" || {
    echo "e2e: installing failed"
    echo "0 passed, 1 failed"
    exit 1
}

suites=("$@")
((${#suites[@]} > 0)) || suites=("${ALL[@]}")
mkdir -p "$E2E/.work"
output=$(mktemp "$E2E/.work/output.XXXXXX")
trap 'rm -f "$output"' EXIT
passed=0
failed=0
table=()
for suite in "${suites[@]}"; do
    script=$E2E/$suite.sh
    [[ -f $script ]] || script=$E2E/clients/$suite.sh
    started=$SECONDS
    echo "=== $suite"
    if [[ -f $script ]]; then
        timeout --kill-after=30 "$LIMIT" bash "$script" </dev/null 2>&1 | tee "$output"
        status=${PIPESTATUS[0]}
    else
        echo "no such suite: $suite" | tee "$output"
        status=1
    fi
    # The suite's own last line, `name: N passed, N failed`.
    read -r p f < <(sed -n 's/^[a-z0-9-]*: \([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$output" | tail -n 1) || true
    note=
    if [[ -z ${p:-} ]]; then
        p=$(grep -c '^ok ' "$output")
        f=$(($(grep -c '^FAIL ' "$output") + 1))
        note=" (did not finish: exit $status)"
    elif ((status != 0 && f == 0)); then
        f=1
        note=" (exit $status)"
    fi
    passed=$((passed + p))
    failed=$((failed + f))
    table+=("$(printf '%-20s %4d passed %4d failed %5d s%s' "$suite" "$p" "$f" $((SECONDS - started)) "$note")")
    unset p f
done

echo
echo "=== end-to-end suites"
printf '%s\n' "${table[@]}"
echo "$passed passed, $failed failed"
((failed == 0 && passed > 0))
