#!/usr/bin/env bash
# A policy around htpasswd, with crane and curl: anonymous pull and
# authenticated push in one registry; refusals, catalog and mounts as the rules
# say; `registry auth explain` agrees with what the server does; rules change
# without a restart; the audit log says who did what, through logrotate.
SUITE=auth-policy
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

AUDIT=$WORK/audit.log
: >"$WORK/users"
for user in alice bob root; do htpasswd -bB -C 5 "$WORK/users" "$user" "$user-pw" 2>/dev/null; done

write_rules() { # write_rules [LINES]: the rules, with more of them
    cat >"$WORK/rules.new" <<YAML
private: ["secret/**"]
groups:
  developers: [bob]
rules:
  - {name: public, allow: [pull], repositories: ["public/**"], who: [anyone]}
  - {name: own, allow: [push, delete], repositories: ["users/{user}/**"], who: [authenticated]}
  - {name: team, allow: [push], repositories: ["team/**"], who: ["group:developers"]}
  - {name: frozen, deny: [push, delete], repositories: ["team/frozen"], who: ["group:developers"]}
  - {name: browse, allow: [list], repositories: ["team/**"], who: [authenticated]}
  - {name: elsewhere, allow: [pull], repositories: ["internal/**"], who: [authenticated], from: [192.0.2.0/24]}
  - {name: here, allow: [pull], repositories: ["local/**"], who: [anyone], from: [127.0.0.0/8]}
  - {name: root, allow: [all], repositories: ["**"], who: ["user:root"]}
${1:-}
YAML
    mv "$WORK/rules.new" "$WORK/rules.yml"
}
write_rules
export EXTRA_CONFIG="auth:
  htpasswd:
    realm: e2e
    path: $WORK/users
  policy:
    file: $WORK/rules.yml
  audit:
    path: $AUDIT
policy:
  repository:
    classes: [image]"
start_registry main "$WORK/store"

# as USER COMMAND…: crane with the credentials of a user, or of nobody.
as() {
    local user=$1
    shift
    if [[ $user == anonymous ]]; then
        DOCKER_CONFIG=$WORK/nobody timeout 60 "$@"
    else
        DOCKER_CONFIG=$WORK/config-$user timeout 60 "$@"
    fi
}
# by USER: the credentials for curl.
by() { [[ $1 == anonymous ]] || printf '%s\n' -u "$1:$1-pw"; }

mkdir -p "$WORK/root"
head -c 5000 /dev/urandom >"$WORK/root/file"
tar -C "$WORK/root" -cf "$WORK/layer.tar" file
REPOSITORIES=(public/app secret/app team/app team/frozen users/alice/app users/bob/app internal/app local/app)
for user in alice bob root; do
    as "$user" crane auth login "$REG" -u "$user" -p "$user-pw" 2>/dev/null
done
for repository in "${REPOSITORIES[@]}"; do
    as root crane append --new_layer "$WORK/layer.tar" --new_tag "$REG/$repository:v1" >/dev/null 2>&1 ||
        fail "root cannot push to $repository"
done
LAYER=$(as root crane manifest "$REG/public/app:v1" | jq -r '.layers[0].digest')

anonymous_pull() {
    as anonymous crane pull "$REG/public/app:v1" "$WORK/pulled.tar" || fail "nobody can pull what is public"
    [[ $(as anonymous crane ls "$REG/public/app") == v1 ]] || fail "tags"
    as anonymous crane manifest "$REG/team/app:v1" >"$WORK/said" 2>&1 && fail "nobody pulls from team"
    assert_contains "$(cat "$WORK/said")" UNAUTHORIZED "what crane was told"
    http_ok 401 GET /v2/
    assert_eq "$(header WWW-Authenticate)" 'Basic realm="e2e"' "the challenge"
    # What skopeo and podman send that have no credentials.
    http_ok 200 GET /v2/public/app/manifests/v1 -H "$ACCEPT" -H 'Authorization: Basic Og=='
    http_ok 401 GET /v2/public/app/manifests/v1 -H "$ACCEPT" -u alice:wrong
}

skopeo_without_credentials() {
    as anonymous skopeo inspect --tls-verify=false "docker://$REG/public/app:v1" >"$WORK/inspected" ||
        fail "skopeo without credentials"
    assert_eq "$(jq -r .Digest "$WORK/inspected")" "$(as anonymous crane digest "$REG/public/app:v1")" "digest"
}

authenticated_push() {
    as alice crane append --new_layer "$WORK/layer.tar" --new_tag "$REG/users/alice/new:v1" >/dev/null 2>&1 ||
        fail "alice cannot push below her name"
    as bob crane copy "$REG/public/app:v1" "$REG/team/copy:v1" >/dev/null 2>&1 || fail "bob cannot push to team"
    as alice crane delete "$REG/users/alice/new@$(as alice crane digest "$REG/users/alice/new:v1")" ||
        fail "alice cannot delete below her name"
}

denied() {
    as alice crane append --new_layer "$WORK/layer.tar" --new_tag "$REG/users/bob/x:v1" >"$WORK/said" 2>&1 &&
        fail "alice pushes below bob's name"
    # It looks first whether the layers are there.
    assert_contains "$(cat "$WORK/said")" "403 Forbidden" "what crane was told"
    http_ok 403 POST /v2/team/app/blobs/uploads/ -u alice:alice-pw
    assert_eq "$(jq -r '.errors[0].code' "$BODY")" DENIED "code"
    http_ok 403 POST /v2/team/frozen/blobs/uploads/ -u bob:bob-pw
    assert_contains "$(jq -r '.errors[0].detail' "$BODY")" '"frozen" denies push' "detail"
    http_ok 403 DELETE /v2/team/app/manifests/v1 -u bob:bob-pw
    http_ok 401 POST /v2/public/app/blobs/uploads/
}

# catalog USER: the names it is shown, in pages of two.
catalog() {
    local url="/v2/_catalog?n=2"
    while [[ -n $url ]]; do
        # shellcheck disable=SC2046 # two words or none
        http_ok 200 GET "$url" $(by "$1")
        jq -r '.repositories[]' "$BODY"
        url=$(header Link | sed -n 's/^<\(.*\)>; rel="next"$/\1/p')
    done
}

catalog_is_filtered() {
    assert_eq "$(catalog anonymous | paste -sd' ')" "local/app public/app" "for nobody"
    assert_eq "$(catalog alice | paste -sd' ')" \
        "local/app public/app team/app team/copy team/frozen users/alice/app users/alice/new" "for alice"
    assert_contains "$(catalog root | paste -sd' ')" "secret/app" "for root"
    assert_eq "$(as alice crane catalog "$REG" | paste -sd' ')" "$(catalog alice | paste -sd' ')" "for crane"
}

private_is_not_there() {
    local there absent
    http_ok 404 GET /v2/secret/app/tags/list -u alice:alice-pw
    there=$(sed 's,secret/app,NAME,' "$BODY")
    http_ok 404 GET /v2/secret/nothing/tags/list -u alice:alice-pw
    absent=$(sed 's,secret/nothing,NAME,' "$BODY")
    assert_eq "$there" "$absent" "the answers"
    http_ok 404 GET /v2/users/alice/nothing/tags/list -u alice:alice-pw
    assert_eq "$there" "$(sed 's,users/alice/nothing,NAME,' "$BODY")" "the answers"
}

mount_needs_both_sides() {
    local mount="/v2/users/alice/mounted/blobs/uploads/?mount=$LAYER"
    http_ok 202 POST "$mount&from=secret/app" -u alice:alice-pw
    http_ok 202 POST "$mount&from=users/bob/app" -u alice:alice-pw
    http_ok 202 POST "$mount" -u alice:alice-pw
    http_ok 404 HEAD "/v2/users/alice/mounted/blobs/$LAYER" -u alice:alice-pw
    http_ok 403 POST "/v2/users/bob/mounted/blobs/uploads/?mount=$LAYER&from=public/app" -u alice:alice-pw
    http_ok 201 POST "$mount&from=public/app" -u alice:alice-pw
    http_ok 200 HEAD "/v2/users/alice/mounted/blobs/$LAYER" -u alice:alice-pw
}

# explain WORD…: what `auth explain` says, with the configuration of the server.
explain() { (clean "$REGISTRY_BIN" auth explain "$@" --config "$WORK/main.yml"); }

# The server's answer to an action of a user, in the words of `auth explain`.
answered() { # answered USER ACTION REPOSITORY
    local credentials
    mapfile -t credentials < <(by "$1")
    case $2 in
    pull) http GET "/v2/$3/manifests/v1" -H "$ACCEPT" "${credentials[@]}" ;;
    push) http POST "/v2/$3/blobs/uploads/" "${credentials[@]}" ;;
    delete) http DELETE "/v2/$3/manifests/nothing" "${credentials[@]}" ;;
    list) http GET "/v2/$3/tags/list" "${credentials[@]}" ;;
    esac
    case $STATUS:$(jq -r '.errors[0].code' "$BODY" 2>/dev/null) in
    401:*) echo 401 ;;
    403:*) echo 403 ;;
    404:NAME_UNKNOWN) echo 404 ;;
    *) echo the ;; # request is served
    esac
}

explain_agrees() {
    local user action repository said code served cases=0
    for user in anonymous alice bob root; do
        for action in pull push delete list; do
            for repository in public/app secret/app team/app team/frozen users/alice/app internal/app local/app; do
                code=0
                said=$(explain "$user" "$action" "$repository" --from 127.0.0.1) || code=$?
                served=$(answered "$user" "$action" "$repository")
                assert_contains "$said" "answer: $served" "$user $action $repository"
                if [[ $served == the ]]; then
                    assert_eq "$code" 0 "exit code for $user $action $repository"
                else
                    assert_eq "$code" 1 "exit code for $user $action $repository"
                fi
                cases=$((cases + 1))
            done
        done
    done
    ((cases >= 20)) || fail "only $cases cases"
    said=$(explain bob push team/frozen --from 127.0.0.1) || true
    assert_contains "$said" '"frozen" denies push on team/frozen' "the rule"
    code=0
    explain bob fly team/frozen 2>/dev/null || code=$?
    assert_eq "$code" 2 "exit code of a question without sense"
}

classes() {
    local digest
    printf '{}' >"$WORK/empty"
    digest=$(digest_of "$WORK/empty")
    http_ok 201 POST "/v2/classes/chart/blobs/uploads/?digest=$digest" -u root:root-pw "${OCTETS[@]}" \
        --data-binary @"$WORK/empty"
    jq -n --arg t "$OCI_MANIFEST" --arg d "$digest" '{schemaVersion: 2, mediaType: $t, layers: [],
        config: {mediaType: "application/vnd.cncf.helm.config.v1+json", digest: $d, size: 2}}' >"$WORK/chart"
    http_ok 403 PUT /v2/classes/chart/manifests/v1 -u root:root-pw -H "Content-Type: $OCI_MANIFEST" \
        --data-binary @"$WORK/chart"
    assert_eq "$(jq -r '.errors[0].message' "$BODY")" \
        "unknown manifest class for application/vnd.cncf.helm.config.v1+json" "message"
}

rules_change_without_a_restart() {
    http_ok 403 POST /v2/extra/x/blobs/uploads/ -u alice:alice-pw
    write_rules '  - {name: extra, allow: [push], repositories: ["extra/**"], who: ["user:alice"]}'
    wait_for "$REG_LOG" "auth.policy: 9 rules are in force now"
    http_ok 202 POST /v2/extra/x/blobs/uploads/ -u alice:alice-pw
    write_rules '  - {name: broken, alow: [push]}'
    wait_for "$REG_LOG" "unknown key; did you mean auth.policy.rules.allow?"
    wait_for "$REG_LOG" "what was read before stays in force"
    http_ok 202 POST /v2/extra/x/blobs/uploads/ -u alice:alice-pw
    local code=0
    (clean "$REGISTRY_BIN" config check "$WORK/main.yml") >"$WORK/said" 2>&1 || code=$?
    assert_eq "$code" 1 "exit code of config check"
    assert_contains "$(cat "$WORK/said")" "rules.yml:13:20: auth.policy.rules[8].alow: unknown key" "the place of the mistake"
    write_rules
    kill -HUP "$REG_PID"
    wait_for "$REG_LOG" "auth.policy: 8 rules are in force now"
    http_ok 403 POST /v2/extra/x/blobs/uploads/ -u alice:alice-pw
}

does_not_start_with_broken_rules() {
    local code=0
    write_config "$WORK/broken.yml" "$(free_port)" "$WORK/store-broken"
    sed -i "s,$WORK/rules.yml,$WORK/none.yml," "$WORK/broken.yml"
    (clean timeout 15 "$REGISTRY_BIN" serve "$WORK/broken.yml") >"$WORK/said" 2>&1 || code=$?
    assert_eq "$code" 1 "exit code without the file"
    assert_contains "$(cat "$WORK/said")" "auth.policy.file: $WORK/none.yml" "the reason"
}

# audited FILTER: how many lines of the audit log it selects.
audited() { jq -s "[.[] | select($1)] | length" "$AUDIT"; }

audit_lines_say_who_did_what() {
    local before after
    jq -e . "$AUDIT" >/dev/null || fail "a line is not JSON"
    assert_ne "$(audited '.operation == "manifest.push" and .user == "root" and .repository == "secret/app" and .status == 201 and .reference == "v1" and (.digest | startswith("sha256:")) and .client == "127.0.0.1" and .auth == "htpasswd"')" 0 "pushes of root"
    assert_ne "$(audited '.operation == "manifest.pull" and .user == null and .repository == "public/app" and .status == 200')" 0 "anonymous pulls"
    assert_ne "$(audited '.refused and .user == "alice" and .repository == "users/bob/x" and .status == 403 and .error == "DENIED" and (.reason | startswith("no rule allows"))')" 0 "alice's refusal"
    assert_ne "$(audited ".operation == \"blob.mount\" and .user == \"alice\" and .from == \"secret/app\" and .status == 202 and .digest == \"$LAYER\"")" 0 "alice's mount"
    assert_ne "$(audited '.operation == "manifest.delete" and .user == "alice" and .status == 202')" 0 "alice's delete"
    assert_ne "$(audited '.operation == "catalog.list" and .user == "root"')" 0 "root's catalog"
    assert_eq "$(grep -c -e '-pw' "$AUDIT" || true)" 0 "passwords in the log"
    assert_eq "$(stat -c %a "$AUDIT")" 640 "mode"
    before=$(wc -l <"$AUDIT")
    http_ok 200 GET /v2/public/app/tags/list
    http_ok 403 GET /v2/internal/app/tags/list -u alice:alice-pw
    after=$(wc -l <"$AUDIT")
    assert_eq "$((after - before))" 2 "lines for two requests"
}

# opened: how often the audit log was opened again so far.
opened() { grep -cF "opened $AUDIT again" "$REG_LOG" || true; }

audit_log_is_rotated() {
    local before
    before=$(opened)
    mv "$AUDIT" "$AUDIT.1"
    kill -HUP "$REG_PID"
    until_true 10 eval '(($(opened) > before))'
    http_ok 200 GET /v2/public/app/tags/list
    assert_eq "$(wc -l <"$AUDIT")" 1 "lines in the new file"
    mv "$AUDIT" "$AUDIT.2"
    sleep 1.1
    http_ok 200 GET /v2/public/app/tags/list
    assert_eq "$(wc -l <"$AUDIT")" 1 "lines in the next file"
    jq -e . "$AUDIT.1" "$AUDIT.2" "$AUDIT" >/dev/null || fail "a line is not JSON"
}

check "pulls without credentials what is public, and is challenged for the rest" anonymous_pull
check "skopeo without credentials pulls what is public" skopeo_without_credentials
check "pushes and deletes where the rules say" authenticated_push
check "is denied elsewhere, with the rule" denied
check "the catalog has what the caller may list" catalog_is_filtered
check "what is private answers as what is not there" private_is_not_there
check "a mount needs the source and the target" mount_needs_both_sides
check "auth explain agrees with the server" explain_agrees
check "takes manifests of the classes of the policy" classes
check "rules change without a restart, and broken ones do not" rules_change_without_a_restart
check "does not start without its rules" does_not_start_with_broken_rules
check "the audit log says who did what" audit_lines_say_who_did_what
check "the audit log is moved away" audit_log_is_rotated
finish
