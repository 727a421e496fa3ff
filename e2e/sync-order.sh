#!/usr/bin/env bash
# Runs the registry under strace and proves from the trace that it answers only
# what would survive a power cut, in the promised order and with the promised
# number of waits for the disk (sync_order/).
#
# Each sync is made to take at least SYNC_MS, so that those that run side by side
# are seen to overlap and those in series are not, whatever the disk.
SUITE=sync-order
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

export PYTHONDONTWRITEBYTECODE=1
SYNC_MS=200
STORE=$WORK/store
[[ -x $REGISTRY_BIN ]] || fail "no registry at $REGISTRY_BIN"
command -v strace >/dev/null || fail "no strace (run e2e/install.sh)"
CALLS=$(python3 "$E2E/sync_order" calls)

# traced NAME: starts a registry under strace, noting what the store has before.
# strace -D leaves the registry our own child.
traced() {
    mkdir -p "$STORE"
    find "$STORE" >"$WORK/$1.existing"
    cat >"$WORK/strace-$1" <<SH
#!/bin/sh
exec strace -D -f -qq -yy -s 64 -o '$WORK/$1.trace' -e 'trace=$CALLS' -e signal=none \
    -e 'inject=fsync,fdatasync:delay_enter=${SYNC_MS}000' '$REGISTRY_BIN' "\$@"
SH
    chmod +x "$WORK/strace-$1"
    REGISTRY_BIN=$WORK/strace-$1 start_registry "$1" "$STORE"
    local pid=$REG_PID
    # lib.sh has the process that became the registry; strace is its tracer.
    (($(awk '/^TracerPid/ { print $2 }' "/proc/$pid/status") > 0)) || fail "strace does not trace (not permitted here?)"
}

# judged NAME: ends the registry, waits until strace has written everything.
judged() {
    local tracer i
    tracer=$(awk '/^TracerPid/ { print $2 }' "/proc/$REG_PID/status")
    stop "$REG_PID"
    for ((i = 0; i < 100; i++)); do
        alive "$tracer" || break
        sleep 0.1
    done
    python3 "$E2E/sync_order" judge "$WORK/$1.trace" "$WORK/$1.operations" "$WORK/$1.existing" "$STORE" "$WORK/$1.json"
}

# holds RUN PROPERTY: something was verified and nothing was wrong.
holds() {
    [[ -s $WORK/$1.json ]] || fail "there is no result"
    jq -r --arg p "$2" '"verified: \(.verified[$p]), wrong: \(.wrong[$p] | length)", .wrong[$p][:25][]' "$WORK/$1.json"
    [[ $(jq --arg p "$2" '.wrong[$p] | length' "$WORK/$1.json") == 0 ]] || fail "see above"
    (($(jq --arg p "$2" '.verified[$p]' "$WORK/$1.json") > 0)) || fail "nothing was verified"
}

start_registry other "$STORE"
OTHER=$REG
OTHER_PID=$REG_PID
traced first
python3 "$E2E/sync_order" drive everything "$REG" "$WORK/first.operations" --other "$OTHER" || echo "not all requests were answered as expected"
judged first || echo "the trace was not judged"
stop "$OTHER_PID"
traced second
python3 "$E2E/sync_order" drive restart "$REG" "$WORK/second.operations" || echo "not all requests were answered as expected"
judged second || echo "the trace was not judged"
SYNC_MS=300
traced third
python3 "$E2E/sync_order" drive race "$REG" "$WORK/third.operations" --wait 0.3 || echo "not all requests were answered as expected"
judged third || echo "the trace was not judged"
unset REG_LOG

check "syncs each file before it is put in place" holds first content
check "answers only what would survive a power cut" holds first answer
check "replaces a tag, or deletes a manifest, only once what comes before is durable" holds first move
check "saves the state of a digest only after its bytes" holds first states
check "waits for the disk twice for a blob, a chunk, or a manifest with a new tag" holds first waits
check "the same after a restart: content" holds second content
check "the same after a restart: answers" holds second answer
check "the same after a restart: waits" holds second waits
check "syncs directories whose history it does not know" holds first unknown
check "syncs directories whose history it does not know, after a restart" holds second unknown
check "syncs directories made again that another process deleted" holds first others
check "syncs directories made again that were deleted while they were synced" holds third race
finish
