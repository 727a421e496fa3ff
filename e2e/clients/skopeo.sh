#!/usr/bin/env bash
# skopeo (the containers/image library) against the registry: push and pull of a
# layered image and of a multi-platform index, Docker schema 2, a cosign-style
# signature tag, copy between repositories, tag listing, inspect, delete.
SUITE=skopeo
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

STORE=$WORK/store
LAYOUT=$WORK/layout
make_fixtures "$LAYOUT"
start_registry main "$STORE"

copy() { timeout 120 skopeo copy --quiet --src-tls-verify=false --dest-tls-verify=false "$@"; }

push_image() {
    copy --digestfile "$WORK/digest" "oci:$LAYOUT:image" "docker://$REG/s/image:v1"
    assert_eq "$(cat "$WORK/digest")" "$IMAGE" "digest skopeo reports"
    assert_eq "$(remote_digest s/image v1)" "$IMAGE" "digest in the registry"
    verify_against_layout s/image v1 "$LAYOUT"
}

pull_image() {
    copy --preserve-digests "docker://$REG/s/image:v1" "dir:$WORK/pulled"
    same_image_bytes "$WORK/pulled" "$LAYOUT" "$IMAGE"
    copy --preserve-digests "docker://$REG/s/image@$IMAGE" "dir:$WORK/pulled-by-digest"
    same_image_bytes "$WORK/pulled-by-digest" "$LAYOUT" "$IMAGE"
}

push_again() {
    # Nothing is new: skopeo asks with HEAD for every blob, and stores nothing.
    local before after
    before=$(find "$STORE/docker/registry/v2/blobs" -type f | wc -l)
    copy "oci:$LAYOUT:image" "docker://$REG/s/image:again"
    after=$(find "$STORE/docker/registry/v2/blobs" -type f | wc -l)
    assert_eq "$after" "$before" "number of stored blobs"
    assert_eq "$(remote_digest s/image again)" "$IMAGE" "digest under the second tag"
}

push_schema2() {
    copy --format v2s2 --digestfile "$WORK/digest2" "oci:$LAYOUT:image" "docker://$REG/s/schema2:v1"
    assert_eq "$(remote_digest s/schema2 v1)" "$(cat "$WORK/digest2")" "digest of the Docker manifest"
    http_ok 200 HEAD /v2/s/schema2/manifests/v1 -H "$ACCEPT"
    assert_eq "$(header Content-Type)" application/vnd.docker.distribution.manifest.v2+json "media type"
    copy --preserve-digests "docker://$REG/s/schema2:v1" "dir:$WORK/pulled2"
    assert_eq "$(digest_of "$WORK/pulled2/manifest.json")" "$(cat "$WORK/digest2")" "digest of what was pulled"
}

index_both_ways() {
    copy --all --preserve-digests "oci:$LAYOUT:multi" "docker://$REG/s/multi:v1"
    assert_eq "$(remote_digest s/multi v1)" "$MULTI" "digest of the index"
    verify_against_layout s/multi v1 "$LAYOUT"
    copy --all --preserve-digests "docker://$REG/s/multi:v1" "oci:$WORK/back:multi"
    assert_eq "$(jq -r '.manifests[0].digest' "$WORK/back/index.json")" "$MULTI" "index that came back"
    copy --override-arch arm64 --preserve-digests "docker://$REG/s/multi:v1" "dir:$WORK/arm64"
    same_image_bytes "$WORK/arm64" "$LAYOUT" "$ARM64"
}

signature_tag_scheme() {
    local tag
    tag=$(signature_tag "$IMAGE")
    copy --preserve-digests "oci:$LAYOUT:signature" "docker://$REG/s/image:$tag"
    assert_eq "$(remote_digest s/image "$tag")" "$SIGNATURE" "digest of the signature"
    copy --preserve-digests "docker://$REG/s/image:$tag" "dir:$WORK/signature"
    same_image_bytes "$WORK/signature" "$LAYOUT" "$SIGNATURE"
}

between_repositories() {
    # skopeo learns where a blob lives by looking at it, and then mounts it.
    local layer log=$WORK/copy.log
    timeout 120 skopeo --debug copy --preserve-digests --src-tls-verify=false --dest-tls-verify=false \
        "docker://$REG/s/image:v1" "docker://$REG/s/other/name:v1" >"$log" 2>&1
    grep -q 'mount=' "$log" || fail "skopeo did not ask for a mount"
    grep -qi 'mount OK' "$log" || fail "no mount was granted"
    assert_eq "$(remote_digest s/other/name v1)" "$IMAGE" "digest of the copy"
    for layer in $(layer_digests "$LAYOUT/blobs/sha256/${IMAGE#sha256:}"); do
        assert_linked "$STORE" s/other/name "$layer"
    done
    verify_against_layout s/other/name v1 "$LAYOUT"
}

list_and_inspect() {
    local listed
    listed=$(timeout 60 skopeo list-tags --tls-verify=false "docker://$REG/s/image" | jq -r '.Tags | sort | join(" ")')
    assert_eq "$listed" "again $(signature_tag "$IMAGE") v1" "skopeo list-tags"
    timeout 60 skopeo inspect --tls-verify=false "docker://$REG/s/image:v1" >"$WORK/inspected"
    assert_eq "$(jq -r .Digest "$WORK/inspected")" "$IMAGE" "skopeo inspect"
    timeout 60 skopeo inspect --raw --tls-verify=false "docker://$REG/s/multi:v1" >"$WORK/raw"
    assert_eq "$(digest_of "$WORK/raw")" "$MULTI" "skopeo inspect --raw"
}

sync_repository() {
    timeout 120 skopeo sync --src docker --dest dir --src-tls-verify=false "$REG/s/schema2" "$WORK/synced" >"$WORK/sync.log" 2>&1
    find "$WORK/synced" -name manifest.json | grep -q . || fail "skopeo sync wrote nothing"
}

delete_image() {
    copy "oci:$LAYOUT:image" "docker://$REG/s/doomed:v1"
    timeout 60 skopeo delete --tls-verify=false "docker://$REG/s/doomed:v1"
    assert_gone /v2/s/doomed/manifests/v1
    assert_gone "/v2/s/doomed/manifests/$IMAGE"
    # Other repositories keep theirs.
    assert_eq "$(remote_digest s/image v1)" "$IMAGE" "the same image elsewhere"
}

check "pushes an image of four layers" push_image
check "pulls it back by tag and by digest" pull_image
check "pushes again without storing anything" push_again
check "pushes and pulls a Docker schema 2 image" push_schema2
check "pushes and pulls an index, and one platform of it" index_both_ways
check "keeps a signature under the sha256-….sig tag" signature_tag_scheme
check "copies between repositories by mounting" between_repositories
check "lists tags and inspects" list_and_inspect
check "synchronizes a repository to a directory" sync_repository
check "deletes an image" delete_image
finish
