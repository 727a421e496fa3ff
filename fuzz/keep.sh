#!/usr/bin/env bash
# Copies what earlier runs found into the corpus, as far as it reaches code that
# the corpus does not: `fuzz/keep.sh`, or for those named: `fuzz/keep.sh route`.
# Inputs of more than 1 KiB, and more than 200 for a target, are left where they are.
# Needs the targets as run.sh builds them.
set -euo pipefail
FUZZ=$(cd "$(dirname "$0")" && pwd)
MOST=${FUZZ_KEEP:-200}
TARGET=${CARGO_TARGET_DIR:-$FUZZ/target}
HOST=$(rustc -vV | sed -n 's/^host: //p')

cd "$FUZZ"
targets=("$@")
((${#targets[@]} > 0)) || mapfile -t targets < <(ls corpus)
small=$(mktemp -d)
chosen=$(mktemp -d)
trap 'rm -rf "$small" "$chosen"' EXIT
for target in "${targets[@]}"; do
    rm -rf "${small:?}"/* "${chosen:?}"/*
    if [[ -d corpus-found/$target ]]; then
        find "corpus-found/$target" -type f -size -2k -exec cp -t "$small" {} +
    fi
    # What is in the first directory stays; from the second come those that together reach all that it
    # does not. How often code is passed does not count here, or there would be thousands.
    cp "corpus/$target"/* "$chosen"
    "$TARGET/$HOST/release/$target" -set_cover_merge=1 -use_counters=0 -use_cmp=0 -rss_limit_mb=2048 \
        "$chosen" "$small" >/dev/null 2>&1
    before=$(find "corpus/$target" -type f | wc -l)
    # The largest first: they reach the most.
    while ((before < MOST)) && read -r _ name; do
        [[ ! -e corpus/$target/$name && ! -e corpus/$target/${name:0:12} ]] || continue
        cp "$chosen/$name" "corpus/$target/${name:0:12}"
        before=$((before + 1))
    done < <(find "$chosen" -type f -printf '%s %f\n' | sort -rn)
    echo "$target: $before files, $(du -sh --apparent-size "corpus/$target" | cut -f1)"
done
