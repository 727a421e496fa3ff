#!/usr/bin/env bash
# Where clients are sent for blobs. `redirect` and `rewrite` in front of a server
# of files over the directory of the store, `storage.redirect` by method, size and
# network, and `cloudfront` in front of a bucket of MinIO, with a server that
# checks signed URLs by openssl and lets nothing else through. curl, crane and
# skopeo pull through all of it.
SUITE=redirect
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

STORE=$WORK/store
LAYOUT=$WORK/layout
make_fixtures "$LAYOUT"
IMAGE_FILE=$LAYOUT/blobs/sha256/${IMAGE#sha256:}
LARGE=$(jq -r '.layers | max_by(.size) | .digest' "$IMAGE_FILE")
SMALL=$(jq -r .config.digest "$IMAGE_FILE")

# inside DIGEST: the path of a blob in a store.
inside() {
    local hex=${1#sha256:}
    echo "/docker/registry/v2/blobs/sha256/${hex:0:2}/$hex/data"
}

crane() { timeout 120 "$TOOLS/crane" --insecure "$@"; }

# push REPOSITORY, then pull TOOL REPOSITORY: the image, byte for byte.
push() { timeout 120 skopeo copy --quiet --preserve-digests --dest-tls-verify=false "oci:$LAYOUT:image" "docker://$REG/$1:v1"; }

pull() {
    local back=$WORK/back-$RANDOM
    case $1 in
    skopeo)
        timeout 120 skopeo copy --quiet --preserve-digests --src-tls-verify=false "docker://$REG/$2:v1" "dir:$back"
        same_image_bytes "$back" "$LAYOUT" "$IMAGE"
        ;;
    crane)
        crane pull --format oci "$REG/$2:v1" "$back"
        assert_eq "$(jq -r '.manifests[0].digest' "$back/index.json")" "$IMAGE" "digest of what was pulled"
        local blob
        for blob in $(jq -r '.config.digest, .layers[].digest' "$IMAGE_FILE"); do
            assert_same_bytes "$back/blobs/${blob/://}" "$LAYOUT/blobs/${blob/://}" "pulled blob"
        done
        ;;
    esac
    rm -rf "$back"
}

# middleware ENTRY…: the section, each entry in one line.
middleware() {
    printf 'middleware:\n  storage:\n'
    printf '    - %s\n' "$@"
}

# ------------------------------------------------------------ server of files

FILES_PORT=$(free_port)
FILES=http://127.0.0.1:$FILES_PORT
mkdir -p "$STORE"
server files "$FILES/" python3 -u -m http.server --bind 127.0.0.1 --directory "$STORE" "$FILES_PORT"

# fetched PATH: how often the server of files was asked for it.
fetched() { grep -c "GET $1 " "$WORK/logs/files.log" || true; }

REDIRECT="{name: redirect, options: {baseurl: '$FILES'}}"

through_redirect() {
    EXTRA_CONFIG=$(middleware "$REDIRECT") start_registry redirect "$STORE"
    push "r/$1"
    local before
    before=$(fetched "$(inside "$LARGE")")
    pull "$1" "r/$1"
    assert_eq "$(fetched "$(inside "$LARGE")")" $((before + 1)) "fetches of a layer from the server of files"
    http_ok 307 GET "/v2/r/$1/blobs/$LARGE"
    assert_eq "$(header Location)" "$FILES$(inside "$LARGE")" "where a blob is"
    assert_eq "$(header Cache-Control)" "" "how long a redirect may be kept"
    http_ok 200 GET "/v2/r/$1/blobs/$LARGE" -L
    assert_same_bytes "$BODY" "$LAYOUT/blobs/sha256/${LARGE#sha256:}" "the blob, by curl"
    http_ok 404 GET "/v2/r/$1/blobs/sha256:$(printf '0%.0s' {1..64})"
    http_ok 404 GET "/v2/r/other/blobs/$LARGE"
    stop "$REG_PID"
}

answers_head() {
    EXTRA_CONFIG=$(middleware "$REDIRECT") start_registry head "$STORE"
    http_ok 307 HEAD "/v2/r/crane/blobs/$LARGE"
    http_ok 200 HEAD "/v2/r/crane/blobs/$LARGE" -L
    stop "$REG_PID"
    EXTRA_STORAGE='  redirect: {methods: [GET]}' EXTRA_CONFIG=$(middleware "$REDIRECT") start_registry get "$STORE"
    http_ok 200 HEAD "/v2/r/crane/blobs/$LARGE"
    assert_eq "$(header Docker-Content-Digest)" "$LARGE" "digest"
    assert_eq "$(header Content-Length)" "$(stat -c %s "$LAYOUT/blobs/sha256/${LARGE#sha256:}")" "length"
    http_ok 307 GET "/v2/r/crane/blobs/$LARGE"
    stop "$REG_PID"
}

ranges() {
    EXTRA_CONFIG=$(middleware "$REDIRECT") start_registry ranges "$STORE"
    http_ok 307 GET "/v2/r/crane/blobs/$LARGE" -H 'Range: bytes=5-9'
    http_ok 206 GET "/v2/r/crane/blobs/$LARGE" -H 'Range: bytes=5-9,20-29'
    assert_contains "$(header Content-Type)" multipart/byteranges "type of several ranges"
    http_ok 206 GET "/v2/r/crane/blobs/$LARGE" -H 'Range: bytes=5-9' -H "If-Range: \"$LARGE\""
    assert_same_bytes "$BODY" <(tail -c +6 "$LAYOUT/blobs/sha256/${LARGE#sha256:}" | head -c 5) "a range with a condition"
    http_ok 304 GET "/v2/r/crane/blobs/$LARGE" -H "If-None-Match: \"$LARGE\""
    stop "$REG_PID"
}

small_blobs() {
    local before
    EXTRA_STORAGE='  redirect: {minsize: 65536}' EXTRA_CONFIG=$(middleware "$REDIRECT") start_registry small "$STORE"
    before=$(fetched "$(inside "$SMALL")")
    http_ok 200 GET "/v2/r/crane/blobs/$SMALL"
    assert_same_bytes "$BODY" "$LAYOUT/blobs/sha256/${SMALL#sha256:}" "a small blob"
    http_ok 307 GET "/v2/r/crane/blobs/$LARGE"
    pull crane r/crane
    assert_eq "$(fetched "$(inside "$SMALL")")" "$before" "fetches of the configuration from the server of files"
    stop "$REG_PID"
}

# status_from ADDRESS PATH: what a client gets that a proxy says is there. The
# proxy has an address of its own, so that curl need not speak as one.
status_from() {
    python3 - "${REG#*:}" "$@" <<'PYTHON'
import socket, sys
port, address, path = sys.argv[1:]
with socket.create_connection(("127.0.0.1", int(port)), timeout=10, source_address=("127.0.0.2", 0)) as proxy:
    proxy.sendall(f"PROXY TCP4 {address} 127.0.0.1 50000 5000\r\nGET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
    print(proxy.makefile("rb").readline().split()[1].decode())
PYTHON
}

networks() {
    local blob=/v2/r/crane/blobs/$LARGE
    EXTRA_HTTP='  proxyprotocol: {enabled: true, trusted: [127.0.0.2]}' \
        EXTRA_STORAGE='  redirect: {networks: [192.0.2.0/24, 127.0.0.1], exceptnetworks: [192.0.2.128/25]}' \
        EXTRA_CONFIG=$(middleware "$REDIRECT") start_registry networks "$STORE"
    assert_eq "$(status_from 192.0.2.1 "$blob")" 307 "a client inside"
    assert_eq "$(status_from 192.0.2.200 "$blob")" 200 "a client in what is excepted"
    assert_eq "$(status_from 198.51.100.1 "$blob")" 200 "a client outside"
    http_ok 307 GET "$blob" -H 'X-Forwarded-For: 198.51.100.1'
    stop "$REG_PID"
}

lists() {
    local elsewhere="{name: redirect, options: {baseurl: 'https://nowhere.invalid:1/pre/fix'}}"
    local rewrite="{name: rewrite, options: {scheme: http, host: '127.0.0.1:$FILES_PORT', trimpathprefix: /pre/fix}}"
    EXTRA_CONFIG=$(middleware "$elsewhere" "$rewrite" "{name: redirect, disabled: true}") start_registry lists "$STORE"
    pull skopeo r/crane
    http_ok 307 GET "/v2/r/crane/blobs/$LARGE"
    assert_eq "$(header Location)" "$FILES$(inside "$LARGE")" "where a blob is"
    stop "$REG_PID"
    EXTRA_CONFIG=$(middleware "$rewrite") start_registry nothing "$STORE"
    http_ok 200 GET "/v2/r/crane/blobs/$LARGE"
    assert_contains "$(cat "$REG_LOG")" "there are no URLs to rewrite" "the log"
    stop "$REG_PID"
}

# refused ENTRY TEXT: one line, and exit code 1.
refused() {
    local code=0
    EXTRA_CONFIG=$(middleware "$1") write_config "$WORK/refused.yml" "$(free_port)" "${3:-$STORE}"
    (clean timeout 15 "$REGISTRY_BIN" serve "$WORK/refused.yml") >"$WORK/said" 2>&1 || code=$?
    assert_eq "$code" 1 "exit code of $1"
    assert_contains "$(cat "$WORK/said")" "$2" "what is said about $1"
}

mistakes() {
    refused '{name: nothing}' 'middleware.storage[0].name: no storage middleware registered with name: "nothing"'
    refused '{name: redirect}' 'middleware.storage[0].options.baseurl: no baseurl provided'
    assert_contains "$(cat "$WORK/said")" "$WORK/refused.yml:" "the place"
    refused '{name: redirect, options: {baseurl: cdn.example.com}}' 'no scheme specified'
}

check "sends crane to the server of files" through_redirect crane
check "sends skopeo to the server of files" through_redirect skopeo
check "redirects HEAD, or answers it" answers_head
check "redirects one range, and answers several" ranges
check "keeps small blobs to itself" small_blobs
check "redirects by network" networks
check "applies a list in its order" lists
check "names mistakes" mistakes

# ----------------------------------------------------------------- CloudFront

PKI=$WORK/pki
mkdir "$PKI"
openssl genrsa -traditional -out "$PKI/pkcs1.pem" 2048 2>/dev/null
openssl pkcs8 -topk8 -nocrypt -in "$PKI/pkcs1.pem" -out "$PKI/pkcs8.pem"
openssl rsa -in "$PKI/pkcs1.pem" -pubout -out "$PKI/rsa.pub" 2>/dev/null
openssl ecparam -name prime256v1 -genkey -noout -out "$PKI/ec.pem"
openssl ec -in "$PKI/ec.pem" -pubout -out "$PKI/ec.pub" 2>/dev/null

start_minio
export S3_REDIRECT_DISABLE=false
BUCKET=s3:/some/images
KEY_PAIR=K2JCJMDEHXQW5F
# What CloudFront has by its origin access: nobody else is meant to read the bucket.
POLICY="{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"s3:GetObject\",\"Resource\":\"arn:aws:s3:::$S3_BUCKET/*\"}]}"
assert_eq "$(signed PUT "$S3_BUCKET?policy=" -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' \
    -H 'Content-Type: application/json' --data-binary "$POLICY")" 204 "letting CloudFront read the bucket"

# edge PUBLIC-KEY: starts it. Sets EDGE.
edge() {
    local port
    port=$(free_port)
    EDGE=http://127.0.0.1:$port
    server edge "$EDGE/" python3 "$E2E/cloudfront_edge.py" "$port" "$PKI/$1" "$KEY_PAIR" "$S3_ENDPOINT/$S3_BUCKET"
}

# cloudfront KEY MORE-OPTIONS
cloudfront() { middleware "{name: cloudfront, options: {baseurl: '$EDGE/', privatekey: $PKI/$1, keypairid: $KEY_PAIR$2}}"; }

signed_urls() {
    local url expires now
    edge "$2"
    EXTRA_CONFIG=$(cloudfront "$1" ', duration: 5m') start_registry signed "$BUCKET"
    push c/image
    pull crane c/image
    pull skopeo c/image
    http_ok 307 GET "/v2/c/image/blobs/$LARGE"
    url=$(header Location)
    now=$(date +%s)
    assert_contains "$url" "$EDGE/some/images$(inside "$LARGE")?Expires=" "the URL"
    expires=${url#*Expires=}
    expires=${expires%%&*}
    ((expires > now + 290 && expires <= now + 300)) || fail "good until $expires, and it is $now"
    http_ok 200 GET "$url"
    assert_same_bytes "$BODY" "$LAYOUT/blobs/sha256/${LARGE#sha256:}" "the blob"
    http_ok 206 GET "$url" -H 'Range: bytes=5-9'
    http_ok 403 GET "${url/Expires=$expires/Expires=$((expires + 1))}"
    http_ok 403 GET "${url/$(inside "$LARGE")/$(inside "$SMALL")}"
    http_ok 403 GET "${url%%\?*}"
    stop "$REG_PID"
    stop "$SERVER_PID"
}

# One who is in AWS gets the URL of the bucket, as soon as the list is there; the next list counts after updatefrequency.
clients_in_aws() {
    local i sent=
    mkdir -p "$WORK/ranges"
    local port
    port=$(free_port)
    server ranges "http://127.0.0.1:$port/" python3 -u -m http.server --bind 127.0.0.1 --directory "$WORK/ranges" "$port"
    edge rsa.pub
    local list=http://127.0.0.1:$port/ip-ranges.json
    EXTRA_CONFIG=$(cloudfront pkcs1.pem ", ipfilteredby: awsregion, awsregion: 'eu-north-1', updatefrequency: 1s, iprangesurl: '$list'") \
        start_registry aws "$BUCKET"
    http_ok 307 GET "/v2/c/image/blobs/$LARGE"
    assert_contains "$(header Location)" "$EDGE/" "before there is a list"
    sent_to() {
        local to=$1
        for ((i = 0; i < 100; i++)); do
            http_ok 307 GET "/v2/c/image/blobs/$LARGE"
            sent=$(header Location)
            [[ $sent != "$to"/* ]] || return 0
            sleep 0.1
        done
        fail "clients are sent to $sent, not to $to"
    }
    echo '{"prefixes": [{"ip_prefix": "127.0.0.0/8", "region": "eu-north-1", "service": "EC2"}], "ipv6_prefixes": []}' >"$WORK/ranges/ip-ranges.json"
    sent_to "$S3_ENDPOINT"
    http_ok 200 GET "$sent"
    assert_same_bytes "$BODY" "$LAYOUT/blobs/sha256/${LARGE#sha256:}" "the blob, from the bucket"
    echo '{"prefixes": [{"ip_prefix": "127.0.0.0/8", "region": "us-east-1", "service": "EC2"}], "ipv6_prefixes": []}' >"$WORK/ranges/ip-ranges.json"
    sent_to "$EDGE"
    grep -q 'the address ranges of AWS could not be fetched' "$REG_LOG" || fail "nothing in the log about a list that was missing"
    stop "$REG_PID"
}

cloudfront_mistakes() {
    EDGE=https://d111.cloudfront.net
    refused "{name: cloudfront, options: {baseurl: x, privatekey: $PKI/none.pem, keypairid: K}}" \
        "middleware.storage[0].options.privatekey: $PKI/none.pem: failed to read privatekey file" "$BUCKET"
    refused "{name: cloudfront, options: {baseurl: x, privatekey: $PKI/rsa.pub, keypairid: K}}" 'there is no private key in it' "$BUCKET"
    refused "{name: cloudfront, options: {baseurl: x, privatekey: $PKI/pkcs1.pem, keypairid: K}}" 'cloudfront needs a bucket'
}

check "signs URLs with an RSA key as Distribution has it, PKCS #1" signed_urls pkcs1.pem rsa.pub
check "signs URLs with an RSA key, PKCS #8" signed_urls pkcs8.pem rsa.pub
check "signs URLs with a key of P-256" signed_urls ec.pem ec.pub
check "sends clients in AWS to the bucket" clients_in_aws
check "names mistakes of cloudfront" cloudfront_mistakes
finish
