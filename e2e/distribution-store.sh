#!/usr/bin/env bash
# One store directory under Distribution 2.8 (Debian's docker-registry),
# Distribution 3 and ours in turn: what one pushed all of them serve byte for
# byte, what one deleted is gone for all, an upload begun under one is finished
# under another, and artifacts attached under Distribution by the fallback tag
# are found by our referrers API without an import.
SUITE=distribution-store
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

STORE=$WORK/store
LAYOUT=$WORK/layout
FLAVOURS=(v2 v3 ours)
make_fixtures "$LAYOUT"

crane() { timeout 120 "$TOOLS/crane" --insecure "$@"; }
oras() { timeout 120 "$TOOLS/oras" "$@"; }
copy() {
    timeout 120 skopeo copy --quiet --all --preserve-digests --src-tls-verify=false --dest-tls-verify=false "$@"
}

# under FLAVOUR COMMAND…: runs the command while that registry serves the store.
TURN=0
under() {
    local flavour=$1
    shift
    TURN=$((TURN + 1))
    start_registry "$TURN-$BASHPID-$flavour" "$STORE" "$flavour"
    "$@"
    stop "$REG_PID"
}

versions_are_the_expected() {
    assert_contains "$(/usr/bin/docker-registry --version)" " 2.8" "Debian's docker-registry"
    assert_contains "$(go version -m "$TOOLS/distribution")" "github.com/distribution/distribution/v3	v3.1" "module of Distribution 3"
}

push_all() { # push_all REPOSITORY-PREFIX
    local layer
    copy "oci:$LAYOUT:image" "docker://$REG/$1/image:v1"
    copy "oci:$LAYOUT:image" "docker://$REG/$1/image:doomed"
    timeout 120 skopeo copy --quiet --format v2s2 --dest-tls-verify=false "oci:$LAYOUT:image" "docker://$REG/$1/schema2:v1"
    copy "oci:$LAYOUT:multi" "docker://$REG/$1/multi:v1"
    for layer in $(jq -r '.config.digest, .layers[].digest' "$LAYOUT/blobs/sha256/${IMAGE#sha256:}"); do
        http_ok 201 POST "/v2/$1/mounted/blobs/uploads/?mount=$layer&from=$1/image" -H 'Content-Length: 0'
    done
    put_manifest "$1/mounted" v1 "$LAYOUT/blobs/sha256/${IMAGE#sha256:}"
    # A digest used by nobody else, for the delete by digest.
    crane append --base "$REG/$1/image:v1" --new_layer "$WORK/extra-$1.tar" --new_tag "$REG/$1/single:v1" >/dev/null
    remote_digest "$1/single" v1 >"$WORK/single-$1"
    remote_digest "$1/schema2" v1 >"$WORK/schema2-$1"
}

push_by() {
    echo "$1 $RANDOM" >"$WORK/extra-$1"
    tar -C "$WORK" -cf "$WORK/extra-$1.tar" "extra-$1"
    under "$1" push_all "$1"
}

serves_all() {
    local pusher
    for pusher in "${FLAVOURS[@]}"; do
        assert_tags "$pusher/image" doomed v1
        assert_tags "$pusher/multi" v1
        assert_tags "$pusher/mounted" v1
        verify_against_layout "$pusher/image" v1 "$LAYOUT"
        verify_against_layout "$pusher/multi" v1 "$LAYOUT"
        verify_against_layout "$pusher/mounted" v1 "$LAYOUT"
        assert_eq "$(remote_digest "$pusher/image" v1)" "$IMAGE" "digest of $pusher/image"
        assert_eq "$(remote_digest "$pusher/multi" v1)" "$MULTI" "digest of $pusher/multi"
        assert_eq "$(remote_digest "$pusher/single" v1)" "$(cat "$WORK/single-$pusher")" "digest of $pusher/single"
        assert_eq "$(remote_digest "$pusher/schema2" v1)" "$(cat "$WORK/schema2-$pusher")" "digest of $pusher/schema2"
        local repository
        for repository in image multi mounted single schema2; do
            crane validate --remote "$REG/$pusher/$repository:v1"
        done
    done
    local listed
    listed=$(crane catalog "$REG" | paste -sd' ')
    for pusher in "${FLAVOURS[@]}"; do
        assert_contains "$listed" "$pusher/mounted" "catalog"
    done
}

# delete_own FLAVOUR: a tag, a manifest by digest, and a blob.
delete_own() {
    # 2.8 knows no delete by tag name alone.
    if [[ $1 != v2 ]]; then http_ok 202 DELETE "/v2/$1/image/manifests/doomed"; fi
    http_ok 202 DELETE "/v2/$1/single/manifests/$(cat "$WORK/single-$1")"
    http_ok 202 DELETE "/v2/$1/mounted/blobs/$(cat "$WORK/blob")"
}

sees_deleted() {
    local flavour=$1
    if [[ $flavour != v2 ]]; then
        assert_gone "/v2/$flavour/image/manifests/doomed"
        assert_tags "$flavour/image" v1
    fi
    assert_gone "/v2/$flavour/single/manifests/$(cat "$WORK/single-$flavour")"
    assert_gone "/v2/$flavour/single/manifests/v1"
    assert_gone "/v2/$flavour/mounted/blobs/$(cat "$WORK/blob")"
    # The same blob in other repositories is untouched.
    http_ok 200 HEAD "/v2/$flavour/image/blobs/$(cat "$WORK/blob")"
    crane validate --remote "$REG/$flavour/image:v1"
}

deleted_for_everybody() {
    local other
    layer_digests "$LAYOUT/blobs/sha256/${IMAGE#sha256:}" | head -n 1 >"$WORK/blob"
    under "$1" delete_own "$1"
    for other in "${FLAVOURS[@]}"; do under "$other" sees_deleted "$1"; done
}

begin_upload() {
    http_ok 202 POST "/v2/moved/$1/blobs/uploads/" -H 'Content-Length: 0'
    http_ok 202 PATCH "$(location)" "${OCTETS[@]}" -H 'Content-Range: 0-999999' --data-binary "@$WORK/first"
    location >"$WORK/session"
}

finish_upload() {
    local url
    url=$(sed "s|^http://[^/]*|http://$REG|" "$WORK/session")
    http_ok 202 PATCH "$url" "${OCTETS[@]}" -H 'Content-Range: 1000000-1499999' --data-binary "@$WORK/second"
    http_ok 201 PUT "$(with_digest "$(location)" "$(digest_of "$WORK/whole")")" -H 'Content-Length: 0'
    http_ok 200 GET "/v2/moved/$1/blobs/$(digest_of "$WORK/whole")"
    assert_same_bytes "$BODY" "$WORK/whole" "blob made by two registries"
}

upload_moves() { # upload_moves FROM TO
    head -c 1500000 /dev/urandom >"$WORK/whole"
    head -c 1000000 "$WORK/whole" >"$WORK/first"
    tail -c 500000 "$WORK/whole" >"$WORK/second"
    under "$1" begin_upload "$1-$2"
    under "$2" finish_upload "$1-$2"
}

attach_by_tag() {
    local artifact
    (
        cd "$WORK"
        echo note >note.txt
        copy "oci:$LAYOUT:multi" "docker://$REG/$1/attached:v1"
        for artifact in one two; do
            oras attach --no-tty --plain-http --distribution-spec v1.1-referrers-tag --format json \
                --artifact-type "application/vnd.example.$artifact" "$REG/$1/attached@$MULTI" note.txt |
                jq -r .digest >"attached-$1-$artifact"
        done
    )
}

found_by_api() {
    local artifact
    for artifact in one two; do
        assert_referrer "$1/attached" "$MULTI" "$(cat "$WORK/attached-$1-$artifact")" "application/vnd.example.$artifact"
    done
    oras discover --plain-http --format json --distribution-spec v1.1-referrers-api "$REG/$1/attached:v1" >"$WORK/found"
    assert_contains "$(cat "$WORK/found")" "$(cat "$WORK/attached-$1-two")" "oras discover"
    # And one more, put by the API, joins them.
    echo third >"$WORK/third.txt"
    (cd "$WORK" && oras attach --no-tty --plain-http --format json --artifact-type application/vnd.example.three \
        "$REG/$1/attached@$MULTI" third.txt) | jq -r .digest >"$WORK/third"
    assert_referrer "$1/attached" "$MULTI" "$(cat "$WORK/third")"
    assert_referrer "$1/attached" "$MULTI" "$(cat "$WORK/attached-$1-one")"
}

attached_under() {
    under "$1" attach_by_tag "$1"
    under ours found_by_api "$1"
}

check "has Distribution 2.8 and 3.1 to compare with" versions_are_the_expected
for flavour in "${FLAVOURS[@]}"; do check "$flavour pushes images, an index, mounts" push_by "$flavour"; done
for flavour in "${FLAVOURS[@]}"; do check "$flavour serves what all three pushed" under "$flavour" serves_all; done
for flavour in "${FLAVOURS[@]}"; do check "what $flavour deletes is gone for all three" deleted_for_everybody "$flavour"; done
check "an upload begun under v3 ends under ours" upload_moves v3 ours
check "an upload begun under ours ends under v3" upload_moves ours v3
check "an upload begun under v2 ends under ours" upload_moves v2 ours
check "an upload begun under ours ends under v2" upload_moves ours v2
check "finds by our API what was attached under v3 by tag" attached_under v3
check "finds by our API what was attached under v2 by tag" attached_under v2
finish
