#!/usr/bin/env bash
# Stores that are servers. One bucket of a real S3 server (MinIO) under
# Distribution 3 and ours in turn: what one pushed both serve byte for byte, with
# redirects and without, what one deleted is gone for both, and what the
# collector of Distribution takes and leaves of either is right for both. The
# official OCI suite against ours on MinIO, on moto and on Azurite.
SUITE=stores
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

LAYOUT=$WORK/layout
FLAVOURS=(v3 ours)
REPORTS=$E2E/.work/stores
rm -rf "$REPORTS"
make_fixtures "$LAYOUT"
# shellcheck source=lib/turns.sh
. "$E2E/lib/turns.sh"

start_minio
STORE=s3:/turns

redirects() {
    local layer
    layer=$(layer_digests "$LAYOUT/blobs/sha256/${IMAGE#sha256:}" | sed -n 2p)
    http_ok 307 GET "/v2/$1/image/blobs/$layer"
    assert_contains "$(header Location)" "$S3_ENDPOINT/$S3_BUCKET/turns/docker/registry/v2/blobs/sha256/" "where the blob is"
    http_ok 200 GET "$(header Location)"
    assert_same_bytes "$BODY" "$LAYOUT/blobs/sha256/${layer#sha256:}" "redirected blob"
    copy "docker://$REG/$1/image:v1" "dir:$WORK/redirected-$1"
    same_image_bytes "$WORK/redirected-$1" "$LAYOUT" "$IMAGE"
    rm -rf "$WORK/redirected-$1"
}

redirected_by() {
    local pusher
    export S3_REDIRECT_DISABLE=false
    for pusher in "${FLAVOURS[@]}"; do under "$1" redirects "$pusher"; done
}

# A blob of many parts, by PATCH and without a length told beforehand.
push_large() {
    http_ok 202 POST "/v2/$1/large/blobs/uploads/" -H 'Content-Length: 0'
    http_ok 202 PATCH "$(location)" "${OCTETS[@]}" -H 'Transfer-Encoding: chunked' -T "$WORK/large-$1"
    http_ok 201 PUT "$(with_digest "$(location)" "$(digest_of "$WORK/large-$1")")" -H 'Content-Length: 0'
}

same_large() {
    http_ok 200 GET "/v2/$1/large/blobs/$(digest_of "$WORK/large-$1")"
    assert_same_bytes "$BODY" "$WORK/large-$1" "large blob of $1"
    http_ok 206 GET "/v2/$1/large/blobs/$(digest_of "$WORK/large-$1")" -H 'Range: bytes=12345678-23456789'
    assert_same_bytes "$BODY" <(tail -c +12345679 "$WORK/large-$1" | head -c 11111112) "range of the large blob of $1"
}

large_blobs() {
    local pusher
    for pusher in "${FLAVOURS[@]}"; do
        head -c 40000000 /dev/urandom >"$WORK/large-$pusher"
        under "$pusher" push_large "$pusher"
        for flavour in "${FLAVOURS[@]}"; do under "$flavour" same_large "$pusher"; done
        rm "$WORK/large-$pusher"
    done
}

blob_key() { echo "turns/docker/registry/v2/blobs/sha256/$(cut -c8-9 <<<"$1")/${1#sha256:}/data"; }

push_for_collector() {
    copy "oci:$LAYOUT:image" "docker://$REG/$1/collected:kept"
    crane append --base "$REG/$1/collected:kept" --new_layer "$WORK/doomed-$1.tar" --new_tag "$REG/$1/collected:doomed" >/dev/null
    remote_digest "$1/collected" doomed >"$WORK/doomed-manifest"
    http_ok 200 GET "/v2/$1/collected/manifests/doomed" -H "$ACCEPT"
    jq -r '.layers[-1].digest' "$BODY" >"$WORK/doomed-layer"
    push_blob "$1/collected" "$WORK/doomed-$1" >"$WORK/doomed-stray"
    # Under every registry the manifest goes by its digest, and its tag with it.
    http_ok 202 DELETE "/v2/$1/collected/manifests/$(cat "$WORK/doomed-manifest")"
}

after_collector() {
    verify_against_layout "$1/collected" kept "$LAYOUT"
    crane validate --remote "$REG/$1/collected:kept"
    assert_gone "/v2/$1/collected/manifests/$(cat "$WORK/doomed-manifest")"
    assert_gone "/v2/$1/collected/blobs/$(cat "$WORK/doomed-layer")"
    assert_tags "$1/collected" kept
}

comes_back() {
    assert_eq "$(push_blob "$1/collected" "$WORK/doomed-$1")" "$(cat "$WORK/doomed-stray")" "digest of what came back"
    http_ok 200 GET "/v2/$1/collected/blobs/$(cat "$WORK/doomed-stray")"
    assert_same_bytes "$BODY" "$WORK/doomed-$1" "what came back"
}

# Distribution's collector over what this one pushed and deleted.
collected() {
    local flavour digest
    echo "$1 $RANDOM" >"$WORK/doomed-$1"
    tar -C "$WORK" -cf "$WORK/doomed-$1.tar" "doomed-$1"
    under "$1" push_for_collector "$1"
    for digest in $(cat "$WORK"/doomed-{manifest,layer,stray}); do
        assert_eq "$(keys_under "$(blob_key "$digest")" | wc -l)" 1 "objects of $digest before"
    done
    collect v3 "$STORE" || fail "$(tail -n 3 "$WORK/collected")"
    for digest in $(cat "$WORK"/doomed-{manifest,layer,stray}); do
        assert_eq "$(keys_under "$(blob_key "$digest")" | wc -l)" 0 "objects of $digest after"
    done
    for flavour in "${FLAVOURS[@]}"; do under "$flavour" after_collector "$1"; done
    for flavour in "${FLAVOURS[@]}"; do under "$flavour" comes_back "$1"; done
}

everything_is_still_there() {
    local pusher flavour
    for flavour in "${FLAVOURS[@]}"; do
        for pusher in "${FLAVOURS[@]}"; do under "$flavour" verify_against_layout "$pusher/multi" v1 "$LAYOUT"; done
    done
}

no_upload_is_left() { assert_eq "$(uploads_under turns/)" 0 "multipart uploads that nobody ended"; }

# conforms STORE
conforms() {
    local name=${1%%:*}-$2
    export EXTRA_CONFIG=$CONFORMANCE_CONFIG
    start_registry "conformance-$name" "$1"
    conforms_2023 "$REPORTS/$name-2023"
    [[ -z $NEWEST_CONFORMANCE ]] || conforms_newest "$REPORTS/$name-newest"
    stop "$REG_PID"
}

for flavour in "${FLAVOURS[@]}"; do check "$flavour pushes images, an index, mounts" push_by "$flavour"; done
for flavour in "${FLAVOURS[@]}"; do check "$flavour serves what both pushed" under "$flavour" serves_all; done
for flavour in "${FLAVOURS[@]}"; do check "$flavour redirects to what both pushed" redirected_by "$flavour"; done
check "both serve blobs of many parts of the other" large_blobs
for flavour in "${FLAVOURS[@]}"; do check "what $flavour deletes is gone for both" deleted_for_everybody "$flavour"; done
for flavour in "${FLAVOURS[@]}"; do check "Distribution's collector takes what $flavour deleted and nothing else" collected "$flavour"; done
check "both serve what was not collected" everything_is_still_there
check "no multipart upload is left behind" no_upload_is_left
check "passes the official suite on MinIO" conforms s3:/conformance minio
stop "$MINIO_PID"
start_moto
check "passes the official suite on moto" conforms s3:/conformance moto
stop "$MOTO_PID"
start_azurite
check "passes the official suite on Azurite" conforms azure:/conformance azurite
[[ -n $NEWEST_CONFORMANCE ]] || no_newest
finish
