#!/usr/bin/env bash
# Certificates from an ACME authority: Pebble, which looks at the names through
# our port (TLS-ALPN-01) and finds them by a DNS server of its own. Getting,
# keeping and renewing them, and a cache that Distribution and we share.
SUITE=acme
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

[[ -x $REGISTRY_BIN ]] || fail "no registry at $REGISTRY_BIN"
[[ -x $TOOLS/pebble ]] || fail "no pebble (run e2e/install.sh)"
PKI=$WORK/pki
mkdir "$PKI"
PORT=$(free_port)
ONE=registry.example.test
TWO=mirror.example.test

# What Pebble itself shows, and who believes it.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=pebble-ca \
    -keyout "$PKI/ca.key" -out "$PKI/ca.crt" 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=pebble -keyout "$PKI/pebble.key" \
    -out "$PKI/pebble.csr" 2>/dev/null
printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\n' >"$PKI/ext"
openssl x509 -req -in "$PKI/pebble.csr" -CA "$PKI/ca.crt" -CAkey "$PKI/ca.key" -CAcreateserial -days 30 \
    -extfile "$PKI/ext" -out "$PKI/pebble.crt" 2>/dev/null

DNS=$(free_port)
"$TOOLS/pebble-challtestsrv" -defaultIPv4 127.0.0.1 -defaultIPv6 '' -dnsserver "127.0.0.1:$DNS" -http01 '' -https01 '' \
    -tlsalpn01 '' -doh '' -management "127.0.0.1:$(free_port)" >"$WORK/logs/dns.log" 2>&1 </dev/null &
own $!

# authority NAME SECONDS: a Pebble whose certificates hold so long. Sets
# DIRECTORY, MANAGEMENT, PEBBLE and PEBBLE_LOG.
authority() {
    local listen manage
    listen=$(free_port)
    manage=$(free_port)
    cat >"$WORK/$1.json" <<JSON
{"pebble": {"listenAddress": "127.0.0.1:$listen", "managementListenAddress": "127.0.0.1:$manage",
  "certificate": "$PKI/pebble.crt", "privateKey": "$PKI/pebble.key", "httpPort": 1, "tlsPort": $PORT,
  "ocspResponderURL": "", "externalAccountBindingRequired": false, "retryAfter": {"authz": 1, "order": 1},
  "keyAlgorithm": "ecdsa", "profiles": {"default": {"description": "", "validityPeriod": $2}}}}
JSON
    DIRECTORY=https://127.0.0.1:$listen/dir
    MANAGEMENT=https://127.0.0.1:$manage
    PEBBLE_LOG=$WORK/logs/$1.log
    env PEBBLE_VA_NOSLEEP=1 PEBBLE_VA_ALWAYS_VALID=0 "$TOOLS/pebble" -config "$WORK/$1.json" \
        -dnsserver "127.0.0.1:$DNS" >"$PEBBLE_LOG" 2>&1 </dev/null &
    PEBBLE=$!
    own "$PEBBLE"
    wait_ready "$DIRECTORY" "$PEBBLE" --cacert "$PKI/ca.crt" || fail "no Pebble: $(tail -n 3 "$PEBBLE_LOG")"
    curl -sS --cacert "$PKI/ca.crt" "$MANAGEMENT/roots/0" >"$PKI/root.crt"
}

# begin NAME CACHE [FLAVOUR]: serves $PORT with certificates for HOSTS; MORE
# are further lines of `tls`.
begin() {
    EXTRA_HTTP="  tls:
${MORE:-}
    letsencrypt:
      cachefile: $2
      email: ops@example.test
      hosts: [${HOSTS:-$ONE, $TWO}]
      directoryurl: $DIRECTORY" write_config "$WORK/$1.yml" "$PORT" "$WORK/store-$1"
    REG_LOG=$WORK/logs/$1.log
    # A test that failed has left one.
    if listening "$PORT"; then stop "$(cat "$WORK/serving")"; fi
    clean env "SSL_CERT_FILE=$PKI/ca.crt" "$(registry_command "${3:-ours}")" serve "$WORK/$1.yml" \
        >"$REG_LOG" 2>&1 </dev/null &
    REG_PID=$!
    own "$REG_PID"
    echo "$REG_PID" >"$WORK/serving"
    for ((i = 0; i < 100; i++)); do
        if listening "$PORT"; then return 0; fi
        alive "$REG_PID" || break
        sleep 0.1
    done
    tail -n 5 "$REG_LOG"
    fail "$1 does not listen"
}

ask() {
    local host=$1
    shift
    curl -sS -o /dev/null --max-time 5 -w '%{http_code}' --cacert "$PKI/root.crt" \
        --resolve "$host:$PORT:127.0.0.1" "$@" "https://$host:$PORT/v2/" 2>/dev/null || true
}

# served HOST [CURL-ARGUMENTS…]: waits until the host answers, at most 30 s.
served() {
    local i
    for ((i = 0; i < 60; i++)); do
        [[ $(ask "$@") != 200 ]] || return 0
        sleep 0.5
    done
    tail -n 5 "$REG_LOG"
    tail -n 20 "$PEBBLE_LOG"
    fail "$1 is not served"
}

serial() {
    openssl s_client -connect "127.0.0.1:$PORT" -servername "$1" </dev/null 2>/dev/null | openssl x509 -noout -serial
}

orders() { grep -c 'There are now .* orders in the db' "$PEBBLE_LOG" || true; }

gets_and_keeps() {
    local before
    begin first "$WORK/cache"
    served "$ONE"
    served "$TWO"
    assert_eq "$(grep -c 'got a certificate for' "$REG_LOG")" 2 "lines about certificates"
    # Neither a name that is not ours nor none gets a certificate.
    assert_eq "$(ask other.example.test -k)" 000 "another name"
    assert_eq "$(stat -c %a "$WORK/cache")" 700 "mode of the cache"
    assert_eq "$(stat -c %a "$WORK/cache/$ONE" "$WORK/cache/acme_account+key" | paste -sd' ')" "600 600" "mode of the keys"
    before="$(serial "$ONE") $(serial "$TWO") $(orders)"
    stop "$REG_PID"
    begin again "$WORK/cache"
    served "$ONE"
    sleep 2
    assert_eq "$(serial "$ONE") $(serial "$TWO") $(orders)" "$before" "certificates and orders after a restart"
    stop "$REG_PID"
}

distribution_goes_on() {
    local before
    before="$(serial_in "$WORK/cache/$ONE") $(orders)"
    begin there "$WORK/cache" v3
    served "$ONE"
    assert_eq "$(serial "$ONE") $(orders)" "$before" "what Distribution serves from our cache"
    stop "$REG_PID"
}

serial_in() { openssl x509 -noout -serial -in "$1"; }

goes_on_for_distribution() {
    local before accounts i
    # Distribution makes itself an account. It gets no further: its client of
    # ACME cannot wait for an order in the way of this Pebble. So the
    # certificate is ours, with the key as Go writes keys.
    HOSTS=$ONE begin there-first "$WORK/cache-there" v3
    for ((i = 0; i < 40; i++)); do
        ask "$ONE" >/dev/null
        [[ ! -e $WORK/cache-there/acme_account+key ]] || break
        sleep 0.5
    done
    stop "$REG_PID"
    assert_contains "$(cat "$WORK/cache-there/acme_account+key")" "BEGIN EC PRIVATE KEY" "Distribution's account"
    {
        openssl ec -in "$WORK/cache/$ONE" 2>/dev/null
        sed -n '/BEGIN CERTIFICATE/,$p' "$WORK/cache/$ONE"
    } >"$WORK/cache-there/$ONE"
    assert_contains "$(head -n 1 "$WORK/cache-there/$ONE")" "BEGIN EC PRIVATE KEY" "the key as Go writes it"
    before="$(serial_in "$WORK/cache-there/$ONE") $(orders)"
    HOSTS=$ONE begin here-then "$WORK/cache-there"
    served "$ONE"
    assert_eq "$(serial "$ONE") $(orders)" "$before" "what we serve from Distribution's cache"
    stop "$REG_PID"
    # A certificate more, by the account that Distribution made.
    accounts=$(accounts)
    HOSTS="$ONE, $TWO" begin here-more "$WORK/cache-there"
    served "$TWO"
    assert_eq "$(accounts)" "$accounts" "accounts"
    stop "$REG_PID"
}

accounts() { sed -n 's/.*There are now \([0-9]*\) accounts in memory.*/\1/p' "$PEBBLE_LOG" | sort -n | tail -n 1; }

with_client_certificates() {
    # The authority has none, and is let in all the same; clients are not.
    MORE="    clientcas: [$PKI/ca.crt]" HOSTS=$ONE begin mutual "$WORK/cache-mutual"
    served "$ONE" --cert "$PKI/pebble.crt" --key "$PKI/pebble.key"
    assert_eq "$(ask "$ONE")" 000 "a client without a certificate"
    stop "$REG_PID"
}

refused_names() {
    # The name is served, but not the one that the authority would see.
    HOSTS="gone.example.test, $ONE" begin refused "$WORK/cache-refused"
    served "$ONE"
    stop "$REG_PID"
    kill "$PEBBLE"
    wait_gone "$PEBBLE" 5 || fail "Pebble goes on"
    HOSTS=$ONE begin alone "$WORK/cache-alone"
    for ((i = 0; i < 100; i++)); do
        if grep -q "no certificate for $ONE" "$REG_LOG"; then break; fi
        sleep 0.1
    done
    assert_eq "$(grep -c "no certificate for $ONE (http.tls.letsencrypt), trying again in 10s" "$REG_LOG")" 1 \
        "lines while the authority is gone"
    assert_eq "$(ask "$ONE" -k)" 000 "without a certificate"
    stop "$REG_PID"
    grep -q '"stopped"\|msg=stopped' "$REG_LOG" || fail "it did not stop in order"
}

renews() {
    local before failed=0
    # A third of the time is left after twenty seconds.
    HOSTS=$ONE begin renews "$WORK/cache-short"
    served "$ONE"
    before=$(serial "$ONE")
    for ((i = 0; i < 60; i++)); do
        [[ $(ask "$ONE") == 200 ]] || failed=$((failed + 1))
        [[ $(serial "$ONE") == "$before" ]] || break
        sleep 0.5
    done
    [[ $(serial "$ONE") != "$before" ]] || fail "not renewed after 30 s"
    assert_eq "$failed" 0 "requests that failed meanwhile"
    assert_eq "$(serial_in "$WORK/cache-short/$ONE")" "$(serial "$ONE")" "what is kept"
    stop "$REG_PID"
}

bad_cache() {
    local code=0
    echo x >"$WORK/file"
    EXTRA_HTTP="  tls: {letsencrypt: {cachefile: $WORK/file, hosts: [$ONE]}}" write_config "$WORK/bad.yml" "$PORT" "$WORK/store-bad"
    (clean timeout 10 "$REGISTRY_BIN" serve "$WORK/bad.yml") >"$WORK/said" 2>&1 || code=$?
    assert_eq "$code" 1 "exit code"
    assert_contains "$(tail -n 1 "$WORK/said")" "http.tls.letsencrypt.cachefile: cannot keep certificates in $WORK/file" "what is said"
}

authority long 7776000
check "gets certificates for its names, and keeps them over a restart" gets_and_keeps
check "Distribution goes on with them" distribution_goes_on
check "goes on with Distribution's, and with its account" goes_on_for_distribution
check "gets them where clients need certificates too" with_client_certificates
check "goes on without an authority, and says so once" refused_names
authority short 30
check "renews them in time without a failed request" renews
check "does not start where they cannot be kept" bad_cache
finish
