# shellcheck shell=bash disable=SC2034,SC2154 # what is not assigned here is in lib.sh, and the other way round
# Stores that are servers: MinIO, moto and Azurite, each private to a suite. For lib.sh, which reads it.
#
# A store is named where otherwise a directory is: `s3:/prefix` is a place in the bucket of the server that
# start_minio or start_moto has started.

S3_BUCKET=registry
S3_REGION=us-east-1

# store_config STORE: the lines below `storage` that name it.
store_config() {
    case $1 in
    s3:*)
        cat <<YAML
  s3:
    accesskey: $S3_KEY
    secretkey: $S3_SECRET
    region: $S3_REGION
    regionendpoint: $S3_ENDPOINT
    forcepathstyle: true
    secure: false
    v4auth: true
    bucket: $S3_BUCKET
    rootdirectory: ${1#s3:}
  redirect:
    disable: ${S3_REDIRECT_DISABLE:-true}
YAML
        ;;
    azure:*)
        cat <<YAML
  azure:
    accountname: devstoreaccount1
    accountkey: $AZURE_KEY
    credentials:
      type: shared_key
    container: $S3_BUCKET
    serviceurl: $AZURE_ENDPOINT
    rootdirectory: ${1#azure:}
  redirect:
    disable: true
YAML
        ;;
    *) printf '  filesystem:\n    rootdirectory: %s\n' "$1" ;;
    esac
}

# server NAME URL COMMAND…: starts one, and waits until it answers at URL with any status.
server() {
    local name=$1 url=$2 i
    shift 2
    clean "$@" >"$WORK/logs/$name.log" 2>&1 </dev/null &
    SERVER_PID=$!
    disown "$SERVER_PID"
    own "$SERVER_PID"
    for ((i = 0; i < 200; i++)); do
        if [[ $(curl -sS -o /dev/null -w '%{http_code}' --max-time 2 "$url" 2>/dev/null) != 000 ]]; then return 0; fi
        alive "$SERVER_PID" || break
        sleep 0.1
    done
    tail -n 20 "$WORK/logs/$name.log"
    fail "$name did not start"
}

# signed METHOD PATH-AND-QUERY [CURL-ARGUMENTS…]: to the S3 server; prints the status, fills BODY.
signed() {
    local method=$1 path=$2
    shift 2
    curl -sS -o "$BODY" -w '%{http_code}' --max-time 20 -X "$method" --user "$S3_KEY:$S3_SECRET" \
        --aws-sigv4 "aws:amz:$S3_REGION:s3" "$@" "$S3_ENDPOINT/$path"
}

make_bucket() { assert_eq "$(signed PUT "$S3_BUCKET")" 200 "making the bucket at $S3_ENDPOINT"; }

# start_minio: a real S3 server with an empty bucket. Sets S3_ENDPOINT, S3_KEY, S3_SECRET, MINIO_PID; its files are in
# MINIO_DATA.
start_minio() {
    local port
    port=$(free_port)
    MINIO_DATA=$WORK/minio
    mkdir -p "$MINIO_DATA"
    S3_ENDPOINT=http://127.0.0.1:$port
    S3_KEY=e2e-access-key
    S3_SECRET=e2e-secret-key
    server minio "$S3_ENDPOINT/minio/health/ready" env MINIO_ROOT_USER="$S3_KEY" MINIO_ROOT_PASSWORD="$S3_SECRET" \
        MINIO_BROWSER=off MINIO_UPDATE=off MINIO_CALLHOME_ENABLE=off \
        "$TOOLS/minio" server --quiet --address "127.0.0.1:$port" "$MINIO_DATA"
    MINIO_PID=$SERVER_PID
    make_bucket
}

# start_moto: another S3, in Python, with an empty bucket. Sets S3_ENDPOINT, S3_KEY, S3_SECRET, MOTO_PID.
start_moto() {
    local port
    port=$(free_port)
    S3_ENDPOINT=http://127.0.0.1:$port
    S3_KEY=e2e-access-key
    S3_SECRET=e2e-secret-key
    server moto "$S3_ENDPOINT/moto-api/" env PYTHONPATH="$TOOLS/moto" python3 -m moto.server -H 127.0.0.1 -p "$port"
    MOTO_PID=$SERVER_PID
    make_bucket
}

# The account that every Azurite has, and its published key.
AZURE_KEY=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==

# start_azurite: a Blob service with an empty container of the same name. Sets AZURE_ENDPOINT, AZURITE_PID.
start_azurite() {
    local port date signature
    port=$(free_port)
    mkdir -p "$WORK/azurite"
    AZURE_ENDPOINT=http://127.0.0.1:$port/devstoreaccount1
    server azurite "$AZURE_ENDPOINT?comp=list" "$TOOLS/azurite/node_modules/.bin/azurite-blob" --location "$WORK/azurite" \
        --blobHost 127.0.0.1 --blobPort "$port" --skipApiVersionCheck --disableTelemetry --silent
    AZURITE_PID=$SERVER_PID
    date=$(date -u '+%a, %d %b %Y %H:%M:%S GMT')
    # The shared key's text: the method, eleven headers that are not there, ours, and the resource.
    signature=$(printf 'PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:%s\nx-ms-version:2021-08-06\n%s\nrestype:container' "$date" \
        "/devstoreaccount1/devstoreaccount1/$S3_BUCKET" |
        openssl dgst -sha256 -mac HMAC -macopt "hexkey:$(base64 -d <<<"$AZURE_KEY" | od -An -v -tx1 | tr -d ' \n')" -binary | base64 -w0)
    assert_eq "$(curl -sS -o "$BODY" -w '%{http_code}' -X PUT "$AZURE_ENDPOINT/$S3_BUCKET?restype=container" -H "x-ms-date: $date" \
        -H 'x-ms-version: 2021-08-06' -H 'Content-Length: 0' -H "Authorization: SharedKey devstoreaccount1:$signature")" 201 "making the container"
}

# keys_under PREFIX: the keys in the bucket that begin so, one a line, at most 1,000.
keys_under() {
    assert_eq "$(signed GET "$S3_BUCKET?list-type=2&prefix=$(jq -rn --arg p "$1" '$p | @uri')")" 200 "listing $1" >&2
    { grep -o '<Key>[^<]*</Key>' "$BODY" || true; } | sed 's/<[^>]*>//g'
}

# uploads_under PREFIX: how many multipart uploads are under way below it.
uploads_under() {
    assert_eq "$(signed GET "$S3_BUCKET?prefix=$(jq -rn --arg p "$1" '$p | @uri')&uploads=")" 200 "listing uploads" >&2
    { grep -o '<Upload>' "$BODY" || true; } | wc -l
}
