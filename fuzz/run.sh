#!/usr/bin/env bash
# Builds all fuzz targets and runs each for a minute from the corpus that is
# kept here, several at a time: `fuzz/run.sh`, or those named:
# `fuzz/run.sh route config`. FUZZ_SECONDS and FUZZ_JOBS change how long and how
# many. FUZZ_SEED makes a run start as an earlier one did; without it each run
# looks elsewhere. What is new goes to corpus-found/, what fails to artifacts/, and is
# printed so that it can be taken from a log. Ends with a line for each target
# and `N passed, N failed`; fails if anything did.
set -uo pipefail
FUZZ=$(cd "$(dirname "$0")" && pwd)
VERSION=0.13.1
SECONDS_EACH=${FUZZ_SECONDS:-60}
JOBS=${FUZZ_JOBS:-$(nproc)}
SEED=${FUZZ_SEED:-0}
TARGET=${CARGO_TARGET_DIR:-$FUZZ/target}
HOST=$(rustc -vV | sed -n 's/^host: //p')
export PATH="$PATH:$HOME/.cargo/bin"

cd "$FUZZ" || exit 1
targets=("$@")
build=("$@")
((${#targets[@]} > 0)) || mapfile -t targets < <(sed -n 's/^name = "\([a-z]*\)"$/\1/p' Cargo.toml)

if ! cargo fuzz --version >/dev/null 2>&1; then
    CARGO_PROFILE_DEV_DEBUG=0 cargo install --debug --locked --quiet cargo-fuzz --version "$VERSION" || exit 1
fi
# libFuzzer itself is C++.
if ! command -v c++ >/dev/null; then
    { apt-get update -qq && apt-get install -qq -y --no-install-recommends g++; } >/dev/null || exit 1
fi
# Without a sanitizer, stable Rust does: our code has no `unsafe`, and what is looked for are broken
# promises. Overflows and the assertions of dependencies are checked (cargo-fuzz builds with both).
# `cargo fuzz` has no --locked, so that is asked for first.
cargo metadata --locked --format-version 1 >/dev/null || exit 1
((${#build[@]} > 0)) || build=("")
for target in "${build[@]}"; do
    cargo fuzz build --sanitizer none --target-dir "$TARGET" ${target:+"$target"} || exit 1
done

# one TARGET: a run from the kept corpus; new inputs go to the first directory.
one() {
    local target=$1 options=()
    mkdir -p "corpus-found/$target" "artifacts/$target"
    [[ ! -f dict/$target.dict ]] || options+=("-dict=dict/$target.dict")
    "$TARGET/$HOST/release/$target" "corpus-found/$target" "corpus/$target" "${options[@]}" \
        -artifact_prefix="artifacts/$target/" -max_total_time="$SECONDS_EACH" -max_len=4096 \
        -seed="$SEED" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 >"artifacts/$target.log" 2>&1
    echo $? >"artifacts/$target.status"
}

for target in "${targets[@]}"; do
    rm -f "artifacts/$target.status"
    while (($(jobs -rp | wc -l) >= JOBS)); do wait -n; done
    one "$target" &
done
wait

passed=0
failed=0
table=()
for target in "${targets[@]}"; do
    log=artifacts/$target.log
    status=$(cat "artifacts/$target.status" 2>/dev/null || echo none)
    if [[ $status == 0 ]]; then
        passed=$((passed + 1))
        table+=("$(printf '%-10s ok      %s' "$target" "$(grep -a 'DONE  ' "$log" | tail -n 1)")")
        continue
    fi
    failed=$((failed + 1))
    table+=("$(printf '%-10s FAILED  exit %s' "$target" "$status")")
    echo "=== $target failed: the end of its log"
    tail -n 60 "$log"
    while read -r artifact; do
        echo "--- $FUZZ/$artifact, in base64:"
        base64 "$artifact"
    done < <(sed -n "s/.*Test unit written to \(.*\)/\1/p" "$log")
done

echo
echo "=== fuzz targets, $SECONDS_EACH s each"
printf '%s\n' "${table[@]}"
echo "$passed passed, $failed failed"
((failed == 0 && passed > 0))
