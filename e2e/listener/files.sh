# shellcheck shell=bash
# The part of listener.sh about files that change while requests go on.

# A directory as Kubernetes mounts a secret: files are links through ..data.
mounted() {
    local directory=$1 version
    shift
    version=..$(date +%s%N)
    mkdir -p "$directory/$version"
    cp "$@" "$directory/$version/"
    ln -s "$version" "$directory/..data_tmp"
    mv -T "$directory/..data_tmp" "$directory/..data"
}

reloads_under_load() {
    local mount=$WORK/mount loop serial i
    mkdir "$mount"
    cp "$PKI/server.crt" "$PKI/tls.crt"
    cp "$PKI/server.key" "$PKI/tls.key"
    mounted "$mount" "$PKI/tls.crt" "$PKI/tls.key" "$PKI/ca.crt"
    for i in tls.crt tls.key ca.crt; do ln -s "..data/$i" "$mount/$i"; done
    serve reload "  tls:
    certificate: $mount/tls.crt
    key: $mount/tls.key
    clientcas: [$mount/ca.crt]
    clientauth: verify-client-cert-if-given"
    serial() { openssl s_client -connect "$REG" </dev/null 2>/dev/null | openssl x509 -noout -serial; }
    python3 "$HELPER" load "$REG" "$PKI/ca.crt" "$WORK/stop" >"$WORK/load" 2>&1 &
    loop=$!
    own "$loop"
    sleep 1
    for i in 1 2 3 4; do
        give ca tls ec
        if ((i % 2)); then
            # All files at once, and nobody says so.
            mounted "$mount" "$PKI/tls.crt" "$PKI/tls.key" "$PKI/ca.crt"
        else
            # One after the other in place, and a signal.
            cat "$PKI/tls.crt" >"$mount/tls.crt"
            cat "$PKI/tls.key" >"$mount/tls.key"
            kill -HUP "$REG_PID"
        fi
        serial=$(openssl x509 -noout -serial -in "$PKI/tls.crt")
        for ((j = 0; j < 100; j++)); do
            [[ $(serial) != "$serial" ]] || break
            sleep 0.1
        done
        assert_eq "$(serial)" "$serial" "the certificate after change $i"
    done
    # A file that cannot be used changes nothing, and is one line.
    echo nonsense >"$mount/tls.key"
    wait_for "$REG_LOG" 'has no private key in it'
    sleep 2
    assert_eq "$(grep -c 'has no private key in it' "$REG_LOG")" 1 "lines about the bad file"
    assert_eq "$(serial)" "$serial" "the certificate after a bad file"
    # A client that was let in is not any more.
    get "https://$REG/v2/" "${CA[@]}" --cert "$PKI/client.crt" --key "$PKI/client.key"
    assert_eq "$SEEN" "200 2" "a client of the old authority"
    mounted "$mount" "$PKI/tls.crt" "$PKI/tls.key"
    cp "$PKI/stranger-ca.crt" "$mount/..data/ca.crt"
    for ((j = 0; j < 100; j++)); do
        get "https://$REG/v2/" "${CA[@]}" --cert "$PKI/client.crt" --key "$PKI/client.key"
        [[ $SEEN != none ]] || break
        sleep 0.1
    done
    assert_eq "$SEEN" none "a client of the old authority after the change"
    touch "$WORK/stop"
    wait_gone "$loop" 15 || fail "the load goes on"
    cat "$WORK/load"
    grep -q ' 0 failed' "$WORK/load" || fail "requests failed while files changed"
    disown_pid "$loop"
    stop "$REG_PID"
}

reloads_the_level() {
    serve level ""
    get "http://$REG/v2/none/manifests/x"
    if grep -q 'level=debug' "$REG_LOG"; then fail "debug lines too early"; fi
    sed -i 's/level: info/level: debug/; s/addr: .*/addr: 127.0.0.1:1/' "$WORK/level.yml"
    kill -HUP "$REG_PID"
    wait_for "$REG_LOG" 'log.level is debug; what else has changed waits for a restart: http.addr'
    # An upload that breaks off is something that only debug lines tell.
    python3 "$HELPER" break-off "$REG"
    wait_for "$REG_LOG" 'level=debug'
    sed -i 's/level: debug/level: loud/' "$WORK/level.yml"
    wait_for "$REG_LOG" 'invalid loglevel'
    get "http://$REG/v2/"
    assert_eq "$SEEN" "200 1.1" "requests after a bad file"
    stop "$REG_PID"
}

check "changes certificates under load without a failed request" reloads_under_load
check "changes the level of the log" reloads_the_level
