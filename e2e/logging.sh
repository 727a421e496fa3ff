#!/usr/bin/env bash
# The log: its shapes read by a JSON reader, requests found again by their id, the
# access log taken apart by the usual expression, and mail through a real server.
SUITE=logging
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# sink NAME [OPTIONS…]: a mail server; sets SINK (its port) and MAILS (what it took), SINK_PID.
sink() {
    MAILS=$WORK/mails-$1
    mkdir -p "$MAILS"
    : >"$MAILS/port"
    /usr/bin/python3 "$E2E/smtp_sink.py" "$MAILS" "${@:2}" >"$MAILS/port" 2>"$MAILS/log" </dev/null &
    SINK_PID=$!
    disown "$SINK_PID"
    own "$SINK_PID"
    local i
    for ((i = 0; i < 100; i++)); do
        SINK=$(cat "$MAILS/port")
        [[ -z $SINK ]] || return 0
        sleep 0.05
    done
    fail "the mail server did not start: $(cat "$MAILS/log")"
}

# hook PORT LEVELS [SMTP-OPTIONS]: the section `log` with a hook.
hook() {
    echo "{level: info, formatter: json, hooks: [{type: mail, levels: [$2], options: {smtp: {addr: 'localhost:$1'${3:+, $3}}, \
        from: registry@example.com, to: [a@example.com, b@example.com]}}]}"
}

# serve_with NAME LOG [FLAVOUR]: a registry with this section `log`.
serve_with() { REGISTRY_LOG=$2 start_registry "$1" "$WORK/store-$1" "${3:-ours}"; }

# mails COUNT: waits until there are so many.
mails() {
    local i
    for ((i = 0; i < 150; i++)); do
        (($(find "$MAILS" -name '*.json' | wc -l) >= $1)) && return 0
        sleep 0.1
    done
    fail "no $1 mails in $MAILS: $(ls "$MAILS") $(cat "$MAILS/log")"
}

# A store that fails: a file where a directory has to be.
break_store() {
    rm -rf "$1/docker/registry/v2/repositories"
    mkdir -p "$1/docker/registry/v2"
    echo >"$1/docker/registry/v2/repositories"
}

# fails: a request that is answered with a failure of the registry's own.
fails() {
    http POST /v2/mail/blobs/uploads/ -H 'Content-Length: 0' "$@"
    [[ $STATUS == 5?? ]] || fail "status $STATUS of a broken store"
}

mails_errors() {
    local subject text
    sink errors
    serve_with errors "$(hook "$SINK" 'error, fatal')"
    http_ok 404 GET /v2/none/manifests/v1
    break_store "$WORK/store-errors"
    fails -H 'X-Request-Id: find-me'
    mails 1
    subject=$(jq -r '.headers.subject' "$MAILS/1.json")
    assert_eq "$subject" "[error] $(hostname): response completed with error" "subject"
    assert_eq "$(jq -c '[.from, .to, .headers.from, .headers.to]' "$MAILS/1.json")" \
        '["registry@example.com",["a@example.com","b@example.com"],"registry@example.com","a@example.com, b@example.com"]' people
    text=$(jq -r '.text' "$MAILS/1.json")
    assert_contains "$text" "http.request.id=find-me" "text of the mail"
    assert_contains "$text" "vars.name=mail" "text of the mail"
    assert_contains "$text" "path not found: /docker/" "the cause in the mail"
    sleep 0.5
    assert_eq "$(find "$MAILS" -name '*.json' | wc -l)" 1 "mails: one for each failure, and a plain 404 is none"
    stop "$REG_PID"
}

mails_why_it_ends() {
    local taken config=$WORK/fatal.yml status=0
    sink fatal
    taken=$SINK # any port in use
    write_config "$config" "$taken" "$WORK/store-fatal"
    (REGISTRY_LOG=$(hook "$SINK" fatal) clean "$REGISTRY_BIN" serve "$config") >"$WORK/said" 2>&1 || status=$?
    assert_eq "$status" 1 "exit code"
    mails 1
    assert_contains "$(jq -r '.headers.subject' "$MAILS/1.json")" "[fatal] $(hostname): cannot listen on" subject
}

logs_in_over_tls() {
    sink login --tls "$WORK/tls.crt" "$WORK/tls.key" --auth robot 'pass word'
    export SSL_CERT_FILE=$WORK/tls.crt
    # Away from this machine as far as the registry knows, so the password needs TLS.
    serve_with login "$(hook "$SINK" error "username: robot, password: pass word")"
    break_store "$WORK/store-login"
    fails
    mails 1
    assert_eq "$(jq -c '[.tls, .login]' "$MAILS/1.json")" '[true,true]' "TLS and login"
    stop "$REG_PID"
}

refuses_an_unknown_certificate() {
    local i
    sink unknown --tls "$WORK/tls.crt" "$WORK/tls.key" --auth robot p
    serve_with unknown "$(hook "$SINK" error "username: robot, password: p")"
    break_store "$WORK/store-unknown"
    fails
    for ((i = 0; i < 100; i++)); do
        grep -q 'could not be sent' "$REG_LOG" && break
        sleep 0.1
    done
    assert_contains "$(grep 'could not be sent' "$REG_LOG" | head -n 1)" '"level":"warning"' "warning about the mail"
    assert_eq "$(find "$MAILS" -name '*.json' | wc -l)" 0 "mails"
    stop "$REG_PID"
    # Unless it is said that any certificate will do.
    serve_with unknown2 "$(hook "$SINK" error "username: robot, password: p, insecure: true")"
    break_store "$WORK/store-unknown2"
    fails
    mails 1
    assert_eq "$(jq -c '[.tls, .login]' "$MAILS/1.json")" '[true,true]' "TLS and login"
    stop "$REG_PID"
}

nobody_waits_for_a_dead_server() {
    local started took status=0
    sink hang --hang
    serve_with hang "$(hook "$SINK" error)"
    break_store "$WORK/store-hang"
    started=$(date +%s%N)
    for _ in $(seq 400); do printf 'url = "http://%s/v2/mail/blobs/uploads/"\nrequest = POST\ndata = ""\noutput = /dev/null\n' "$REG"; done >"$WORK/requests"
    timeout 60 curl -sS -K "$WORK/requests" || fail "curl"
    took=$((($(date +%s%N) - started) / 1000000))
    ((took < 10000)) || fail "400 failing requests took $took ms"
    assert_eq "$(grep -c 'response completed with error' "$REG_LOG")" 400 "lines in the log"
    # The end waits for mail, but not for long.
    started=$SECONDS
    stop "$REG_PID"
    ((SECONDS - started <= 8)) || fail "the end took $((SECONDS - started)) s"
}

shapes_are_read() {
    local id
    serve_with json '{formatter: json}'
    http_ok 200 GET /v2/ -H 'X-Request-Id: abc-1'
    assert_eq "$(header X-Request-Id)" abc-1 "request id of the answer"
    http_ok 200 GET /v2/ -H 'X-Request-Id: bad id'
    id=$(header X-Request-Id)
    [[ $id =~ ^[0-9a-f-]{36}$ ]] || fail "made request id $id"
    stop "$REG_PID"
    jq -es 'all(.[]; .level and .msg and .time and .version and .["instance.id"])' <(grep '^{' "$REG_LOG") >/dev/null ||
        fail "lines without the usual fields"
    assert_eq "$(jq -rs --arg id "$id" '[.[] | select(.["http.request.id"] == $id)] | length' <(grep '^{' "$REG_LOG"))" 1 \
        "lines of one request"
    # The combined format as everybody reads it, here on standard output of its own.
    local line='^127\.0\.0\.1 - - \[[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9:]{8} \+0000\] "[A-Z]+ [^ "]+ HTTP/1\.1" [0-9]{3} [0-9]+ "[^"]*" "[^"]*"$'
    assert_eq "$(grep -cE "$line" "$REG_LOG")" "$(grep -c '^127' "$REG_LOG")" "lines of the access log in the combined format"
    serve_with logstash '{formatter: logstash}'
    stop "$REG_PID"
    jq -es 'all(.[]; .["@timestamp"] == .time and .["@version"] == "1" and .message == .msg)' \
        <(grep '^{' "$REG_LOG") >/dev/null || fail "not what Logstash calls an event"
}

# Both write a line for each request: fields that Distribution has, we have.
fields_are_those_of_distribution() {
    local ours theirs
    serve_with fields '{formatter: json}'
    ours=$(fields_of_a_push)
    stop "$REG_PID"
    serve_with v3-fields '{formatter: json}' v3
    theirs=$(fields_of_a_push)
    stop "$REG_PID"
    # Of ours, Go's version is missing, and must be.
    assert_eq "$(comm -13 <(echo "$ours") <(echo "$theirs") | paste -sd' ')" go.version "fields that only Distribution has"
    echo "fields that only we have: $(comm -23 <(echo "$ours") <(echo "$theirs") | paste -sd' ')"
}

# The names of all fields in the lines of an upload and a missing tag.
fields_of_a_push() {
    local location
    http_ok 202 POST /v2/fields/blobs/uploads/ -H 'Content-Length: 0' -H 'Content-Type: text/x' -H 'Referer: http://x/'
    location=$(location)
    echo x >"$WORK/x"
    http_ok 201 PUT "$(with_digest "$location" "$(digest_of "$WORK/x")")" "${OCTETS[@]}" --data-binary "@$WORK/x"
    http_ok 404 GET /v2/fields/manifests/none
    sleep 0.3
    grep '^{' "$REG_LOG" | grep 'response completed' | jq -r 'keys[]' | sort -u
}

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE \
    -keyout "$WORK/tls.key" -out "$WORK/tls.crt" 2>/dev/null

check "json and logstash are read, requests are found by their id" shapes_are_read
check "lines have the fields of Distribution's" fields_are_those_of_distribution
check "errors are mailed, one line a mail" mails_errors
check "why the process ends is mailed" mails_why_it_ends
check "logs in over TLS" logs_in_over_tls
check "sends no password over TLS that does not hold" refuses_an_unknown_certificate
check "nobody waits for a mail server that hangs" nobody_waits_for_a_dead_server
finish
