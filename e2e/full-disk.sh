#!/usr/bin/env bash
# A store whose disk fills up, runs out of inodes, and turns read-only: writes
# are refused with the right status, reads go on, nothing half-written is
# visible, and what failed succeeds once there is room. On a small tmpfs.
SUITE=full-disk
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

DISK=$WORK/disk
STORE=$DISK/store
UPLOADS=$STORE/docker/registry/v2/repositories
MOUNTED=()
suite_cleanup() {
    local dir
    for dir in "${MOUNTED[@]}"; do umount "$dir" 2>/dev/null || umount -l "$dir"; done
}

# small_disk DIR OPTIONS
small_disk() {
    mkdir -p "$1"
    if ! mount -t tmpfs -o "$2" tmpfs "$1"; then
        echo "FAIL $SUITE: mounting a tmpfs is not permitted here, NOTHING of this suite was tested"
        FAILED=$((FAILED + 1))
        finish
        exit 1
    fi
    MOUNTED+=("$1")
}
small_disk "$DISK" size=24m
small_disk "$WORK/inodes" size=24m,nr_inodes=90

random_file() { # random_file NAME SIZE: sets FILE and DIGEST
    FILE=$WORK/$1
    head -c "$2" /dev/urandom >"$FILE"
    DIGEST=$(digest_of "$FILE")
}

# image NAME CONFIG LAYER: a manifest file over two blobs.
image() {
    jq -nc --arg t "$OCI_MANIFEST" --arg n "$1" --arg c "$(digest_of "$2")" --argjson cs "$(stat -c %s "$2")" \
        --arg l "$(digest_of "$3")" --argjson ls "$(stat -c %s "$3")" \
        '{schemaVersion: 2, mediaType: $t,
          config: {mediaType: "application/vnd.oci.image.config.v1+json", digest: $c, size: $cs},
          layers: [{mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", digest: $l, size: $ls}],
          annotations: {name: $n}}' >"$WORK/$1.json"
}

# refused STATUS METHOD URL [CURL-ARGUMENTS…]: within ten seconds, with an envelope.
refused() {
    local expected=$1
    shift
    http "$@" --max-time 10
    echo "$1 ${2:0:90}: $STATUS $(head -c 300 "$BODY")"
    [[ $STATUS == "$expected" ]] || fail "$1 $2: status $STATUS, expected $expected"
    [[ $(header Content-Type) == application/json* ]] || fail "Content-Type $(header Content-Type)"
    jq -e '.errors[0].code and .errors[0].message' "$BODY" >/dev/null || fail "no error envelope"
    alive "$REG_PID" || fail "the registry has ended"
}

begin() { # begin REPOSITORY: sets SESSION
    http_ok 202 POST "/v2/$1/blobs/uploads/" -H 'Content-Length: 0'
    SESSION=$(location)
}

# reserve: takes 9 MiB, which `free` gives back.
reserve() { head -c 9437184 /dev/zero >"$DISK/filler"; }

# fill: takes all the room that is left.
fill() {
    dd if=/dev/zero of="$DISK/filler" bs=4k 2>/dev/null || true
    sync -f "$DISK"
    [[ $(df --output=avail "$DISK" | tail -n 1) -eq 0 ]] || fail "the disk is not full"
}

free() { rm -f "$DISK/filler"; }

# reads: everything acknowledged can be read.
reads() {
    local file
    for file in "$WORK/config" "$WORK/layer" "$WORK/spare"; do
        http_ok 200 GET "/v2/disk/kept/blobs/$(digest_of "$file")" --max-time 10
        assert_same_bytes "$BODY" "$file" "blob $file"
        http_ok 200 HEAD "/v2/disk/kept/blobs/$(digest_of "$file")"
    done
    for file in one two; do
        assert_eq "$(remote_digest disk/kept "$file")" "$(digest_of "$WORK/$file.json")" "tag $file"
    done
    assert_tags disk/kept one two
    http_ok 200 GET /v2/_catalog
    assert_eq "$(jq -r '.repositories | index("disk/kept") != null' "$BODY")" true "catalog has disk/kept"
}

referrers() { http_ok 200 GET "/v2/disk/kept/referrers/$(digest_of "$WORK/one.json")"; }
referrers_when_full() { fill && referrers; }
referrers_read_only() {
    mount -o remount,ro "$DISK"
    local status=0
    (referrers) || status=$?
    mount -o remount,rw "$DISK"
    return "$status"
}

# nothing_torn: no file in its final place is incomplete, no temporary file is left.
nothing_torn() {
    local data link
    while read -r data; do
        assert_eq "$(digest_of "$data")" "sha256:$(basename "$(dirname "$data")")" "content of $data"
    done < <(find "$STORE/docker/registry/v2/blobs" -name data)
    while read -r link; do
        [[ $(cat "$link") =~ ^sha256:[0-9a-f]{64}$ ]] || fail "$link has '$(cat "$link")'"
    done < <(find "$UPLOADS" -name link)
    link=$(find "$STORE" -name '*.tmp')
    [[ -z $link ]] || fail "temporary files left: $link"
}

# ------------------------------------------------------------------ the suite

start_registry main "$STORE"
reserve
random_file config 700
random_file layer 2000000
random_file spare 5000
random_file new 3000000
image one "$WORK/config" "$WORK/layer"
image two "$WORK/config" "$WORK/layer"
image three "$WORK/config" "$WORK/layer"
for blob in config layer spare; do push_blob disk/kept "$WORK/$blob" >/dev/null; done
put_manifest disk/kept one "$WORK/one.json"
put_manifest disk/kept two "$WORK/two.json"

fills_up() {
    local i digest
    for ((i = 0; i < 20; i++)); do
        random_file filling 3000000
        begin disk/filling
        http PUT "$(with_digest "$SESSION" "$DIGEST")" "${OCTETS[@]}" --data-binary "@$FILE"
        if [[ $STATUS != 201 ]]; then
            echo "push $((i + 1)) of 3 MB: $STATUS $(cat "$BODY")"
            assert_eq "$STATUS" 507 "status of the push that found the disk full"
            assert_eq "$(jq -r '.errors | length' "$BODY")" 1 "errors in the envelope"
            assert_gone "/v2/disk/filling/blobs/$DIGEST"
            cp "$FILE" "$WORK/failed"
            echo "$SESSION" >"$WORK/failed.session"
            ((i > 2)) || fail "full after $i pushes"
            while read -r digest; do
                http_ok 200 GET "/v2/disk/filling/blobs/$digest"
                assert_eq "$(digest_of "$BODY")" "$digest" "blob pushed before"
            done <"$WORK/filled"
            return
        fi
        echo "$DIGEST" >>"$WORK/filled"
    done
    fail "the disk never was full"
}

# Fills what is left, so that not even a link can be written.
writes_refused_when_full() {
    free
    begin disk/session
    http_ok 202 PATCH "$SESSION" "${OCTETS[@]}" --data-binary "@$WORK/spare"
    location >"$WORK/session"
    fill
    refused 507 PUT /v2/disk/kept/manifests/new -H "Content-Type: $OCI_MANIFEST" --data-binary "@$WORK/three.json"
    assert_gone /v2/disk/kept/manifests/new
    assert_gone "/v2/disk/kept/manifests/$(digest_of "$WORK/three.json")"
    refused 507 PUT /v2/disk/kept/manifests/one -H "Content-Type: $OCI_MANIFEST" --data-binary "@$WORK/three.json"
    refused 507 PUT /v2/disk/kept/manifests/two -H "Content-Type: $OCI_MANIFEST" --data-binary "@$WORK/one.json"
    refused 507 POST "/v2/disk/kept/blobs/uploads/?digest=$(digest_of "$WORK/new")" "${OCTETS[@]}" --data-binary "@$WORK/new"
    refused 507 POST "/v2/disk/other/blobs/uploads/?mount=$(digest_of "$WORK/layer")&from=disk/kept" -H 'Content-Length: 0'
    refused 507 POST /v2/disk/kept/blobs/uploads/ -H 'Content-Length: 0'
    refused 507 PATCH "$(cat "$WORK/session")" "${OCTETS[@]}" --data-binary "@$WORK/new"
    assert_gone "/v2/disk/kept/blobs/$(digest_of "$WORK/new")"
    assert_gone "/v2/disk/other/blobs/$(digest_of "$WORK/layer")"
}

# A body that is still being sent: the client has to hear why.
refused_while_sending() {
    local i lost=0 code
    head -c 20000000 /dev/zero >"$WORK/large"
    begin_on_full
    for ((i = 0; i < 10; i++)); do
        code=$(curl -sS -o "$BODY" -w '%{http_code}' --max-time 10 -X PATCH "${OCTETS[@]}" -H 'Expect:' \
            --data-binary "@$WORK/large" "$SESSION" 2>"$WORK/said") || true
        echo "attempt $i: $code $(cat "$WORK/said")"
        [[ $code == 507 || $code == 416 ]] || lost=$((lost + 1))
        http_ok 204 GET "$SESSION"
        SESSION=$(location)
    done
    ((lost == 0)) || fail "$lost of 10 clients did not hear the answer"
}

begin_on_full() {
    free
    begin disk/large
    fill
}

deletes_when_full() {
    fill
    http_ok 202 DELETE "/v2/disk/filling/blobs/$(head -n 1 "$WORK/filled")"
    assert_gone "/v2/disk/filling/blobs/$(head -n 1 "$WORK/filled")"
    free
    push_blob disk/deleted "$WORK/config" >/dev/null
    push_blob disk/deleted "$WORK/layer" >/dev/null
    put_manifest disk/deleted one "$WORK/one.json"
    put_manifest disk/deleted two "$WORK/two.json"
    fill
    http_ok 202 DELETE /v2/disk/deleted/manifests/one
    assert_gone /v2/disk/deleted/manifests/one
    http_ok 202 DELETE "/v2/disk/deleted/manifests/$(digest_of "$WORK/two.json")"
    assert_gone /v2/disk/deleted/manifests/two
}

status_when_full() {
    http_ok 204 GET "$(cat "$WORK/session")"
    assert_ne "$(header Range)" "" "Range of a session"
}

many_at_once() {
    local i pids=()
    free
    for ((i = 0; i < 6; i++)); do
        head -c 4000000 /dev/urandom >"$WORK/many$i"
        curl -sS -o "$WORK/body$i" -w '%{http_code}' --max-time 20 -X POST "${OCTETS[@]}" --data-binary "@$WORK/many$i" \
            "http://$REG/v2/disk/many/blobs/uploads/?digest=$(digest_of "$WORK/many$i")" >"$WORK/many$i.status" &
        pids+=($!)
    done
    wait "${pids[@]}" || true
    grep . "$WORK"/many*.status
    for ((i = 0; i < 6; i++)); do
        case $(cat "$WORK/many$i.status") in
        201)
            http_ok 200 GET "/v2/disk/many/blobs/$(digest_of "$WORK/many$i")"
            assert_same_bytes "$BODY" "$WORK/many$i" "blob acknowledged as the disk filled up"
            ;;
        507) assert_gone "/v2/disk/many/blobs/$(digest_of "$WORK/many$i")" ;;
        *) fail "status $(cat "$WORK/many$i.status")" ;;
        esac
    done
    grep -q 507 "$WORK"/many*.status || fail "the disk was not full"
}

# Nobody was told the ids of these sessions: nobody can go on with them or cancel them.
nothing_hidden() {
    local data
    data=$(find "$UPLOADS/disk/many/_uploads" -name data -size +0 -printf '%s bytes in %p\n' 2>/dev/null)
    [[ -z $data ]] || fail "left by refused requests: $data"
}

# As an operator would make it, of what nothing refers to any more.
make_room() {
    free
    rm -rf "$UPLOADS/disk/many" "$UPLOADS/disk/large/_uploads" "$UPLOADS/disk/kept/_uploads"
    find "$STORE/docker/registry/v2/blobs" -name data -size +3500k -delete
    df "$DISK"
}

resumes() {
    make_room
    http_ok 204 GET "$(cat "$WORK/failed.session")"
    local range next
    range=$(header Range)
    next=$((${range#0-} + 1))
    SESSION=$(location)
    [[ $range != 0-0 ]] || next=0
    echo "resuming at $next"
    tail -c "+$((next + 1))" "$WORK/failed" >"$WORK/rest"
    http_ok 202 PATCH "$SESSION" "${OCTETS[@]}" -H "Content-Range: $next-2999999" --data-binary "@$WORK/rest"
    http_ok 201 PUT "$(with_digest "$(location)" "$(digest_of "$WORK/failed")")" -H 'Content-Length: 0'
    http_ok 200 GET "/v2/disk/filling/blobs/$(digest_of "$WORK/failed")"
    assert_same_bytes "$BODY" "$WORK/failed" "blob whose push failed first"
}

retries() {
    push_blob disk/kept "$WORK/new" >/dev/null
    http_ok 200 GET "/v2/disk/kept/blobs/$(digest_of "$WORK/new")"
    assert_same_bytes "$BODY" "$WORK/new" "blob pushed again"
    push_blob disk/retried "$WORK/config" >/dev/null
    http_ok 201 POST "/v2/disk/retried/blobs/uploads/?mount=$(digest_of "$WORK/layer")&from=disk/kept" -H 'Content-Length: 0'
    put_manifest disk/retried one "$WORK/three.json"
    assert_eq "$(remote_digest disk/retried one)" "$(digest_of "$WORK/three.json")" "manifest put again"
}

out_of_inodes() {
    local i
    start_registry inodes "$WORK/inodes/store"
    push_blob disk/kept "$WORK/config" >/dev/null
    push_blob disk/kept "$WORK/layer" >/dev/null
    push_blob disk/kept "$WORK/spare" >/dev/null
    put_manifest disk/kept one "$WORK/one.json"
    put_manifest disk/kept two "$WORK/two.json"
    for ((i = 0; i < 200; i++)); do : 2>/dev/null >"$WORK/inodes/filler$i" || break; done
    ((i < 200)) || fail "inodes without end"
    refused 507 POST /v2/disk/kept/blobs/uploads/ -H 'Content-Length: 0'
    refused 507 PUT /v2/disk/kept/manifests/new -H "Content-Type: $OCI_MANIFEST" --data-binary "@$WORK/three.json"
    refused 507 PUT /v2/disk/kept/manifests/one -H "Content-Type: $OCI_MANIFEST" --data-binary "@$WORK/three.json"
    refused 507 POST "/v2/disk/other/blobs/uploads/?mount=$(digest_of "$WORK/layer")&from=disk/kept" -H 'Content-Length: 0'
    reads
    rm -f "$WORK"/inodes/filler*
    put_manifest disk/kept new "$WORK/three.json"
    assert_eq "$(remote_digest disk/kept new)" "$(digest_of "$WORK/three.json")" "manifest put again"
}

read_only() {
    begin disk/session
    http_ok 202 PATCH "$SESSION" "${OCTETS[@]}" --data-binary "@$WORK/spare"
    SESSION=$(location)
    mount -o remount,ro "$DISK"
    refused 503 POST /v2/disk/kept/blobs/uploads/ -H 'Content-Length: 0'
    refused 503 POST "/v2/disk/kept/blobs/uploads/?digest=$(digest_of "$WORK/new")" "${OCTETS[@]}" --data-binary "@$WORK/new"
    refused 503 POST "/v2/disk/other/blobs/uploads/?mount=$(digest_of "$WORK/layer")&from=disk/kept" -H 'Content-Length: 0'
    refused 503 PATCH "$SESSION" "${OCTETS[@]}" --data-binary "@$WORK/spare"
    refused 503 PUT "$(with_digest "$SESSION" "$(digest_of "$WORK/spare")")" -H 'Content-Length: 0'
    refused 503 DELETE "$SESSION"
    refused 503 PUT /v2/disk/kept/manifests/new -H "Content-Type: $OCI_MANIFEST" --data-binary "@$WORK/three.json"
    refused 503 PUT /v2/disk/kept/manifests/one -H "Content-Type: $OCI_MANIFEST" --data-binary "@$WORK/three.json"
    refused 503 DELETE /v2/disk/kept/manifests/one
    refused 503 DELETE "/v2/disk/kept/manifests/$(digest_of "$WORK/two.json")"
    refused 503 DELETE "/v2/disk/kept/blobs/$(digest_of "$WORK/spare")"
    http_ok 204 GET "$SESSION"
    reads
}

writable_again() {
    mount -o remount,rw "$DISK"
    reads
    begin disk/session
    http_ok 201 PUT "$(with_digest "$SESSION" "$(digest_of "$WORK/spare")")" "${OCTETS[@]}" --data-binary "@$WORK/spare"
    put_manifest disk/kept two "$WORK/two.json"
    http_ok 202 DELETE /v2/disk/kept/manifests/two
    assert_tags disk/kept one
}

no_panic() {
    if grep -i -A5 panicked "$WORK"/logs/*.log; then fail "it panicked"; fi
}

check "answers 507 to the push that finds the disk full" fills_up
check "answers 507 to every kind of write on a full disk" writes_refused_when_full
check "reads go on on a full disk" reads
check "lists referrers on a full disk" referrers_when_full
check "tells how far a session is on a full disk" status_when_full
check "a client hears 507 while it is still sending" refused_while_sending
check "deletes on a full disk" deletes_when_full
check "acknowledges only what it has when many fill the disk at once" many_at_once
check "a single POST that was refused leaves no bytes behind" nothing_hidden
check "leaves nothing torn and no temporary file" nothing_torn
check "resumes the session that failed once there is room" resumes
check "takes again what it refused" retries
check "reads go on afterwards" reads
check "answers 507 without inodes" out_of_inodes
check "answers 503 to writes on a read-only disk and reads on" read_only
check "lists referrers on a read-only disk" referrers_read_only
check "writes again when the disk is writable again" writable_again
check "leaves nothing torn in the end" nothing_torn
check "never panicked" no_panic
finish
