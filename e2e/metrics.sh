#!/usr/bin/env bash
# The debug server, metrics, health checks, probes and telemetry, with real
# parts: Prometheus' own promtool, its parser for Python, a collector that takes
# OTLP, Go's pprof, and Distribution on the same configuration.
SUITE=metrics
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

export PYTHONPATH=$TOOLS/python PYTHONDONTWRITEBYTECODE=1
head -c 300000 /dev/urandom >"$WORK/blob"
DIGEST=$(digest_of "$WORK/blob")

# debugged NAME STORE [FLAVOUR]: a registry with a debug server; sets DEBUG too.
debugged() {
    DEBUG=127.0.0.1:$(free_port)
    EXTRA_HTTP="  debug: {addr: '$DEBUG', prometheus: {enabled: true}}
${EXTRA_HTTP:-}" start_registry "$@"
}

# Every endpoint, with answers of several kinds; leaves the metrics in FILE.
use_all() {
    local small=$WORK/config.json session
    echo '{}' >"$small"
    push_blob m/a "$small" >/dev/null
    http_ok 202 POST /v2/m/a/blobs/uploads/ -H 'Content-Length: 0'
    session=$(location)
    http_ok 202 PATCH "$session" "${OCTETS[@]}" --data-binary "@$WORK/blob"
    session=$(location)
    http GET "$session"
    http_ok 201 PUT "$(with_digest "$session" "$DIGEST")" -H 'Content-Length: 0'
    http_ok 202 POST /v2/m/a/blobs/uploads/ -H 'Content-Length: 0'
    http_ok 204 DELETE "$(location)"
    jq -nc --arg t "$OCI_MANIFEST" --arg c "$(digest_of "$small")" --arg l "$DIGEST" \
        '{schemaVersion: 2, mediaType: $t,
          config: {mediaType: "application/vnd.oci.image.config.v1+json", digest: $c, size: 3},
          layers: [{mediaType: "application/vnd.oci.image.layer.v1.tar", digest: $l, size: 300000}]}' >"$WORK/manifest"
    put_manifest m/a v1 "$WORK/manifest"
    http_ok 200 GET /v2/m/a/manifests/v1 -H "$ACCEPT"
    http_ok 404 HEAD /v2/m/a/manifests/none
    http_ok 200 GET "/v2/m/a/blobs/$DIGEST"
    http_ok 200 HEAD "/v2/m/a/blobs/$DIGEST"
    http_ok 200 GET /v2/m/a/tags/list
    http_ok 200 GET /v2/_catalog
    http_ok 200 GET /v2/
    http_ok 404 GET /nothing
    http_ok 202 DELETE "/v2/m/a/manifests/$(digest_of "$WORK/manifest")"
    http_ok 202 DELETE "/v2/m/a/blobs/$DIGEST"
    sleep 0.2 # the last request may still be ending
    curl -fsS "http://$DEBUG/metrics" >"$1"
}

# value FILE NAME [LABEL=VALUE…]
value() { python3 "$E2E/metrics.py" value "$@"; }

# uploading FILE: whether an upload is under way; FILE has the metrics of that moment.
uploading() { curl -fsS "http://$DEBUG/metrics" >"$1" && [[ $(value "$1" registry_uploads_in_flight) == 1 ]]; }

check_metrics() {
    local said=0
    # Its advice about names is for Distribution, which gave them.
    promtool check metrics <"$1" >"$WORK/said" 2>&1 || said=$?
    cat "$WORK/said"
    [[ $said == 0 || $said == 3 ]] || fail "promtool check metrics: exit $said"
    if grep -v 'registry_notifications_pending_total non-counter metrics should not have "_total" suffix' "$WORK/said" | grep .; then
        fail "promtool has something to say"
    fi
}

counts() {
    local file=$WORK/counts.txt
    debugged counts "$WORK/store-counts"
    use_all "$file"
    check_metrics "$file"
    assert_eq "$(value "$file" registry_http_requests_total handler=blob code=200 method=get)" 1 "blobs pulled"
    assert_eq "$(value "$file" registry_http_requests_total handler=manifest code=404 method=head)" 1 "manifests missed"
    assert_eq "$(value "$file" registry_http_requests_total code=201)" 3 "created"
    assert_eq "$(value "$file" registry_http_sent_bytes_total handler=blob)" 300000 "bytes of blobs sent"
    assert_eq "$(value "$file" registry_http_received_bytes_total handler=blob_upload_chunk)" 300003 "bytes received"
    assert_eq "$(value "$file" registry_http_in_flight_requests)" 0 "requests under way"
    assert_eq "$(value "$file" registry_storage_written_bytes_total)" 300003 "bytes written to the storage"
    assert_ne "$(value "$file" registry_storage_action_seconds_count action=Stat driver=filesystem)" 0 "stats"
    assert_eq "$(value "$file" registry_storage_errors_total)" none "failures of the storage"
    assert_eq "$(value "$file" registry_build_info)" 1 "registry_build_info"
    assert_ne "$(value "$file" process_resident_memory_bytes)" none "memory"
    # An upload is under way for as long as its client takes.
    http_ok 202 POST /v2/m/a/blobs/uploads/ -H 'Content-Length: 0'
    curl -sS -o /dev/null --limit-rate 60K -X PATCH "${OCTETS[@]}" --data-binary "@$WORK/blob" "$(location)" &
    until_true 2 uploading "$file"
    assert_eq "$(value "$file" registry_http_in_flight_requests handler=blob_upload_chunk)" 1 "requests under way"
    wait
    stop "$REG_PID"
}

same_metrics() {
    local store=$WORK/store-same cache='  cache: {blobdescriptor: inmemory}'
    local notifications="notifications: {endpoints: [{name: away, url: 'http://127.0.0.1:9/'}]}"
    EXTRA_STORAGE=$cache EXTRA_CONFIG=$notifications debugged theirs "$store-v3" v3
    use_all "$WORK/theirs.txt"
    stop "$REG_PID"
    EXTRA_STORAGE=$cache EXTRA_CONFIG=$notifications debugged ours "$store"
    use_all "$WORK/ours.txt"
    stop "$REG_PID"
    check_metrics "$WORK/ours.txt"
    python3 "$E2E/metrics.py" same "$WORK/theirs.txt" "$WORK/ours.txt"
}

debug_server() {
    EXTRA_CONFIG="notifications: {endpoints: [{name: away, url: 'http://user:geheim@127.0.0.1:9/', headers: {Authorization: [geheim]}}]}" \
        debugged vars "$WORK/store-vars"
    http_ok 200 GET "http://$DEBUG/debug/vars"
    assert_eq "$(jq -r '.cmdline[1]' "$BODY")" serve "the command line"
    assert_eq "$(jq -r '.registry.notifications.endpoints[0] | .name, .Timeout, .Threshold, .Metrics.Pending' "$BODY" | paste -sd' ')" \
        "away 1000000000 10 0" "an endpoint"
    if grep geheim "$BODY"; then fail "a secret is shown"; fi
    http_ok 200 GET "http://$DEBUG/debug/health"
    assert_eq "$(cat "$BODY")" "{}" "health"
    http_ok 404 POST "http://$DEBUG/debug/health"
    http_ok 404 GET "http://$DEBUG/"
    http_ok 404 GET "http://$DEBUG/v2/"
    http_ok 501 GET "http://$DEBUG/debug/pprof/heap"
    http_ok 404 GET /metrics
    http_ok 404 GET /debug/vars
    # Its address is taken: one line, and nothing is served.
    write_config "$WORK/second.yml" "$(free_port)" "$WORK/store-second"
    local code=0
    (clean timeout 10 env "REGISTRY_HTTP_DEBUG_ADDR=$DEBUG" "$REGISTRY_BIN" serve "$WORK/second.yml") >"$WORK/said" 2>&1 || code=$?
    assert_eq "$code" 1 "exit code with a debug address in use"
    assert_contains "$(tail -n 1 "$WORK/said")" "http.debug.addr: cannot listen on $DEBUG" "the reason"
    if grep -q 'listening on' "$WORK/said"; then fail "it began to serve"; fi
    stop "$REG_PID"
}

profile() {
    local recorder
    debugged profile "$WORK/store-profile"
    push_blob p "$WORK/blob" >/dev/null
    curl -vfsS "http://$DEBUG/debug/pprof/profile?seconds=2" -o "$WORK/profile" 2>"$WORK/asked" &
    recorder=$!
    until_true 10 grep -q '^> GET' "$WORK/asked"
    sleep 0.5
    http_ok 409 GET "http://$DEBUG/debug/pprof/profile?seconds=1"
    # The first profile of a process begins when its tables are made.
    while alive "$recorder"; do
        timeout 20 curl -fsS --parallel --parallel-max 8 -o /dev/null "http://$REG/v2/p/blobs/$DIGEST?n=[1-200]" ||
            fail "pulls while a profile is recorded"
    done
    wait "$recorder" || fail "no profile"
    timeout 60 pprof -top "$WORK/profile" >"$WORK/top" 2>/dev/null
    head -n 12 "$WORK/top"
    assert_contains "$(cat "$WORK/top")" "Type: cpu" "what pprof reads"
    grep -qE 'tokio|hyper|registry' "$WORK/top" || fail "no function of the registry in the profile"
    http_ok 400 GET "http://$DEBUG/debug/pprof/profile?seconds=0"
    stop "$REG_PID"
}

# until_status STATUS URL: polls for at most ten seconds.
until_status() {
    local i status
    for ((i = 0; i < 100; i++)); do
        status=$(curl -sS -o "$BODY" -w '%{http_code}' --max-time 5 "$2") || true
        [[ $status != "$1" ]] || return 0
        sleep 0.1
    done
    fail "$2 is $status, not $1"
}

# until_reported CONDITION NAME: the report of the debug server, as soon as it is as jq's CONDITION says.
until_reported() {
    local i
    for ((i = 0; i < 150; i++)); do
        http GET "http://$DEBUG/debug/health"
        if [[ $STATUS == 503 ]] && jq -e "$1" "$BODY" >/dev/null; then
            cp "$BODY" "$WORK/$2"
            return 0
        fi
        sleep 0.1
    done
    fail "/debug/health does not come to be $1: $(cat "$BODY")"
}

file_that_appears() {
    local flavour debug public
    for flavour in v3 ours; do
        rm -f "$WORK/down"
        EXTRA_CONFIG="health: {file: [{file: $WORK/down, interval: 300ms}]}" debugged "file-$flavour" "$WORK/store-file" "$flavour"
        until_status 200 "http://$REG/v2/"
        touch "$WORK/down"
        until_status 503 "http://$REG/v2/"
        http_ok 503 GET "/v2/a/manifests/v1"
        cp "$BODY" "$WORK/public-$flavour"
        header Content-Type >>"$WORK/public-$flavour"
        header Docker-Distribution-Api-Version >>"$WORK/public-$flavour"
        http_ok 503 GET /
        http_ok 503 HEAD /v2/
        http_ok 503 GET "http://$DEBUG/debug/health"
        cp "$BODY" "$WORK/debug-$flavour"
        header Content-Type >>"$WORK/debug-$flavour"
        rm "$WORK/down"
        until_status 200 "http://$REG/v2/"
        http_ok 200 GET "http://$DEBUG/debug/health"
        assert_eq "$(cat "$BODY")" "{}" "health"
        stop "$REG_PID"
    done
    public=$(cat "$WORK/public-ours")
    debug=$(cat "$WORK/debug-ours")
    assert_eq "$public" "$(cat "$WORK/public-v3")" "503 of the API"
    assert_eq "$debug" "$(cat "$WORK/debug-v3")" "/debug/health"
}

servers_that_fail_and_recover() {
    local web tcp flavour server config
    web=$(free_port)
    tcp=$(free_port)
    for flavour in v3 ours; do
        config="health:
  http: [{uri: 'http://127.0.0.1:$web/gone', statuscode: 200, timeout: 2s, interval: 300ms},
         {uri: 'http://127.0.0.1:$web/', statuscode: 200, timeout: 2s, interval: 300ms}]
  tcp: [{addr: '127.0.0.1:$tcp', timeout: 2s, interval: 300ms}]"
        EXTRA_CONFIG=$config start_with_servers "$flavour"
        until_reported 'length == 3' "dead-$flavour"
        http_ok 503 GET /v2/
        # One that answers, but not as it should; and a port that is there again.
        mkdir -p "$WORK/www"
        python3 -m http.server "$web" --bind 127.0.0.1 --directory "$WORK/www" >/dev/null 2>&1 &
        server=$!
        own "$server"
        python3 -m http.server "$tcp" --bind 127.0.0.1 --directory "$WORK/www" >/dev/null 2>&1 &
        own $!
        local other=$!
        until_reported 'length == 1 and (.[] | contains("unexpected status"))' "wrong-$flavour"
        touch "$WORK/www/gone"
        until_status 200 "http://$REG/v2/"
        rm "$WORK/www/gone"
        stop "$server"
        stop "$other"
        stop "$REG_PID"
    done
    assert_eq "$(cat "$WORK/dead-ours")" "$(cat "$WORK/dead-v3")" "/debug/health while nothing listens"
    assert_eq "$(cat "$WORK/wrong-ours")" "$(cat "$WORK/wrong-v3")" "/debug/health with a wrong status"
}

# start_with_servers FLAVOUR: a registry that is unhealthy from the start does
# not answer 200, which starting one otherwise waits for.
start_with_servers() {
    local port
    port=$(free_port)
    REG=127.0.0.1:$port
    DEBUG=127.0.0.1:$(free_port)
    EXTRA_HTTP="  debug: {addr: '$DEBUG'}" write_config "$WORK/servers.yml" "$port" "$WORK/store-servers"
    REG_LOG=$WORK/logs/servers-$1.log
    clean "$(registry_command "$1")" serve "$WORK/servers.yml" >>"$REG_LOG" 2>&1 </dev/null &
    REG_PID=$!
    disown "$REG_PID"
    own "$REG_PID"
    local i
    for ((i = 0; i < 100; i++)); do
        ! listening "${REG#*:}" || return 0
        sleep 0.1
    done
    fail "it does not listen"
}

store_that_is_gone() {
    local store=$WORK/store-gone digest
    EXTRA_CONFIG="health: {storagedriver: {enabled: true, interval: 300ms, threshold: 2}}" debugged gone "$store"
    digest=$(push_blob gone "$WORK/blob")
    mv "$store" "$store-elsewhere"
    until_status 503 "http://$REG/v2/"
    http_ok 503 GET "http://$DEBUG/debug/health"
    assert_contains "$(jq -r '.storagedriver_filesystem' "$BODY")" "$store" "the reason"
    curl -fsS "http://$DEBUG/metrics" >"$WORK/gone.txt"
    assert_eq "$(value "$WORK/gone.txt" registry_health_check_up check=storagedriver_filesystem)" 0 "registry_health_check_up"
    http_ok 200 GET /healthz
    http_ok 503 GET /readyz
    if grep -q "$store" "$BODY"; then fail "anybody can read where the store is"; fi
    mv "$store-elsewhere" "$store"
    until_status 200 "http://$REG/v2/"
    http_ok 200 GET /readyz
    http_ok 200 GET "/v2/gone/blobs/$digest"
    assert_same_bytes "$BODY" "$WORK/blob" "blob after the store came back"
    assert_eq "$(grep -c 'a health check fails' "$REG_LOG")" 1 "lines about the failure"
    assert_eq "$(grep -c 'a health check passes again' "$REG_LOG")" 1 "lines about the recovery"
    if grep 'level=error' "$REG_LOG"; then fail "probes are in the log as errors"; fi
    stop "$REG_PID"
}

draining() {
    local client session
    EXTRA_HTTP='  draintimeout: 20s' debugged draining "$WORK/store-draining"
    http_ok 202 POST /v2/slow/blobs/uploads/ -H 'Content-Length: 0'
    session=$(location)
    curl -sS -o /dev/null -w '%{http_code}' --limit-rate 60K -X PUT "${OCTETS[@]}" -H 'Expect:' \
        --data-binary "@$WORK/blob" "$(with_digest "$session" "$DIGEST")" >"$WORK/code" &
    client=$!
    until_true 2 uploading "$WORK/draining.txt"
    http_ok 200 GET "http://$DEBUG/readyz"
    kill -TERM "$REG_PID"
    until_status 503 "http://$DEBUG/readyz"
    assert_eq "$(cat "$BODY")" stopping "what it says"
    http_ok 200 GET "http://$DEBUG/healthz"
    http_ok 200 GET "http://$DEBUG/metrics"
    if curl -sS -o /dev/null --max-time 2 "http://$REG/readyz" 2>/dev/null; then fail "still taking new connections"; fi
    wait "$client" || fail "the upload was cut off"
    assert_eq "$(cat "$WORK/code")" 201 "answer to the upload"
    wait_gone "$REG_PID" 10 || fail "still running"
    disown_pid "$REG_PID"
}

TRACE=0af7651916cd43dd8448eb211c80319c

# traced PROTOCOL URL [VARIABLE…]: a registry that sends to the collector.
traced() {
    local protocol=$1 url=$2 variables
    shift 2
    variables=("OTEL_EXPORTER_OTLP_ENDPOINT=$url" "OTEL_EXPORTER_OTLP_PROTOCOL=$protocol" OTEL_METRICS_EXPORTER=otlp
        OTEL_BSP_SCHEDULE_DELAY=200 OTEL_METRIC_EXPORT_INTERVAL=300 OTEL_EXPORTER_OTLP_HEADERS=x-team=a "$@")
    : >"$WORK/logs/traced.log"
    (unset OTEL_TRACES_EXPORTER
        export "${variables[@]}"
        start_registry traced "$WORK/store-traced"
        echo "$REG $REG_PID $REG_LOG" >"$WORK/traced")
    read -r REG REG_PID REG_LOG <"$WORK/traced"
}

# telemetry [https]: with and without TLS.
telemetry() {
    local scheme=${1:-http} web grpc protocol url rows=$WORK/otlp-${1:-http}.jsonl collector digest
    local tls=() trust=()
    if [[ $scheme == https ]]; then
        PKI=$WORK/pki
        mkdir "$PKI"
        authority ca
        give ca server ec
        tls=("$PKI/server.crt" "$PKI/server.key")
        trust=("OTEL_EXPORTER_OTLP_CERTIFICATE=$PKI/ca.crt")
    fi
    : >"$WORK/ports"
    python3 "$E2E/metrics_otlp.py" "$rows" "${tls[@]}" >"$WORK/ports" 2>"$WORK/collector.log" &
    collector=$!
    own "$collector"
    for _ in $(seq 50); do
        if read -r web grpc <"$WORK/ports"; then break; fi
        sleep 0.1
    done
    [[ -n ${grpc:-} ]] || fail "no collector: $(cat "$WORK/collector.log")"
    for protocol in http/protobuf grpc; do
        url=$scheme://127.0.0.1:$web
        [[ $protocol != grpc ]] || url=$scheme://127.0.0.1:$grpc
        traced "$protocol" "$url" OTEL_SERVICE_NAME=of-the-test "${trust[@]}"
        http_ok 202 POST /v2/t/blobs/uploads/ -H 'Content-Length: 0' -H "traceparent: 00-$TRACE-b7ad6b7169203331-01"
        digest=$(digest_of "$WORK/blob")
        http_ok 201 PUT "$(with_digest "$(location)" "$digest")" "${OCTETS[@]}" --data-binary "@$WORK/blob" \
            -H "traceparent: 00-$TRACE-b7ad6b7169203331-01"
        # A caller that does not want its trace recorded is obeyed.
        http_ok 200 GET /v2/_catalog -H "traceparent: 00-${TRACE//0/1}-b7ad6b7169203331-00"
        http_ok 200 GET /healthz
        sleep 0.5
        stop "$REG_PID"
        assert_contains "$(grep 'method=PUT' "$REG_LOG" | tail -n 1)" "trace.id=$TRACE" "the log"
        if grep 'collector' "$REG_LOG"; then fail "it complains"; fi
        if [[ $scheme == https ]]; then
            # Whoever is not known as the authority gets nothing, and the log says so.
            traced "$protocol" "$url" OTEL_SERVICE_NAME=of-nobody
            http_ok 200 GET /v2/
            sleep 0.5
            stop "$REG_PID"
            grep -q 'level=warning msg="traces do not reach the collector' "$REG_LOG" || fail "no complaint by $protocol"
        fi
    done
    stop "$collector"
    for protocol in http grpc; do
        found() { jq -rs --arg how "$protocol" "[.[] | select(.how == \$how)] | $1" "$rows"; }
        assert_eq "$(found "[.[] | select(.name == \"POST /v2/t/blobs/uploads/\")][0] | .trace, .parent, .span_kind" | paste -sd' ')" \
            "$TRACE b7ad6b7169203331 2" "the span of a request by $protocol"
        assert_eq "$(found '[.[] | select(.name == "Commit")][0] | .trace, .attributes["io.cncf.distribution.storage.driver.name"]' | paste -sd' ')" \
            "$TRACE filesystem" "the span of the storage by $protocol"
        assert_eq "$(found '. as $all | [$all[] | select(.name == "Commit")][0].parent as $p | [$all[] | select(.id == $p)][0].parent as $r
            | [$all[] | select(.id == $r)][0].name | startswith("PUT /v2/t/")')" true "what the storage was called for, by $protocol"
        assert_eq "$(found '[.[] | select(.kind == "span" and .name == "GET /v2/_catalog")] | length')" 0 "spans that nobody wanted"
        assert_eq "$(found '[.[] | select(.kind == "span" and (.name | test("healthz")))] | length')" 0 "spans of probes"
        assert_eq "$(found '[.[] | select(.name == "registry_http_requests_total" and .attributes.handler == "catalog")] | last.value')" 1 \
            "a metric by $protocol"
        assert_eq "$(found '[.[].resource["service.name"]] | unique | join(" ")')" of-the-test "the service"
        assert_eq "$(found '[.[].headers["x-team"]] | unique | join(" ")')" a "a header"
    done
}

telemetry_without_a_collector() {
    local port
    port=$(free_port)
    traced http/protobuf "http://127.0.0.1:$port" OTEL_EXPORTER_OTLP_TIMEOUT=500
    for _ in 1 2 3 4 5; do
        http_ok 200 GET /v2/
        sleep 0.3
    done
    assert_eq "$(grep -c 'level=warning msg="traces do not reach the collector' "$REG_LOG")" 1 "lines about traces"
    local started=$SECONDS
    stop "$REG_PID"
    ((SECONDS - started < 9)) || fail "it took $((SECONDS - started)) s to end"
    local code=0
    (clean timeout 10 env OTEL_TRACES_EXPORTER=zipkin "$REGISTRY_BIN" serve "$WORK/traced.yml") >"$WORK/said" 2>&1 || code=$?
    assert_eq "$code $(wc -l <"$WORK/said")" "1 1" "exit code and lines with an exporter that is none"
    assert_contains "$(cat "$WORK/said")" 'OTEL_TRACES_EXPORTER: "zipkin" is not supported' "the reason"
}

rules() {
    promtool check rules "$REPO/deploy/prometheus/registry-alerts.yml"
    promtool test rules "$REPO/deploy/prometheus/registry-alerts.test.yml"
    jq -r '.. | objects | .expr? // empty' "$REPO/deploy/grafana/registry.json" | sed 's/\$__rate_interval/5m/g; s/\$[a-z]*/x/g' >"$WORK/queries"
    (($(wc -l <"$WORK/queries") > 20)) || fail "few queries in the dashboard"
    # As rules, so that promtool parses them.
    jq -Rn '{groups: [{name: "dashboard", rules: [inputs | {record: "x", expr: ., labels: {n: (input_line_number | tostring)}}]}]}' \
        "$WORK/queries" >"$WORK/queries.yml"
    promtool check rules "$WORK/queries.yml"
}

check "counts what happens, in a format that promtool reads" counts
check "has Distribution's metrics, with its labels" same_metrics
check "answers on the debug server, and only there" debug_server
check "records a CPU profile that Go's pprof reads" profile
check "is down while a file exists, as Distribution is" file_that_appears
check "is down while a server or a port is, as Distribution is" servers_that_fail_and_recover
check "notices a store that is gone, and that it is back" store_that_is_gone
check "is not ready while it drains, and still tells" draining
check "sends traces and metrics by OTLP, over HTTP and gRPC" telemetry
check "sends them over TLS, to a collector whose authority it was told" telemetry https
check "says once that there is no collector, and ends in time" telemetry_without_a_collector
check "comes with rules and a dashboard that Prometheus can read" rules
finish
