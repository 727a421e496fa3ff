#!/usr/bin/env bash
# htpasswd and client certificates: docker, podman, skopeo, crane, oras and helm
# log in, push and pull, and are refused; a missing file is made; users and
# certificates change under load without a failed request; two hundred clients
# that guess passwords delay no pull; certificates say who it is; the official
# suite passes.
SUITE=auth-basic
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=clients.sh
. "$E2E/clients.sh"

STORE=$WORK/store
USERS=$WORK/htpasswd
HELPER=$E2E/auth_basic.py
REPORTS=$E2E/.work/auth-basic
PKI=$WORK/pki
rm -rf "$REPORTS"
mkdir "$PKI"

# user FILE NAME PASSWORD [COST]: adds it or changes its password, as Apache does it.
user() { htpasswd -bB -C "${4:-4}" "$1" "$2" "$3" 2>/dev/null; }

# htpasswd_auth FILE: the section that takes its users.
htpasswd_auth() {
    cat <<YAML
auth:
  htpasswd:
    realm: Our "registry"
    path: $1
YAML
}

# starts_not NAME TEXT: the registry with EXTRA_CONFIG ends with code 1 and says
# so in one line.
starts_not() {
    local status=0
    write_config "$WORK/$1.yml" "$(free_port)" "$WORK/store-$1"
    (clean timeout 20 "$REGISTRY_BIN" serve "$WORK/$1.yml") >"$WORK/$1.out" 2>&1 </dev/null || status=$?
    assert_eq "$status" 1 "exit code"
    assert_eq "$(grep -cF -- "$2" "$WORK/$1.out")" 1 "lines with '$2' in $(cat "$WORK/$1.out")"
}

: >"$USERS"
# The dearest: what an unknown user costs.
user "$USERS" alice secret 10
user "$USERS" bob 'a:b c'
EXTRA_CONFIG="$(htpasswd_auth "$USERS")
validation: # as the conformance suite wants it
  manifests:
    indexes:
      platforms: none
    images:
      layers: none"
export EXTRA_CONFIG
start_registry main "$STORE"
start_clients

asks_for_credentials() {
    local header
    http_ok 401 GET /v2/
    assert_eq "$(header WWW-Authenticate)" 'Basic realm="Our \"registry\""' "challenge"
    assert_eq "$(jq -r '.errors[0].code' "$BODY")" UNAUTHORIZED "code"
    http_ok 200 GET /v2/ -u alice:secret
    http_ok 200 GET /v2/ -u 'bob:a:b c'
    http_ok 200 GET /v2/_catalog -u alice:secret
    for header in "Basic $(printf alice:Secret | base64)" "Basic $(printf alice: | base64)" "Basic $(printf alice | base64)" \
        "Basic $(printf carol:secret | base64)" "Basic $(printf 'alice:s\xe9cret' | base64)" "Basic $(printf 'alice:secret\n' | base64)" \
        "Basic !" Basic "Bearer $(printf alice:secret | base64)" "Digest alice:secret" "alice:secret"; do
        http_ok 401 GET /v2/ -H "Authorization: $header"
        assert_contains "$(header WWW-Authenticate)" Basic "challenge after $header"
    done
    http_ok 401 GET /v2/ -H "Authorization: Basic $(printf alice:secret | base64)" -H "Authorization: Basic $(printf alice:secret | base64)"
    http_ok 401 POST /v2/a/blobs/uploads/ -H 'Content-Length: 0'
    http_ok 401 GET /v2/_catalog -u alice:Secret
    # Probes and what is no endpoint need no password.
    http_ok 200 GET /healthz
}

logs_in_pushes_and_pulls() {
    refused login "$1" alice guessed-amiss
    refused login "$1" carol secret
    refused push "$1" team/"$1":0.0.1
    client_login "$1" alice secret
    round_trip "$1" team/"$1":1.0.0
    client_logout "$1"
    refused pull "$1" team/"$1":1.0.0
    client_login "$1" bob 'a:b c'
    client_pull "$1" team/"$1":1.0.0
    client_logout "$1"
}

makes_a_missing_file() {
    local file=$WORK/made/deep/htpasswd password
    export EXTRA_CONFIG
    EXTRA_CONFIG=$(htpasswd_auth "$file")
    start_registry made "$WORK/store-made"
    assert_eq "$(stat -c %a "$file" "$WORK/made/deep" "$WORK/made" | paste -sd' ')" "600 700 700" "modes"
    assert_contains "$(cat "$file")" 'docker:$2a$10$' "the file"
    assert_eq "$(grep -c 'htpasswd is missing, provisioning with default user' "$REG_LOG")" 1 "lines about the new file"
    grep -q 'level=warning.*provisioning' "$REG_LOG" || fail "not a warning: $(grep provisioning "$REG_LOG")"
    password=$(sed -n 's/.*password="\{0,1\}\([A-Za-z0-9_-]\{43\}\).*/\1/p' "$REG_LOG")
    http_ok 200 GET /v2/ -u "docker:$password"
    http_ok 401 GET /v2/ -u "docker:x$password"
    stop "$REG_PID"
    # Distribution takes what we made, and we take what it made.
    start_registry made-v3 "$WORK/store-made" v3
    http_ok 200 GET /v2/ -u "docker:$password"
    stop "$REG_PID"
    rm "$file"
    start_registry made-v3 "$WORK/store-made" v3
    http_ok 401 GET /v2/ -u docker:x
    password=$(sed -n 's/.*password="\{0,1\}\([A-Za-z0-9_-]\{43\}\).*/\1/p' "$REG_LOG" | tail -n 1)
    stop "$REG_PID"
    start_registry made "$WORK/store-made"
    http_ok 200 GET /v2/ -u "docker:$password"
    assert_eq "$(grep -c 'provisioning' "$REG_LOG")" 1 "lines about a new file"
    stop "$REG_PID"
}

refuses_broken_files() {
    export EXTRA_CONFIG
    printf 'a:b\nsecret-without-colon\n' >"$WORK/broken"
    EXTRA_CONFIG=$(htpasswd_auth "$WORK/broken") starts_not broken "auth.htpasswd.path: $WORK/broken:2: not an entry like name:hash"
    if grep -q secret-without "$WORK/broken.out"; then fail "the log has the line"; fi
    EXTRA_CONFIG=$(htpasswd_auth "$WORK/broken/below") starts_not below "auth.htpasswd.path: cannot create $WORK/broken/below"
    EXTRA_CONFIG=$(htpasswd_auth "$WORK") starts_not directory "auth.htpasswd.path: cannot read $WORK"
}

serve_tls() { # serve_tls NAME CLIENTAUTH: with TLS; sets REG, REG_PID.
    local port i
    port=$(free_port)
    REG=127.0.0.1:$port
    REG_LOG=$WORK/logs/$1.log
    EXTRA_HTTP="  tls:
    certificate: $PKI/server.crt
    key: $PKI/server.key
    clientcas: [$PKI/ca.crt]
    clientauth: $2" write_config "$WORK/$1.yml" "$port" "$STORE"
    clean "$REGISTRY_BIN" serve "$WORK/$1.yml" >"$REG_LOG" 2>&1 </dev/null &
    REG_PID=$!
    own "$REG_PID"
    wait_ready "https://$REG/healthz" "$REG_PID" --cacert "$PKI/ca.crt" || fail "$1 does not start: $(tail -n 3 "$REG_LOG")"
}

authority ca
authority stranger-ca
give ca server ec
give ca robot ec
give stranger-ca stranger ec
CA=(--cacert "$PKI/ca.crt")

status_of() { # status_of USER PASSWORD: over TLS
    curl -sS -o /dev/null -w '%{http_code}' --max-time 10 "${CA[@]}" -u "$1:$2" "https://$REG/v2/"
}

# becomes EXPECTED USER PASSWORD: within ten seconds.
becomes() {
    local i
    for ((i = 0; i < 100; i++)); do
        [[ $(status_of "$2" "$3") != "$1" ]] || return 0
        sleep 0.1
    done
    fail "$2 with $3 gets $(status_of "$2" "$3") and not $1"
}

# certificate TIMES: another one each time, until connections get it.
reloads_under_load() {
    local file=$WORK/reloaded loop serial i j
    serial() { openssl s_client -connect "$REG" </dev/null 2>/dev/null | openssl x509 -noout -serial; }
    : >"$file"
    user "$file" alice secret
    user "$file" carol first
    export EXTRA_CONFIG
    EXTRA_CONFIG=$(htpasswd_auth "$file") serve_tls reloaded verify-client-cert-if-given
    rm -f "$WORK/stop"
    python3 "$E2E/listener.py" load "$REG" "$PKI/ca.crt" "$WORK/stop" alice:secret >"$WORK/load" 2>&1 &
    loop=$!
    own "$loop"
    becomes 200 carol first
    for i in 1 2 3; do
        give ca server ec
        # In place, as htpasswd does it; another hash for alice, too.
        user "$file" alice secret
        user "$file" carol "new-$i"
        user "$file" "extra$i" x
        ((i != 2)) || kill -HUP "$REG_PID"
        becomes 200 carol "new-$i"
        becomes 200 "extra$i" x
        assert_eq "$(status_of carol first)" 401 "the first password"
        htpasswd -D "$file" "extra$i" 2>/dev/null
        becomes 401 "extra$i" x
        serial=$(openssl x509 -noout -serial -in "$PKI/server.crt")
        for ((j = 0; j < 100; j++)); do
            [[ $(serial) != "$serial" ]] || break
            sleep 0.1
        done
        assert_eq "$(serial)" "$serial" "the certificate after change $i"
    done
    # A file that cannot be used changes nothing, and is one line; so is one that is gone.
    echo broken >>"$file"
    wait_for "$REG_LOG" 'not an entry like name:hash; what was read before stays in force'
    mv "$file" "$file.away"
    wait_for "$REG_LOG" "auth.htpasswd.path: cannot read $file: No such file"
    sleep 2
    assert_eq "$(grep -c 'what was read before stays in force' "$REG_LOG")" 2 "lines about the bad file"
    assert_eq "$(status_of carol new-3)" 200 "carol without a file"
    user "$file.away" dora x 2>/dev/null || true
    { grep -v broken "$file.away"; } >"$file.new"
    mv "$file.new" "$file"
    becomes 200 carol new-3
    touch "$WORK/stop"
    wait_gone "$loop" 15 || fail "the load goes on"
    disown_pid "$loop"
    cat "$WORK/load"
    grep -q ' 0 failed' "$WORK/load" || fail "requests failed while files changed"
    stop "$REG_PID"
}

guessing_delays_no_pull() {
    local flood digest quiet busy cold cores
    printf hello >"$WORK/blob"
    digest=$(digest_of "$WORK/blob")
    http_ok 202 POST /v2/pulled/blobs/uploads/ -H 'Content-Length: 0' -u alice:secret
    http_ok 201 PUT "$(with_digest "$(location)" "$digest")" "${OCTETS[@]}" --data-binary "@$WORK/blob" -u alice:secret
    quiet=$(python3 "$HELPER" pull "$REG" "/v2/pulled/blobs/$digest" 4 "$REG_PID")
    rm -f "$WORK/stop"
    python3 "$HELPER" guess "$REG" 200 "$WORK/stop" >"$WORK/flood" 2>&1 &
    flood=$!
    own "$flood"
    sleep 2
    busy=$(python3 "$HELPER" pull "$REG" "/v2/pulled/blobs/$digest" 8 "$REG_PID")
    # A login that nobody remembers, from another machine, does not wait for the two hundred before it.
    cold=$(curl -sS -o /dev/null -w '%{http_code} %{time_total}' --interface 127.0.0.2 -u 'bob:a:b c' "http://$REG/v2/")
    touch "$WORK/stop"
    wait_gone "$flood" 30 || fail "they go on guessing"
    disown_pid "$flood"
    echo "quiet: $quiet; 200 guessing: $busy; a login from elsewhere: $cold; they got: $(cat "$WORK/flood")" | tee "$REPORTS/guessing"
    assert_contains "$quiet$busy" " failed=0 " "pulls"
    [[ $quiet == *" failed=0 "* && $busy == *" failed=0 "* ]] || fail "pulls failed"
    assert_eq "${cold% *}" 200 "a login from elsewhere"
    [[ $(cat "$WORK/flood") =~ ^401=[0-9]+( 429=[0-9]+)?$ ]] || fail "who guessed got $(cat "$WORK/flood")"
    # Half of the cores verify, at most.
    cores=$(nproc)
    jq -en --arg used "${busy##*cores=}" --argjson limit $((cores > 1 ? cores / 2 : 1)) '($used | tonumber) < $limit + 0.8' >/dev/null ||
        fail "the registry used ${busy##*cores=} cores"
}

# as STATUS CURL-ARGUMENTS…: of a pull that needs access.
as() {
    local expected=$1
    shift
    assert_eq "$(curl -sS -o "$BODY" -D "$HEADERS" -w '%{http_code}' --max-time 10 "${CA[@]}" "$@" "https://$REG/v2/team/skopeo/tags/list")" "$expected" "$*"
}

certificates_say_who_it_is() {
    local robot=(--cert "$PKI/robot.crt" --key "$PKI/robot.key") version
    export EXTRA_CONFIG
    # Alone: whoever has none may ask whether there is a registry.
    EXTRA_CONFIG='auth: {certificate: }' serve_tls alone verify-client-cert-if-given
    for version in --http1.1 --http2; do
        as 200 "$version" "${robot[@]}"
        as 403 "$version"
        assert_eq "$(jq -r '.errors[0].code' "$BODY")" DENIED "code"
        as 403 "$version" -u alice:secret
        assert_eq "$(curl -sS -o /dev/null -w '%{http_code}' "${CA[@]}" "$version" "https://$REG/v2/")" 200 "base"
    done
    if curl -sS -o /dev/null "${CA[@]}" --cert "$PKI/stranger.crt" --key "$PKI/stranger.key" "https://$REG/v2/" 2>/dev/null; then
        fail "a certificate of a stranger passes"
    fi
    grep -q 'auth.user.name=robot' "$REG_LOG" || fail "the log does not name robot"
    stop "$REG_PID"
    # In front of htpasswd: one of the two is enough.
    EXTRA_CONFIG="$(htpasswd_auth "$USERS")
  certificate:
    name: dns" serve_tls front verify-client-cert-if-given
    as 200 "${robot[@]}"
    as 200 "${robot[@]}" -u alice:wrong
    as 200 -u alice:secret
    as 401 -u alice:wrong
    as 401
    assert_contains "$(header WWW-Authenticate)" Basic "challenge"
    grep -q 'auth.user.name=localhost' "$REG_LOG" || fail "the log does not name localhost"
    grep -q 'auth.user.name=alice' "$REG_LOG" || fail "the log does not name alice"
    stop "$REG_PID"
    # A name that this certificate does not have.
    EXTRA_CONFIG='auth: {certificate: {name: email}}' serve_tls email verify-client-cert-if-given
    as 403 "${robot[@]}"
    stop "$REG_PID"
    # Nobody would be asked for one.
    EXTRA_CONFIG='auth: {certificate: {name: uri}}' starts_not unasked 'auth.certificate: needs http.tls.clientcas'
}

passes_anything_that_is_silly() {
    export EXTRA_CONFIG='auth: {silly: {realm: here, service: it}}'
    start_registry silly "$WORK/store-silly"
    http_ok 401 GET /v2/a/tags/list
    assert_eq "$(header WWW-Authenticate)" 'Bearer realm="here",service="it",scope="repository:a:pull"' "challenge"
    http_ok 401 GET /v2/
    assert_eq "$(header WWW-Authenticate)" 'Bearer realm="here",service="it"' "challenge"
    http_ok 200 GET /v2/ -H 'Authorization: anything'
    grep -q 'level=warning.*auth.silly is for tests' "$REG_LOG" || fail "no warning"
    stop "$REG_PID"
}

log_has_no_secret() {
    local word line
    for word in secret guessed-amiss guess-1 'a:b c' "$(printf 'alice:secret' | base64)" '\$2y\$'; do
        line=$(grep -m1 -- "$word" "$REG_LOG" || true)
        [[ -z $line ]] || fail "the log has '$word': $line"
    done
    assert_contains "$(cat "$REG_LOG")" "auth.htpasswd: whoever logs in as a user of $USERS may read and write" "who may do what"
    if grep -q 'no authentication' "$REG_LOG"; then fail "the log says that there is no authentication"; fi
}

mkdir -p "$REPORTS"
check "asks for credentials and takes no others" asks_for_credentials
for client in "${CLIENTS[@]}"; do
    check "$client logs in, pushes and pulls, and is refused otherwise" logs_in_pushes_and_pulls "$client"
done
check "two hundred clients that guess passwords delay no pull" guessing_delays_no_pull
[[ ! -s $REPORTS/guessing ]] || cat "$REPORTS/guessing"
check "changes users and certificate under load without a failed request" reloads_under_load
check "certificates say who it is, alone and before htpasswd" certificates_say_who_it_is
check "makes a missing file, which Distribution takes, and the other way round" makes_a_missing_file
check "does not start with a broken file" refuses_broken_files
check "passes anything if auth is silly, and says so" passes_anything_that_is_silly
check "passes the conformance suite of the module proxy (2023)" conforms_2023 "$REPORTS/2023" alice secret
if [[ -n $NEWEST_CONFORMANCE ]]; then
    check "passes the newest conformance suite ($NEWEST_CONFORMANCE)" conforms_newest "$REPORTS/newest" alice secret
else
    no_newest
fi
check "the log has no secret" log_has_no_secret
finish
