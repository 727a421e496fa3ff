#!/usr/bin/env bash
# buildah against the registry: builds a layered image from nothing, pushes and
# pulls it, pushes again elsewhere by mount, builds and pushes a multi-platform
# manifest list, reads single platforms back, deletes.
SUITE=buildah
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

STORE=$WORK/store
start_registry main "$STORE"
buildah() { timeout 180 buildah --root "$WORK/b/root" --runroot "$WORK/b/run" --storage-driver vfs "$@"; }

# pulled_digest REFERENCE: pulls into an emptied local store, tells the digest.
pulled_digest() {
    buildah rmi --all --force >/dev/null 2>&1 || true
    buildah pull --quiet --tls-verify=false "$@" >/dev/null
    buildah images --format '{{.Digest}}' | head -n 1
}

build_and_push() {
    local container n
    container=$(buildah from scratch)
    for n in 1 2 3; do
        head -c $((n == 2 ? 6291456 : 5000)) /dev/urandom >"$WORK/file$n"
        buildah copy "$container" "$WORK/file$n" "/file$n" >/dev/null
        # Each commit adds one layer to the one before.
        buildah commit --quiet "$container" "localhost/step$n" >/dev/null
        buildah rm "$container" >/dev/null
        container=$(buildah from --pull-never "localhost/step$n")
    done
    buildah rm "$container" >/dev/null
    buildah push --quiet --tls-verify=false --digestfile "$WORK/digest" localhost/step3 "docker://$REG/b/image:v1"
    assert_eq "$(remote_digest b/image v1)" "$(cat "$WORK/digest")" "digest in the registry"
    http_ok 200 GET /v2/b/image/manifests/v1 -H "$ACCEPT"
    assert_eq "$(jq '.layers | length' "$BODY")" 3 "number of layers"
    jq -e '[.layers[].size] | max > 5000000' "$BODY" >/dev/null || fail "no large layer"
    cp "$BODY" "$WORK/manifest"
}

mount_elsewhere() {
    local layer
    buildah --log-level debug push --tls-verify=false localhost/step3 "docker://$REG/b/second:v1" >"$WORK/push.log" 2>&1
    grep -q 'mount=' "$WORK/push.log" || fail "buildah did not ask for a mount"
    assert_eq "$(remote_digest b/second v1)" "$(cat "$WORK/digest")" "digest of the second push"
    for layer in $(layer_digests "$WORK/manifest"); do assert_linked "$STORE" b/second "$layer"; done
}

pull_image() {
    assert_eq "$(pulled_digest "docker://$REG/b/image:v1")" "$(cat "$WORK/digest")" "digest of what was pulled"
    local container mounted n
    container=$(buildah from --pull-never "$REG/b/image:v1")
    mounted=$(buildah mount "$container")
    for n in 1 2 3; do assert_same_bytes "$mounted/file$n" "$WORK/file$n" "file $n of the image"; done
    buildah umount "$container" >/dev/null
    buildah rm "$container" >/dev/null
    assert_eq "$(pulled_digest "docker://$REG/b/image@$(cat "$WORK/digest")")" "$(cat "$WORK/digest")" "pull by digest"
}

manifest_list() {
    local architecture
    mkdir -p "$WORK/context"
    printf 'FROM scratch\nCOPY file1 /file1\nCOPY architecture /architecture\n' >"$WORK/context/Containerfile"
    cp "$WORK/file1" "$WORK/context"
    buildah manifest create multi >/dev/null
    for architecture in amd64 arm64; do
        echo "$architecture" >"$WORK/context/architecture"
        buildah bud --quiet --no-cache --arch "$architecture" --manifest multi "$WORK/context" >/dev/null
    done
    buildah manifest push --quiet --all --tls-verify=false --digestfile "$WORK/list-digest" multi "docker://$REG/b/multi:v1"
    assert_eq "$(remote_digest b/multi v1)" "$(cat "$WORK/list-digest")" "digest of the list"
    http_ok 200 GET /v2/b/multi/manifests/v1 -H "$ACCEPT"
    assert_eq "$(jq -r '[.manifests[].platform.architecture] | sort | join(" ")' "$BODY")" "amd64 arm64" "platforms"
    cp "$BODY" "$WORK/list"
}

pull_one_platform() {
    local image
    buildah rmi --all --force >/dev/null 2>&1 || true
    image=$(buildah pull --quiet --tls-verify=false --arch arm64 "docker://$REG/b/multi:v1")
    assert_eq "$(buildah inspect --type image --format '{{.OCIv1.Architecture}}' "$image")" arm64 "architecture pulled"
    local child
    for child in $(jq -r '.manifests[].digest' "$WORK/list"); do
        assert_eq "$(remote_digest b/multi "$child")" "$child" "child of the list"
    done
}

tags_and_delete() {
    buildah push --quiet --tls-verify=false "$(buildah images --quiet | head -n 1)" "docker://$REG/b/doomed:v1"
    assert_tags b/doomed v1
    # buildah has no delete of its own; its sister tool does it.
    timeout 60 skopeo delete --tls-verify=false "docker://$REG/b/doomed:v1"
    assert_gone /v2/b/doomed/manifests/v1
    assert_tags b/image v1
}

check "builds and pushes an image of three layers" build_and_push
check "pushes to a second repository by mounting" mount_elsewhere
check "pulls it back by tag and by digest" pull_image
check "builds and pushes a multi-platform list" manifest_list
check "pulls one platform of it" pull_one_platform
check "sees tags, and a deleted image gone" tags_and_delete
finish
