#!/usr/bin/env bash
# Kills the registry twenty times in the middle of concurrent pushes, tag moves
# and deletes, and after each verifies that everything acknowledged is there,
# nothing half-done is visible, and uploads go on (kill/).
#
# Then one request is killed at each of its steps (strace) and sent again.
#
# E2E_SEED=N repeats the choices of a run; E2E_KILLS=N kills as often as that.
SUITE="kill"
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

STORE=$WORK/store
RESULTS=$WORK/results.json
SEED=${E2E_SEED:-20260}
KILLS=${E2E_KILLS:-20}
LOG=$WORK/logs/main.log # not REG_LOG: its last lines are the verifier's requests
[[ -x $REGISTRY_BIN ]] || fail "no registry at $REGISTRY_BIN"
mkdir -p "$STORE"
write_config "$WORK/main.yml" 1 "$STORE"

echo "kill: seed $SEED (E2E_SEED=$SEED repeats it), $KILLS kills"
ENDED=0
PYTHONDONTWRITEBYTECODE=1 timeout 300 python3 "$E2E/kill" --registry "$REGISTRY_BIN" --config "$WORK/main.yml" --store "$STORE" \
    --log "$LOG" --pids "$PIDS" --results "$RESULTS" --seed "$SEED" --kills "$KILLS" || ENDED=$?

# holds PROPERTY: something was verified and nothing was wrong.
holds() {
    ((ENDED == 0)) || fail "the clients ended with $ENDED"
    jq -r --arg p "$1" '"verified: \(.verified[$p]), wrong: \(.wrong[$p] | length)", .wrong[$p][:20][]' "$RESULTS"
    [[ $(jq --arg p "$1" '.wrong[$p] | length' "$RESULTS") == 0 ]] || fail "see above"
    (($(jq --arg p "$1" '.verified[$p]' "$RESULTS") > 0)) || fail "nothing was verified"
}

in_time() {
    local seconds
    seconds=$(jq '.figures.seconds | floor' "$RESULTS")
    ((seconds < 90)) || fail "$seconds s"
}

no_panic() {
    if grep -i -A5 panicked "$LOG"; then fail "it panicked"; fi
}

# ------------------------------------- a kill at each step of one request

STEPS=$WORK/steps
head -c 30000 /dev/urandom >"$WORK/blob"
BLOB=$(digest_of "$WORK/blob")
printf '{}' >"$WORK/config"

# document NOTE: a manifest file over the two blobs.
document() {
    jq -nc --arg t "$OCI_MANIFEST" --arg n "$1" --arg c "$(digest_of "$WORK/config")" --arg l "$BLOB" \
        '{schemaVersion: 2, mediaType: $t,
          config: {mediaType: "application/vnd.oci.image.config.v1+json", digest: $c, size: 2},
          layers: [{mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", digest: $l, size: 30000}],
          annotations: {note: $n}}' >"$WORK/$1.json"
}

# traced_to_die SYSCALLS N: the registry gets SIGKILL instead of making one of
# these system calls for the Nth time (in one thread) from now on.
traced_to_die() {
    local i all
    strace -qq -f -p "$REG_PID" -o /dev/null -e "trace=$1" -e "inject=$1:signal=KILL:when=$2" &
    TRACER=$!
    own "$TRACER"
    for ((i = 0; i < 100; i++)); do
        all=$(cat "/proc/$REG_PID"/task/*/status 2>/dev/null | awk '/^TracerPid/ && $2 == 0' | wc -l)
        ((all > 0)) || return 0
        sleep 0.05
    done
    fail "strace does not trace (not permitted here?)"
}

# attempt METHOD URL [CURL-ARGUMENTS…]: sets STATUS, 000 if there was no answer.
attempt() {
    local method=$1 url=$2
    shift 2
    STATUS=$(curl -sS -o "$BODY" -D "$HEADERS" -w '%{http_code}' --max-time 20 -X "$method" "$@" "$url" 2>/dev/null) || STATUS=000
}

# all_tags_resolve: each listed tag is served, with its digest and its blobs.
all_tags_resolve() {
    local tag blob
    http GET /v2/step/tags/list
    [[ $STATUS == 200 || $STATUS == 404 ]] || fail "tags: $STATUS"
    for tag in $(jq -r '.tags // [] | .[]' "$BODY"); do
        remote_digest step "$tag" >/dev/null
        for blob in $(jq -r '.config.digest, .layers[].digest' "$BODY"); do http_ok 200 HEAD "/v2/step/blobs/$blob"; done
    done
}

push_base() {
    push_blob step "$WORK/config" >/dev/null
    push_blob step "$WORK/blob" >/dev/null
    put_manifest step v1 "$WORK/one.json"
}

# What is prepared, sent, succeeds when sent again, and then holds.
blob_prepare() { http_ok 202 POST /v2/step/blobs/uploads/ -H 'Content-Length: 0'; location >"$WORK/session"; }
blob_request() {
    # By path: the registry comes back on another port.
    local url
    url=http://$REG/${1#http://*/}
    "$2" PUT "$(with_digest "$url" "$BLOB")" "${OCTETS[@]}" --data-binary "@$WORK/blob"
}
blob_send() { blob_request "$(cat "$WORK/session")" "$1"; }
blob_again() {
    local from
    blob_send attempt
    if [[ $STATUS == 416 ]]; then
        # The bytes had arrived: the answer says so, and where to go on.
        from=$(header Range)
        tail -c "+$((${from#0-} + 2))" "$WORK/blob" >"$WORK/rest"
        attempt PUT "$(with_digest "$(location)" "$BLOB")" "${OCTETS[@]}" --data-binary "@$WORK/rest"
    fi
    [[ $STATUS == 201 ]]
}
blob_holds() { http_ok 200 GET "/v2/step/blobs/$BLOB" && assert_same_bytes "$BODY" "$WORK/blob" "blob"; }

tag_prepare() { push_base; }
tag_send() { "$1" PUT "http://$REG/v2/step/manifests/v2" -H "Content-Type: $OCI_MANIFEST" --data-binary "@$WORK/two.json"; }
tag_again() { tag_send attempt && [[ $STATUS == 201 ]]; }
tag_holds() { assert_eq "$(remote_digest step v2)" "$(digest_of "$WORK/two.json")" "the new tag"; }

move_prepare() { push_base; }
move_send() { "$1" PUT "http://$REG/v2/step/manifests/v1" -H "Content-Type: $OCI_MANIFEST" --data-binary "@$WORK/two.json"; }
move_again() { move_send attempt && [[ $STATUS == 201 ]]; }
move_holds() { assert_eq "$(remote_digest step v1)" "$(digest_of "$WORK/two.json")" "the moved tag"; }

delete_prepare() { push_base; }
delete_send() { "$1" DELETE "http://$REG/v2/step/manifests/$(digest_of "$WORK/one.json")"; }
delete_again() { delete_send attempt && [[ $STATUS == 202 || $STATUS == 404 ]]; } # it may have been done
delete_holds() { assert_gone /v2/step/manifests/v1 && assert_gone "/v2/step/manifests/$(digest_of "$WORK/one.json")"; }

# killed_at_each_step KIND
killed_at_each_step() {
    local kind=$1 calls n hits=0 wrong=0
    document one
    document two
    for calls in fsync,fdatasync ?rename,?renameat,?renameat2,?link,?linkat ?unlink,?unlinkat,?rmdir; do
        for n in 1 2 3 4 5; do
            rm -rf "$STEPS"
            start_registry step "$STEPS"
            "${kind}_prepare"
            traced_to_die "$calls" "$n"
            "${kind}_send" attempt
            if [[ $STATUS != 000 ]]; then
                stop "$REG_PID" KILL
                stop "$TRACER"
                break # it has no more such calls
            fi
            hits=$((hits + 1))
            wait_gone "$REG_PID" 10 || fail "killed and still there"
            disown_pid "$REG_PID"
            stop "$TRACER"
            start_registry step "$STEPS"
            (all_tags_resolve) || { wrong=$((wrong + 1)) && echo "^ after a kill at $calls number $n"; }
            if "${kind}_again"; then
                ("${kind}_holds") || { wrong=$((wrong + 1)) && echo "^ after a kill at $calls number $n"; }
            else
                wrong=$((wrong + 1))
                echo "killed at $calls number $n, sent again: $STATUS $(head -c 200 "$BODY")"
            fi
            stop "$REG_PID" KILL
        done
    done
    echo "$hits kills, $wrong wrong"
    ((wrong == 0)) || fail "see above"
    ((hits >= 2)) || fail "only $hits kills hit"
}

check "every answer before a kill was the right one" holds answers
check "comes back after each of $KILLS kills" holds restarts
check "keeps acknowledged blobs, byte for byte" holds blobs
check "keeps acknowledged manifests, byte for byte" holds manifests
check "tags lead to what was acknowledged or in flight" holds tags
check "acknowledged deletes stay deleted" holds deletes
check "serves nothing half-written" holds visible
check "leaves no torn file in its place" holds store
check "uploads under way at a kill go on" holds uploads
check "a PUT whose answer was lost succeeds when sent again" holds again
check "a client hears that its PUT is refused, also while it sends" holds early
check "what a kill leaves behind is bounded" holds stray
check "never panicked" no_panic
check "a blob PUT killed at any step succeeds when sent again" killed_at_each_step blob
check "a manifest PUT killed at any step leaves no broken tag and succeeds when sent again" killed_at_each_step tag
check "a tag move killed at any step leaves no broken tag and succeeds when sent again" killed_at_each_step move
check "a manifest DELETE killed at any step leaves no broken tag and can be sent again" killed_at_each_step delete
check "took less than 90 s" in_time
finish
