#!/usr/bin/env bash
# Token servers that are not ours, in front of our registry: six clients log in,
# push and pull with the tokens that these give out, and are refused where these
# refuse; the conformance suites pass.
#
# Distribution's own token server gives everybody all actions below their name
# and nothing elsewhere. It sends its public key along in each token, and we know
# the key by its id, from a JWKS file. The second one, `auth_token.py`, has rules
# (who may only pull, where nobody may go, what needs no login) and sends a chain
# of certificates; we know the root.
SUITE=auth-token
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=clients.sh
. "$E2E/clients.sh"
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$TOOLS/python

token_server() { python3 "$E2E/auth_token.py" "$@"; }

# ------------------------------------------------- Distribution's token server

PKI=$WORK/pki
mkdir "$PKI"
token_server prepare "$PKI"

# Another flavour shows that a difficulty is not ours: AUTH_TOKEN_FLAVOUR=v3.
FLAVOUR=${AUTH_TOKEN_FLAVOUR:-ours}
TOKENS=$(free_port)
"$TOOLS/token-server" -addr "127.0.0.1:$TOKENS" -issuer distribution-token-server -key "$PKI/distribution.pem" \
    -passwd "$PKI/htpasswd" -realm "users of $SUITE" >"$WORK/logs/token-server.log" 2>&1 </dev/null &
TOKENS_PID=$!
disown "$TOKENS_PID"
own "$TOKENS_PID"
wait_ready "http://127.0.0.1:$TOKENS/token/?service=e2e" "$TOKENS_PID" || {
    cat "$WORK/logs/token-server.log"
    exit 1
}
# A name, not an address: crane goes to no token server on a private one.
EXTRA_CONFIG="$CONFORMANCE_CONFIG
auth:
  token:
    realm: http://localhost:$TOKENS/token/
    service: e2e
    issuer: distribution-token-server
    jwks: $PKI/distribution.json"
start_registry distribution "$WORK/store-1" "$FLAVOUR"
start_clients

# as_owner CLIENT: all below its own name, nothing elsewhere, nothing after.
as_owner() {
    refused push "$1" "alice/$1:1.0.0"
    refused login "$1" alice wrong
    client_login "$1" alice 'alice:password'
    round_trip "$1" "alice/$1:1.0.0"
    refused push "$1" "bob/$1:1.0.0"
    refused pull "$1" "bob/$1:1.0.0"
    client_logout "$1"
    refused pull "$1" "alice/$1:1.0.0"
}

# newest TOKEN-SERVER
newest() {
    [[ -n $NEWEST_CONFORMANCE ]] || {
        no_newest
        return
    }
    local report=$WORK/conformance-$PASSED
    check "$1: the newest conformance suite passes" conforms_newest "$report" conformance password 4
    [[ ! -s $report/counts ]] || echo "newest suite: $(cat "$report/counts")"
}

# Clients ask for a token that covers the source of a mount, too.
mounts() {
    local log=$WORK/mounts.log client
    for client in docker skopeo crane oras; do client_login "$client" alice 'alice:password'; done
    client_pull docker alice/docker:1.0.0
    run_client docker tag "$REG/alice/docker:1.0.0" "$REG/alice/second/docker:1.0.0"
    run_client docker push "$REG/alice/second/docker:1.0.0" | tee "$log"
    grep -q 'Mounted from alice/docker' "$log" || fail "docker mounted nothing"
    run_client crane -v copy "$REG/alice/crane:1.0.0" "$REG/alice/second/crane:1.0.0" >"$log" 2>&1
    was_mounted crane "$log"
    run_client skopeo --debug copy --src-tls-verify=false --dest-tls-verify=false \
        "docker://$REG/alice/skopeo:1.0.0" "docker://$REG/alice/second/skopeo:1.0.0" >"$log" 2>&1
    grep -qi 'mount OK' "$log" || fail "skopeo mounted nothing"
    run_client oras cp --no-tty --debug --from-plain-http --to-plain-http "$REG/alice/oras:1.0.0" "$REG/alice/second/oras:1.0.0" >"$log" 2>&1
    was_mounted oras "$log"
}

# was_mounted CLIENT LOG: it asked for a mount, and sent no content.
was_mounted() {
    grep -q 'mount=' "$2" || fail "$1 asked for no mount"
    if grep -E '"?(PATCH|PUT)"? .*/blobs/uploads/' "$2"; then fail "$1 sent content that could be mounted"; fi
}

for client in "${CLIENTS[@]}"; do
    check "Distribution's token server: $client pushes and pulls below its name, and nowhere else" as_owner "$client"
done
check "Distribution's token server: docker, crane, skopeo and oras mount from one repository to another" mounts
newest "Distribution's token server"
stop "$REG_PID"
stop "$TOKENS_PID"

# ------------------------------------------------------- a token server of rules

TOKENS=$(free_port)
token_server serve "$PKI" "$TOKENS" >"$WORK/logs/rules.log" 2>&1 </dev/null &
TOKENS_PID=$!
disown "$TOKENS_PID"
own "$TOKENS_PID"
wait_ready "http://127.0.0.1:$TOKENS/token?service=e2e" "$TOKENS_PID" || {
    cat "$WORK/logs/rules.log"
    exit 1
}
EXTRA_CONFIG="$CONFORMANCE_CONFIG
auth:
  token:
    realm: http://localhost:$TOKENS/token
    service: e2e
    issuer: rules
    rootcertbundle: $PKI/root.pem
    signingalgorithms: [ES256]"
start_registry rules "$WORK/store-2" "$FLAVOUR"

by_rules() {
    local pushed
    client_login "$1" alice 'alice:password'
    pushed=$(client_push "$1" "team/$1:1.0.0")
    assert_eq "$(client_pull "$1" "team/$1:1.0.0")" "$pushed" "what alice pulled"
    client_push "$1" "public/$1:1.0.0" >/dev/null
    refused push "$1" "team/secret/$1:1.0.0"
    refused pull "$1" "team/secret/$1:1.0.0"
    client_logout "$1"
    # bob may pull, and no more.
    client_login "$1" bob password
    assert_eq "$(client_pull "$1" "team/$1:1.0.0")" "$pushed" "what bob pulled"
    refused push "$1" "team/$1:1.0.1"
    refused push "$1" "team/$1-other:1.0.0"
    client_logout "$1"
    # Without a login: what is public.
    client_pull "$1" "public/$1:1.0.0"
    refused push "$1" "public/$1:1.0.1"
    refused pull "$1" "team/$1:1.0.0"
}

# Nothing that was refused left anything behind.
nothing_left() {
    local repositories=$WORK/store-2/docker/registry/v2/repositories client
    [[ ! -e $repositories/team/secret ]] || fail "there is $repositories/team/secret"
    for client in "${CLIENTS[@]}"; do
        [[ ! -e $repositories/team/$client-other ]] || fail "there is team/$client-other"
        assert_eq "$(ls "$repositories/team/$client/_manifests/tags")" 1.0.0 "tags of team/$client"
        assert_eq "$(ls "$repositories/public/$client/_manifests/tags")" 1.0.0 "tags of public/$client"
    done
    [[ ! -e $WORK/store-1/docker/registry/v2/repositories/bob ]] || fail "something was pushed below bob"
}

for client in "${CLIENTS[@]}"; do
    check "a token server with rules: $client is let through and refused as they say" by_rules "$client"
done
check "what was refused left nothing in the stores" nothing_left
# Not with the other: it takes one scope only in each parameter, and the suite
# of 2023 puts both of a mount into one.
check "a token server with rules: the conformance suite of 2023 passes" conforms_2023 "$WORK/conformance-2023" conformance password
newest "a token server with rules"
finish
