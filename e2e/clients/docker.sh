#!/usr/bin/env bash
# A real Docker engine, private to this suite, against the registry: push, pull
# after removing every local image, mount between repositories, a manifest list,
# schema 2 and (through the engine) OCI images made by others, delete.
SUITE=docker
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

STORE=$WORK/store
LAYOUT=$WORK/layout
make_fixtures "$LAYOUT"
start_registry main "$STORE"

# The engine gets its own everything; its socket path must stay short.
DOCKER_LOG=$WORK/logs/dockerd.log
mkdir -p "$WORK/d"
suite_cleanup() { umount -R "$WORK/d/exec/netns/default" "$WORK/d/exec" "$WORK/d/data" 2>/dev/null || true; }
dockerd -H "unix://$WORK/d/d.sock" --data-root "$WORK/d/data" --exec-root "$WORK/d/exec" --pidfile "$WORK/d/d.pid" \
    --storage-driver vfs --iptables=false --ip6tables=false --bridge=none >"$DOCKER_LOG" 2>&1 </dev/null &
DOCKERD=$!
disown "$DOCKERD"
own "$DOCKERD"
export DOCKER_HOST=unix://$WORK/d/d.sock DOCKER_BUILDKIT=0
if ! wait_ready http://localhost/_ping "$DOCKERD" --unix-socket "$WORK/d/d.sock"; then
    echo "dockerd did not start:"
    tail -n 30 "$DOCKER_LOG"
    exit 1
fi
# Debian's own client, which speaks exactly the engine's version of the API.
docker() { timeout 180 /usr/bin/docker "$@"; }

remove_local() {
    local images
    mapfile -t images < <(docker images --quiet --no-trunc | sort -u)
    ((${#images[@]} == 0)) || docker rmi --force "${images[@]}" >/dev/null
    assert_eq "$(docker images --quiet | wc -l)" 0 "local images left"
}

# pushed_digest OUTPUT-FILE: what `docker push` reported.
pushed_digest() { sed -n 's/.*digest: \(sha256:[0-9a-f]*\).*/\1/p' "$1"; }

build_and_push() {
    mkdir -p "$WORK/context"
    head -c 4000 /dev/urandom >"$WORK/context/one"
    head -c 6291456 /dev/urandom >"$WORK/context/two"
    head -c 9000 /dev/urandom >"$WORK/context/three"
    printf 'FROM scratch\nCOPY one /one\nCOPY two /two\nCOPY three /three\n' >"$WORK/context/Dockerfile"
    docker build --quiet -t "$REG/d/image:v1" "$WORK/context" >/dev/null
    docker push "$REG/d/image:v1" >"$WORK/push.out"
    pushed_digest "$WORK/push.out" >"$WORK/digest"
    assert_eq "$(remote_digest d/image v1)" "$(cat "$WORK/digest")" "digest in the registry"
    http_ok 200 GET /v2/d/image/manifests/v1 -H "$ACCEPT"
    assert_eq "$(jq '.layers | length' "$BODY")" 3 "number of layers"
    jq -e '[.layers[].size] | max > 5000000' "$BODY" >/dev/null || fail "no large layer"
    cp "$BODY" "$WORK/manifest"
    docker image inspect --format '{{.Id}}' "$REG/d/image:v1" >"$WORK/id"
}

mount_elsewhere() {
    local layer
    docker tag "$REG/d/image:v1" "$REG/d/second/one:v1"
    docker push "$REG/d/second/one:v1" >"$WORK/second.out"
    grep -q 'Mounted from d/image' "$WORK/second.out" || fail "nothing mounted: $(cat "$WORK/second.out")"
    assert_eq "$(remote_digest d/second/one v1)" "$(cat "$WORK/digest")" "digest of the second push"
    for layer in $(layer_digests "$WORK/manifest"); do assert_linked "$STORE" d/second/one "$layer"; done
}

pull_image() {
    local reference
    for reference in "$REG/d/image:v1" "$REG/d/image@$(cat "$WORK/digest")"; do
        remove_local
        docker pull "$reference" >"$WORK/pull.out"
        assert_contains "$(cat "$WORK/pull.out")" "Digest: $(cat "$WORK/digest")" "digest docker pull reports"
        assert_eq "$(docker image inspect --format '{{.Id}}' "$reference")" "$(cat "$WORK/id")" "image id"
        assert_eq "$(docker image inspect --format '{{index .RepoDigests 0}}' "$reference")" \
            "$REG/d/image@$(cat "$WORK/digest")" "repository digest"
    done
    # What came back is what was built.
    local container
    container=$(docker create "$REG/d/image@$(cat "$WORK/digest")" /none)
    for reference in one two three; do
        docker cp "$container:/$reference" "$WORK/out-$reference"
        assert_same_bytes "$WORK/out-$reference" "$WORK/context/$reference" "file of the image"
    done
    docker rm "$container" >/dev/null
}

manifest_list() {
    local architecture
    for architecture in amd64 arm64; do
        echo "$architecture" >"$WORK/context/one"
        docker build --quiet --no-cache --platform "linux/$architecture" -t "$REG/d/multi:$architecture" "$WORK/context" >/dev/null 2>&1
        docker push --quiet "$REG/d/multi:$architecture" >/dev/null
    done
    docker manifest create --insecure "$REG/d/multi:v1" "$REG/d/multi:amd64" "$REG/d/multi:arm64" >/dev/null
    docker manifest annotate --arch arm64 "$REG/d/multi:v1" "$REG/d/multi:arm64"
    docker manifest push --insecure "$REG/d/multi:v1" >"$WORK/list.out"
    assert_eq "$(remote_digest d/multi v1)" "$(grep -o 'sha256:[0-9a-f]*' "$WORK/list.out" | tail -n 1)" "digest of the list"
    http_ok 200 GET /v2/d/multi/manifests/v1 -H "$ACCEPT"
    assert_eq "$(jq -r '[.manifests[].platform.architecture] | sort | join(" ")' "$BODY")" "amd64 arm64" "platforms"
    for architecture in amd64 arm64; do
        remove_local
        docker pull --quiet --platform "linux/$architecture" "$REG/d/multi:v1" >/dev/null
        assert_eq "$(docker image inspect --format '{{.Architecture}}' "$REG/d/multi:v1")" "$architecture" "platform pulled"
    done
}

foreign_images() {
    # OCI manifests and an OCI index pushed by another client.
    timeout 120 skopeo copy --quiet --all --preserve-digests --dest-tls-verify=false "oci:$LAYOUT:image" "docker://$REG/d/oci:v1"
    timeout 120 skopeo copy --quiet --all --preserve-digests --dest-tls-verify=false "oci:$LAYOUT:multi" "docker://$REG/d/oci-multi:v1"
    remove_local
    docker pull "$REG/d/oci:v1" >"$WORK/oci.out"
    assert_contains "$(cat "$WORK/oci.out")" "Digest: $IMAGE" "OCI image"
    docker pull "$REG/d/oci-multi:v1" >"$WORK/oci-multi.out"
    assert_contains "$(cat "$WORK/oci-multi.out")" "Digest: $MULTI" "OCI index"
}

tags_and_delete() {
    docker tag "$REG/d/oci:v1" "$REG/d/doomed:v1"
    docker push --quiet "$REG/d/doomed:v1" >/dev/null
    docker push --quiet --all-tags "$REG/d/doomed" >/dev/null
    assert_tags d/doomed v1
    # The engine cannot delete from a registry; the API can.
    http_ok 202 DELETE "/v2/d/doomed/manifests/$(remote_digest d/doomed v1)"
    remove_local
    if docker pull --quiet "$REG/d/doomed:v1" >"$WORK/gone.out" 2>&1; then fail "docker pulled a deleted image"; fi
    assert_contains "$(cat "$WORK/gone.out")" "not found" "what docker says of a deleted image"
    docker pull --quiet "$REG/d/image:v1" >/dev/null
}

check "builds and pushes an image of three layers" build_and_push
check "pushes to a second repository by mounting" mount_elsewhere
check "pulls it back by tag and by digest" pull_image
check "pushes a manifest list and pulls each platform" manifest_list
check "pulls OCI images and indexes made by others" foreign_images
check "sees tags, and a deleted image gone" tags_and_delete
finish
