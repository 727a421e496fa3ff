#!/usr/bin/env bash
# The HTTP API by curl: every way to upload, resuming after the client died,
# after the registry was stopped or killed, and on a second process over the
# same store; ranges, HEAD, conditional requests, mounts, referrers, paging.
SUITE=raw
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

STORE=$WORK/store
BLOB=$WORK/blob # 8 MiB, and its digest
head -c 8388608 /dev/urandom >"$BLOB"
DIGEST=$(digest_of "$BLOB")
SIZE=8388608
make_fixtures "$WORK/layout"
start_registry main "$STORE"

begin() { # begin REPOSITORY: sets SESSION to the upload's URL
    http_ok 202 POST "/v2/$1/blobs/uploads/" -H 'Content-Length: 0'
    SESSION=$(location)
}

# part FROM TO: those bytes of the blob (both inclusive), as a file.
part() {
    tail -c "+$(($1 + 1))" "$BLOB" | head -c "$(($2 - $1 + 1))" >"$WORK/part"
    echo "$WORK/part"
}

# chunk FROM TO: one PATCH with Content-Range; follows the new Location.
chunk() {
    http_ok 202 PATCH "$SESSION" "${OCTETS[@]}" -H "Content-Range: $1-$2" --data-binary "@$(part "$1" "$2")"
    assert_eq "$(header Range)" "0-$2" "Range after the chunk"
    SESSION=$(location)
}

close_session() { # close_session [CURL-ARGUMENTS…]
    http_ok 201 PUT "$(with_digest "$SESSION" "$DIGEST")" "${@:--HContent-Length: 0}"
    assert_eq "$(header Docker-Content-Digest)" "$DIGEST" "digest of the finished blob"
}

blob_is_right() {
    http_ok 200 GET "/v2/$1/blobs/$DIGEST"
    assert_same_bytes "$BODY" "$BLOB" "blob read back"
    assert_eq "$(header Content-Length)" "$SIZE" "Content-Length"
    assert_eq "$(header Docker-Content-Digest)" "$DIGEST" "Docker-Content-Digest"
}

# received: the number of bytes the session holds, once that stands still.
# Sets SESSION to where the next chunk goes.
received() {
    local i now before=none
    for ((i = 0; i < 40; i++)); do
        http_ok 204 GET "$SESSION"
        now=$(header Range)
        if [[ $now == "$before" && $now != 0-0 ]]; then
            SESSION=$(location)
            RECEIVED=$((${now#0-} + 1))
            return
        fi
        before=$now
        sleep 0.25
    done
    fail "the session holds nothing (Range: $now)"
}

# slow_patch REPOSITORY: sends the whole blob at 2 MiB/s in the background; sets CLIENT.
slow_patch() {
    curl -sS -o /dev/null --limit-rate 2M -X PATCH "${OCTETS[@]}" -H "Transfer-Encoding: chunked" \
        --data-binary "@$BLOB" "$SESSION" &
    CLIENT=$!
    own "$CLIENT"
    # Until some of it is in the store, where the repository has no other upload.
    local i
    for ((i = 0; i < 100; i++)); do
        [[ -z $(find "$STORE/docker/registry/v2/repositories/$1/_uploads" -name data -size +1000k 2>/dev/null) ]] || return 0
        sleep 0.1
    done
    fail "no upload data appeared in the store"
}

finish_from_received() {
    received
    ((RECEIVED < SIZE)) || fail "nothing was interrupted"
    echo "resuming at $RECEIVED of $SIZE"
    chunk "$RECEIVED" "$((SIZE - 1))"
    close_session
    blob_is_right "$1"
}

post_put() {
    begin raw/post-put
    [[ -n $(header Docker-Upload-UUID) ]] || fail "no Docker-Upload-UUID"
    close_session "${OCTETS[@]}" --data-binary "@$BLOB"
    blob_is_right raw/post-put
}

single_post() {
    http_ok 201 POST "/v2/raw/single/blobs/uploads/?digest=$DIGEST" "${OCTETS[@]}" --data-binary "@$BLOB"
    http_ok 200 GET "$(location)"
    assert_same_bytes "$BODY" "$BLOB" "blob at the Location"
    blob_is_right raw/single
}

chunked() {
    begin raw/chunked
    chunk 0 999
    chunk 1000 3000000
    chunk 3000001 "$((SIZE - 1))"
    close_session
    blob_is_right raw/chunked
}

last_chunk_in_put() {
    begin raw/last
    chunk 0 4999999
    close_session "${OCTETS[@]}" -H "Content-Range: 5000000-$((SIZE - 1))" --data-binary "@$(part 5000000 $((SIZE - 1)))"
    blob_is_right raw/last
}

streamed() {
    begin raw/streamed
    http_ok 202 PATCH "$SESSION" "${OCTETS[@]}" -H 'Transfer-Encoding: chunked' --data-binary "@$BLOB"
    assert_eq "$(header Range)" "0-$((SIZE - 1))" "Range after the stream"
    SESSION=$(location)
    close_session
    blob_is_right raw/streamed
}

chunk_out_of_order() {
    begin raw/order
    chunk 0 999
    local stale=$SESSION
    http_ok 416 PATCH "$SESSION" "${OCTETS[@]}" -H 'Content-Range: 2000-2999' --data-binary "@$(part 2000 2999)"
    http_ok 416 PATCH "$SESSION" "${OCTETS[@]}" -H 'Content-Range: 0-999' --data-binary "@$(part 0 999)"
    http_ok 204 GET "$stale"
    assert_eq "$(header Range)" 0-999 "Range in the status"
    SESSION=$(location)
    chunk 1000 "$((SIZE - 1))"
    close_session
    blob_is_right raw/order
}

wrong_digest() {
    begin raw/wrong
    chunk 0 "$((SIZE - 1))"
    http_ok 400 PUT "$(with_digest "$SESSION" "sha256:$(printf '0%.0s' {1..64})")" -H 'Content-Length: 0'
    assert_eq "$(jq -r '.errors[0].code' "$BODY")" DIGEST_INVALID "error code"
    assert_gone "/v2/raw/wrong/blobs/$DIGEST"
}

empty_blob() {
    : >"$WORK/empty"
    push_blob raw/empty "$WORK/empty" >"$WORK/digest"
    http_ok 200 GET "/v2/raw/empty/blobs/$(cat "$WORK/digest")"
    assert_eq "$(header Content-Length)" 0 "Content-Length of the empty blob"
}

cancel() {
    begin raw/cancel
    chunk 0 999
    http_ok 204 DELETE "$SESSION"
    http_ok 404 GET "$SESSION"
    assert_eq "$(jq -r '.errors[0].code' "$BODY")" BLOB_UPLOAD_UNKNOWN "error code"
}

client_killed() {
    begin raw/client-killed
    slow_patch raw/client-killed
    stop "$CLIENT" KILL
    finish_from_received raw/client-killed
}

# restart SIGNAL: the registry comes back on another port over the same store.
restart() {
    local path=${SESSION#http://*/}
    stop "$REG_PID" "$1"
    start_registry "restart-$1" "$STORE"
    SESSION=http://$REG/$path
}

restarted_between_chunks() {
    start_registry "between-$1" "$STORE"
    begin "raw/between-${1,,}"
    chunk 0 2999999
    restart "$1"
    received
    assert_eq "$RECEIVED" 3000000 "bytes kept over the restart"
    chunk 3000000 "$((SIZE - 1))"
    restart "$1"
    close_session
    blob_is_right "raw/between-${1,,}"
}

restarted_mid_body() {
    start_registry "mid-$1" "$STORE"
    begin "raw/mid-${1,,}"
    slow_patch "raw/mid-${1,,}"
    if [[ $1 == TERM ]]; then
        # The registry may drain: the client has to go before it can end.
        kill -TERM "$REG_PID"
        sleep 0.3
        stop "$CLIENT" KILL
    fi
    restart "$1"
    stop "$CLIENT" KILL
    finish_from_received "raw/mid-${1,,}"
}

second_process() {
    local first=$REG path
    begin raw/two
    chunk 0 2999999
    path=${SESSION#http://*/}
    start_registry second "$STORE"
    SESSION=http://$REG/$path
    chunk 3000000 5999999
    path=${SESSION#http://*/}
    SESSION=http://$first/$path
    chunk 6000000 "$((SIZE - 1))"
    path=${SESSION#http://*/}
    SESSION=http://$REG/$path
    close_session
    blob_is_right raw/two
    REG=$first
    blob_is_right raw/two
    stop "$REG_PID"
}

# range SPEC FROM TO: one range gives exactly those bytes.
range() {
    http_ok 206 GET "/v2/raw/post-put/blobs/$DIGEST" -H "Range: bytes=$1"
    assert_eq "$(header Content-Range)" "bytes $2-$3/$SIZE" "Content-Range for $1"
    assert_same_bytes "$BODY" "$(part "$2" "$3")" "bytes of $1"
}

single_ranges() {
    range 0-0 0 0
    range 100-199 100 199
    range -500 "$((SIZE - 500))" "$((SIZE - 1))"
    range 8388000- 8388000 "$((SIZE - 1))"
    range 8388000-99999999 8388000 "$((SIZE - 1))"
    http_ok 416 GET "/v2/raw/post-put/blobs/$DIGEST" -H "Range: bytes=$SIZE-"
    assert_eq "$(header Content-Range)" "bytes */$SIZE" "Content-Range of 416"
}

multiple_ranges() {
    http_ok 206 GET "/v2/raw/post-put/blobs/$DIGEST" -H 'Range: bytes=10-29,5000000-5000099,-7'
    local type boundary
    type=$(header Content-Type)
    assert_contains "$type" multipart/byteranges "Content-Type"
    assert_eq "$(header Content-Length)" "$(stat -c %s "$BODY")" "Content-Length"
    boundary=${type#*boundary=}
    boundary=${boundary#\"}
    boundary=${boundary%%[\";]*}
    # Cut the body at its boundaries and compare each part with the blob.
    python3 - "$BODY" "$BLOB" "$boundary" <<'PYTHON'
import re, sys
body, blob = (open(name, "rb").read() for name in sys.argv[1:3])
parts = body.split(b"--" + sys.argv[3].encode())
assert parts[-1].strip() == b"--", "no closing boundary"
wanted = [(10, 29), (5000000, 5000099), (len(blob) - 7, len(blob) - 1)]
assert len(parts) - 2 == len(wanted), f"{len(parts) - 2} parts"
for part, (first, last) in zip(parts[1:-1], wanted):
    head, data = part[2:-2].split(b"\r\n\r\n", 1)
    told = re.search(rb"(?i)content-range: *bytes (\d+)-(\d+)/(\d+)", head).groups()
    assert tuple(map(int, told)) == (first, last, len(blob)), told
    assert data == blob[first:last + 1], f"bytes of {first}-{last}"
PYTHON
}

head_requests() {
    http_ok 200 HEAD "/v2/raw/post-put/blobs/$DIGEST"
    assert_eq "$(header Content-Length)" "$SIZE" "Content-Length of HEAD"
    assert_eq "$(header Docker-Content-Digest)" "$DIGEST" "digest of HEAD"
    assert_eq "$(header Accept-Ranges)" bytes "Accept-Ranges"
    http_ok 404 HEAD "/v2/raw/post-put/blobs/sha256:$(printf '1%.0s' {1..64})"
    push_layout raw/image
    http_ok 200 HEAD /v2/raw/image/manifests/v1 -H "$ACCEPT"
    assert_eq "$(header Content-Type)" "$OCI_MANIFEST" "Content-Type of HEAD"
    assert_eq "$(header Docker-Content-Digest)" "$IMAGE" "digest of HEAD"
    http_ok 404 HEAD /v2/raw/image/manifests/none -H "$ACCEPT"
}

# push_layout REPOSITORY: the fixture image as v1, by curl alone.
push_layout() {
    local manifest=$WORK/layout/blobs/sha256/${IMAGE#sha256:} blob
    for blob in $(jq -r '.config.digest, .layers[].digest' "$manifest"); do
        push_blob "$1" "$WORK/layout/blobs/${blob/://}" >/dev/null
    done
    put_manifest "$1" v1 "$manifest"
    assert_eq "$(header Docker-Content-Digest)" "$IMAGE" "digest of the stored manifest"
}

conditional() {
    local etag url=/v2/raw/post-put/blobs/$DIGEST
    http_ok 200 HEAD "$url"
    etag=$(header ETag)
    [[ -n $etag ]] || fail "no ETag"
    http_ok 304 GET "$url" -H "If-None-Match: $etag"
    assert_eq "$(stat -c %s "$BODY")" 0 "bytes of a 304"
    http_ok 200 HEAD "$url" -H 'If-None-Match: "something-else"'
    http_ok 206 GET "$url" -H "If-Range: $etag" -H 'Range: bytes=0-9'
    http_ok 200 GET "$url" -H 'If-Range: "something-else"' -H 'Range: bytes=0-9'
    push_layout raw/conditional
    http_ok 200 HEAD /v2/raw/conditional/manifests/v1 -H "$ACCEPT"
    etag=$(header ETag)
    http_ok 304 GET /v2/raw/conditional/manifests/v1 -H "$ACCEPT" -H "If-None-Match: $etag"
}

conditional_rfc9110() {
    local etag url=/v2/raw/post-put/blobs/$DIGEST
    http_ok 200 HEAD "$url"
    etag=$(header ETag)
    http_ok 304 GET "$url" -H "If-None-Match: \"other\", $etag"
    http_ok 412 GET "$url" -H 'If-Match: "something-else"' --max-time 10
    push_layout raw/rfc9110
    url=/v2/raw/rfc9110/manifests/v1
    http_ok 304 GET "$url" -H "$ACCEPT" -H "If-None-Match: \"other\", \"$IMAGE\""
    assert_eq "$(header ETag)" "\"$IMAGE\"" "ETag of a 304"
}

mounts() {
    push_blob raw/source "$WORK/layout/oci-layout" >"$WORK/digest"
    local digest
    digest=$(cat "$WORK/digest")
    http_ok 201 POST "/v2/raw/target/blobs/uploads/?mount=$digest&from=raw/source" -H 'Content-Length: 0'
    http_ok 200 GET "$(location)"
    assert_eq "$(digest_of "$BODY")" "$digest" "mounted blob"
    assert_linked "$STORE" raw/target "$digest"
    http_ok 202 POST "/v2/raw/target/blobs/uploads/?mount=sha256:$(printf '2%.0s' {1..64})&from=raw/source" -H 'Content-Length: 0'
    [[ -n $(header Location) ]] || fail "an unknown blob must fall back to an upload"
}

manifest_refused() {
    jq -c '.layers[0].digest = "sha256:" + ("3" * 64)' "$WORK/layout/blobs/sha256/${IMAGE#sha256:}" >"$WORK/broken"
    push_layout raw/refused
    http_ok 400 PUT /v2/raw/refused/manifests/broken -H "Content-Type: $OCI_MANIFEST" --data-binary "@$WORK/broken"
    assert_eq "$(jq -r '.errors[0].code' "$BODY")" MANIFEST_BLOB_UNKNOWN "error code"
    assert_gone /v2/raw/refused/manifests/broken
}

paging() {
    local tag manifest=$WORK/layout/blobs/sha256/${IMAGE#sha256:} url seen=''
    push_layout raw/paged
    for tag in a b c d; do put_manifest raw/paged "$tag" "$manifest"; done
    url="/v2/raw/paged/tags/list?n=2"
    while [[ -n $url ]]; do
        http_ok 200 GET "$url"
        seen+=$(jq -r '.tags // [] | map(. + " ") | add // ""' "$BODY")
        url=$(header Link | sed -n 's/^<\([^>]*\)>.*/\1/p')
    done
    assert_eq "$seen" "a b c d v1 " "tags over all pages"
    http_ok 200 GET "/v2/_catalog?n=1"
    assert_eq "$(jq '.repositories | length' "$BODY")" 1 "a page of the catalog"
    assert_contains "$(header Link)" 'rel="next"' "Link of the catalog"
}

deletes() {
    push_layout raw/deleted
    http_ok 202 DELETE /v2/raw/deleted/manifests/v1
    assert_gone /v2/raw/deleted/manifests/v1
    http_ok 200 GET "/v2/raw/deleted/manifests/$IMAGE" -H "$ACCEPT"
    http_ok 202 DELETE "/v2/raw/deleted/manifests/$IMAGE"
    assert_gone "/v2/raw/deleted/manifests/$IMAGE"
    push_blob raw/deleted "$WORK/layout/oci-layout" >"$WORK/digest"
    http_ok 202 DELETE "/v2/raw/deleted/blobs/$(cat "$WORK/digest")"
    assert_gone "/v2/raw/deleted/blobs/$(cat "$WORK/digest")"
}

referrers() {
    push_layout raw/referrers
    echo '{}' | tr -d '\n' >"$WORK/empty-config"
    local config digest
    config=$(push_blob raw/referrers "$WORK/empty-config")
    jq -nc --arg t "$OCI_MANIFEST" --arg c "$config" --arg s "$IMAGE" --arg st "$OCI_MANIFEST" \
        --argjson size "$(stat -c %s "$WORK/layout/blobs/sha256/${IMAGE#sha256:}")" \
        '{schemaVersion: 2, mediaType: $t, artifactType: "application/vnd.example.note",
          config: {mediaType: "application/vnd.oci.empty.v1+json", digest: $c, size: 2},
          layers: [{mediaType: "application/vnd.oci.empty.v1+json", digest: $c, size: 2}],
          subject: {mediaType: $st, digest: $s, size: $size}, annotations: {who: "e2e"}}' >"$WORK/note"
    digest=$(digest_of "$WORK/note")
    http_ok 200 GET "/v2/raw/referrers/referrers/$IMAGE"
    assert_eq "$(jq '.manifests | length' "$BODY")" 0 "referrers of an image that has none"
    put_manifest raw/referrers "$digest" "$WORK/note"
    assert_eq "$(header OCI-Subject)" "$IMAGE" "OCI-Subject"
    assert_referrer raw/referrers "$IMAGE" "$digest" application/vnd.example.note
    assert_eq "$(jq -r '.manifests[0].annotations.who' "$BODY")" e2e "annotations of the referrer"
    http_ok 200 GET "/v2/raw/referrers/referrers/$IMAGE?artifactType=application/vnd.example.other"
    assert_eq "$(header OCI-Filters-Applied)" artifactType "OCI-Filters-Applied"
    assert_eq "$(jq '.manifests | length' "$BODY")" 0 "referrers of another type"
    http_ok 202 DELETE "/v2/raw/referrers/manifests/$digest"
    http_ok 200 GET "/v2/raw/referrers/referrers/$IMAGE"
    assert_eq "$(jq '.manifests | length' "$BODY")" 0 "referrers after the delete"
}

check "uploads by POST and PUT" post_put
check "uploads by a single POST" single_post
check "uploads in chunks by PATCH" chunked
check "takes the last chunk with the PUT" last_chunk_in_put
check "uploads by one streamed PATCH" streamed
check "refuses a chunk out of order and goes on" chunk_out_of_order
check "refuses a wrong digest" wrong_digest
check "stores an empty blob" empty_blob
check "cancels an upload" cancel
check "resumes after the client was killed mid-body" client_killed
check "resumes after SIGTERM between chunks" restarted_between_chunks TERM
check "resumes after SIGKILL between chunks" restarted_between_chunks KILL
check "resumes after SIGTERM mid-body" restarted_mid_body TERM
check "resumes after SIGKILL mid-body" restarted_mid_body KILL
check "alternates between two processes over one store" second_process
check "serves single ranges" single_ranges
check "serves several ranges as multipart" multiple_ranges
check "answers HEAD" head_requests
check "answers conditional requests" conditional
check "answers conditional requests with lists and If-Match" conditional_rfc9110
check "mounts between repositories" mounts
check "refuses a manifest whose layer is missing" manifest_refused
check "pages tags and the catalog" paging
check "deletes tags, manifests and blobs" deletes
check "keeps referrers" referrers
finish
