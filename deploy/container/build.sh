#!/usr/bin/env bash
# Builds the image from a static binary, with no base image and no network. What
# comes after -- goes to the builder's `build`.
#
#   deploy/container/build.sh [--tool podman|buildah|docker] [--binary FILE] [--tag NAME] [-- BUILDER-ARGUMENTS…]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tool=podman
tag=registry
binary=$here/../../target/static/registry
while (($# > 0)); do
    case $1 in
    --tool) tool=${2:?} && shift 2 ;;
    --binary) binary=${2:?} && shift 2 ;;
    --tag) tag=${2:?} && shift 2 ;;
    --) shift && break ;;
    *)
        echo "build.sh: unknown argument $1" >&2
        exit 2
        ;;
    esac
done
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
"$here/rootfs.sh" "$binary" "$context/rootfs"
"$tool" build "$@" --file "$here/Containerfile" --target prebuilt --tag "$tag" "$context"
