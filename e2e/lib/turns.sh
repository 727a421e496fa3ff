# shellcheck shell=bash disable=SC2034,SC2154 # what is not assigned here is in lib.sh and in the suite, and the other way round
# One store under several registries in turn: what each pushes, serves and deletes. For the suites that source it,
# which set STORE, LAYOUT (with fixtures in it) and FLAVOURS.

crane() { timeout 120 "$TOOLS/crane" --insecure "$@"; }
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
