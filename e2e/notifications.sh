#!/usr/bin/env bash
# Notifications with a real webhook receiver that answers 500, hangs, resets,
# refuses and recovers, and a registry that is killed meanwhile: every push that
# was acknowledged arrives, in order. And the same requests against
# Distribution, its envelopes compared with ours field by field.
SUITE=notifications
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

TOOL=$E2E/notifications.py
LAYER=$WORK/layer
CONFIG=$WORK/image-config
head -c 4096 /dev/urandom >"$LAYER"
echo '{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[]}}' >"$CONFIG"
jq -nc --arg t "$OCI_MANIFEST" --arg c "$(digest_of "$CONFIG")" --argjson cs "$(stat -c %s "$CONFIG")" \
    --arg l "$(digest_of "$LAYER")" \
    '{schemaVersion: 2, mediaType: $t,
      config: {mediaType: "application/vnd.oci.image.config.v1+json", digest: $c, size: $cs},
      layers: [{mediaType: "application/vnd.oci.image.layer.v1.tar", digest: $l, size: 4096,
                annotations: {"a.key": "value"}}]}' >"$WORK/manifest"
jq -nc --arg t "$OCI_INDEX" --arg m "$OCI_MANIFEST" --arg d "$(digest_of "$WORK/manifest")" \
    --argjson s "$(stat -c %s "$WORK/manifest")" \
    '{schemaVersion: 2, mediaType: $t, manifests: [{mediaType: $m, digest: $d, size: $s,
      platform: {architecture: "arm", os: "linux", variant: "v7"}}]}' >"$WORK/index"

# start_receiver NAME [PORT [CERTIFICATE KEY]]: sets HOOK (its address), HOOK_PID
# and HOOK_LOG.
start_receiver() {
    HOOK_LOG=$WORK/$1.log
    : >"$WORK/$1.port"
    python3 "$TOOL" serve "${2:-0}" "$HOOK_LOG" "${@:3}" >"$WORK/$1.port" 2>>"$WORK/logs/$1" </dev/null &
    HOOK_PID=$!
    disown "$HOOK_PID"
    own "$HOOK_PID"
    local i
    for ((i = 0; i < 100; i++)); do
        [[ ! -s $WORK/$1.port ]] || break
        sleep 0.05
    done
    HOOK=127.0.0.1:$(cat "$WORK/$1.port")
}

# mode MODE: what becomes of events from now on.
mode() { curl -fsS -o /dev/null --max-time 5 -X POST -H 'Content-Length: 0' "http://$HOOK/mode?$1"; }

# endpoint EXTRA-LINES…: a `notifications` section with one endpoint.
endpoint() {
    EXTRA_CONFIG="notifications:
  events:
    includereferences: true
  endpoints:
    - name: hook
      url: http://$HOOK/events
      timeout: 500ms
      threshold: 3
      backoff: 100ms"
    local line
    for line in "$@"; do EXTRA_CONFIG+=$'\n'$line; done
}

# events: how many requests the receiver has accepted.
events() { if [[ -f $HOOK_LOG ]]; then wc -l <"$HOOK_LOG"; else echo 0; fi; }

# await_events COUNT SECONDS
await_events() {
    local i
    for ((i = 0; i < $2 * 20; i++)); do
        (($(events) < $1)) || return 0
        sleep 0.05
    done
    fail "$(events) requests arrived, expected $1"
}

# push_image REPOSITORY TAG
push_image() {
    push_blob "$1" "$LAYER" >/dev/null
    push_blob "$1" "$CONFIG" >/dev/null
    put_manifest "$1" "$2" "$WORK/manifest"
}

# every_request: one of each that makes an event, and some that make none.
every_request() {
    local layer manifest index
    layer=$(digest_of "$LAYER")
    manifest=$(digest_of "$WORK/manifest")
    index=$(digest_of "$WORK/index")
    local agent=(-A "tester/1.0")
    push_blob m/x "$LAYER" >/dev/null
    push_blob m/x "$CONFIG" >/dev/null
    http_ok 201 PUT /v2/m/x/manifests/v1 -H "Content-Type: $OCI_MANIFEST" --data-binary "@$WORK/manifest" "${agent[@]}"
    http_ok 201 PUT "/v2/m/x/manifests/$manifest" -H "Content-Type: $OCI_MANIFEST" --data-binary "@$WORK/manifest"
    http_ok 201 PUT /v2/m/x/manifests/all -H "Content-Type: $OCI_INDEX" --data-binary "@$WORK/index"
    http_ok 200 GET /v2/m/x/manifests/v1 -H "$ACCEPT" "${agent[@]}" -H 'X-Forwarded-For: 10.9.8.7, 1.2.3.4'
    http_ok 200 HEAD /v2/m/x/manifests/v1 -H "$ACCEPT" -H 'X-Real-Ip: 10.9.8.7'
    http_ok 200 HEAD /v2/m/x/manifests/all -H "$ACCEPT" -H 'X-Forwarded-For: nobody'
    http_ok 200 GET "/v2/m/x/manifests/$manifest" -H "$ACCEPT"
    http_ok 200 HEAD "/v2/m/x/blobs/$layer"
    http_ok 200 GET "/v2/m/x/blobs/$layer" -u bob:secret
    http_ok 206 GET "/v2/m/x/blobs/$layer" -r 0-9
    http_ok 201 POST "/v2/m/y/blobs/uploads/?mount=$layer&from=m/x" -H 'Content-Length: 0'
    http_ok 200 GET /v2/_catalog
    http_ok 200 GET /v2/m/x/tags/list
    http_ok 404 GET /v2/m/x/manifests/missing
    http_ok 202 DELETE /v2/m/x/manifests/all
    http_ok 202 DELETE "/v2/m/x/manifests/$index"
    http_ok 202 DELETE "/v2/m/x/manifests/$manifest"
    http_ok 202 DELETE "/v2/m/x/blobs/$layer"
}

compare_with_distribution() {
    local flavour
    for flavour in ours v3; do
        start_receiver "compare-$flavour"
        endpoint "      headers:" "        X-Test: [one]" "        Authorization: [Bearer token]"
        start_registry "compare-$flavour" "$WORK/store-$flavour" "$flavour"
        every_request
        # Two pushes, then 3 manifests, 7 pulls, mount, and 4 deletes with that of a tag.
        await_events 18 10
        sleep 0.3
        stop "$REG_PID"
        stop "$HOOK_PID"
    done
    python3 "$TOOL" compare "$WORK/compare-ours.log" "$WORK/compare-v3.log"
}

ignored() {
    start_receiver ignored
    endpoint "      ignoredmediatypes: [application/octet-stream]" "      ignore:" \
        "        mediatypes: [$OCI_INDEX]" "        actions: [pull]"
    start_registry ignored "$WORK/store-ignored"
    push_image a v1
    put_manifest a all "$WORK/index" "$OCI_INDEX"
    http_ok 200 GET /v2/a/manifests/v1 -H "$ACCEPT"
    http_ok 202 DELETE /v2/a/manifests/v1
    await_events 2 10
    sleep 0.2
    assert_eq "$(jq -r '.body.events[0].action' "$HOOK_LOG" | paste -sd' ')" "push delete" "what was sent"
    stop "$REG_PID"
    stop "$HOOK_PID"
}

killed() {
    start_receiver kill
    endpoint "  queue:" "    directory: $WORK/queue-kill"
    local store=$WORK/store-kill port=${HOOK#*:} kinds=(500 hang reset ok 500 reset) round pusher
    start_registry kill "$store"
    echo "$REG" >"$WORK/address"
    push_blob kill "$LAYER" >/dev/null
    push_blob kill "$CONFIG" >/dev/null
    python3 "$TOOL" push "$WORK/address" "$WORK/acked" 1500 "$WORK/manifest" &
    pusher=$!
    own "$pusher"
    for ((round = 0; round < ${#kinds[@]}; round++)); do
        sleep 0.4
        mode "${kinds[round]}"
        sleep 0.4
        kill -KILL "$REG_PID"
        wait_gone "$REG_PID" 5
        disown_pid "$REG_PID"
        start_registry kill "$store"
        echo "$REG" >"$WORK/address"
        if ((round == 2)); then
            # The receiver itself goes and comes back.
            stop "$HOOK_PID" KILL
            sleep 0.5
            start_receiver kill "$port"
        fi
    done
    mode ok
    wait "$pusher" || fail "the pushes ended with $?"
    disown_pid "$pusher"
    local i last
    last=$(tail -n 1 "$WORK/acked")
    for ((i = 0; i < 300; i++)); do
        if tail -n 1 "$HOOK_LOG" | jq -e --arg t "$last" '.body.events[0].target.tag == $t' >/dev/null; then break; fi
        sleep 0.1
    done
    stop "$REG_PID"
    python3 "$TOOL" arrived "$HOOK_LOG" "$WORK/acked"
    stop "$HOOK_PID"
}

torn() {
    start_receiver torn
    endpoint "  queue:" "    directory: $WORK/queue-torn"
    start_registry torn "$WORK/store-torn"
    mode 500
    push_image a v1
    kill -KILL "$REG_PID"
    wait_gone "$REG_PID" 5
    printf '{"id":"half of an ev' >>"$(ls "$WORK"/queue-torn/hook/*.events)"
    mode ok
    start_registry torn "$WORK/store-torn"
    push_image a v2
    # Both pushes: two blobs and a manifest each.
    await_events 6 10
    assert_eq "$(jq -r '.body.events[0].target.tag // empty' "$HOOK_LOG" | paste -sd' ')" "v1 v2" "tags"
    grep -q 'is cut off' "$REG_LOG" || fail "nothing in the log"
    stop "$REG_PID"
    stop "$HOOK_PID"
}

flushed() {
    start_receiver flush
    endpoint
    start_registry flush "$WORK/store-flush"
    mode hang
    local i
    push_image a v0
    for ((i = 1; i < 20; i++)); do put_manifest a "v$i" "$WORK/manifest"; done
    mode ok
    kill -TERM "$REG_PID"
    wait_gone "$REG_PID" 10 || fail "still running"
    assert_eq "$(events)" 22 "events after the end"
    grep -q 'msg=stopped' "$REG_LOG" || fail "not a clean stop"
    EXTRA_HTTP="  draintimeout: 1s" start_registry flush "$WORK/store-flush"
    mode 500
    put_manifest a lost "$WORK/manifest"
    kill -TERM "$REG_PID"
    wait_gone "$REG_PID" 5 || fail "still running"
    grep -q '1 events for hook are lost' "$REG_LOG" || fail "the log does not say what is lost"
    stop "$HOOK_PID"
}

full() {
    start_receiver full
    endpoint "  queue:" "    directory: $WORK/queue-full" "    maxbytes: 65536"
    start_registry full "$WORK/store-full"
    mode hang
    push_image a v0
    local i started=$SECONDS
    for ((i = 1; i < 200; i++)); do put_manifest a "v$i" "$WORK/manifest"; done
    echo "200 pushes with a dead endpoint and a full queue: $((SECONDS - started)) s"
    assert_eq "$(grep -c 'events are dropped' "$REG_LOG")" 1 "lines about dropped events"
    [[ $(cat "$WORK"/queue-full/hook/*.events | wc -c) -le 65536 ]] || fail "larger than it may be"
    mode ok
    for ((i = 0; i < 100; i++)); do
        if [[ -f $HOOK_LOG ]] && tail -n 1 "$HOOK_LOG" | grep -q '"tag": "v199"'; then break; fi
        sleep 0.1
    done
    assert_eq "$(tail -n 1 "$HOOK_LOG" | jq -r '.body.events[0].target.tag')" v199 "the last event"
    stop "$REG_PID"
    stop "$HOOK_PID"
}

cloud_events() {
    start_receiver cloud
    local batch=$HOOK
    endpoint "      format: cloudevents" "      batch: 10" \
        "    - {name: single, url: 'http://$batch/single', format: cloudevents}" \
        "    - {name: binary, url: 'http://$batch/binary', format: cloudevents-binary}"
    start_registry cloud "$WORK/store-cloud"
    mode 500
    push_image a v1
    mode ok
    await_events 7 10
    local id
    id=$(jq -r 'select(.path == "/events") | .body[2].id' "$HOOK_LOG")
    jq -es --arg id "$id" 'map(select(.path == "/events")) | length == 1 and (.[0]
        | .headers["content-type"] == "application/cloudevents-batch+json"
        and (.body | length == 3 and all(.specversion == "1.0" and .type == "registry.push"))
        and .body[2].subject == "a:v1" and .body[2].data.id == $id)' "$HOOK_LOG" || fail "the batch"
    jq -es --arg id "$id" 'map(select(.path == "/single")) | length == 3 and .[2].body.id == $id
        and .[2].headers["content-type"] == "application/cloudevents+json"' "$HOOK_LOG" || fail "the single ones"
    jq -es --arg id "$id" 'map(select(.path == "/binary")) | length == 3 and .[2].headers["ce-id"] == $id
        and .[2].headers["ce-type"] == "registry.push" and .[2].headers["content-type"] == "application/json"
        and .[2].body.target.tag == "v1"' "$HOOK_LOG" || fail "the binary ones"
    stop "$REG_PID"
    stop "$HOOK_PID"
}

# An authority of one's own is known by SSL_CERT_FILE, to Distribution too.
over_tls() {
    local flavour
    PKI=$WORK/pki
    mkdir "$PKI"
    authority ca
    give ca server ec
    for flavour in ours v3; do
        start_receiver "tls-$flavour" 0 "$PKI/server.crt" "$PKI/server.key"
        endpoint
        EXTRA_CONFIG=${EXTRA_CONFIG/http:/https:}
        start_registry "tls-$flavour" "$WORK/store-tls-$flavour" "$flavour"
        push_image a v1
        until_true 10 grep -qi certificate "$REG_LOG" # why it does not
        assert_eq "$(events)" 0 "events of $flavour to an endpoint of an unknown authority"
        stop "$REG_PID" KILL
        SSL_CERT_FILE=$PKI/ca.crt start_registry "tls-$flavour" "$WORK/store-tls-$flavour" "$flavour"
        push_image a v2
        await_events 3 10
        assert_eq "$(jq -r '.body.events[0].target.tag // empty' "$HOOK_LOG")" v2 "tag that $flavour told of"
        stop "$REG_PID"
        stop "$HOOK_PID"
    done
}

refusals() {
    HOOK=127.0.0.1:9 endpoint "  queue:" "    directory: $WORK/queue-twice"
    start_registry first "$WORK/store-twice"
    sed 's/^  addr:.*/  addr: 127.0.0.1:0/' "$WORK/first.yml" >"$WORK/second.yml"
    local code=0
    (clean timeout 10 "$REGISTRY_BIN" serve "$WORK/second.yml") >"$WORK/said" 2>&1 </dev/null || code=$?
    assert_eq "$code" 1 "exit code of the second process"
    grep -q 'another process uses the queue in' "$WORK/said" || fail "$(cat "$WORK/said")"
    echo x >"$WORK/a-file"
    sed "s|    directory: .*|    directory: $WORK/a-file|" "$WORK/second.yml" >"$WORK/third.yml"
    code=0
    (clean timeout 10 "$REGISTRY_BIN" serve "$WORK/third.yml") >"$WORK/said" 2>&1 </dev/null || code=$?
    assert_eq "$code" 1 "exit code with a file for a directory"
    grep -q "cannot use the queue in $WORK/a-file" "$WORK/said" || fail "$(cat "$WORK/said")"
    stop "$REG_PID"
}

check "envelopes are those of Distribution, field by field" compare_with_distribution
check "ignored media types and actions are not sent" ignored
check "SIGKILL, 500, hang, reset, refusal: all that was acknowledged arrives, in order" killed
check "the torn end of a queue is cut off" torn
check "SIGTERM flushes within the drain time, and says what is lost" flushed
check "a full queue drops the oldest, says so once, and holds no push up" full
check "CloudEvents: batch, structured, binary" cloud_events
check "tells an endpoint over TLS, if its authority is known" over_tls
check "queues that cannot be used stop the start" refusals
finish
