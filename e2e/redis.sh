#!/usr/bin/env bash
# The descriptor cache in real Redis servers: one node with an access control
# list, TLS with client certificates, sentinels and a failover, a cluster; a
# Redis that is dead, stopped or emptied; two replicas; and Distribution on the
# same Redis and store.
SUITE=redis
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

PASSWORD=correct-horse
HOLD=$WORK/redis
# Milliseconds that no request may take while a Redis is away: a quarter of a
# second is ours, the rest is what a machine takes that builds beside it. A
# client without a limit would wait for as long as the Redis is away.
LONGEST=3000
mkdir -p "$HOLD"

# redis NAME PORT ARGUMENTS…: starts a server and waits for it. Sets REDIS_PID.
redis() {
    local name=$1 port=$2 i
    shift 2
    mkdir -p "$HOLD/$name"
    # A file of its own: sentinels make servers rewrite theirs.
    cat "${USERS:-/dev/null}" >"$HOLD/$name/redis.conf"
    redis-server "$HOLD/$name/redis.conf" --bind 127.0.0.1 --port "$port" --save '' --appendonly no --daemonize no \
        --dir "$HOLD/$name" "$@" >>"$WORK/logs/redis-$name.log" 2>&1 </dev/null &
    REDIS_PID=$!
    disown "$REDIS_PID"
    own "$REDIS_PID"
    for ((i = 0; i < 100; i++)); do
        listening "${REDIS_TLS_PORT:-$port}" && return 0
        alive "$REDIS_PID" || break
        sleep 0.05
    done
    tail -n 20 "$WORK/logs/redis-$name.log"
    fail "redis-server $name did not start"
}

cli() { timeout 10 redis-cli --no-auth-warning "$@"; }

# with_redis LINES: the registry's configuration with a cache there.
with_redis() {
    EXTRA_STORAGE=$'  cache:\n    blobdescriptor: redis'
    EXTRA_CONFIG=$'redis:\n'$(sed 's/^/  /' <<<"$1")
}

# entries PORT ARGUMENTS…: how much content is remembered there.
entries() {
    local port=$1
    shift
    cli -p "$port" "$@" --scan --pattern 'registry:v1:content:*' | wc -l
}

logged() { grep -q "$1" "$REG_LOG"; }
remembers() { (($(entries "$@") > 0)); }

push_one() { # push_one REPOSITORY TEXT: prints the digest
    printf %s "$2" >"$WORK/one-$BASHPID"
    push_blob "$1" "$WORK/one-$BASHPID"
}

# load_while COMMAND…: requests go on while the command runs, and none may
# fail. Sets WORST, the longest in milliseconds.
load_while() {
    local stop=$WORK/stop-$RANDOM pid requests failed i
    python3 "$E2E/redis.py" "$REG" load/r "$stop" >"$stop.out" 2>"$stop.err" &
    pid=$!
    own "$pid"
    "$@"
    touch "$stop"
    wait_gone "$pid" 30 || fail "the load does not end"
    read -r requests failed WORST <"$stop.out"
    echo "$requests requests, $failed failed, the longest took $WORST ms"
    cat "$stop.err"
    ((requests > 50 && failed == 0)) || fail "$failed of $requests requests failed"
}

# ------------------------------------------------------------------ one node

NODE=$(free_port)
start_node() {
    USERS=$HOLD/users.conf redis node "$NODE"
    NODE_PID=$REDIS_PID
}
cat >"$HOLD/users.conf" <<CONF
user default off
user admin on >$PASSWORD ~* &* +@all
user registry on >$PASSWORD ~registry:v1:* resetchannels -@all +hello +auth +select +client|setname +get +set +time +ping
CONF
ADMIN=(--user admin --pass "$PASSWORD")
start_node

one_node_with_an_access_control_list() {
    local digest debug
    debug=127.0.0.1:$(free_port)
    with_redis "addrs: [127.0.0.1:$NODE]
username: registry
password: $PASSWORD
db: 2
clientname: the-registry
minidleconns: 2"
    EXTRA_HTTP="  debug: {addr: '$debug'}" start_registry acl "$WORK/acl"
    http_ok 200 GET "http://$debug/debug/vars"
    assert_eq "$(jq -c '.registry.redis | [(.Active | type), (.Config.Redis.Options | .Addrs, .DB, .Username, .Password)]' "$BODY")" \
        "[\"number\",[\"127.0.0.1:$NODE\"],2,\"registry\",\"[hidden]\"]" "registry.redis of /debug/vars"
    digest=$(push_one a/b "one node")
    http_ok 200 HEAD "/v2/a/b/blobs/$digest"
    assert_eq "$(cli -p "$NODE" "${ADMIN[@]}" -n 2 --scan --pattern 'registry:v1:content:*')" \
        "registry:v1:content:$digest" "what is remembered, in database 2"
    local ttl
    ttl=$(cli -p "$NODE" "${ADMIN[@]}" -n 2 ttl "registry:v1:content:$digest")
    ((ttl > 250 && ttl <= 300)) || fail "the entry lives for $ttl s"
    assert_contains "$(cli -p "$NODE" "${ADMIN[@]}" client list)" "name=the-registry" "names of the connections"
    assert_eq "$(grep -c 'descriptor cache' "$REG_LOG" || true)" 0 "lines about the cache"
    http_ok 202 DELETE "/v2/a/b/blobs/$digest"
    assert_gone "/v2/a/b/blobs/$digest"
    assert_eq "$(grep -c 'entries of Distribution' "$REG_LOG")" 1 "lines about the keys that it may not touch"
    stop "$REG_PID"
}

wrong_password_is_one_line_and_the_registry_starts() {
    local digest
    with_redis "addrs: [127.0.0.1:$NODE]
username: registry
password: wrong"
    start_registry wrong "$WORK/wrong"
    digest=$(push_one a/b "wrong password")
    http_ok 200 GET "/v2/a/b/blobs/$digest"
    assert_eq "$(grep -c 'descriptor cache' "$REG_LOG")" 1 "lines about the cache"
    logged WRONGPASS || fail "the line does not say why"
    stop "$REG_PID"
}

dead_stopped_and_emptied() {
    local digest
    with_redis "addrs: [127.0.0.1:$NODE]
username: admin
password: $PASSWORD"
    stop "$NODE_PID"
    start_registry dead "$WORK/dead"
    digest=$(push_one a/b "dead redis")
    http_ok 200 GET "/v2/a/b/blobs/$digest"
    assert_eq "$(grep -c 'cannot be used, going on without' "$REG_LOG")" 1 "lines about a dead Redis"
    start_node
    until_true 10 logged 'in use again'
    http_ok 200 HEAD "/v2/a/b/blobs/$digest"
    remembers "$NODE" "${ADMIN[@]}" || fail "nothing is remembered after it came back"

    hang() {
        sleep 1
        kill -STOP "$NODE_PID"
        sleep 4
        kill -CONT "$NODE_PID"
        sleep 1
    }
    load_while hang
    ((WORST < LONGEST)) || fail "a request took $WORST ms while Redis hung"
    assert_eq "$(grep -c 'cannot be used, going on without' "$REG_LOG")" 2 "lines about a Redis that hangs"
    until_true 10 eval '(($(grep -c "in use again" "$REG_LOG") == 2))'

    emptied() {
        local i
        for ((i = 0; i < 20; i++)); do
            cli -p "$NODE" "${ADMIN[@]}" flushall >/dev/null
            sleep 0.05
        done
    }
    load_while emptied
    kill_it() {
        sleep 0.5
        kill -KILL "$NODE_PID"
        sleep 1
        start_node
        sleep 1.5
    }
    load_while kill_it
    ((WORST < LONGEST)) || fail "a request took $WORST ms while Redis died"
    stop "$REG_PID"
}

replicas() {
    local store=$WORK/replicas first second first_pid second_pid digest manifest
    with_redis "addrs: [127.0.0.1:$NODE]
username: admin
password: $PASSWORD"
    cli -p "$NODE" "${ADMIN[@]}" flushall >/dev/null
    start_registry first "$store"
    first=$REG first_pid=$REG_PID
    start_registry second "$store"
    second=$REG second_pid=$REG_PID

    # What one deletes, the other has never heard of.
    local i
    for i in 1 2 3 4 5; do
        REG=$first
        digest=$(push_one a/b "replicas $i")
        REG=$second
        http_ok 200 HEAD "/v2/a/b/blobs/$digest"
        http_ok 200 GET "/v2/a/b/blobs/$digest"
        REG=$first
        http_ok 202 DELETE "/v2/a/b/blobs/$digest"
        REG=$second
        assert_gone "/v2/a/b/blobs/$digest"
        http_ok 404 HEAD "/v2/a/b/blobs/$digest"
        http_ok 202 POST "/v2/c/d/blobs/uploads/?mount=$digest&from=a/b" -H 'Content-Length: 0'
    done

    # Content that goes behind everybody's back, though it is remembered and
    # linked: no push is accepted because of that, and what is remembered ends.
    digest=$(push_one a/b "collected")
    http_ok 200 HEAD "/v2/a/b/blobs/$digest"
    remembers "$NODE" "${ADMIN[@]}" || fail "it should be remembered"
    local hex=${digest#sha256:}
    rm -r "$store/docker/registry/v2/blobs/sha256/${hex:0:2}/$hex"
    manifest=$WORK/collected.json
    jq -nc --arg t "$OCI_MANIFEST" --arg d "$digest" \
        '{schemaVersion: 2, mediaType: $t, config: {mediaType: "application/vnd.oci.image.config.v1+json", digest: $d, size: 9}, layers: []}' >"$manifest"
    http PUT "/v2/a/b/manifests/v1" -H "Content-Type: $OCI_MANIFEST" --data-binary "@$manifest"
    [[ $STATUS == 4* ]] || fail "a manifest whose blob is gone: $STATUS"
    assert_eq "$(jq -r '.errors[0].code' "$BODY")" MANIFEST_BLOB_UNKNOWN "why it is refused"
    for REG in "$first" "$second"; do
        http_ok 404 HEAD "/v2/a/b/blobs/$digest"
        http_ok 404 GET "/v2/a/b/blobs/$digest"
        http_ok 202 POST "/v2/c/d/blobs/uploads/?mount=$digest&from=a/b" -H 'Content-Length: 0'
    done
    # The client's second try heals it.
    push_one a/b "collected" >/dev/null
    http_ok 201 PUT "/v2/a/b/manifests/v1" -H "Content-Type: $OCI_MANIFEST" --data-binary "@$manifest"
    stop "$first_pid"
    stop "$second_pid"
}

# -------------------------------------------------------------------- others

# Distribution fills, we delete, Distribution comes back; and the reverse.
with_distribution() {
    local store=$WORK/shared layout=$WORK/layout digest manifest
    make_fixtures "$layout"
    with_redis "addrs: [127.0.0.1:$NODE]
username: admin
password: $PASSWORD
db: 5"
    start_registry shared-1 "$store" v3
    timeout 60 skopeo copy --quiet --all --dest-tls-verify=false "oci:$layout:image" "docker://$REG/a/b:v1"
    timeout 60 skopeo copy --quiet --all --dest-tls-verify=false "oci:$layout:image" "docker://$REG/c/d:v1"
    verify_against_layout a/b v1 "$layout"
    digest=$(layer_digests "$layout/blobs/sha256/${IMAGE#sha256:}" | head -1)
    assert_eq "$(cli -p "$NODE" "${ADMIN[@]}" -n 5 sismember repository::a/b::blobs "$digest")" 1 "what Distribution remembers"
    stop "$REG_PID"

    start_registry shared-2 "$store"
    verify_against_layout a/b v1 "$layout"
    http_ok 202 DELETE "/v2/a/b/blobs/$digest"
    http_ok 202 DELETE "/v2/a/b/manifests/$IMAGE"
    stop "$REG_PID"

    start_registry shared-3 "$store" v3
    # Another repository makes Distribution remember the content again.
    verify_against_layout c/d v1 "$layout"
    assert_gone "/v2/a/b/blobs/$digest"
    assert_gone "/v2/a/b/manifests/$IMAGE"
    http_ok 202 DELETE "/v2/c/d/blobs/$digest"
    stop "$REG_PID"

    start_registry shared-4 "$store"
    assert_gone "/v2/c/d/blobs/$digest"
    http_ok 200 GET "/v2/c/d/manifests/v1" -H "$ACCEPT"
    stop "$REG_PID"
}

tls_with_client_certificates() {
    local dir=$HOLD/tls port digest
    mkdir -p "$dir"
    (
        cd "$dir"
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt -subj /CN=ca -days 2 2>/dev/null
        for name in server client; do
            openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $name.key -out $name.csr -subj /CN=$name 2>/dev/null
            openssl x509 -req -in $name.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out $name.crt -days 2 \
                -extfile <(echo subjectAltName=IP:127.0.0.1) 2>/dev/null
        done
    )
    port=$(free_port)
    REDIS_TLS_PORT=$port redis tls 0 --tls-port "$port" --tls-cert-file "$dir/server.crt" --tls-key-file "$dir/server.key" \
        --tls-ca-cert-file "$dir/ca.crt" --tls-auth-clients yes --requirepass "$PASSWORD"
    local redis_pid=$REDIS_PID
    with_redis "addrs: [127.0.0.1:$port]
password: $PASSWORD
tls: {certificate: $dir/client.crt, key: $dir/client.key, rootcas: [$dir/ca.crt]}"
    start_registry tls "$WORK/tls"
    digest=$(push_one a/b "tls")
    http_ok 200 HEAD "/v2/a/b/blobs/$digest"
    assert_eq "$(entries "$port" --tls --cacert "$dir/ca.crt" --cert "$dir/client.crt" --key "$dir/client.key" -a "$PASSWORD")" 1 "entries"
    stop "$REG_PID"

    # Without a certificate, and with an authority that does not know the server.
    with_redis "addrs: [127.0.0.1:$port]
password: $PASSWORD
tls: {rootcas: [$dir/ca.crt]}"
    start_registry no-certificate "$WORK/tls"
    http_ok 200 HEAD "/v2/a/b/blobs/$digest"
    logged 'cannot be used, going on without' || fail "no line about a missing certificate"
    stop "$REG_PID"
    with_redis "addrs: [127.0.0.1:$port]
tls: {enabled: true}"
    start_registry no-authority "$WORK/tls"
    http_ok 200 HEAD "/v2/a/b/blobs/$digest"
    logged UnknownIssuer || fail "no line about an unknown authority"
    stop "$REG_PID"

    # A file that cannot be used ends the start with one line.
    with_redis "addrs: [127.0.0.1:$port]
tls: {rootcas: [$dir/none.crt]}"
    write_config "$WORK/bad.yml" "$(free_port)" "$WORK/tls"
    local status=0 output
    output=$(clean timeout 10 "$REGISTRY_BIN" serve "$WORK/bad.yml" 2>&1) || status=$?
    assert_eq "$status" 1 "exit code"
    assert_contains "$output" "redis: $dir/none.crt: cannot be read: No such file" "message"
    stop "$redis_pid"
}

sentinel_failover() {
    local master replica sentinels=() pids=() i digest addrs
    master=$(free_port)
    redis master "$master" --requirepass "$PASSWORD" --masterauth "$PASSWORD"
    local master_pid=$REDIS_PID
    replica=$(free_port)
    redis replica "$replica" --requirepass "$PASSWORD" --masterauth "$PASSWORD" --replicaof 127.0.0.1 "$master"
    pids+=("$REDIS_PID")
    until_true 10 eval "cli -p $replica -a $PASSWORD info replication | grep -q master_link_status:up"
    for i in 1 2 3; do
        sentinels[i]=$(free_port)
        mkdir -p "$HOLD/sentinel$i"
        cat >"$HOLD/sentinel$i/sentinel.conf" <<CONF
port ${sentinels[i]}
bind 127.0.0.1
dir $HOLD/sentinel$i
requirepass watch-word
sentinel monitor mymaster 127.0.0.1 $master 2
sentinel auth-pass mymaster $PASSWORD
sentinel down-after-milliseconds mymaster 1000
sentinel failover-timeout mymaster 5000
CONF
        redis-server "$HOLD/sentinel$i/sentinel.conf" --sentinel >"$WORK/logs/sentinel$i.log" 2>&1 </dev/null &
        pids+=($!)
        own $!
        disown $!
    done
    for i in 1 2 3; do
        until_true 15 eval "cli -p ${sentinels[i]} -a watch-word sentinel master mymaster | paste -sd' ' | grep -q 'num-slaves 1.*num-other-sentinels 2'"
    done
    addrs="127.0.0.1:${sentinels[1]}, 127.0.0.1:${sentinels[2]}, 127.0.0.1:${sentinels[3]}"
    with_redis "addrs: [$addrs]
mastername: mymaster
password: $PASSWORD
sentinelpassword: watch-word"
    start_registry sentinel "$WORK/sentinel"
    digest=$(push_one a/b "before the failover")
    http_ok 200 HEAD "/v2/a/b/blobs/$digest"
    remembers "$master" -a "$PASSWORD" || fail "the master knows nothing"
    is_master() { cli -p "$replica" -a "$PASSWORD" role | head -1 | grep -q master; }
    fail_over() {
        sleep 1
        kill -KILL "$master_pid"
        until_true 25 is_master
        cli -p "$replica" -a "$PASSWORD" flushall >/dev/null
        until_true 10 remembers "$replica" -a "$PASSWORD"
    }
    load_while fail_over
    logged 'has another master' || fail "no line about the new master"
    ((WORST < LONGEST)) || fail "a request took $WORST ms"
    stop "$REG_PID"
    for i in "${pids[@]}"; do stop "$i"; done
}

cluster_of_three() {
    local ports=() pids=() i digest total=0
    for i in 0 1 2; do
        # The bus listens 10,000 higher.
        ports[i]=$(free_port)
        redis "cluster$i" "${ports[i]}" --cluster-enabled yes --cluster-node-timeout 2000 \
            --cluster-require-full-coverage no --requirepass "$PASSWORD" --masterauth "$PASSWORD"
        pids[i]=$REDIS_PID
    done
    cli -a "$PASSWORD" --cluster create 127.0.0.1:"${ports[0]}" 127.0.0.1:"${ports[1]}" 127.0.0.1:"${ports[2]}" --cluster-yes >/dev/null
    for i in 0 1 2; do
        until_true 15 eval "cli -p ${ports[i]} -a $PASSWORD cluster info | grep -q cluster_state:ok"
    done
    with_redis "addrs: [127.0.0.1:${ports[0]}, 127.0.0.1:${ports[1]}]
password: $PASSWORD"
    start_registry cluster "$WORK/cluster"
    for i in {1..30}; do
        digest=$(push_one a/b "cluster $i")
        http_ok 200 HEAD "/v2/a/b/blobs/$digest"
    done
    for i in 0 1 2; do
        remembers "${ports[i]}" -a "$PASSWORD" || fail "node $i knows nothing"
        total=$((total + $(entries "${ports[i]}" -a "$PASSWORD")))
    done
    assert_eq "$total" 30 "entries on all nodes"
    http_ok 202 DELETE "/v2/a/b/blobs/$digest"
    assert_gone "/v2/a/b/blobs/$digest"
    lose_one() {
        sleep 1
        kill -KILL "${pids[1]}"
        sleep 3
    }
    load_while lose_one
    ((WORST < LONGEST)) || fail "a request took $WORST ms"
    stop "$REG_PID"
    for i in 0 2; do stop "${pids[i]}"; done
}

check "one node, access control list, database, names of connections" one_node_with_an_access_control_list
check "a wrong password is one line, and the registry starts" wrong_password_is_one_line_and_the_registry_starts
check "two replicas: deletes hold at once; lost content is vouched for by nobody" replicas
check "Distribution on the same Redis and store: deletes hold on both sides" with_distribution
check "TLS with client certificates; bad certificates" tls_with_client_certificates
check "a Redis that is dead, hangs, is emptied or dies: no request fails" dead_stopped_and_emptied
check "sentinels: the master is killed under load and no request fails" sentinel_failover
check "a cluster of three; one is killed under load and no request fails" cluster_of_three
finish
