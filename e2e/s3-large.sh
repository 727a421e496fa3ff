#!/usr/bin/env bash
# Blobs larger than any one request to a bucket: 20 GiB in chunks through the
# API with bounded memory here, copied within the bucket in parts because no
# single copy takes that much, and many clients at once. The bucket keeps no
# zeros (sparse_s3.py), so that none of this needs a disk.
SUITE=s3-large
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# head -c 20G /dev/zero | sha256sum
TWENTY_GIB=sha256:6cb118a8f8b3c19385874297e291dcbcdf3a9837ba1ca7b00ace2491adbff551
MEMORY_KIB=$((64 * 1024))

# bucket [COPY-LIMIT]: starts a bucket of its own; sets S3.
bucket() {
    S3=127.0.0.1:$(free_port)
    COPY_LIMIT=${1:-5368709120} python3 "$E2E/sparse_s3.py" "${S3#*:}" test >>"$WORK/logs/s3.log" 2>&1 &
    own $!
    wait_ready "http://$S3/.log" $! || fail "the bucket did not start"
}

# serve_bucket NAME [STORAGE-LINES]: our registry over it. Sets REG and REG_PID.
serve_bucket() {
    REG=127.0.0.1:$(free_port)
    cat >"$WORK/$1.yml" <<YAML
version: 0.1
storage:
  s3:
    accesskey: key
    secretkey: secret
    region: us-east-1
    regionendpoint: http://$S3
    forcepathstyle: true
    bucket: test
${2:-}
http:
  addr: $REG
  secret: one-secret-for-every-process-of-this-run
YAML
    clean "$REGISTRY_BIN" serve "$WORK/$1.yml" >>"$WORK/logs/$1.log" 2>&1 </dev/null &
    REG_PID=$!
    own "$REG_PID"
    wait_ready "http://$REG/v2/" "$REG_PID" || {
        tail -n 20 "$WORK/logs/$1.log"
        fail "the registry did not start"
    }
}

# requests KIND: how many requests of a kind the bucket has seen.
requests() { curl -sS "http://$S3/.log" | grep -c "^$1 " || true; }

bounded_memory() {
    local peak
    peak=$(awk '/^VmHWM/ { print $2 }' "/proc/$REG_PID/status")
    echo "peak resident memory: $((peak / 1024)) MiB"
    ((peak <= MEMORY_KIB)) || fail "peak resident memory is $peak KiB, more than $MEMORY_KIB"
}

# zeros COUNT URL: one PATCH of so many zeros, streamed; prints the next URL.
zeros() {
    local answer=$WORK/patch.$BASHPID
    head -c "$1" /dev/zero |
        curl -sS --fail -o /dev/null -D "$answer" -X PATCH -T - "${OCTETS[@]}" --max-time 180 "$2" || return 1
    sed -n 's/^[Ll]ocation: \(.*\)\r$/\1/p' "$answer" | tail -n 1
}

absolute() { case $1 in http*) echo "$1" ;; *) echo "http://$REG$1" ;; esac }

twenty_gib() {
    local url i size
    bucket
    serve_bucket twenty $'  redirect:\n    disable: true'
    http_ok 202 POST /v2/large/blobs/uploads/ -H 'Content-Length: 0'
    url=$(location)
    for ((i = 0; i < 10; i++)); do
        url=$(absolute "$(zeros 2G "$url")") || fail "chunk $i was refused"
    done
    http_ok 201 PUT "$(with_digest "$url" "$TWENTY_GIB")" -H 'Content-Length: 0'
    http_ok 200 HEAD "/v2/large/blobs/$TWENTY_GIB"
    assert_eq "$(header Content-Length)" $((20 << 30)) "size of the blob"
    size=$(curl -sS -L -r "$(((20 << 30) - 1000))-" "http://$REG/v2/large/blobs/$TWENTY_GIB" | wc -c)
    assert_eq "$size" 1000 "bytes at the end of the blob"
    bounded_memory
    (($(requests Part) <= 10000)) || fail "$(requests Part) parts"
    (($(requests PartCopy) >= 4)) || fail "20 GiB were copied with $(requests PartCopy) copies of parts"
    assert_eq "$(requests 'Get docker/registry/v2/repositories/large/_uploads')" 0 "reads of the bytes that were copied"
}

copies_in_parts() {
    local url digest
    bucket $((16 << 20))
    serve_bucket parts $'    multipartcopythresholdsize: 8388608\n    multipartcopychunksize: 8388608'
    http_ok 202 POST /v2/parts/blobs/uploads/ -H 'Content-Length: 0'
    url=$(absolute "$(zeros 100M "$(location)")")
    digest=sha256:$(head -c 100M /dev/zero | sha256sum | cut -d' ' -f1)
    http_ok 201 PUT "$(with_digest "$url" "$digest")" -H 'Content-Length: 0'
    assert_eq "$(curl -sS -L "http://$REG/v2/parts/blobs/$digest" | sha256sum | cut -d' ' -f1)" "${digest#*:}" "the blob"
    (($(requests PartCopy) >= 7)) || fail "100 MiB were copied with $(requests PartCopy) copies of parts"
    assert_eq "$(requests Copy)" 0 "copies in one piece, which this bucket would refuse"
}

many_clients() {
    local url i pids=() digest
    bucket
    serve_bucket many
    digest=sha256:$(head -c 100M /dev/zero | sha256sum | cut -d' ' -f1)
    for ((i = 0; i < 32; i++)); do
        (
            curl -sS --fail -o /dev/null -D "$WORK/many.$i" -X POST -H 'Content-Length: 0' "http://$REG/v2/many/$i/blobs/uploads/"
            url=$(absolute "$(sed -n 's/^[Ll]ocation: \(.*\)\r$/\1/p' "$WORK/many.$i")")
            url=$(absolute "$(zeros 100M "$url")")
            curl -sS --fail -o /dev/null -X PUT -H 'Content-Length: 0' "$(with_digest "$url" "$digest")"
        ) &
        pids+=($!)
    done
    for i in "${!pids[@]}"; do
        wait "${pids[i]}" || fail "client $i failed"
    done
    bounded_memory
    for ((i = 0; i < 32; i++)); do http_ok 307 HEAD "/v2/many/$i/blobs/$digest"; done
}

check "20 GiB in ten chunks, within 64 MiB of memory, copied by the bucket" twenty_gib
check "a copy larger than the service takes at once is made in parts" copies_in_parts
check "32 clients push 100 MiB each within 64 MiB of memory" many_clients
finish
