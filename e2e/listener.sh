#!/usr/bin/env bash
# How connections are taken: TLS with real clients, versions of TLS and HTTP,
# certificates of clients, several addresses, sockets from systemd, proxies,
# and files that change while requests go on. The keys of http.tls beside
# Distribution: both start or neither, and both let the same clients in, with
# the exceptions that are named here. TLS and files that change are in listener/.
SUITE=listener
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

[[ -x $REGISTRY_BIN ]] || fail "no registry at $REGISTRY_BIN"
PKI=$WORK/pki
mkdir "$PKI"
HELPER=$E2E/listener.py

authority ca
authority stranger-ca
give ca server ec
give ca server-rsa rsa
give ca client ec
give stranger-ca stranger ec
CA=(--cacert "$PKI/ca.crt")
TLS="  tls:
    certificate: $PKI/server.crt
    key: $PKI/server.key"

# launch LOG COMMAND…: starts it in the background, to be waited for; sets REG_PID.
launch() {
    REG_LOG=$1
    shift
    clean "$@" >"$REG_LOG" 2>&1 </dev/null &
    REG_PID=$!
    own "$REG_PID"
}

# serve NAME HTTP-LINES [FLAVOUR]: sets REG and REG_PID; waits until the port
# is open.
serve() {
    local port i
    port=$(free_port)
    REG=127.0.0.1:$port
    EXTRA_HTTP=$2 write_config "$WORK/$1.yml" "$port" "$WORK/store-$1"
    launch "$WORK/logs/$1.log" "$(registry_command "${3:-ours}")" serve "$WORK/$1.yml"
    for ((i = 0; i < 100; i++)); do
        listening "$port" && return 0
        alive "$REG_PID" || break
        sleep 0.1
    done
    tail -n 5 "$REG_LOG"
    fail "$1 does not listen"
}

# get URL [CURL-ARGUMENTS…]: sets SEEN to `status version`, or `none` if
# nothing came.
get() {
    local url=$1
    shift
    SEEN=$(curl -sS -o "$BODY" -D "$HEADERS" --max-time 10 -w '%{http_code} %{http_version}' "$@" "$url" 2>"$WORK/curl") ||
        SEEN=none
}

several_addresses() {
    local one two socket=$WORK/several.sock
    one=$(free_port)
    two=$(free_port)
    write_config "$WORK/several.yml" "$one" "$WORK/store-several"
    sed -i "s|^  addr:.*|  addr: '127.0.0.1:$one, [::1]:$two, unix:$socket'|" "$WORK/several.yml"
    launch "$WORK/logs/several.log" "$REGISTRY_BIN" serve "$WORK/several.yml"
    wait_ready "http://127.0.0.1:$one/v2/" "$REG_PID"
    get "http://[::1]:$two/v2/"
    assert_eq "$SEEN" "200 1.1" "over IPv6"
    get http://localhost/v2/ --unix-socket "$socket"
    assert_eq "$SEEN" "200 1.1" "over the unix socket"
    # Nobody else gets the ports or the socket, and nothing is left of trying.
    local code=0
    write_config "$WORK/second.yml" "$(free_port)" "$WORK/store-second"
    sed -i "s|^  addr:.*|  addr: $socket\n  net: unix|" "$WORK/second.yml"
    (clean timeout 10 "$REGISTRY_BIN" serve "$WORK/second.yml") >"$WORK/said" 2>&1 || code=$?
    assert_eq "$code" 1 "exit code where the socket is taken"
    assert_contains "$(cat "$WORK/said")" "unix:$socket: another process is using it" "what is said"
    get http://localhost/v2/ --unix-socket "$socket"
    assert_eq "$SEEN" "200 1.1" "the first one is still there"
    stop "$REG_PID"
    [[ ! -e $socket ]] || fail "the socket is left behind"
}

unix_with_tls() {
    local socket=$WORK/tls.sock
    EXTRA_HTTP="$TLS" write_config "$WORK/unix.yml" 1 "$WORK/store-unix"
    sed -i "s|^  addr:.*|  net: unix\n  addr: $socket|" "$WORK/unix.yml"
    launch "$WORK/logs/unix.log" "$REGISTRY_BIN" serve "$WORK/unix.yml"
    wait_ready https://localhost/v2/ "$REG_PID" --unix-socket "$socket" "${CA[@]}"
    get https://localhost/v2/ --unix-socket "$socket" "${CA[@]}"
    assert_eq "$SEEN" "200 2" "TLS over a unix socket"
    stop "$REG_PID"
}

activated() {
    local port code=0
    port=$(free_port)
    EXTRA_HTTP="$TLS" write_config "$WORK/activated.yml" 1 "$WORK/store-activated"
    launch "$WORK/logs/activated.log" systemd-socket-activate -l "127.0.0.1:$port" \
        "$REGISTRY_BIN" serve "$WORK/activated.yml"
    # The first connection starts the registry, and is served by it.
    wait_ready "https://127.0.0.1:$port/v2/" "$REG_PID" "${CA[@]}"
    get "https://127.0.0.1:$port/v2/" "${CA[@]}"
    assert_eq "$SEEN" "200 2" "over the socket that systemd opened"
    grep -q "listening on 127.0.0.1:$port, as given by LISTEN_FDS" "$REG_LOG" || fail "nothing about it in the log"
    stop "$REG_PID"
    # Two sockets of different kinds, and a manager that wants to know.
    write_config "$WORK/two.yml" 1 "$WORK/store-two"
    python3 "$HELPER" activate "$REGISTRY_BIN" "$WORK/two.yml" "$WORK" || fail "two sockets"
    # What cannot be listened on is one clear line.
    (clean env -u NOTIFY_SOCKET python3 "$HELPER" activate-file "$REGISTRY_BIN" "$WORK/two.yml") >"$WORK/said" 2>&1 || code=$?
    assert_eq "$code" 1 "exit code with a file for a socket"
    assert_contains "$(cat "$WORK/said")" "LISTEN_FDS" "what is said"
}

behind_a_proxy() {
    serve proxied "$TLS
  proxyprotocol:
    enabled: true
    trusted: [127.0.0.0/8]"
    get "https://$REG/v2/" "${CA[@]}" --haproxy-protocol
    assert_eq "$SEEN" "200 2" "curl that begins as a proxy does"
    get "https://$REG/v2/" "${CA[@]}"
    assert_eq "$SEEN" none "curl that does not"
    python3 "$HELPER" proxied "$REG" "$PKI/ca.crt" || fail "version 2"
    wait_for "$REG_LOG" '203.0.113.9 - - ['
    wait_for "$REG_LOG" '2001:db8::9 - - ['
    stop "$REG_PID"
}

port_in_use() {
    local code=0 before
    serve holder "$TLS"
    before=$(free_port)
    EXTRA_HTTP="$TLS" write_config "$WORK/taken.yml" "$before" "$WORK/store-taken"
    sed -i "s|^  addr:.*|  addr: '127.0.0.1:$before,$REG'|" "$WORK/taken.yml"
    (clean timeout 10 "$REGISTRY_BIN" serve "$WORK/taken.yml") >"$WORK/said" 2>&1 || code=$?
    assert_eq "$code" 1 "exit code"
    assert_contains "$(tail -n 1 "$WORK/said")" "cannot listen on $REG: another process is using it" "what is said"
    stop "$REG_PID"
}

stops_in_time() {
    local start code=0
    EXTRA_DRAIN="  draintimeout: 20s"
    serve drain "$TLS
$EXTRA_DRAIN"
    # Half a handshake, an idle connection, and one with a request half sent.
    python3 "$HELPER" loiter "$REG" "$PKI/ca.crt" "$WORK/loitering" &
    own $!
    for ((i = 0; i < 100; i++)); do [[ ! -e $WORK/loitering ]] || break; sleep 0.1; done
    start=$SECONDS
    kill -TERM "$REG_PID"
    wait_gone "$REG_PID" 10 || fail "still there after ten seconds"
    wait "$REG_PID" || code=$?
    disown_pid "$REG_PID"
    assert_eq "$code" 0 "exit code"
    ((SECONDS - start <= 5)) || fail "took $((SECONDS - start)) s"
}

# 1,000 connections that wait for a request: 20 MB is what was promised, and
# what HTTP/1.1 keeps to. What HTTP/2 takes is in docs/performance.md.
idle_connections() {
    serve "idle-$1" "  h2c:
    enabled: true"
    python3 "$HELPER" idle "$REG" "" "$REG_PID" "$1" 1000 "$2"
    stop "$REG_PID"
    serve "idle-tls-$1" "$TLS"
    python3 "$HELPER" idle "$REG" "$PKI/ca.crt" "$REG_PID" "$1" 1000 "$3"
    stop "$REG_PID"
}
idle_http1() { idle_connections h1 8000000 18000000; }
idle_http2() { idle_connections h2 30000000 40000000; }

# shellcheck source=listener/tls.sh
. "$E2E/listener/tls.sh"
check "listens on several addresses, IPv6 and a unix socket among them" several_addresses
check "speaks TLS over a unix socket" unix_with_tls
check "takes sockets from systemd and tells it how far it is" activated
check "believes a proxy who the client is" behind_a_proxy
# shellcheck source=listener/files.sh
. "$E2E/listener/files.sh"
check "does not start where one of its ports is taken" port_in_use
check "stops in time whoever loiters" stops_in_time
check "holds little for connections that wait" idle_http1
check "and not much more for those that speak HTTP/2" idle_http2
finish
