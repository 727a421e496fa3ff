#!/usr/bin/env bash
# The process around the API: the README's first command, version and
# configuration check, refusals to start, signals and draining, listeners,
# prefix, read-only mode, environment overrides.
SUITE=serve
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

[[ -x $REGISTRY_BIN ]] || fail "no registry at $REGISTRY_BIN"
head -c 8388608 /dev/urandom >"$WORK/blob"
echo "small" >"$WORK/small"

registry() { (clean timeout 15 "$REGISTRY_BIN" "$@") </dev/null; }

# launch LOG COMMAND…: starts it in the background, to be waited for; sets REG_PID.
launch() {
    REG_LOG=$1
    shift
    clean "$@" >"$REG_LOG" 2>&1 </dev/null &
    REG_PID=$!
    own "$REG_PID"
}

ready() {
    wait_ready "$@" && return 0
    tail -n 5 "$REG_LOG"
    fail "nothing answers at $1"
}

# exit_code PID SECONDS: waits for the end and prints the code; fails if late.
exit_code() {
    local code=0
    wait_gone "$1" "$2" || fail "still running after $2 s"
    disown_pid "$1"
    wait "$1" || code=$?
    EXIT=$code
}

# refuses CONFIG-FILE [ARGUMENTS…]: `serve` ends at once, unsuccessfully, and
# without ever listening. What it says is in $WORK/said.
refuses() {
    local code=0 file=$1
    shift
    registry serve "$@" "$file" >"$WORK/said" 2>&1 || code=$?
    cat "$WORK/said"
    [[ $code != 0 && $code != 124 ]] || fail "exit code $code"
    if grep -qiE 'panicked|goroutine' "$WORK/said"; then fail "it panicked"; fi
}

first_command() {
    local arguments address=127.0.0.1:5000 override=()
    [[ -f $REPO/README.md ]] || fail "no README.md"
    # The first line in a code block that serves; what comes before `serve` is
    # how the binary is called (installed, from target/, or through cargo).
    arguments=$(awk '/^```/ { code = !code; next } code && / serve/ { sub(/^.* serve/, "serve"); sub(/ *[&#].*$/, ""); print; exit }' "$REPO/README.md")
    [[ -n $arguments ]] || fail "README.md has no command that serves"
    echo "README: registry $arguments"
    if listening 5000; then
        address=127.0.0.1:$(free_port)
        override=(env "REGISTRY_HTTP_ADDR=$address")
        echo "port 5000 is taken, using $address"
    fi
    mkdir "$WORK/cwd"
    cd "$WORK/cwd"
    # shellcheck disable=SC2086 # several words on purpose
    launch "$WORK/logs/first.log" "${override[@]}" "$REGISTRY_BIN" $arguments
    REG=$address
    ready "http://$REG/v2/" "$REG_PID"
    push_blob first/image "$WORK/small" >/dev/null
    [[ -d registry-data/docker/registry/v2 ]] || fail "nothing stored below the working directory: $(ls)"
    kill -TERM "$REG_PID"
    exit_code "$REG_PID" 15
    assert_eq "$EXIT" 0 "exit code"
}

version() {
    local cargo
    cargo=$(sed -n 's/^version = "\(.*\)"/\1/p' "$REPO/Cargo.toml" | head -n 1)
    registry --version >"$WORK/said"
    assert_contains "$(cat "$WORK/said")" "$cargo" "registry --version"
}

config_check() {
    write_config "$WORK/good.yml" 5000 "$WORK/store"
    registry config check "$WORK/good.yml"
    echo 'version: 0.2' >"$WORK/bad.yml"
    if registry config check "$WORK/bad.yml"; then fail "a bad version passed"; fi
    if registry config check "$WORK/none.yml"; then fail "a missing file passed"; fi
}

unknown_key() {
    local line
    write_config "$WORK/unknown.yml" 5000 "$WORK/store"
    sed -i 's/rootdirectory/rootdirectroy/' "$WORK/unknown.yml"
    line=$(grep -n rootdirectroy "$WORK/unknown.yml" | cut -d: -f1)
    if registry config check "$WORK/unknown.yml" >"$WORK/said" 2>&1; then fail "an unknown key passed"; fi
    assert_contains "$(cat "$WORK/said")" "$WORK/unknown.yml:$line" "place of the unknown key"
    assert_contains "$(cat "$WORK/said")" "rootdirectory" "the key that was meant"
    refuses "$WORK/unknown.yml"
    assert_contains "$(cat "$WORK/said")" "unknown.yml:$line" "place of the unknown key"
}

mistyped_auth() {
    local text
    for text in 'auht: {htpasswd: {realm: r, path: /none}}' 'auth: {htpaswd: {realm: r, path: /none}}'; do
        EXTRA_CONFIG=$text write_config "$WORK/auth.yml" "$(free_port)" "$WORK/store"
        refuses "$WORK/auth.yml"
        assert_contains "$(cat "$WORK/said")" "auth.yml:" "place of the mistake"
        # Not even when unknown keys are forgiven.
        refuses "$WORK/auth.yml" --lenient-config
    done
}

address_in_use() {
    start_registry holder "$WORK/store-holder"
    write_config "$WORK/same.yml" "${REG#*:}" "$WORK/store-other"
    refuses "$WORK/same.yml"
    assert_contains "$(cat "$WORK/said")" "$REG" "the address in the message"
    stop "$REG_PID"
}

drains() {
    local port session client digest
    digest=$(digest_of "$WORK/blob")
    port=$(free_port)
    REG=127.0.0.1:$port
    EXTRA_HTTP='  draintimeout: 30s' write_config "$WORK/drain.yml" "$port" "$WORK/store-drain"
    launch "$WORK/logs/drain.log" "$REGISTRY_BIN" serve "$WORK/drain.yml"
    ready "http://$REG/v2/" "$REG_PID"
    http_ok 202 POST /v2/slow/blobs/uploads/ -H 'Content-Length: 0'
    session=$(location)
    # Four seconds of uploading; the signal comes after one.
    curl -sS -o /dev/null -w '%{http_code}' --limit-rate 2M -X PUT "${OCTETS[@]}" -H 'Expect:' \
        --data-binary "@$WORK/blob" "$(with_digest "$session" "$digest")" >"$WORK/code" &
    client=$!
    own "$client"
    sleep 1
    alive "$client" || fail "the upload was over too soon"
    kill -TERM "$REG_PID"
    sleep 0.5
    alive "$REG_PID" || fail "it ended while a request was running"
    if curl -sS -o /dev/null --max-time 2 "http://$REG/v2/" 2>/dev/null; then fail "still taking new connections"; fi
    exit_code "$client" 20
    assert_eq "$(cat "$WORK/code")" 201 "answer to the upload"
    exit_code "$REG_PID" 20
    assert_eq "$EXIT" 0 "exit code after draining"
    start_registry after-drain "$WORK/store-drain"
    http_ok 200 GET "/v2/slow/blobs/$digest"
    assert_same_bytes "$BODY" "$WORK/blob" "blob uploaded while draining"
    stop "$REG_PID"
}

stops_when_idle() {
    local signal
    for signal in TERM INT; do
        EXTRA_HTTP='  draintimeout: 30s' write_config "$WORK/idle.yml" "$(free_port)" "$WORK/store-idle"
        launch "$WORK/logs/idle.log" "$REGISTRY_BIN" serve "$WORK/idle.yml"
        ready "http://$(sed -n 's/ *addr: //p' "$WORK/idle.yml")/v2/" "$REG_PID"
        kill "-$signal" "$REG_PID"
        exit_code "$REG_PID" 3
        assert_eq "$EXIT" 0 "exit code after SIG$signal"
    done
}

unix_socket() {
    local socket=$WORK/r.sock digest
    digest=$(digest_of "$WORK/small")
    write_config "$WORK/unix.yml" 1 "$WORK/store-unix"
    sed -i "s|^  addr:.*|  net: unix\n  addr: $socket|" "$WORK/unix.yml"
    launch "$WORK/logs/unix.log" "$REGISTRY_BIN" serve "$WORK/unix.yml"
    ready http://localhost/v2/ "$REG_PID" --unix-socket "$socket"
    REG=localhost
    http_ok 202 POST /v2/u/blobs/uploads/ -H 'Content-Length: 0' --unix-socket "$socket"
    http_ok 201 PUT "$(with_digest "$(location)" "$digest")" "${OCTETS[@]}" --data-binary "@$WORK/small" --unix-socket "$socket"
    http_ok 200 GET "/v2/u/blobs/$digest" --unix-socket "$socket"
    assert_same_bytes "$BODY" "$WORK/small" "blob over the socket"
    stop "$REG_PID"
    # The name is free for the next start, also after a kill.
    launch "$WORK/logs/unix2.log" "$REGISTRY_BIN" serve "$WORK/unix.yml"
    ready http://localhost/v2/ "$REG_PID" --unix-socket "$socket"
    stop "$REG_PID" KILL
    launch "$WORK/logs/unix3.log" "$REGISTRY_BIN" serve "$WORK/unix.yml"
    ready http://localhost/v2/ "$REG_PID" --unix-socket "$socket"
    stop "$REG_PID"
}

prefix() {
    local port digest
    digest=$(digest_of "$WORK/small")
    port=$(free_port)
    REG=127.0.0.1:$port
    EXTRA_HTTP='  prefix: /some/where/' write_config "$WORK/prefix.yml" "$port" "$WORK/store-prefix"
    launch "$WORK/logs/prefix.log" "$REGISTRY_BIN" serve "$WORK/prefix.yml"
    ready "http://$REG/some/where/v2/" "$REG_PID"
    http_ok 202 POST /some/where/v2/p/blobs/uploads/ -H 'Content-Length: 0'
    assert_contains "$(location)" "/some/where/v2/p/blobs/uploads/" "Location"
    http_ok 201 PUT "$(with_digest "$(location)" "$digest")" "${OCTETS[@]}" --data-binary "@$WORK/small"
    http_ok 200 GET "$(location)"
    assert_same_bytes "$BODY" "$WORK/small" "blob under the prefix"
    http_ok 404 GET "/v2/p/blobs/$digest"
    stop "$REG_PID"
}

read_only() {
    local digest
    start_registry before-readonly "$WORK/store-readonly"
    digest=$(push_blob ro "$WORK/small")
    stop "$REG_PID"
    EXTRA_STORAGE='  maintenance:
    readonly:
      enabled: true' start_registry readonly "$WORK/store-readonly"
    http_ok 200 GET "/v2/ro/blobs/$digest"
    http_ok 405 POST /v2/ro/blobs/uploads/ -H 'Content-Length: 0'
    http_ok 405 DELETE "/v2/ro/blobs/$digest"
    http_ok 405 PUT /v2/ro/manifests/v1 -H "Content-Type: $OCI_MANIFEST" -d '{}'
    assert_contains "$(header Allow)" GET "Allow"
    stop "$REG_PID"
}

environment() {
    local port digest
    port=$(free_port)
    write_config "$WORK/env.yml" 1 /nowhere
    launch "$WORK/logs/env.log" env "REGISTRY_HTTP_ADDR=127.0.0.1:$port" REGISTRY_STORAGE_DELETE_ENABLED=false \
        "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=$WORK/store-env" REGISTRY_PORT=tcp://10.0.0.1:5000 \
        "$REGISTRY_BIN" serve "$WORK/env.yml"
    REG=127.0.0.1:$port
    ready "http://$REG/v2/" "$REG_PID"
    digest=$(push_blob env "$WORK/small")
    [[ -d $WORK/store-env/docker/registry/v2/blobs ]] || fail "rootdirectory was not taken from the environment"
    http_ok 405 DELETE "/v2/env/blobs/$digest"
    assert_eq "$(jq -r '.errors[0].code' "$BODY")" UNSUPPORTED "error code"
    stop "$REG_PID"
    # The file may be named by the environment as well.
    launch "$WORK/logs/env2.log" env "REGISTRY_CONFIGURATION_PATH=$WORK/env.yml" "REGISTRY_HTTP_ADDR=127.0.0.1:$port" \
        "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=$WORK/store-env" "$REGISTRY_BIN" serve
    ready "http://$REG/v2/" "$REG_PID"
    http_ok 202 DELETE "/v2/env/blobs/$digest"
    stop "$REG_PID"
}

purges_uploads() {
    local port idle alive config=$WORK/purge.yml
    port=$(free_port)
    write_config "$config" "$port" "$WORK/store-purge"
    launch "$WORK/logs/purge.log" env \
        "REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING={age: 3s, interval: 1s}" "$REGISTRY_BIN" serve "$config"
    REG=127.0.0.1:$port
    ready "http://$REG/v2/" "$REG_PID"
    idle=$(curl -sS -o /dev/null -w '%header{location}' -X POST "http://$REG/v2/purge/blobs/uploads/")
    alive=$(curl -sS -o /dev/null -w '%header{location}' -X POST "http://$REG/v2/purge/blobs/uploads/")
    [[ -n $idle && -n $alive ]] || fail "no sessions"
    # Written to all the time, it lives on although it is older than the other was.
    for _ in $(seq 12); do
        alive=$(printf x | curl -sS -o /dev/null -w '%header{location}' -X PATCH --data-binary @- \
            -H 'Content-Type: application/octet-stream' "$alive")
        [[ -n $alive ]] || fail "a session that is written to was removed"
        sleep 0.5
    done
    assert_eq "$(curl -sS -o /dev/null -w '%{http_code}' "$idle")" 404 "a session that nobody writes to"
    assert_eq "$(find "$WORK/store-purge" -path '*/_uploads/*' -name data | wc -l)" 1 "sessions in the store"
    grep -q 'a stale upload was removed' "$WORK/logs/purge.log" || fail "not in the log"
    stop "$REG_PID"
}

bad_environment() {
    write_config "$WORK/badenv.yml" "$(free_port)" "$WORK/store"
    local code=0
    (clean timeout 15 env REGISTRY_LOG_LEVEL=loud "$REGISTRY_BIN" serve "$WORK/badenv.yml") >"$WORK/said" 2>&1 || code=$?
    [[ $code != 0 && $code != 124 ]] || fail "exit code $code"
    assert_contains "$(cat "$WORK/said")" REGISTRY_LOG_LEVEL "the variable in the message"
}

check "runs the README's first command in an empty directory" first_command
check "tells its version" version
check "checks configuration files" config_check
check "names the line of an unknown key" unknown_key
check "does not start with mistyped auth" mistyped_auth
check "does not start on an address in use" address_in_use
check "drains a slow upload after SIGTERM and exits 0" drains
check "exits 0 at once when idle" stops_when_idle
check "listens on a unix socket" unix_socket
check "serves under a prefix" prefix
check "answers in read-only mode" read_only
check "takes overrides from the environment" environment
check "names a bad variable" bad_environment
check "removes uploads that nobody comes back to" purges_uploads
finish
