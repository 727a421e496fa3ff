#!/usr/bin/env bash
# podman, with a root of its own, against the registry: builds, pushes, pulls
# after removing what is local, mounts between repositories, multi-platform
# manifest list, search for tags, log in, delete.
SUITE=podman
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

STORE=$WORK/store
start_registry main "$STORE"
podman() {
    timeout 180 podman --root "$WORK/p/root" --runroot "$WORK/p/run" --tmpdir "$WORK/p/tmp" \
        --storage-driver vfs --cgroup-manager cgroupfs --events-backend none "$@"
}

build_and_push() {
    mkdir -p "$WORK/context"
    head -c 4000 /dev/urandom >"$WORK/context/one"
    head -c 6291456 /dev/urandom >"$WORK/context/two"
    head -c 9000 /dev/urandom >"$WORK/context/three"
    printf 'FROM scratch\nCOPY one /one\nCOPY two /two\nCOPY three /three\n' >"$WORK/context/Containerfile"
    podman build --quiet --layers -t "$REG/p/image:v1" "$WORK/context" >/dev/null
    podman push --quiet --tls-verify=false --digestfile "$WORK/digest" "$REG/p/image:v1"
    assert_eq "$(remote_digest p/image v1)" "$(cat "$WORK/digest")" "digest in the registry"
    http_ok 200 GET /v2/p/image/manifests/v1 -H "$ACCEPT"
    assert_eq "$(jq '.layers | length' "$BODY")" 3 "number of layers"
    jq -e '[.layers[].size] | max > 5000000' "$BODY" >/dev/null || fail "no large layer"
    cp "$BODY" "$WORK/manifest"
    podman image inspect --format '{{.Id}}' "$REG/p/image:v1" >"$WORK/id"
}

mount_elsewhere() {
    local layer
    podman tag "$REG/p/image:v1" "$REG/p/second/one:v1"
    podman --log-level debug push --tls-verify=false "$REG/p/second/one:v1" >"$WORK/push.log" 2>&1
    grep -q 'mount=' "$WORK/push.log" || fail "podman did not ask for a mount"
    assert_eq "$(remote_digest p/second/one v1)" "$(cat "$WORK/digest")" "digest of the second push"
    for layer in $(layer_digests "$WORK/manifest"); do assert_linked "$STORE" p/second/one "$layer"; done
}

pull_image() {
    local reference
    for reference in "$REG/p/image:v1" "$REG/p/image@$(cat "$WORK/digest")"; do
        podman rmi --all --force >/dev/null
        podman pull --quiet --tls-verify=false "$reference" >/dev/null
        assert_eq "$(podman image inspect --format '{{.Digest}}' "$reference")" "$(cat "$WORK/digest")" "digest pulled"
        assert_eq "$(podman image inspect --format '{{.Id}}' "$reference")" "$(cat "$WORK/id")" "image id"
    done
    # What came back is what was built.
    podman save --quiet --format docker-archive -o "$WORK/saved.tar" "$(cat "$WORK/id")"
    mkdir "$WORK/saved"
    tar -C "$WORK/saved" -xf "$WORK/saved.tar"
    for reference in $(jq -r '.[0].Layers[]' "$WORK/saved/manifest.json"); do
        tar -C "$WORK/saved" -xf "$WORK/saved/$reference"
    done
    for reference in one two three; do
        assert_same_bytes "$WORK/saved/$reference" "$WORK/context/$reference" "file of the image"
    done
}

manifest_list() {
    local architecture
    podman manifest create list >/dev/null
    for architecture in amd64 arm64; do
        echo "$architecture" >"$WORK/context/one"
        podman build --quiet --no-cache --arch "$architecture" --manifest list "$WORK/context" >/dev/null
    done
    podman manifest push --quiet --all --tls-verify=false --digestfile "$WORK/list-digest" list "docker://$REG/p/multi:v1"
    assert_eq "$(remote_digest p/multi v1)" "$(cat "$WORK/list-digest")" "digest of the list"
    http_ok 200 GET /v2/p/multi/manifests/v1 -H "$ACCEPT"
    assert_eq "$(jq -r '[.manifests[].platform.architecture] | sort | join(" ")' "$BODY")" "amd64 arm64" "platforms"
    podman rmi --all --force >/dev/null
    podman pull --quiet --tls-verify=false --arch arm64 "$REG/p/multi:v1" >/dev/null
    assert_eq "$(podman image inspect --format '{{.Architecture}}' "$REG/p/multi:v1")" arm64 "architecture pulled"
}

list_tags() {
    podman tag "$REG/p/multi:v1" "$REG/p/image:v2"
    podman push --quiet --tls-verify=false "$REG/p/image:v2"
    assert_tags p/image v1 v2
    assert_eq "$(podman search --tls-verify=false --list-tags "$REG/p/image" | awk 'NR > 1 { print $2 }' | sort | paste -sd' ')" \
        "v1 v2" "podman search --list-tags"
}

log_in() {
    # No auth is configured here: any name is welcome, and nothing is kept in home.
    podman login --tls-verify=false -u someone -p something "$REG" >/dev/null
    podman logout "$REG" >/dev/null
}

delete_image() {
    timeout 60 skopeo delete --tls-verify=false "docker://$REG/p/image:v2"
    assert_gone /v2/p/image/manifests/v2
    podman rmi --all --force >/dev/null
    if podman pull --quiet --tls-verify=false "$REG/p/image:v2" >/dev/null 2>&1; then
        fail "podman pulled a deleted image"
    fi
    podman pull --quiet --tls-verify=false "$REG/p/image:v1" >/dev/null
}

check "builds and pushes an image of three layers" build_and_push
check "pushes to a second repository by mounting" mount_elsewhere
check "pulls it back by tag and by digest" pull_image
check "pushes a multi-platform list and pulls one platform" manifest_list
check "lists tags" list_tags
check "logs in and out" log_in
check "sees a deleted image gone" delete_image
finish
