#!/usr/bin/env bash
# Builds target/static/registry: the registry without any shared library, for an image from scratch.
#
# It is linked with glibc, not musl: glibc's allocator serves several threads at once, and it needs no second
# toolchain. Name resolution works without shared libraries since glibc 2.34 (files and DNS).
set -euo pipefail
cd "$(dirname "$0")/../.."
machine=$(uname -m)
target=$machine-unknown-linux-gnu
# With --target the flag is not given to build scripts and procedural macros, which have to be dynamic.
RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static" cargo build --release --locked --bin registry --target "$target"
mkdir -p target/static
objcopy --strip-all "${CARGO_TARGET_DIR:-target}/$target/release/registry" target/static/registry.new
mv target/static/registry.new target/static/registry
