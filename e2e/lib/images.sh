# shellcheck shell=bash disable=SC2154 # what is not assigned here is in lib.sh
# Images: made without any tool, and compared with what was pulled. For lib.sh, which reads it.

# add_blob LAYOUT FILE: stores a copy under its digest; prints "digest size".
add_blob() {
    local digest
    digest=$(digest_of "$2")
    mkdir -p "$1/blobs/sha256"
    cp "$2" "$1/blobs/sha256/${digest#sha256:}"
    echo "$digest $(stat -c %s "$2")"
}

# make_image LAYOUT ARCHITECTURE SIZE…: one layer of random bytes per size;
# prints the descriptor of the manifest.
make_image() {
    local layout=$1 architecture=$2 scratch size digest bytes layers='[]' ids='[]' n=0
    shift 2
    scratch=$(mktemp -d)
    for size in "$@"; do
        n=$((n + 1))
        mkdir -p "$scratch/root"
        head -c "$size" /dev/urandom >"$scratch/root/file$n"
        tar -C "$scratch/root" --sort=name --owner=0 --group=0 --numeric-owner -cf "$scratch/layer.tar" "file$n"
        gzip -n -1 <"$scratch/layer.tar" >"$scratch/layer.tgz"
        read -r digest bytes < <(add_blob "$layout" "$scratch/layer.tgz")
        layers=$(jq -c --arg d "$digest" --argjson s "$bytes" \
            '. + [{mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", digest: $d, size: $s}]' <<<"$layers")
        ids=$(jq -c --arg d "$(digest_of "$scratch/layer.tar")" '. + [$d]' <<<"$ids")
    done
    jq -nc --arg a "$architecture" --argjson ids "$ids" \
        '{architecture: $a, os: "linux", config: {}, rootfs: {type: "layers", diff_ids: $ids}}' >"$scratch/config"
    read -r digest bytes < <(add_blob "$layout" "$scratch/config")
    jq -nc --arg t "$OCI_MANIFEST" --arg d "$digest" --argjson s "$bytes" --argjson layers "$layers" \
        '{schemaVersion: 2, mediaType: $t,
          config: {mediaType: "application/vnd.oci.image.config.v1+json", digest: $d, size: $s},
          layers: $layers}' >"$scratch/manifest"
    read -r digest bytes < <(add_blob "$layout" "$scratch/manifest")
    rm -rf "$scratch"
    jq -nc --arg t "$OCI_MANIFEST" --arg d "$digest" --argjson s "$bytes" --arg a "$architecture" \
        '{mediaType: $t, digest: $d, size: $s, platform: {architecture: $a, os: "linux"}}'
}

# make_fixtures LAYOUT: an OCI layout with `image` (four layers, one of 6 MiB),
# `multi` (an index of amd64 and arm64) and `signature` (cosign's form, for
# `image`). Sets IMAGE, MULTI, AMD64, ARM64, SIGNATURE to their digests.
# shellcheck disable=SC2034 # they are for the suites
make_fixtures() {
    local layout=$1 image amd64 arm64 scratch digest bytes config
    mkdir -p "$layout"
    scratch=$(mktemp -d)
    image=$(make_image "$layout" amd64 1000 6291456 70000 0)
    amd64=$(make_image "$layout" amd64 2000 3000 4000)
    arm64=$(make_image "$layout" arm64 2000 3000 4000)
    IMAGE=$(jq -r .digest <<<"$image")
    AMD64=$(jq -r .digest <<<"$amd64")
    ARM64=$(jq -r .digest <<<"$arm64")

    jq -nc --arg t "$OCI_INDEX" --argjson a "$amd64" --argjson b "$arm64" \
        '{schemaVersion: 2, mediaType: $t, manifests: [$a, $b]}' >"$scratch/index"
    read -r MULTI bytes < <(add_blob "$layout" "$scratch/index")
    local multi_size=$bytes

    jq -nc --arg d "$IMAGE" '{critical: {identity: {"docker-reference": ""},
        image: {"docker-manifest-digest": $d}, type: "cosign container image signature"}, optional: null}' >"$scratch/payload"
    read -r digest bytes < <(add_blob "$layout" "$scratch/payload")
    config=$(jq -nc --arg d "$digest" '{architecture: "", os: "", config: {}, rootfs: {type: "layers", diff_ids: [$d]}}')
    printf %s "$config" >"$scratch/config"
    local config_digest config_size
    read -r config_digest config_size < <(add_blob "$layout" "$scratch/config")
    jq -nc --arg t "$OCI_MANIFEST" --arg d "$digest" --argjson s "$bytes" --arg cd "$config_digest" --argjson cs "$config_size" \
        '{schemaVersion: 2, mediaType: $t,
          config: {mediaType: "application/vnd.oci.image.config.v1+json", digest: $cd, size: $cs},
          layers: [{mediaType: "application/vnd.dev.cosign.simplesigning.v1+json", digest: $d, size: $s,
                    annotations: {"dev.cosignproject.cosign/signature": "bm90IGEgcmVhbCBvbmU="}}]}' >"$scratch/signature"
    read -r SIGNATURE bytes < <(add_blob "$layout" "$scratch/signature")

    echo '{"imageLayoutVersion":"1.0.0"}' >"$layout/oci-layout"
    jq -nc --argjson image "$image" --arg mt "$OCI_INDEX" --arg m "$MULTI" --argjson ms "$multi_size" \
        --arg st "$OCI_MANIFEST" --arg s "$SIGNATURE" --argjson ss "$bytes" \
        'def named(n): . + {annotations: {"org.opencontainers.image.ref.name": n}};
         {schemaVersion: 2, manifests: [
            ($image | named("image")),
            ({mediaType: $mt, digest: $m, size: $ms} | named("multi")),
            ({mediaType: $st, digest: $s, size: $ss} | named("signature"))]}' >"$layout/index.json"
    rm -rf "$scratch"
}

# layer_digests MANIFEST-FILE
layer_digests() { jq -r '.layers[].digest' "$1"; }

# The tag under which cosign keeps the signature of a digest.
signature_tag() { echo "${1/:/-}.sig"; }

# verify_against_layout REPOSITORY REFERENCE LAYOUT: every manifest, config and
# layer that the registry serves for the reference equals the layout's file.
verify_against_layout() {
    local repository=$1 reference=$2 layout=$3 digest child
    digest=$(remote_digest "$repository" "$reference")
    http_ok 200 GET "/v2/$repository/manifests/$digest" -H "$ACCEPT"
    assert_same_bytes "$BODY" "$layout/blobs/sha256/${digest#sha256:}" "manifest $digest"
    for child in $(jq -r '.manifests // [] | .[].digest' "$layout/blobs/sha256/${digest#sha256:}"); do
        verify_against_layout "$repository" "$child" "$layout"
    done
    for child in $(jq -r 'select(.config) | .config.digest, .layers[].digest' "$layout/blobs/sha256/${digest#sha256:}"); do
        http_ok 200 GET "/v2/$repository/blobs/$child"
        assert_eq "$(header Docker-Content-Digest)" "$child" "Docker-Content-Digest of a blob"
        assert_same_bytes "$BODY" "$layout/blobs/sha256/${child#sha256:}" "blob $child"
    done
}

# same_image_bytes DIR LAYOUT DIGEST: a `skopeo dir:` copy equals the layout.
same_image_bytes() {
    local blob
    assert_eq "$(digest_of "$1/manifest.json")" "$3" "digest of what was pulled"
    for blob in $(jq -r '.config.digest, .layers[].digest' "$1/manifest.json"); do
        assert_same_bytes "$1/${blob#sha256:}" "$2/blobs/sha256/${blob#sha256:}" "pulled blob $blob"
    done
}
