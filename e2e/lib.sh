# shellcheck shell=bash
# Shared helpers of the end-to-end suites: start and stop registries, speak
# HTTP, compare digests, make certificates, count tests. Images, the official
# suites and stores that are servers are in lib/.
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
$(store_config "$3")
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

# collect FLAVOUR STORE [OPTION…]: the garbage collector, with the registries
# stopped. What it says is in $WORK/collected.
collect() {
    local flavour=$1 store=$2
    shift 2
    write_config "$WORK/collect.yml" 1 "$store"
    (clean timeout 60 "$(registry_command "$flavour")" garbage-collect "$@" "$WORK/collect.yml") >"$WORK/collected" 2>&1
}

# start_registry NAME STORE [FLAVOUR]: serves STORE on a free port. Sets REG
# (host:port), REG_PID and REG_LOG.
start_registry() {
    local name=$1 store=$2 flavour=${3:-ours} attempt port command
    command=$(registry_command "$flavour")
    [[ -x $command ]] || fail "no registry at $command (set REGISTRY_BIN, or run e2e/install.sh)"
    [[ $store != /* ]] || mkdir -p "$store"
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

# until_true SECONDS COMMAND…: as soon as the command succeeds.
until_true() {
    local i seconds=$1
    shift
    for ((i = 0; i < seconds * 10; i++)); do
        "$@" && return 0
        sleep 0.1
    done
    fail "not within $seconds s: $*"
}

# wait_for FILE TEXT: until a line of the file has it.
wait_for() {
    local i
    for ((i = 0; i < 150; i++)); do
        grep -qsF -- "$2" "$1" && return 0
        sleep 0.1
    done
    tail -n 20 "$1"
    fail "no '$2' in $1"
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

. "$E2E/lib/images.sh"
. "$E2E/lib/conformance.sh"
. "$E2E/lib/stores.sh"

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
