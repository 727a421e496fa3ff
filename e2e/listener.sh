#!/usr/bin/env bash
# How connections are taken: TLS with real clients, versions of TLS and HTTP,
# certificates of clients, several addresses, sockets from systemd, proxies,
# and files that change while requests go on. The keys of http.tls beside
# Distribution: both start or neither, and both let the same clients in, with
# the exceptions that are named here.
SUITE=listener
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

[[ -x $REGISTRY_BIN ]] || fail "no registry at $REGISTRY_BIN"
PKI=$WORK/pki
mkdir "$PKI"
HELPER=$E2E/listener.py

authority ca
authority stranger-ca
give ca server ec
give ca server-rsa rsa
give ca client ec
give stranger-ca stranger ec
CA=(--cacert "$PKI/ca.crt")
TLS="  tls:
    certificate: $PKI/server.crt
    key: $PKI/server.key"

# launch LOG COMMAND…: starts it in the background, to be waited for; sets REG_PID.
launch() {
    REG_LOG=$1
    shift
    clean "$@" >"$REG_LOG" 2>&1 </dev/null &
    REG_PID=$!
    own "$REG_PID"
}

# serve NAME HTTP-LINES [FLAVOUR]: sets REG and REG_PID; waits until the port
# is open.
serve() {
    local port i
    port=$(free_port)
    REG=127.0.0.1:$port
    EXTRA_HTTP=$2 write_config "$WORK/$1.yml" "$port" "$WORK/store-$1"
    launch "$WORK/logs/$1.log" "$(registry_command "${3:-ours}")" serve "$WORK/$1.yml"
    for ((i = 0; i < 100; i++)); do
        listening "$port" && return 0
        alive "$REG_PID" || break
        sleep 0.1
    done
    tail -n 5 "$REG_LOG"
    fail "$1 does not listen"
}

# get URL [CURL-ARGUMENTS…]: sets SEEN to `status version`, or `none` if
# nothing came.
get() {
    local url=$1
    shift
    SEEN=$(curl -sS -o "$BODY" -D "$HEADERS" --max-time 10 -w '%{http_code} %{http_version}' "$@" "$url" 2>"$WORK/curl") ||
        SEEN=none
}

# wait_for FILE TEXT: the text is in the file within ten seconds.
wait_for() {
    local i
    for ((i = 0; i < 100; i++)); do
        grep -qF "$2" "$1" && return 0
        sleep 0.1
    done
    tail -n 20 "$1"
    fail "no \"$2\" in $1"
}

speaks_both() {
    serve both "$TLS"
    get "https://$REG/v2/" "${CA[@]}" --http1.1
    assert_eq "$SEEN" "200 1.1" "HTTP/1.1 over TLS"
    get "https://$REG/v2/" "${CA[@]}" --http2
    assert_eq "$SEEN" "200 2" "HTTP/2 over TLS"
    # A client that does not believe the certificate gets no further.
    get "https://$REG/v2/"
    assert_eq "$SEEN" none "without the authority"
    get "http://$REG/v2/"
    assert_eq "$SEEN" "400 1" "in the clear"
    assert_contains "$(cat "$BODY")" "HTTP request to an HTTPS server" "what it says"
    local version
    for version in --http1.1 --http2; do
        get "https://$REG/v2/tls/blobs/uploads/" "${CA[@]}" "$version" -X POST
        assert_contains "$(header location)" "https://$REG/v2/tls/blobs/uploads/" "Location with $version"
        # Two requests on one connection.
        curl -sS "${CA[@]}" "$version" -o /dev/null -o /dev/null -w '%{num_connects}\n' \
            "https://$REG/v2/" "https://$REG/v2/" >"$WORK/connects"
        assert_eq "$(paste -sd' ' "$WORK/connects")" "1 0" "connections for two requests with $version"
    done
    stop "$REG_PID"
    serve only1 "$TLS
  http2:
    disabled: true"
    get "https://$REG/v2/" "${CA[@]}" --http2
    assert_eq "$SEEN" "200 1.1" "where HTTP/2 is off"
    stop "$REG_PID"
}

moves_blobs() {
    local version digest
    head -c 33554432 /dev/urandom >"$WORK/blob"
    digest=$(digest_of "$WORK/blob")
    serve blobs "$TLS"
    for version in --http1.1 --http2; do
        get "https://$REG/v2/b$version/blobs/uploads/?digest=$digest" "${CA[@]}" "$version" -X POST \
            "${OCTETS[@]}" --data-binary "@$WORK/blob"
        assert_contains "$SEEN" 201 "upload with $version"
        get "https://$REG/v2/b$version/blobs/$digest" "${CA[@]}" "$version"
        assert_same_bytes "$BODY" "$WORK/blob" "blob with $version"
        get "https://$REG/v2/b$version/blobs/$digest" "${CA[@]}" "$version" -r 1000-1099
        assert_eq "$(stat -c %s "$BODY")" 100 "range with $version"
        # Ten at once, which with HTTP/2 share a connection.
        local urls=() i
        for ((i = 0; i < 10; i++)); do urls+=(-o "$WORK/copy$i" "https://$REG/v2/b$version/blobs/$digest"); done
        timeout 60 curl -sS --parallel "${CA[@]}" "$version" "${urls[@]}"
        for ((i = 0; i < 10; i++)); do assert_same_bytes "$WORK/copy$i" "$WORK/blob" "copy $i with $version"; done
    done
    stop "$REG_PID"
}

speaks_h2c() {
    serve h2c "  h2c:
    enabled: true"
    get "http://$REG/v2/" --http2-prior-knowledge
    assert_eq "$SEEN" "200 2" "with prior knowledge"
    get "http://$REG/v2/" --http1.1
    assert_eq "$SEEN" "200 1.1" "HTTP/1.1 beside it"
    # Whoever only offers to upgrade is answered with HTTP/1.1.
    get "http://$REG/v2/" --http2
    assert_eq "$SEEN" "200 1.1" "with an offer to upgrade"
    push_blob h2c "$PKI/ca.crt" >/dev/null
    stop "$REG_PID"
    serve no-h2c ""
    get "http://$REG/v2/" --http2-prior-knowledge
    [[ $SEEN != "200 2" ]] || fail "HTTP/2 where it is off"
    stop "$REG_PID"
}

# Who gets in, in each mode: without a certificate, with one of nobody we know,
# with one of the authority.
clients() {
    local flavour=$1 mode none stranger own
    while read -r mode none stranger own; do
        serve "clients-$flavour" "$TLS
    clientcas: [$PKI/ca.crt]
    clientauth: $mode" "$flavour"
        get "https://$REG/v2/" "${CA[@]}"
        assert_eq "${SEEN%% *}" "$none" "$flavour, $mode, without a certificate"
        get "https://$REG/v2/" "${CA[@]}" --cert "$PKI/stranger.crt" --key "$PKI/stranger.key"
        assert_eq "${SEEN%% *}" "$stranger" "$flavour, $mode, with a stranger's"
        get "https://$REG/v2/" "${CA[@]}" --cert "$PKI/client.crt" --key "$PKI/client.key"
        assert_eq "${SEEN%% *}" "$own" "$flavour, $mode, with its own"
        stop "$REG_PID"
    done <<'MODES'
request-client-cert 200 200 200
require-any-client-cert none 200 200
verify-client-cert-if-given 200 none 200
require-and-verify-client-cert none none 200
MODES
}

client_certificates() { clients ours; }
client_certificates_there() { clients v3; }

# What is agreed on: key, its value, how the client is bound, what it sees.
agreements() {
    local flavour=$1 name value client expected certificate
    while IFS='|' read -r certificate name value client expected; do
        serve "agree-$flavour" "  tls:
    certificate: $PKI/$certificate.crt
    key: $PKI/$certificate.key
    $name: $value" "$flavour"
        # shellcheck disable=SC2086 # several words on purpose
        SEEN=$(openssl s_client -connect "$REG" -CAfile "$PKI/ca.crt" $client </dev/null 2>/dev/null |
            sed -n 's/.*New, \(TLSv1.[23]\), Cipher is \(.*\)/\1 \2/p;s/.*New, (NONE).*/none/p' | head -n 1) || true
        assert_eq "${SEEN:-none}" "$expected" "$flavour, $name: $value, client $client"
        stop "$REG_PID"
    done <<'CASES'
server|minimumtls|tls1.2|-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256|TLSv1.2 ECDHE-ECDSA-AES128-GCM-SHA256
server|minimumtls|tls1.3|-tls1_2|none
server|minimumtls|tls1.3|-tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256|TLSv1.3 TLS_CHACHA20_POLY1305_SHA256
server|ciphersuites|[TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]|-tls1_2|TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384
server|ciphersuites|[TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]|-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256|none
server|ciphersuites|[TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]|-tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256|TLSv1.3 TLS_AES_128_GCM_SHA256
server-rsa|ciphersuites|[TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256]|-tls1_2|TLSv1.2 ECDHE-RSA-CHACHA20-POLY1305
server-rsa|minimumtls|tls1.2|-tls1_2 -cipher AES128-SHA|none
server|minimumtls|tls1.2|-tls1_1 -cipher DEFAULT@SECLEVEL=0|none
CASES
}

versions_and_ciphers() { agreements ours; }
versions_and_ciphers_there() { agreements v3; }

# starts FLAVOUR FILE: prints `yes` or `no`, and leaves what was said in
# $WORK/said.
starts() {
    local command port pid i answer=no
    command=$(registry_command "$1")
    port=$(sed -n 's/^  addr: 127.0.0.1://p' "$2")
    clean "$command" serve "$2" >"$WORK/said" 2>&1 </dev/null &
    pid=$!
    own "$pid"
    for ((i = 0; i < 100; i++)); do
        if ! alive "$pid"; then break; fi
        # Distribution opens the port before it has read its certificates.
        if grep -q 'listening on' "$WORK/said" && listening "$port"; then
            answer=yes
            break
        fi
        sleep 0.05
    done
    CODE=0
    if [[ $answer == no ]]; then
        wait "$pid" || CODE=$?
        disown_pid "$pid"
    else
        stop "$pid"
    fi
    STARTS=$answer
}

# The lines below `tls:`, whether Distribution starts, whether we do, and a
# word of what we say. Where the two differ the reason is behind it.
same_as_there() {
    local lines there here word reason
    printf 'not a certificate\n' >"$PKI/nonsense.crt"
    openssl pkcs8 -topk8 -in "$PKI/server.key" -passout pass:secret -out "$PKI/encrypted.key"
    : >"$PKI/empty.crt"
    while IFS='|' read -r lines there here word reason; do
        EXTRA_HTTP="  tls: {${lines//PKI/$PKI}}" write_config "$WORK/same.yml" "$(free_port)" "$WORK/store-same"
        starts v3 "$WORK/same.yml"
        assert_eq "$STARTS" "$there" "whether Distribution starts with $lines"
        starts ours "$WORK/same.yml"
        assert_eq "$STARTS" "$here" "whether we start with $lines"
        [[ $there == "$here" || -n $reason ]] || fail "no reason for the difference with $lines"
        if [[ $here == no ]]; then
            assert_eq "$CODE" 1 "exit code with $lines"
            assert_contains "$(cat "$WORK/said")" "$word" "what is said of $lines"
            assert_eq "$(grep -c '^registry: ' "$WORK/said")" 1 "lines about $lines"
        elif [[ -n $word ]]; then
            assert_contains "$(cat "$WORK/said")" "$word" "what is said of $lines"
        fi
    done <<'CASES'
certificate: PKI/server.crt, key: PKI/server.key|yes|yes|
certificate: PKI/server.crt|no|no|http.tls.key: is missing
key: PKI/server.key|yes|no|http.tls.certificate: is missing|a key is there for a certificate
certificate: PKI/server.crt, key: PKI/client.key|no|no|client.key does not belong to the certificate
certificate: PKI/none.crt, key: PKI/server.key|no|no|http.tls.certificate: cannot read
certificate: PKI/server.crt, key: PKI/none.key|no|no|http.tls.key: cannot read
certificate: PKI/nonsense.crt, key: PKI/server.key|no|no|has no certificate in it
certificate: PKI/server.crt, key: PKI/encrypted.key|no|no|is encrypted
certificate: PKI, key: PKI/server.key|no|no|is not a file
certificate: PKI/server.crt, key: PKI/server.key, clientcas: [PKI/empty.crt]|no|no|http.tls.clientcas[0]
certificate: PKI/server.crt, key: PKI/server.key, clientcas: [PKI/none.crt]|no|no|http.tls.clientcas[0]
certificate: PKI/server.crt, key: PKI/server.key, clientcas: [PKI/ca.crt], clientauth: yes-please|no|no|http.tls.clientauth
certificate: PKI/server.crt, key: PKI/server.key, clientauth: require-any-client-cert|yes|no|http.tls.clientauth: asks for nothing|there it is silently ignored and nobody is asked
clientcas: [PKI/ca.crt]|yes|no|http.tls.clientcas: without|there it is silently ignored and nobody is asked
certificate: PKI/server.crt, key: PKI/server.key, minimumtls: tls1.0|no|no|http.tls.minimumtls: tls1.0
certificate: PKI/server.crt, key: PKI/server.key, minimumtls: tls1.1|no|no|http.tls.minimumtls: tls1.1
certificate: PKI/server.crt, key: PKI/server.key, minimumtls: "1.3"|no|no|http.tls.minimumtls
certificate: PKI/server.crt, key: PKI/server.key, ciphersuites: [TLS_NONE]|no|no|http.tls.ciphersuites[0]: unknown
certificate: PKI/server.crt, key: PKI/server.key, ciphersuites: [TLS_RSA_WITH_AES_128_GCM_SHA256]|yes|no|http.tls.ciphersuites[0]: TLS_RSA|not safe, and not there
certificate: PKI/server.crt, key: PKI/server.key, ciphersuites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]|yes|no|http.tls.ciphersuites[0]: TLS_ECDHE_RSA|not safe, and not there
certificate: PKI/server.crt, key: PKI/server.key, ciphersuites: [TLS_RSA_WITH_RC4_128_SHA]|no|no|http.tls.ciphersuites[0]: TLS_RSA
certificate: PKI/server.crt, key: PKI/server.key, ciphersuites: [TLS_AES_128_GCM_SHA256]|yes|yes|only TLS 1.3
certificate: PKI/server.crt, key: PKI/server.key, letsencrypt: {cachefile: PKI/acme, hosts: [a.example]}|no|no|http.tls.letsencrypt: cannot
letsencrypt: {cachefile: PKI/acme}|yes|no|http.tls.letsencrypt.hosts|there no name is ever served
CASES
}

warns_of_expired() {
    local ended
    ended=$(date -d '-2 days' +%Y%m%d%H%M%SZ)
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=old -keyout "$PKI/old.key" \
        -out "$PKI/old.csr" 2>/dev/null
    mkdir -p "$PKI/db"
    : >"$PKI/db/index"
    echo 01 >"$PKI/db/serial"
    printf '[ca]\ndefault_ca=c\n[c]\ndatabase=%s/db/index\nserial=%s/db/serial\nnew_certs_dir=%s/db\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n' \
        "$PKI" "$PKI" "$PKI" >"$PKI/ca.conf"
    openssl ca -batch -config "$PKI/ca.conf" -cert "$PKI/ca.crt" -keyfile "$PKI/ca.key" -in "$PKI/old.csr" \
        -out "$PKI/old.crt" -extfile "$PKI/ext" -startdate 20200101000000Z -enddate "$ended" 2>/dev/null
    serve expired "  tls:
    certificate: $PKI/old.crt
    key: $PKI/old.key"
    grep -q 'level=warning.*http.tls.certificate.*expired at' "$REG_LOG" || {
        cat "$REG_LOG"
        fail "no warning"
    }
    get "https://$REG/v2/" -k
    assert_eq "$SEEN" "200 2" "a client that does not mind"
    stop "$REG_PID"
}

several_addresses() {
    local one two socket=$WORK/several.sock
    one=$(free_port)
    two=$(free_port)
    write_config "$WORK/several.yml" "$one" "$WORK/store-several"
    sed -i "s|^  addr:.*|  addr: '127.0.0.1:$one, [::1]:$two, unix:$socket'|" "$WORK/several.yml"
    launch "$WORK/logs/several.log" "$REGISTRY_BIN" serve "$WORK/several.yml"
    wait_ready "http://127.0.0.1:$one/v2/" "$REG_PID"
    get "http://[::1]:$two/v2/"
    assert_eq "$SEEN" "200 1.1" "over IPv6"
    get http://localhost/v2/ --unix-socket "$socket"
    assert_eq "$SEEN" "200 1.1" "over the unix socket"
    # Nobody else gets the ports or the socket, and nothing is left of trying.
    local code=0
    write_config "$WORK/second.yml" "$(free_port)" "$WORK/store-second"
    sed -i "s|^  addr:.*|  addr: $socket\n  net: unix|" "$WORK/second.yml"
    (clean timeout 10 "$REGISTRY_BIN" serve "$WORK/second.yml") >"$WORK/said" 2>&1 || code=$?
    assert_eq "$code" 1 "exit code where the socket is taken"
    assert_contains "$(cat "$WORK/said")" "unix:$socket: another process is using it" "what is said"
    get http://localhost/v2/ --unix-socket "$socket"
    assert_eq "$SEEN" "200 1.1" "the first one is still there"
    stop "$REG_PID"
    [[ ! -e $socket ]] || fail "the socket is left behind"
}

unix_with_tls() {
    local socket=$WORK/tls.sock
    EXTRA_HTTP="$TLS" write_config "$WORK/unix.yml" 1 "$WORK/store-unix"
    sed -i "s|^  addr:.*|  net: unix\n  addr: $socket|" "$WORK/unix.yml"
    launch "$WORK/logs/unix.log" "$REGISTRY_BIN" serve "$WORK/unix.yml"
    wait_ready https://localhost/v2/ "$REG_PID" --unix-socket "$socket" "${CA[@]}"
    get https://localhost/v2/ --unix-socket "$socket" "${CA[@]}"
    assert_eq "$SEEN" "200 2" "TLS over a unix socket"
    stop "$REG_PID"
}

activated() {
    local port code=0
    port=$(free_port)
    EXTRA_HTTP="$TLS" write_config "$WORK/activated.yml" 1 "$WORK/store-activated"
    launch "$WORK/logs/activated.log" systemd-socket-activate -l "127.0.0.1:$port" \
        "$REGISTRY_BIN" serve "$WORK/activated.yml"
    # The first connection starts the registry, and is served by it.
    wait_ready "https://127.0.0.1:$port/v2/" "$REG_PID" "${CA[@]}"
    get "https://127.0.0.1:$port/v2/" "${CA[@]}"
    assert_eq "$SEEN" "200 2" "over the socket that systemd opened"
    grep -q "listening on 127.0.0.1:$port, as given by LISTEN_FDS" "$REG_LOG" || fail "nothing about it in the log"
    stop "$REG_PID"
    # Two sockets of different kinds, and a manager that wants to know.
    write_config "$WORK/two.yml" 1 "$WORK/store-two"
    python3 "$HELPER" activate "$REGISTRY_BIN" "$WORK/two.yml" "$WORK" || fail "two sockets"
    # What cannot be listened on is one clear line.
    (clean env -u NOTIFY_SOCKET python3 "$HELPER" activate-file "$REGISTRY_BIN" "$WORK/two.yml") >"$WORK/said" 2>&1 || code=$?
    assert_eq "$code" 1 "exit code with a file for a socket"
    assert_contains "$(cat "$WORK/said")" "LISTEN_FDS" "what is said"
}

behind_a_proxy() {
    serve proxied "$TLS
  proxyprotocol:
    enabled: true
    trusted: [127.0.0.0/8]"
    get "https://$REG/v2/" "${CA[@]}" --haproxy-protocol
    assert_eq "$SEEN" "200 2" "curl that begins as a proxy does"
    get "https://$REG/v2/" "${CA[@]}"
    assert_eq "$SEEN" none "curl that does not"
    python3 "$HELPER" proxied "$REG" "$PKI/ca.crt" || fail "version 2"
    wait_for "$REG_LOG" '203.0.113.9 - - ['
    wait_for "$REG_LOG" '2001:db8::9 - - ['
    stop "$REG_PID"
}

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

real_clients() {
    local certs=$WORK/certs.d
    mkdir "$certs"
    cp "$PKI/ca.crt" "$certs/ca.crt"
    cp "$PKI/client.crt" "$certs/client.cert"
    cp "$PKI/client.key" "$certs/client.key"
    make_fixtures "$WORK/layout"
    serve clients-real "$TLS
    clientcas: [$PKI/ca.crt]"
    timeout 60 skopeo copy --quiet --dest-cert-dir "$certs" "oci:$WORK/layout:image" "docker://$REG/tls/skopeo:1"
    timeout 60 skopeo copy --quiet --src-cert-dir "$certs" "docker://$REG/tls/skopeo:1" "oci:$WORK/back:image"
    assert_eq "$(jq -r '.manifests[0].digest' "$WORK/back/index.json")" "$IMAGE" "digest by skopeo"
    podman() {
        timeout 120 podman --root "$WORK/p/root" --runroot "$WORK/p/run" --tmpdir "$WORK/p/tmp" \
            --storage-driver vfs --cgroup-manager cgroupfs --events-backend none "$@"
    }
    mkdir "$WORK/context"
    head -c 100000 /dev/urandom >"$WORK/context/one"
    printf 'FROM scratch\nCOPY one /one\n' >"$WORK/context/Containerfile"
    podman build --quiet -t "$REG/tls/podman:v1" "$WORK/context" >/dev/null
    podman push --quiet --cert-dir "$certs" "$REG/tls/podman:v1"
    podman rmi --all --force >/dev/null
    podman pull --quiet --cert-dir "$certs" "$REG/tls/podman:v1" >/dev/null
    # Without its certificate the client is not let in.
    if timeout 60 skopeo inspect --tls-verify=false "docker://$REG/tls/skopeo:1" >/dev/null 2>&1; then
        fail "let in without a certificate"
    fi
    stop "$REG_PID"
}

port_in_use() {
    local code=0 before
    serve holder "$TLS"
    before=$(free_port)
    EXTRA_HTTP="$TLS" write_config "$WORK/taken.yml" "$before" "$WORK/store-taken"
    sed -i "s|^  addr:.*|  addr: '127.0.0.1:$before,$REG'|" "$WORK/taken.yml"
    (clean timeout 10 "$REGISTRY_BIN" serve "$WORK/taken.yml") >"$WORK/said" 2>&1 || code=$?
    assert_eq "$code" 1 "exit code"
    assert_contains "$(tail -n 1 "$WORK/said")" "cannot listen on $REG: another process is using it" "what is said"
    stop "$REG_PID"
}

stops_in_time() {
    local start code=0
    EXTRA_DRAIN="  draintimeout: 20s"
    serve drain "$TLS
$EXTRA_DRAIN"
    # Half a handshake, an idle connection, and one with a request half sent.
    python3 "$HELPER" loiter "$REG" "$PKI/ca.crt" "$WORK/loitering" &
    own $!
    for ((i = 0; i < 100; i++)); do [[ ! -e $WORK/loitering ]] || break; sleep 0.1; done
    start=$SECONDS
    kill -TERM "$REG_PID"
    wait_gone "$REG_PID" 10 || fail "still there after ten seconds"
    wait "$REG_PID" || code=$?
    disown_pid "$REG_PID"
    assert_eq "$code" 0 "exit code"
    ((SECONDS - start <= 5)) || fail "took $((SECONDS - start)) s"
}

# 1,000 connections that wait for a request: 20 MB is what was promised, and
# a third of it is what they take without TLS.
idle_connections() {
    serve idle ""
    python3 "$HELPER" idle "$REG" "" "$REG_PID" 1000 8000000
    stop "$REG_PID"
    serve idle-tls "$TLS"
    python3 "$HELPER" idle "$REG" "$PKI/ca.crt" "$REG_PID" 1000 18000000
    stop "$REG_PID"
}

check "speaks HTTP/1.1 and HTTP/2 over TLS, and says https in what it generates" speaks_both
check "moves blobs over both, ten at once" moves_blobs
check "speaks HTTP/2 without TLS where that is wanted" speaks_h2c
check "asks clients for certificates in four ways" client_certificates
check "as Distribution does" client_certificates_there
check "agrees on the versions and ciphers that were chosen" versions_and_ciphers
check "as Distribution does" versions_and_ciphers_there
check "starts with what Distribution starts with, and says in one line why it does not" same_as_there
check "warns of a certificate that has expired" warns_of_expired
check "listens on several addresses, IPv6 and a unix socket among them" several_addresses
check "speaks TLS over a unix socket" unix_with_tls
check "takes sockets from systemd and tells it how far it is" activated
check "believes a proxy who the client is" behind_a_proxy
check "changes certificates under load without a failed request" reloads_under_load
check "changes the level of the log" reloads_the_level
check "serves skopeo and podman over TLS with certificates of clients" real_clients
check "does not start where one of its ports is taken" port_in_use
check "stops in time whoever loiters" stops_in_time
check "holds little for connections that wait" idle_connections
finish
