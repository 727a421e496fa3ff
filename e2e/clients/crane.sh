#!/usr/bin/env bash
# crane (go-containerregistry) against the registry: push and pull of a layered
# image and of an index, validation of every byte, copy between repositories by
# mount, a signature tag, tag and catalog listing, append, mutate, delete.
SUITE=crane
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

STORE=$WORK/store
LAYOUT=$WORK/layout
make_fixtures "$LAYOUT"
start_registry main "$STORE"

crane() { timeout 120 "$TOOLS/crane" --insecure "$@"; }

# only NAME: a copy of the layout whose index has just that entry, which is how
# `crane push` chooses what to push.
only() {
    local dir=$WORK/only-$1
    if [[ ! -d $dir ]]; then
        mkdir "$dir"
        cp "$LAYOUT/oci-layout" "$dir"
        ln -s "$LAYOUT/blobs" "$dir/blobs"
        jq -c --arg n "$1" '.manifests |= map(select(.annotations["org.opencontainers.image.ref.name"] == $n))' \
            "$LAYOUT/index.json" >"$dir/index.json"
    fi
    echo "$dir"
}

push_image() {
    crane push "$(only image)" "$REG/c/image:v1" >"$WORK/pushed"
    assert_contains "$(cat "$WORK/pushed")" "@$IMAGE" "reference crane prints"
    assert_eq "$(remote_digest c/image v1)" "$IMAGE" "digest in the registry"
    assert_eq "$(crane digest "$REG/c/image:v1")" "$IMAGE" "crane digest"
    verify_against_layout c/image v1 "$LAYOUT"
}

pull_image() {
    crane pull --format oci "$REG/c/image:v1" "$WORK/back"
    assert_eq "$(jq -r '.manifests[0].digest' "$WORK/back/index.json")" "$IMAGE" "digest of what was pulled"
    local blob
    for blob in $(jq -r '.config.digest, .layers[].digest' "$LAYOUT/blobs/sha256/${IMAGE#sha256:}"); do
        assert_same_bytes "$WORK/back/blobs/${blob/://}" "$LAYOUT/blobs/${blob/://}" "pulled blob"
    done
    crane validate --remote "$REG/c/image:v1"
}

index_both_ways() {
    # The layout's own index.json names the index, so it is pushed child first.
    crane push --index "$(only multi)" "$REG/c/wrapped:v1" >/dev/null
    crane copy "$REG/c/wrapped@$MULTI" "$REG/c/multi:v1"
    assert_eq "$(remote_digest c/multi v1)" "$MULTI" "digest of the index"
    verify_against_layout c/multi v1 "$LAYOUT"
    crane validate --remote "$REG/c/multi:v1"
    assert_eq "$(crane digest --platform linux/arm64 "$REG/c/multi:v1")" "$ARM64" "arm64 digest"
    crane pull --format oci "$REG/c/multi:v1" "$WORK/back-multi"
    assert_eq "$(jq -r '.manifests[0].digest' "$WORK/back-multi/index.json")" "$MULTI" "index that came back"
}

between_repositories() {
    local layer log=$WORK/copy.log
    crane -v copy "$REG/c/image:v1" "$REG/c/copied/deep:v1" >"$log" 2>&1
    grep -q 'POST .*mount=' "$log" || fail "crane did not ask for a mount"
    if grep -q ' PATCH ' "$log"; then fail "crane uploaded a blob although it could be mounted"; fi
    assert_eq "$(remote_digest c/copied/deep v1)" "$IMAGE" "digest of the copy"
    for layer in $(layer_digests "$LAYOUT/blobs/sha256/${IMAGE#sha256:}"); do
        assert_linked "$STORE" c/copied/deep "$layer"
    done
    crane validate --remote "$REG/c/copied/deep:v1"
}

signature_tag_scheme() {
    local tag
    tag=$(signature_tag "$IMAGE")
    crane push "$(only signature)" "$REG/c/image:$tag" >/dev/null
    assert_eq "$(remote_digest c/image "$tag")" "$SIGNATURE" "digest of the signature"
    verify_against_layout c/image "$tag" "$LAYOUT"
}

blobs_by_digest() {
    local layer
    layer=$(layer_digests "$LAYOUT/blobs/sha256/${IMAGE#sha256:}" | sed -n 2p)
    crane blob "$REG/c/image@$layer" >"$WORK/layer"
    assert_eq "$(digest_of "$WORK/layer")" "$layer" "crane blob"
    crane manifest "$REG/c/image@$IMAGE" >"$WORK/manifest"
    assert_eq "$(digest_of "$WORK/manifest")" "$IMAGE" "crane manifest"
    crane config "$REG/c/image:v1" | jq -e '.architecture == "amd64"' >/dev/null || fail "crane config"
}

append_and_mutate() {
    local appended
    head -c 100000 /dev/urandom >"$WORK/extra"
    tar -C "$WORK" -cf "$WORK/extra.tar" extra
    appended=$(crane append --base "$REG/c/image:v1" --new_layer "$WORK/extra.tar" --new_tag "$REG/c/image:appended")
    assert_eq "${appended##*@}" "$(remote_digest c/image appended)" "digest of the appended image"
    crane mutate --label made=here "$REG/c/image:appended" --tag "$REG/c/image:labelled" >/dev/null
    crane validate --remote "$REG/c/image:labelled"
}

tag_and_list() {
    crane tag "$REG/c/image:v1" latest
    assert_eq "$(crane ls "$REG/c/image" | sort | paste -sd' ')" \
        "appended labelled latest $(signature_tag "$IMAGE") v1" "crane ls"
    assert_contains "$(crane catalog "$REG" | paste -sd' ')" "c/copied/deep" "crane catalog"
}

delete_image() {
    crane copy "$REG/c/image:v1" "$REG/c/doomed:v1"
    crane copy "$REG/c/image:v1" "$REG/c/doomed:v2"
    crane delete "$REG/c/doomed:v1"
    assert_gone /v2/c/doomed/manifests/v1
    crane delete "$REG/c/doomed@$IMAGE"
    assert_gone "/v2/c/doomed/manifests/$IMAGE"
    assert_gone /v2/c/doomed/manifests/v2
    crane validate --remote "$REG/c/image:v1"
}

check "pushes an image of four layers" push_image
check "pulls it back and validates every byte" pull_image
check "pushes, validates and pulls an index" index_both_ways
check "copies between repositories by mounting" between_repositories
check "keeps a signature under the sha256-….sig tag" signature_tag_scheme
check "reads blobs, manifests and configs by digest" blobs_by_digest
check "appends a layer and mutates a config" append_and_mutate
check "tags, lists tags and the catalog" tag_and_list
check "deletes by tag and by digest" delete_image
finish
