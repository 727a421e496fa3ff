# shellcheck shell=bash
# Shared helpers of the end-to-end suites: start and stop registries, build
# fixture images, speak HTTP, compare digests, count tests.
#
# A suite sets SUITE and sources this file, defines one function per test, runs
# each with `check "what it proves" function`, and ends with `finish`.
# REGISTRY_BIN names the registry under test (default: the release build).

set -euo pipefail

E2E=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPO=$(cd "$E2E/.." && pwd)
TOOLS=$E2E/.tools
REGISTRY_BIN=${REGISTRY_BIN:-$REPO/target/release/registry}
case $REGISTRY_BIN in
/*) ;;
*) REGISTRY_BIN=$REPO/$REGISTRY_BIN ;;
esac
export PATH="$TOOLS:/usr/sbin:/sbin:$PATH"

# Nothing may depend on, or end up in, the caller's home or environment.
WORK=$(mktemp -d "${TMPDIR:-/tmp}/e2e-${SUITE:?}.XXXXXX")
export HOME=$WORK/home DOCKER_CONFIG=$WORK/docker-config REGISTRY_AUTH_FILE=$WORK/auth.json
export XDG_RUNTIME_DIR=$WORK/xdg XDG_DATA_HOME=$WORK/xdg-data XDG_CACHE_HOME=$WORK/xdg-cache
export TMPDIR=$WORK/tmp OTEL_TRACES_EXPORTER=none NO_PROXY=127.0.0.1 no_proxy=127.0.0.1 LC_ALL=C
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY DOCKER_HOST
for variable in $(compgen -e | grep '^REGISTRY_' | grep -vx -e REGISTRY_BIN -e REGISTRY_AUTH_FILE || true); do
    unset "$variable"
done
mkdir -p "$HOME" "$DOCKER_CONFIG" "$XDG_RUNTIME_DIR" "$TMPDIR" "$WORK/logs"
echo '{}' >"$DOCKER_CONFIG/config.json"
echo '{}' >"$REGISTRY_AUTH_FILE"

PIDS=$WORK/pids
: >"$PIDS"
PASSED=0
FAILED=0
BODY=$WORK/body
HEADERS=$WORK/headers

OCI_MANIFEST=application/vnd.oci.image.manifest.v1+json
OCI_INDEX=application/vnd.oci.image.index.v1+json
ACCEPT="Accept: $OCI_MANIFEST, $OCI_INDEX, application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json"

# ---------------------------------------------------------------- processes

# True while the process runs; a zombie waiting to be reaped does not count.
alive() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    [[ ${stat##*) } != Z* ]]
}

# Remembers a process of ours, so that it cannot outlive the suite.
own() { echo "$1" >>"$PIDS"; }

disown_pid() {
    grep -vx "$1" "$PIDS" >"$PIDS.new" || true
    mv "$PIDS.new" "$PIDS"
}

# wait_gone PID SECONDS
wait_gone() {
    local i
    for ((i = 0; i < $2 * 20; i++)); do
        alive "$1" || return 0
        sleep 0.05
    done
    return 1
}

# stop PID [SIGNAL]: ends one process we started, by force after ten seconds.
stop() {
    kill "-${2:-TERM}" "$1" 2>/dev/null || true
    if ! wait_gone "$1" 10; then
        kill -KILL "$1" 2>/dev/null || true
        wait_gone "$1" 5 || true
    fi
    disown_pid "$1"
}

cleanup() {
    local status=$? pid
    trap - EXIT
    set +e
    while read -r pid; do stop "$pid"; done < <(cat "$PIDS")
    declare -F suite_cleanup >/dev/null && suite_cleanup
    if [[ -n ${E2E_KEEP:-} ]]; then
        echo "kept: $WORK"
    else
        rm -rf "$WORK"
    fi
    exit "$status"
}
trap cleanup EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

free_port() {
    local port i
    for ((i = 0; i < 100; i++)); do
        port=$((20000 + RANDOM % 12000))
        if ! listening "$port"; then
            echo "$port"
            return
        fi
    done
    fail "no free port"
}

# --------------------------------------------------------------- registries

# The command line of a flavour: ours, or one of Distribution's generations.
registry_command() {
    case $1 in
    ours) echo "$REGISTRY_BIN" ;;
    v3) echo "$TOOLS/distribution" ;;
    v2) echo /usr/bin/docker-registry ;;
    *) fail "unknown registry flavour $1" ;;
    esac
}

# clean COMMAND…: runs it without our own REGISTRY_ variables, which a registry
# would take for configuration. (containers/image chose REGISTRY_AUTH_FILE.)
clean() { exec env -u REGISTRY_BIN -u REGISTRY_AUTH_FILE "$@"; }

# write_config FILE PORT STORE: EXTRA_STORAGE, EXTRA_HTTP (indented lines) and
# EXTRA_CONFIG (top-level sections) are spliced in.
write_config() {
    cat >"$1" <<YAML
version: 0.1
log:
  level: info
storage:
  filesystem:
    rootdirectory: $3
  delete:
    enabled: true
${EXTRA_STORAGE:-}
http:
  addr: 127.0.0.1:$2
  secret: one-secret-for-every-process-of-this-run
${EXTRA_HTTP:-}
${EXTRA_CONFIG:-}
YAML
}

# start_registry NAME STORE [FLAVOUR]: serves STORE on a free port. Sets REG
# (host:port), REG_PID and REG_LOG.
start_registry() {
    local name=$1 store=$2 flavour=${3:-ours} attempt port command
    command=$(registry_command "$flavour")
    [[ -x $command ]] || fail "no registry at $command (set REGISTRY_BIN, or run e2e/install.sh)"
    mkdir -p "$store"
    for ((attempt = 0; attempt < 5; attempt++)); do
        port=$(free_port)
        write_config "$WORK/$name.yml" "$port" "$store"
        REG=127.0.0.1:$port
        REG_LOG=$WORK/logs/$name.log
        clean "$command" serve "$WORK/$name.yml" >>"$REG_LOG" 2>&1 </dev/null &
        REG_PID=$!
        disown "$REG_PID"
        own "$REG_PID"
        if wait_ready "http://$REG/v2/" "$REG_PID"; then return 0; fi
        stop "$REG_PID"
        grep -qiE 'address.*in use|another process is using it' "$REG_LOG" || break
    done
    echo "registry '$name' ($command) did not start:"
    tail -n 20 "$REG_LOG"
    return 1
}

# wait_ready URL PID [CURL-ARGUMENTS…]: polls until it answers, at most 15 s.
# 401 is an answer: whoever asks for credentials is ready.
wait_ready() {
    local url=$1 pid=$2 i
    shift 2
    for ((i = 0; i < 150; i++)); do
        [[ $(curl -sS -o /dev/null -w '%{http_code}' --max-time 2 "$@" "$url" 2>/dev/null) =~ ^(2..|401)$ ]] && return 0
        alive "$pid" || return 1
        sleep 0.1
    done
    return 1
}

# --------------------------------------------------------------------- HTTP

# http METHOD URL-OR-PATH [CURL-ARGUMENTS…]: sets STATUS, fills BODY, HEADERS.
http() {
    local method=$1 url=$2
    shift 2
    [[ $url != /* ]] || url=http://$REG$url
    local how=(-X "$method")
    [[ $method != HEAD ]] || how=(-I)
    : >"$HEADERS"
    : >"$BODY"
    STATUS=$(timeout 120 curl -sS "${how[@]}" -o "$BODY" -D "$HEADERS" -w '%{http_code}' "$@" "$url") ||
        fail "$method $url: curl exit $?"
}

# http_ok EXPECTED-STATUS METHOD URL [CURL-ARGUMENTS…]
http_ok() {
    local expected=$1
    shift
    http "$@"
    [[ $STATUS == "$expected" ]] || {
        cat "$HEADERS" "$BODY"
        fail "$1 $2: status $STATUS, expected $expected"
    }
}

# header NAME: its value in the last response (after any interim response).
header() {
    awk -v want="${1,,}" '
        /^HTTP\// { value = "" }
        { line = $0; sub(/\r$/, "", line); i = index(line, ":")
          if (i && tolower(substr(line, 1, i - 1)) == want) { value = substr(line, i + 1); sub(/^[ \t]+/, "", value) } }
        END { print value }' "$HEADERS"
}

# The last response's Location as an absolute URL.
location() {
    local value
    value=$(header Location)
    [[ -n $value ]] || fail "no Location header"
    case $value in
    http://* | https://*) echo "$value" ;;
    *) echo "http://$REG$value" ;;
    esac
}

# with_digest URL DIGEST: adds the parameter that closes an upload.
with_digest() {
    case $1 in
    *\?*) echo "$1&digest=$2" ;;
    *) echo "$1?digest=$2" ;;
    esac
}

OCTETS=(-H 'Content-Type: application/octet-stream')

# push_blob REPOSITORY FILE: POST, then PUT; prints the digest.
push_blob() {
    local digest
    digest=$(digest_of "$2")
    http_ok 202 POST "/v2/$1/blobs/uploads/" -H 'Content-Length: 0'
    http_ok 201 PUT "$(with_digest "$(location)" "$digest")" "${OCTETS[@]}" --data-binary "@$2"
    echo "$digest"
}

# put_manifest REPOSITORY REFERENCE FILE [MEDIA-TYPE]
put_manifest() {
    http_ok 201 PUT "/v2/$1/manifests/$2" -H "Content-Type: ${4:-$OCI_MANIFEST}" --data-binary "@$3"
}

# remote_digest REPOSITORY REFERENCE: what the registry says the digest is,
# after checking that HEAD, GET and the bytes themselves agree.
remote_digest() {
    local told
    http_ok 200 HEAD "/v2/$1/manifests/$2" -H "$ACCEPT"
    told=$(header Docker-Content-Digest)
    http_ok 200 GET "/v2/$1/manifests/$2" -H "$ACCEPT"
    assert_eq "$(header Docker-Content-Digest)" "$told" "Docker-Content-Digest of GET and HEAD" >&2
    assert_eq "$(digest_of "$BODY")" "$told" "digest of the manifest's bytes and Docker-Content-Digest" >&2
    echo "$told"
}

# --------------------------------------------------------------- assertions

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# assert_eq ACTUAL EXPECTED WHAT
assert_eq() { [[ $1 == "$2" ]] || fail "$3: got '$1', expected '$2'"; }

assert_ne() { [[ $1 != "$2" ]] || fail "$3: both are '$1'"; }

# assert_contains TEXT PART WHAT
assert_contains() { [[ $1 == *"$2"* ]] || fail "$3: no '$2' in: $1"; }

assert_same_bytes() { cmp "$1" "$2" || fail "$3: files differ"; }

digest_of() { echo "sha256:$(sha256sum <"$1" | cut -d' ' -f1)"; }

# assert_tags REPOSITORY TAG…: exactly these tags, whatever the order.
assert_tags() {
    local repository=$1
    shift
    http_ok 200 GET "/v2/$repository/tags/list"
    assert_eq "$(jq -r '.tags // [] | sort | join(" ")' "$BODY")" \
        "$(printf '%s\n' "$@" | sort | paste -sd' ')" "tags of $repository"
}

# assert_linked STORE REPOSITORY DIGEST: the store links the blob there.
assert_linked() {
    local link=$1/docker/registry/v2/repositories/$2/_layers/${3/://}/link
    [[ -f $link ]] || fail "no layer link $link"
    assert_eq "$(cat "$link")" "$3" "content of $link"
}

# assert_gone PATH: the registry answers 404 there.
assert_gone() { http_ok 404 GET "$1" -H "$ACCEPT"; }

# assert_referrer REPOSITORY SUBJECT REFERRER [ARTIFACT-TYPE]: through the API.
assert_referrer() {
    http_ok 200 GET "/v2/$1/referrers/$2"
    assert_eq "$(header Content-Type)" "$OCI_INDEX" "type of the referrers answer"
    assert_eq "$(jq -r --arg d "$3" '[.manifests[] | select(.digest == $d)] | length' "$BODY")" 1 \
        "entries for $3 among the referrers of $2"
    [[ -z ${4:-} ]] || assert_eq \
        "$(jq -r --arg d "$3" '.manifests[] | select(.digest == $d) | .artifactType' "$BODY")" "$4" "artifact type"
}

# ----------------------------------------------------------------- fixtures

# add_blob LAYOUT FILE: stores a copy under its digest; prints "digest size".
add_blob() {
    local digest
    digest=$(digest_of "$2")
    mkdir -p "$1/blobs/sha256"
    cp "$2" "$1/blobs/sha256/${digest#sha256:}"
    echo "$digest $(stat -c %s "$2")"
}

# make_image LAYOUT ARCHITECTURE SIZE…: one layer of random bytes per size;
# prints the descriptor of the manifest.
make_image() {
    local layout=$1 architecture=$2 scratch size digest bytes layers='[]' ids='[]' n=0
    shift 2
    scratch=$(mktemp -d)
    for size in "$@"; do
        n=$((n + 1))
        mkdir -p "$scratch/root"
        head -c "$size" /dev/urandom >"$scratch/root/file$n"
        tar -C "$scratch/root" --sort=name --owner=0 --group=0 --numeric-owner -cf "$scratch/layer.tar" "file$n"
        gzip -n -1 <"$scratch/layer.tar" >"$scratch/layer.tgz"
        read -r digest bytes < <(add_blob "$layout" "$scratch/layer.tgz")
        layers=$(jq -c --arg d "$digest" --argjson s "$bytes" \
            '. + [{mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", digest: $d, size: $s}]' <<<"$layers")
        ids=$(jq -c --arg d "$(digest_of "$scratch/layer.tar")" '. + [$d]' <<<"$ids")
    done
    jq -nc --arg a "$architecture" --argjson ids "$ids" \
        '{architecture: $a, os: "linux", config: {}, rootfs: {type: "layers", diff_ids: $ids}}' >"$scratch/config"
    read -r digest bytes < <(add_blob "$layout" "$scratch/config")
    jq -nc --arg t "$OCI_MANIFEST" --arg d "$digest" --argjson s "$bytes" --argjson layers "$layers" \
        '{schemaVersion: 2, mediaType: $t,
          config: {mediaType: "application/vnd.oci.image.config.v1+json", digest: $d, size: $s},
          layers: $layers}' >"$scratch/manifest"
    read -r digest bytes < <(add_blob "$layout" "$scratch/manifest")
    rm -rf "$scratch"
    jq -nc --arg t "$OCI_MANIFEST" --arg d "$digest" --argjson s "$bytes" --arg a "$architecture" \
        '{mediaType: $t, digest: $d, size: $s, platform: {architecture: $a, os: "linux"}}'
}

# make_fixtures LAYOUT: an OCI layout with `image` (four layers, one of 6 MiB),
# `multi` (an index of amd64 and arm64) and `signature` (cosign's form, for
# `image`). Sets IMAGE, MULTI, AMD64, ARM64, SIGNATURE to their digests.
# shellcheck disable=SC2034 # they are for the suites
make_fixtures() {
    local layout=$1 image amd64 arm64 scratch digest bytes config
    mkdir -p "$layout"
    scratch=$(mktemp -d)
    image=$(make_image "$layout" amd64 1000 6291456 70000 0)
    amd64=$(make_image "$layout" amd64 2000 3000 4000)
    arm64=$(make_image "$layout" arm64 2000 3000 4000)
    IMAGE=$(jq -r .digest <<<"$image")
    AMD64=$(jq -r .digest <<<"$amd64")
    ARM64=$(jq -r .digest <<<"$arm64")

    jq -nc --arg t "$OCI_INDEX" --argjson a "$amd64" --argjson b "$arm64" \
        '{schemaVersion: 2, mediaType: $t, manifests: [$a, $b]}' >"$scratch/index"
    read -r MULTI bytes < <(add_blob "$layout" "$scratch/index")
    local multi_size=$bytes

    jq -nc --arg d "$IMAGE" '{critical: {identity: {"docker-reference": ""},
        image: {"docker-manifest-digest": $d}, type: "cosign container image signature"}, optional: null}' >"$scratch/payload"
    read -r digest bytes < <(add_blob "$layout" "$scratch/payload")
    config=$(jq -nc --arg d "$digest" '{architecture: "", os: "", config: {}, rootfs: {type: "layers", diff_ids: [$d]}}')
    printf %s "$config" >"$scratch/config"
    local config_digest config_size
    read -r config_digest config_size < <(add_blob "$layout" "$scratch/config")
    jq -nc --arg t "$OCI_MANIFEST" --arg d "$digest" --argjson s "$bytes" --arg cd "$config_digest" --argjson cs "$config_size" \
        '{schemaVersion: 2, mediaType: $t,
          config: {mediaType: "application/vnd.oci.image.config.v1+json", digest: $cd, size: $cs},
          layers: [{mediaType: "application/vnd.dev.cosign.simplesigning.v1+json", digest: $d, size: $s,
                    annotations: {"dev.cosignproject.cosign/signature": "bm90IGEgcmVhbCBvbmU="}}]}' >"$scratch/signature"
    read -r SIGNATURE bytes < <(add_blob "$layout" "$scratch/signature")

    echo '{"imageLayoutVersion":"1.0.0"}' >"$layout/oci-layout"
    jq -nc --argjson image "$image" --arg mt "$OCI_INDEX" --arg m "$MULTI" --argjson ms "$multi_size" \
        --arg st "$OCI_MANIFEST" --arg s "$SIGNATURE" --argjson ss "$bytes" \
        'def named(n): . + {annotations: {"org.opencontainers.image.ref.name": n}};
         {schemaVersion: 2, manifests: [
            ($image | named("image")),
            ({mediaType: $mt, digest: $m, size: $ms} | named("multi")),
            ({mediaType: $st, digest: $s, size: $ss} | named("signature"))]}' >"$layout/index.json"
    rm -rf "$scratch"
}

# layer_digests MANIFEST-FILE
layer_digests() { jq -r '.layers[].digest' "$1"; }

# The tag under which cosign keeps the signature of a digest.
signature_tag() { echo "${1/:/-}.sig"; }

# verify_against_layout REPOSITORY REFERENCE LAYOUT: every manifest, config and
# layer that the registry serves for the reference equals the layout's file.
verify_against_layout() {
    local repository=$1 reference=$2 layout=$3 digest child
    digest=$(remote_digest "$repository" "$reference")
    http_ok 200 GET "/v2/$repository/manifests/$digest" -H "$ACCEPT"
    assert_same_bytes "$BODY" "$layout/blobs/sha256/${digest#sha256:}" "manifest $digest"
    for child in $(jq -r '.manifests // [] | .[].digest' "$layout/blobs/sha256/${digest#sha256:}"); do
        verify_against_layout "$repository" "$child" "$layout"
    done
    for child in $(jq -r 'select(.config) | .config.digest, .layers[].digest' "$layout/blobs/sha256/${digest#sha256:}"); do
        http_ok 200 GET "/v2/$repository/blobs/$child"
        assert_eq "$(header Docker-Content-Digest)" "$child" "Docker-Content-Digest of a blob"
        assert_same_bytes "$BODY" "$layout/blobs/sha256/${child#sha256:}" "blob $child"
    done
}

# same_image_bytes DIR LAYOUT DIGEST: a `skopeo dir:` copy equals the layout.
same_image_bytes() {
    local blob
    assert_eq "$(digest_of "$1/manifest.json")" "$3" "digest of what was pulled"
    for blob in $(jq -r '.config.digest, .layers[].digest' "$1/manifest.json"); do
        assert_same_bytes "$1/${blob#sha256:}" "$2/blobs/sha256/${blob#sha256:}" "pulled blob $blob"
    done
}

# ------------------------------------------------------------- certificates

# authority NAME: makes NAME.crt and NAME.key in PKI, which may give out
# certificates.
authority() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=$1" \
        -keyout "$PKI/$1.key" -out "$PKI/$1.crt" 2>/dev/null
}

# give AUTHORITY NAME KIND [DAYS]: a certificate for this machine. KIND is
# `ec` or `rsa`.
give() {
    local key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256)
    [[ $3 == ec ]] || key=(-newkey rsa:2048)
    openssl req "${key[@]}" -nodes -subj "/CN=$2" -keyout "$PKI/$2.key" -out "$PKI/$2.csr" 2>/dev/null
    printf 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\nextendedKeyUsage=serverAuth,clientAuth\n' >"$PKI/ext"
    openssl x509 -req -in "$PKI/$2.csr" -CA "$PKI/$1.crt" -CAkey "$PKI/$1.key" -CAcreateserial \
        -days "${4:-30}" -extfile "$PKI/ext" -out "$PKI/$2.crt" 2>/dev/null
}

# -------------------------------------------------------------- conformance

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

# -------------------------------------------------------------------- tests

# check DESCRIPTION FUNCTION [ARGUMENTS…]: one test, in a subshell of its own
# (so it may set variables freely); its output is shown only if it fails.
check() {
    local what=$1 status started=$SECONDS log
    shift
    log=$WORK/logs/test-$((PASSED + FAILED)).log
    set +e
    (
        trap - EXIT
        set -e
        "$@"
    ) >"$log" 2>&1
    status=$?
    set -e
    if ((status == 0)); then
        PASSED=$((PASSED + 1))
        echo "ok   $SUITE: $what ($((SECONDS - started)) s)"
    else
        FAILED=$((FAILED + 1))
        echo "FAIL $SUITE: $what (exit $status)"
        tail -n 40 "$log" | sed 's/^/     | /'
        if [[ -s ${REG_LOG:-} ]]; then
            echo "     registry log:"
            tail -n "${E2E_LOG_LINES:-8}" "$REG_LOG" | cut -c1-400 | sed 's/^/     > /'
        fi
    fi
}

# cases COMMAND…: a program that has tests of its own, and prints lines like
# those of `check` for them, without the suite's name.
cases() {
    local line
    while IFS= read -r line; do
        case $line in
        'ok   '*)
            PASSED=$((PASSED + 1))
            echo "ok   $SUITE: ${line#ok   }"
            ;;
        'FAIL '*)
            FAILED=$((FAILED + 1))
            echo "FAIL $SUITE: ${line#FAIL }"
            ;;
        *) echo "$line" ;;
        esac
    done < <("$@" 2>&1)
}

# documented COMMAND…: the table that it prints is that of this suite in
# docs/migration.md.
documented() {
    "$@" >"$WORK/table"
    sed -n "/^<!-- e2e\/$SUITE.sh -->\$/,/^<!-- end -->\$/p" "$REPO/docs/migration.md" | grep '^|' >"$WORK/documented"
    diff "$WORK/table" "$WORK/documented" || fail "docs/migration.md has another table; print it with: $*"
}

finish() {
    echo "$SUITE: $PASSED passed, $FAILED failed"
    ((FAILED == 0 && PASSED > 0))
}
