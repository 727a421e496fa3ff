#!/usr/bin/env bash
# Clients that are slow, stalled, half-closed, lying, huge or many (hostile/),
# against a registry with short timeouts: every one gets an answer or an end,
# others are served meanwhile, and nothing is left of them: no open file, no
# lock, no temporary file, no memory.
SUITE=hostile
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

STORE=$WORK/store
TIMEOUT=3 # seconds; far more than a busy machine delays a client that sends every half second

# begin_registry NAME STORE: starts one and notes what it has open when it is new.
begin_registry() {
    EXTRA_HTTP="  timeouts: {header: ${TIMEOUT}s, body: ${TIMEOUT}s, write: ${TIMEOUT}s}
  limits: {connections: 4000}" start_registry "$1" "$2"
    sleep 0.2 # until the connection of the probe is gone
    FILES=$(find "/proc/$REG_PID/fd" -mindepth 1 | wc -l)
    MEMORY=$(awk '/^VmRSS/ { print $2 * 1024 }' "/proc/$REG_PID/status")
}

# scenario NAME
scenario() {
    PYTHONDONTWRITEBYTECODE=1 timeout 200 python3 "$E2E/hostile" "$1" --address "$REG" --pid "$REG_PID" --store "$STORE" \
        --timeout "$TIMEOUT" --files "$FILES" --memory "$MEMORY" --state "$WORK/sessions.json"
    alive "$REG_PID" || fail "the registry has died"
}

after_a_restart() {
    scenario sessions_go_on
    scenario sessions_end
}

no_panic() {
    if grep -i -A5 panicked "$WORK"/logs/main.log; then fail "it panicked"; fi
    # Whatever clients do, it is not a failure of ours.
    if grep 'level=error' "$WORK"/logs/main.log | head -n 5 | grep .; then fail "it failed"; fi
}

# With clients in every state of not being finished.
stops_in_time() {
    local started=$SECONDS
    (
        exec 3<>"/dev/tcp/${REG/:/\/}" 4<>"/dev/tcp/${REG/:/\/}" 5<>"/dev/tcp/${REG/:/\/}"
        printf 'GET /v2/ HT' >&3
        printf 'GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n' >&4
        read -r _ <&4
        kill -TERM "$REG_PID"
        wait_gone "$REG_PID" 10
    ) || fail "still there after $((SECONDS - started)) s"
    disown_pid "$REG_PID"
    grep -q 'stopped' "$WORK/logs/main.log" || fail "it did not stop cleanly: $(tail -n 2 "$WORK/logs/main.log")"
}

begin_registry main "$STORE"
check "is pushed to and pulled from" scenario prepare
check "closes 1,500 connections whose heads are slow or never come, and serves others meanwhile" scenario slowloris
check "gives up bodies that stall; their sessions are free and go on" scenario stalled_bodies
check "never cuts off a client that is slow but moves" scenario slow_clients
check "gives up clients that stop reading, and closes the file" scenario stalled_reads
check "answers clients that close their sending side" scenario half_closed
check "takes bodies for what they are, not for what they say" scenario lengths
check "takes chunked bodies, and refuses broken and endless ones" scenario chunks
check "answers clients that ask before they send" scenario expectations
check "is heard when it refuses an upload early" scenario early_answers
check "bounds heads: a MiB, 10,000 headers, parameters, ranges" scenario heads
check "answers pipelined requests in order" scenario pipelining
check "loses nothing by 500 resets of each kind of request" scenario resets
check "holds 10,000 sessions" scenario sessions_open
check "works as before" scenario works
check "never panicked" no_panic
check "stops in time" stops_in_time
begin_registry sessions "$STORE"
check "goes on with 10,000 sessions after a restart, and ends them all" after_a_restart
finish
