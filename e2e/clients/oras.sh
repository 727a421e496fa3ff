#!/usr/bin/env bash
# oras against the registry: images and indexes from an OCI layout, arbitrary
# artifacts, attached artifacts and signatures found through the referrers API
# (and, for clients that ask for it, the referrers tag), copy with referrers
# between repositories, tag listing, deletes.
SUITE=oras
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

STORE=$WORK/store
LAYOUT=$WORK/layout
make_fixtures "$LAYOUT"
start_registry main "$STORE"
cd "$WORK"

oras() { timeout 120 "$TOOLS/oras" "$@"; }

push_image() {
    oras cp --no-tty --from-oci-layout "$LAYOUT:image" --to-plain-http "$REG/o/image:v1"
    assert_eq "$(remote_digest o/image v1)" "$IMAGE" "digest in the registry"
    assert_eq "$(oras resolve --plain-http "$REG/o/image:v1")" "$IMAGE" "oras resolve"
    verify_against_layout o/image v1 "$LAYOUT"
}

pull_image() {
    oras cp --no-tty --from-plain-http "$REG/o/image:v1" --to-oci-layout "$WORK/back:image"
    assert_eq "$(jq -r '.manifests[0].digest' back/index.json)" "$IMAGE" "digest of what was pulled"
    local blob
    for blob in $(jq -r '.config.digest, .layers[].digest' "$LAYOUT/blobs/sha256/${IMAGE#sha256:}"); do
        assert_same_bytes "back/blobs/${blob/://}" "$LAYOUT/blobs/${blob/://}" "pulled blob"
    done
}

index_both_ways() {
    oras cp --no-tty --from-oci-layout "$LAYOUT:multi" --to-plain-http "$REG/o/multi:v1"
    assert_eq "$(remote_digest o/multi v1)" "$MULTI" "digest of the index"
    verify_against_layout o/multi v1 "$LAYOUT"
    oras cp --no-tty --from-plain-http "$REG/o/multi:v1" --to-oci-layout "$WORK/back-multi:v1"
    assert_eq "$(jq -r '.manifests[0].digest' back-multi/index.json)" "$MULTI" "index that came back"
    oras manifest fetch --plain-http --platform linux/arm64 "$REG/o/multi:v1" >arm64.json
    assert_eq "$(digest_of arm64.json)" "$ARM64" "arm64 manifest"
}

artifact() {
    head -c 3000000 /dev/urandom >data.bin
    echo '{"a":1}' >meta.json
    oras push --no-tty --plain-http --artifact-type application/vnd.example.thing --format json \
        "$REG/o/thing:v1" data.bin:application/octet-stream meta.json:application/json >pushed.json
    assert_eq "$(remote_digest o/thing v1)" "$(jq -r .digest pushed.json)" "digest of the artifact"
    oras pull --no-tty --plain-http -o pulled "$REG/o/thing:v1"
    assert_same_bytes pulled/data.bin data.bin "data.bin"
    assert_same_bytes pulled/meta.json meta.json "meta.json"
}

# attach TYPE FILE [OPTIONS…]: prints the digest of the new referrer.
attach() {
    local type=$1 file=$2
    shift 2
    oras attach --no-tty --plain-http --artifact-type "$type" --format json "$@" "$REG/o/image@$IMAGE" "$file" | jq -r .digest
}

attach_and_discover() {
    local sbom
    echo '{"spdxVersion":"SPDX-2.3"}' >sbom.json
    sbom=$(attach application/spdx+json sbom.json)
    echo "$sbom" >sbom.digest
    assert_eq "$(remote_digest o/image "$sbom")" "$sbom" "digest of the referrer"
    assert_referrer o/image "$IMAGE" "$sbom" application/spdx+json
    oras discover --plain-http --format json --distribution-spec v1.1-referrers-api "$REG/o/image:v1" >found.json
    assert_contains "$(cat found.json)" "$sbom" "oras discover through the referrers API"
    oras pull --no-tty --plain-http -o pulled-sbom "$REG/o/image@$sbom"
    assert_same_bytes pulled-sbom/sbom.json sbom.json "the attached file"
}

attached_signature() {
    local signature
    echo 'not a real signature' >signature.bin
    signature=$(attach application/vnd.dev.cosign.artifact.sig.v1+json signature.bin)
    assert_referrer o/image "$IMAGE" "$signature" application/vnd.dev.cosign.artifact.sig.v1+json
    oras discover --plain-http --format json --artifact-type application/vnd.dev.cosign.artifact.sig.v1+json \
        "$REG/o/image:v1" >filtered.json
    assert_contains "$(cat filtered.json)" "$signature" "discovery filtered by type"
    if grep -q "$(cat sbom.digest)" filtered.json; then fail "the filter let another type through"; fi
    # A signature of the signature: referrers have referrers.
    local second
    second=$(oras attach --no-tty --plain-http --artifact-type application/vnd.example.countersignature --format json \
        "$REG/o/image@$signature" signature.bin | jq -r .digest)
    assert_referrer o/image "$signature" "$second"
}

no_fallback_tag() {
    # With the API there, oras must not have fallen back to a referrers tag.
    assert_gone "/v2/o/image/manifests/${IMAGE/:/-}"
}

referrers_tag() {
    local referrer
    echo old >old.txt
    oras cp --no-tty --from-oci-layout "$LAYOUT:image" --to-plain-http "$REG/o/tagged:v1"
    referrer=$(oras attach --no-tty --plain-http --distribution-spec v1.1-referrers-tag --format json \
        --artifact-type application/vnd.example.old "$REG/o/tagged@$IMAGE" old.txt | jq -r .digest)
    oras discover --plain-http --format json --distribution-spec v1.1-referrers-tag "$REG/o/tagged:v1" >tagged.json
    assert_contains "$(cat tagged.json)" "$referrer" "discovery by the referrers tag"
    assert_referrer o/tagged "$IMAGE" "$referrer"
}

copy_with_referrers() {
    local layer log=$WORK/copy.log
    oras cp --no-tty --debug -r --from-plain-http --to-plain-http "$REG/o/image:v1" "$REG/o/mirror:v1" >"$log" 2>&1
    assert_eq "$(remote_digest o/mirror v1)" "$IMAGE" "digest of the copy"
    assert_referrer o/mirror "$IMAGE" "$(cat sbom.digest)"
    grep -q 'mount=' "$log" || fail "oras did not ask for a mount"
    for layer in $(layer_digests "$LAYOUT/blobs/sha256/${IMAGE#sha256:}"); do
        assert_linked "$STORE" o/mirror "$layer"
    done
    verify_against_layout o/mirror v1 "$LAYOUT"
}

tag_and_list() {
    oras tag --plain-http "$REG/o/thing:v1" v2 v3
    assert_eq "$(oras repo tags --plain-http "$REG/o/thing" | sort | paste -sd' ')" "v1 v2 v3" "oras repo tags"
    assert_contains "$(oras repo ls --plain-http "$REG" | paste -sd' ')" "o/thing" "oras repo ls"
}

delete_referrer() {
    local sbom
    sbom=$(cat sbom.digest)
    oras manifest delete --plain-http --force "$REG/o/image@$sbom"
    assert_gone "/v2/o/image/manifests/$sbom"
    http_ok 200 GET "/v2/o/image/referrers/$IMAGE"
    if grep -q "$sbom" "$BODY"; then fail "a deleted referrer is still listed"; fi
    assert_referrer o/mirror "$IMAGE" "$sbom"
}

delete_blob() {
    local digest
    echo "to be deleted" >doomed
    digest=$(digest_of doomed)
    oras blob push --no-tty --plain-http "$REG/o/thing@$digest" doomed
    oras blob fetch --no-tty --plain-http -o fetched "$REG/o/thing@$digest"
    assert_same_bytes fetched doomed "blob"
    oras blob delete --plain-http --force "$REG/o/thing@$digest"
    assert_gone "/v2/o/thing/blobs/$digest"
}

check "pushes an image of four layers" push_image
check "pulls it back" pull_image
check "pushes and pulls an index" index_both_ways
check "pushes and pulls an artifact" artifact
check "attaches an artifact and discovers it through the API" attach_and_discover
check "attaches a signature, filters by type, nests" attached_signature
check "leaves no fallback tag behind" no_fallback_tag
check "finds what was attached by the referrers tag" referrers_tag
check "copies with referrers to another repository by mounting" copy_with_referrers
check "tags and lists" tag_and_list
check "deletes a referrer" delete_referrer
check "pushes, fetches and deletes a blob" delete_blob
finish
