# shellcheck shell=bash
# The part of listener.sh about TLS and the versions of HTTP: what is spoken, with whom, and the keys of http.tls beside
# Distribution.

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

check "speaks HTTP/1.1 and HTTP/2 over TLS, and says https in what it generates" speaks_both
check "moves blobs over both, ten at once" moves_blobs
check "speaks HTTP/2 without TLS where that is wanted" speaks_h2c
check "asks clients for certificates in four ways" client_certificates
check "as Distribution does" client_certificates_there
check "agrees on the versions and ciphers that were chosen" versions_and_ciphers
check "as Distribution does" versions_and_ciphers_there
check "starts with what Distribution starts with, and says in one line why it does not" same_as_there
check "warns of a certificate that has expired" warns_of_expired
check "serves skopeo and podman over TLS with certificates of clients" real_clients
