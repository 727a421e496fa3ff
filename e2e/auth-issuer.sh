#!/usr/bin/env bash
# The token issuer: docker, podman, skopeo, crane, oras and helm log in at it,
# push and pull, and are refused; a login of docker serves the others; it ends
# with the password and outlives the process; replicas take each other's tokens;
# Distribution takes ours by the published keys; the official suite passes.
SUITE=auth-issuer
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=clients.sh
. "$E2E/clients.sh"

STORE=$WORK/store
KEYS=$WORK/keys
REPORTS=$E2E/.work/auth-issuer
rm -rf "$REPORTS"

# hash PASSWORD: bcrypt, of the least cost that htpasswd makes.
hash() { htpasswd -nbB -C 4 x "$1" | head -n 1 | cut -d: -f2-; }

# write_users PASSWORD-OF-BOB
write_users() {
    cat >"$WORK/users.new" <<YAML
users:
  - name: bob
    password: $(hash "$1")
    groups: [developers]
YAML
    mv "$WORK/users.new" "$WORK/users.yml"
}
htpasswd -cbB -C 4 "$WORK/htpasswd" alice secret 2>/dev/null
write_users other

issuer() { # issuer [LINES]: the configuration, with more of it
    cat <<YAML
auth:
  issuer:
    keys: $KEYS
    users:
      htpasswd: $WORK/htpasswd
      file: $WORK/users.yml
${1:-}
YAML
}
EXTRA_CONFIG=$(issuer "validation: # as the conformance suite wants it
  manifests:
    indexes:
      platforms: none
    images:
      layers: none")
export EXTRA_CONFIG
start_registry main "$STORE"
start_clients

# token USER PASSWORD [QUERY]: an access token by the registry token protocol.
token() {
    http_ok 200 GET "/auth/token?service=registry&${3:-}" -u "$1:$2"
    jq -r .access_token "$BODY"
}

# knows NAME PASSWORD: whether the user would get a token.
knows() {
    http GET "/auth/token?service=registry" -u "$1:$2"
    [[ $STATUS == 200 ]]
}

logs_in_pushes_and_pulls() {
    refused login "$1" alice guessed-amiss
    refused login "$1" carol secret
    refused push "$1" team/"$1":0.0.1
    client_login "$1" alice secret
    round_trip "$1" team/"$1":1.0.0
    client_logout "$1"
    refused pull "$1" team/"$1":1.0.0
    client_login "$1" bob other
    client_pull "$1" team/"$1":1.0.0
    client_logout "$1"
}

# docker keeps a refresh token in place of the password, where the others find it.
one_login_for_all() {
    local config=$WORK/clients/docker/config.json client
    client_login docker alice secret
    jq -e --arg r "$REG" '.auths[$r].identitytoken | length > 100' "$config" >/dev/null || fail "docker has no identity token: $(cat "$config")"
    if grep -q "$(printf 'alice:secret' | base64)" "$config"; then fail "docker keeps the password"; fi
    for client in podman skopeo crane oras; do
        cp "$config" "$WORK/clients/$client/config.json"
        round_trip "$client" "shared/$client:1.0.0"
        echo '{}' >"$WORK/clients/$client/config.json"
    done
    round_trip docker shared/docker:1.0.0
    client_logout docker
}

ends_with_the_password() {
    local i refresh
    client_login docker bob other
    client_push docker bob/image:1.0.0
    http_ok 200 GET "/auth/token?offline_token=true" -u bob:other
    refresh=$(jq -r .refresh_token "$BODY")
    write_users renewed-pw
    for ((i = 0; i < 100; i++)); do
        http POST /auth/token -d "grant_type=refresh_token&refresh_token=$refresh"
        [[ $STATUS == 200 ]] || break
        sleep 0.1
    done
    assert_eq "$STATUS $(jq -r .error "$BODY")" "400 invalid_grant" "a refresh token from before"
    refused pull docker bob/image:1.0.0
    refused login docker bob other
    client_login docker bob renewed-pw
    client_pull docker bob/image:1.0.0
    client_logout docker
    # A broken file changes nothing.
    echo 'users: [{name: bob, password: plain}]' >"$WORK/users.yml"
    until_true 10 grep -q 'auth.issuer.users.file: .*user .*bob.*not a bcrypt hash' "$REG_LOG"
    token bob renewed-pw >/dev/null
    if grep -q plain "$REG_LOG"; then fail "the log has what the file has in place of a hash"; fi
    write_users other
    until_true 10 knows bob other
}

outlives_the_process() {
    local before
    client_login docker alice secret
    client_push docker again/image:1.0.0
    before=$REG
    stop "$REG_PID"
    clean "$REGISTRY_BIN" serve "$WORK/main.yml" >>"$REG_LOG" 2>&1 </dev/null &
    own $!
    wait_ready "http://$before/v2/" $! || fail "it did not start again"
    client_pull docker again/image:1.0.0
    client_logout docker
}

mounts_and_lists() {
    client_login crane alice secret
    client_push crane from/one:1.0.0
    run_client crane copy "$REG/from/one:1.0.0" "$REG/to/two:1.0.0" >&2
    run_client crane validate --remote "$REG/to/two:1.0.0" >&2
    assert_contains "$(run_client crane catalog "$REG")" to/two "crane catalog"
    assert_eq "$(run_client crane ls "$REG/to/two")" 1.0.0 "crane ls"
    run_client crane delete "$REG/to/two:1.0.0"
    client_logout crane
}

# A second process with the same keys and another key of its own.
replicas_agree() {
    local first=$REG access refresh
    access=$(token alice secret "scope=repository:team/crane:pull")
    http_ok 200 GET "/auth/token?offline_token=true" -u alice:secret
    refresh=$(jq -r .refresh_token "$BODY")
    EXTRA_CONFIG=$(issuer "    algorithm: EdDSA") start_registry second "$STORE"
    http_ok 200 GET /v2/team/crane/tags/list -H "Authorization: Bearer $access"
    http_ok 200 POST /auth/token -d "grant_type=refresh_token&refresh_token=$refresh&scope=repository:team/crane:pull"
    access=$(jq -r .access_token "$BODY")
    http_ok 200 GET "http://$first/v2/team/crane/tags/list" -H "Authorization: Bearer $access"
    http_ok 200 GET /auth/token/jwks
    assert_eq "$(jq -r '[.keys[].alg] | sort | join(" ")' "$BODY")" "ES256 EdDSA" "published keys"
    stop "$REG_PID"
}

# Distribution, with our endpoint as its token server and our keys.
distribution_takes_our_tokens() {
    local ours=$REG client
    http_ok 200 GET /auth/token/jwks
    cp "$BODY" "$WORK/jwks.json"
    EXTRA_CONFIG="auth:
  token:
    realm: http://$ours/auth/token
    service: registry
    issuer: registry
    jwks: $WORK/jwks.json" start_registry distribution "$WORK/store-distribution" v3
    # Not crane, which goes to no token server at another port of this machine.
    for client in docker podman skopeo oras helm; do
        refused login "$client" alice guessed-amiss
        client_login "$client" bob other
        round_trip "$client" "theirs/$client:1.0.0"
        client_logout "$client"
    done
    stop "$REG_PID"
}

# The example of docs/auth.md: anybody pulls, developers push.
anybody_pulls_and_developers_push() {
    local client
    EXTRA_CONFIG=$(issuer "  policy:
    rules:
      - allow: [pull]
        repositories: ['**']
        who: [anyone]
      - allow: [push, delete]
        repositories: ['**']
        who: ['group:developers']") start_registry policy "$STORE"
    for client in "${CLIENTS[@]}"; do
        client_pull "$client" "team/$client:1.0.0"
        refused push "$client" "team/$client:2.0.0"
        client_login "$client" alice secret
        refused push "$client" "team/$client:2.0.0"
        client_pull "$client" "team/$client:1.0.0"
        client_login "$client" bob other
        round_trip "$client" "team/$client:2.0.0"
        client_logout "$client"
    done
    stop "$REG_PID"
}

refuses_what_makes_no_sense() {
    local access refresh form='Content-Type: application/x-www-form-urlencoded'
    http_ok 405 PUT /auth/token
    assert_eq "$(header Allow)" "GET, POST, OPTIONS" "Allow"
    http_ok 204 OPTIONS /auth/token -H 'Origin: https://example.com'
    assert_eq "$(header Access-Control-Allow-Origin)" "" "no page of others is let in"
    head -c 70000 /dev/zero | tr '\0' a >"$WORK/large"
    http_ok 413 POST /auth/token -H "$form" --data-binary "@$WORK/large"
    http_ok 413 POST /auth/token -H "$form" -H 'Transfer-Encoding: chunked' --data-binary "@$WORK/large"
    http_ok 400 POST /auth/token -d grant_type=client_credentials
    assert_eq "$(jq -r .error "$BODY")" unsupported_grant_type "error"
    http_ok 400 GET "/auth/token?service=other" -u alice:secret
    http_ok 401 GET /auth/token -H 'Authorization: Bearer x'
    access=$(token alice secret "offline_token=true&scope=repository:team/crane:pull")
    refresh=$(jq -r .refresh_token "$BODY")
    http_ok 200 GET /v2/team/crane/tags/list -H "Authorization: Bearer $access"
    http_ok 401 GET /v2/team/crane/tags/list -H "Authorization: Bearer $refresh"
    http_ok 401 DELETE "/v2/team/crane/manifests/1.0.0" -H "Authorization: Bearer $access"
    assert_contains "$(header WWW-Authenticate)" 'scope="repository:team/crane:delete",error="insufficient_scope"' "challenge"
    http_ok 400 POST /auth/token -d "grant_type=refresh_token&refresh_token=$access"
    # Anybody gets a token that grants nothing.
    http_ok 200 GET "/auth/token?scope=repository:team/crane:pull"
    access=$(jq -r .access_token "$BODY")
    http_ok 200 GET /v2/ -H "Authorization: Bearer $access"
    http_ok 401 GET /v2/team/crane/tags/list -H "Authorization: Bearer $access"
}

log_has_no_secret() {
    local word line
    for word in secret guessed-amiss renewed-pw "$(printf 'alice:secret' | base64)" eyJ '\$2y\$0'; do
        line=$(grep -m1 -- "$word" "$REG_LOG" || true)
        [[ -z $line ]] || fail "the log has '$word': $line"
    done
    grep -q 'msg="token issued".* user=alice' "$REG_LOG" || fail "no line about a token"
    grep -q 'level=warning msg="no token issued: user' "$REG_LOG" || fail "no line about a refusal"
}

for client in "${CLIENTS[@]}"; do
    check "$client logs in, pushes and pulls, and is refused otherwise" logs_in_pushes_and_pulls "$client"
done
check "one login of docker serves podman, skopeo, crane and oras" one_login_for_all
check "mounts, lists and deletes with the scopes that crane asks for" mounts_and_lists
check "a login ends with the password, and a broken file of users changes nothing" ends_with_the_password
check "replicas with one directory of keys take each other's tokens" replicas_agree
check "Distribution takes tokens of ours by the published keys" distribution_takes_our_tokens
check "with a policy anybody pulls, developers push and others do not" anybody_pulls_and_developers_push
check "requests that make no sense are refused" refuses_what_makes_no_sense
check "passes the conformance suite of the module proxy (2023)" conforms_2023 "$REPORTS/2023" alice secret
if [[ -n $NEWEST_CONFORMANCE ]]; then
    check "passes the newest conformance suite ($NEWEST_CONFORMANCE)" conforms_newest "$REPORTS/newest" alice secret 4
else
    no_newest
fi
check "the log has lines about tokens and no secret" log_has_no_secret
check "a login outlives the process" outlives_the_process
finish
