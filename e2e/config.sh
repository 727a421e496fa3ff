#!/usr/bin/env bash
# The configuration beside Distribution's: every variable that it takes is taken here, alike where the effect can
# be seen; what its documentation promises works; secrets from files; what is shown is what is in force; the schema
# and the completions are read by those they are for.
SUITE=config
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

registry() { (clean timeout 15 "$REGISTRY_BIN" "$@") </dev/null; }

# with VARIABLE=VALUE… -- COMMAND…: the command with these variables alone.
with() {
    local variables=()
    while [[ $1 != -- ]]; do
        variables+=("$1")
        shift
    done
    shift
    env -i PATH="$PATH" HOME="$HOME" TMPDIR="$TMPDIR" OTEL_TRACES_EXPORTER=none "${variables[@]}" timeout 15 "$@" </dev/null
}

# A variable for every key that Distribution's overlay walks to, by its own names, with a value that fits. Made from
# the structure of its configuration, v3.1.2.
variables() {
    cat <<'LIST'
REGISTRY_LOGLEVEL=info
REGISTRY_LOG_LEVEL=info
REGISTRY_LOG_FORMATTER=json
REGISTRY_LOG_FIELDS_A=b
REGISTRY_LOG_REPORTCALLER=true
REGISTRY_LOG_ACCESSLOG_DISABLED=true
REGISTRY_LOG_HOOKS_0_TYPE=mail
REGISTRY_LOG_HOOKS_0_DISABLED=true
REGISTRY_LOG_HOOKS_0_LEVELS=[panic]
REGISTRY_LOG_HOOKS_0_MAILOPTIONS_FROM=a@example.com
REGISTRY_LOG_HOOKS_0_MAILOPTIONS_TO=[a@example.com]
REGISTRY_LOG_HOOKS_0_MAILOPTIONS_SMTP_ADDR=localhost:25
REGISTRY_LOG_HOOKS_0_MAILOPTIONS_SMTP_USERNAME=u
REGISTRY_LOG_HOOKS_0_MAILOPTIONS_SMTP_PASSWORD=p
REGISTRY_LOG_HOOKS_0_MAILOPTIONS_SMTP_INSECURE=true
REGISTRY_STORAGE_DELETE_ENABLED=true
REGISTRY_STORAGE_REDIRECT_DISABLE=true
REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR=inmemory
REGISTRY_STORAGE_TAG_CONCURRENCYLIMIT=4
REGISTRY_STORAGE_MAINTENANCE_READONLY={enabled: true}
REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING={enabled: false}
REGISTRY_HTTP_ADDR=127.0.0.1:0
REGISTRY_HTTP_NET=tcp
REGISTRY_HTTP_HOST=https://registry.example.com
REGISTRY_HTTP_PREFIX=/p/
REGISTRY_HTTP_SECRET=12
REGISTRY_HTTP_RELATIVEURLS=true
REGISTRY_HTTP_DRAINTIMEOUT=5s
REGISTRY_HTTP_HEADERS_X-A=[b]
REGISTRY_HTTP_HTTP2_DISABLED=true
REGISTRY_HTTP_H2C_ENABLED=false
REGISTRY_HTTP_TLS_CERTIFICATE=
REGISTRY_HTTP_TLS_KEY=
REGISTRY_HTTP_TLS_CLIENTCAS=[]
REGISTRY_HTTP_TLS_CLIENTAUTH=
REGISTRY_HTTP_TLS_MINIMUMTLS=
REGISTRY_HTTP_TLS_CIPHERSUITES=[]
REGISTRY_HTTP_TLS_LETSENCRYPT_CACHEFILE=
REGISTRY_HTTP_TLS_LETSENCRYPT_EMAIL=
REGISTRY_HTTP_TLS_LETSENCRYPT_HOSTS=[]
REGISTRY_HTTP_TLS_LETSENCRYPT_DIRECTORYURL=
REGISTRY_HTTP_DEBUG_ADDR=
REGISTRY_HTTP_DEBUG_PROMETHEUS_ENABLED=false
REGISTRY_HTTP_DEBUG_PROMETHEUS_PATH=/metrics
REGISTRY_NOTIFICATIONS_EVENTCONFIG_INCLUDEREFERENCES=true
REGISTRY_NOTIFICATIONS_ENDPOINTS_0_NAME=a
REGISTRY_NOTIFICATIONS_ENDPOINTS_0_DISABLED=true
REGISTRY_NOTIFICATIONS_ENDPOINTS_0_URL=http://127.0.0.1:9/x
REGISTRY_NOTIFICATIONS_ENDPOINTS_0_HEADERS_AUTHORIZATION=[x]
REGISTRY_NOTIFICATIONS_ENDPOINTS_0_TIMEOUT=1s
REGISTRY_NOTIFICATIONS_ENDPOINTS_0_THRESHOLD=5
REGISTRY_NOTIFICATIONS_ENDPOINTS_0_BACKOFF=1s
REGISTRY_NOTIFICATIONS_ENDPOINTS_0_IGNOREDMEDIATYPES=[a/b]
REGISTRY_NOTIFICATIONS_ENDPOINTS_0_IGNORE_MEDIATYPES=[a/b]
REGISTRY_NOTIFICATIONS_ENDPOINTS_0_IGNORE_ACTIONS=[pull]
REGISTRY_REDIS_CLIENTNAME=a
REGISTRY_REDIS_DB=0
REGISTRY_REDIS_OPTIONS_USERNAME=u
REGISTRY_REDIS_PASSWORD=p
REGISTRY_REDIS_POOLSIZE=5
REGISTRY_REDIS_OPTIONS_DIALTIMEOUT=1s
REGISTRY_REDIS_MAXRETRIES=1
REGISTRY_HEALTH_STORAGEDRIVER_ENABLED=false
REGISTRY_HEALTH_STORAGEDRIVER_INTERVAL=10s
REGISTRY_HEALTH_STORAGEDRIVER_THRESHOLD=3
REGISTRY_HEALTH_FILECHECKERS=[]
REGISTRY_HEALTH_HTTPCHECKERS=[]
REGISTRY_HEALTH_TCPCHECKERS=[]
REGISTRY_CATALOG_MAXENTRIES=5
REGISTRY_TAGS_MAXTAGS=5
REGISTRY_PROXY_USERNAME=u
REGISTRY_PROXY_PASSWORD=p
REGISTRY_PROXY_TTL=1h
REGISTRY_VALIDATION_DISABLED=true
REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW=[a]
REGISTRY_VALIDATION_MANIFESTS_URLS_DENY=[a]
REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMS=all
REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMLIST_0_OS=linux
REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMLIST_0_ARCHITECTURE=amd64
REGISTRY_POLICY_REPOSITORY_CLASSES=[]
REGISTRY_AUTH=none
LIST
}

# Distribution says "unrecognized" of what it does not walk to; ours "not a configuration key".
every_variable_is_known_to_both() {
    local list=()
    mapfile -t list < <(variables)
    ((${#list[@]} > 75)) || fail "only ${#list[@]} variables"
    write_config "$WORK/known.yml" 0 "$WORK/store-known"
    with "${list[@]}" -- "$REGISTRY_BIN" config check "$WORK/known.yml" --lenient-config >"$WORK/said" 2>&1 || {
        cat "$WORK/said"
        fail "ours refuses what Distribution takes"
    }
    if grep 'not a configuration key' "$WORK/said"; then fail "a variable is unknown to ours"; fi
    with "${list[@]}" -- timeout 2 "$(registry_command v3)" serve "$WORK/known.yml" >"$WORK/theirs" 2>&1 || true
    grep -q 'listening on' "$WORK/theirs" || fail "v3 does not start with them: $(tail -n 3 "$WORK/theirs")"
    if grep -i 'unrecognized' "$WORK/theirs"; then fail "a variable is unknown to v3"; fi
    # A control: both say so of one that is none.
    with REGISTRY_HTTP_NONE=1 -- "$REGISTRY_BIN" config check "$WORK/known.yml" | grep -q 'not a configuration key' || fail "control, ours"
    with REGISTRY_HTTP_NONE=1 -- timeout 2 "$(registry_command v3)" serve "$WORK/known.yml" >"$WORK/theirs" 2>&1 || true
    grep -qi unrecognized "$WORK/theirs" || fail "control, v3"
}

# look: what can be seen of a configuration from outside.
look() {
    http POST "${1:-}/v2/a/blobs/uploads/" -H 'Content-Length: 0'
    echo "upload $STATUS $(header Location | sed -E 's#(uploads/).*#\1#; s#:[0-9]+/#/#') x-a=$(header X-A)"
    http GET "${1:-}/v2/_catalog?n=6"
    echo "catalog $STATUS"
    http DELETE "${1:-}/v2/a/blobs/sha256:$(printf 0%.0s {1..64})"
    echo "delete $STATUS"
}

# alike NAME PREFIX VARIABLE=VALUE…: both start with the file and the variables and look the same.
alike() {
    local name=$1 prefix=$2 flavour
    shift 2
    for flavour in ours v3; do
        write_config "$WORK/$name.yml" 1 "$WORK/store-$name-$flavour"
        REG=127.0.0.1:$(free_port)
        REG_LOG=$WORK/logs/$name-$flavour.log
        env "REGISTRY_HTTP_ADDR=$REG" "$@" env -u REGISTRY_BIN -u REGISTRY_AUTH_FILE \
            "$(registry_command "$flavour")" serve "$WORK/$name.yml" >"$REG_LOG" 2>&1 </dev/null &
        REG_PID=$!
        disown "$REG_PID"
        own "$REG_PID"
        wait_ready "http://$REG$prefix/v2/" "$REG_PID" || fail "$flavour does not start with $*: $(tail -n 3 "$REG_LOG")"
        look "$prefix" >"$WORK/look-$flavour"
        stop "$REG_PID"
    done
    diff "$WORK/look-v3" "$WORK/look-ours" || fail "they differ with $*"
}

variables_mean_the_same() {
    alike plain ''
    alike secret '' REGISTRY_HTTP_SECRET=0123 REGISTRY_HTTP_RELATIVEURLS=true
    alike host '' REGISTRY_HTTP_HOST=https://hub.example.com
    alike headers '' 'REGISTRY_HTTP_HEADERS={X-A: [b]}'
    alike header '' 'REGISTRY_HTTP_HEADERS_X-A=[c]'
    alike prefix /p REGISTRY_HTTP_PREFIX=/p/
    alike delete '' REGISTRY_STORAGE_DELETE_ENABLED=false
    alike catalog '' REGISTRY_CATALOG_MAXENTRIES=5
    alike readonly '' 'REGISTRY_STORAGE_MAINTENANCE_READONLY={enabled: true}'
    alike driver '' REGISTRY_STORAGE=inmemory
    alike whole '' 'REGISTRY_CATALOG={maxentries: 5}' REGISTRY_LOGLEVEL=error
}

what_is_promised_works() {
    write_config "$WORK/promised.yml" 0 "$WORK/store-promised"
    with REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED=true \
        REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_0=a REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_1=b \
        -- "$REGISTRY_BIN" config show --format json "$WORK/promised.yml" >"$WORK/shown"
    assert_eq "$(jq -c '[.["storage.maintenance.readonly.enabled"].value, .["validation.manifests.urls.allow[1]"].value]' "$WORK/shown")" \
        '[true,"b"]' "values"
    assert_eq "$(jq -r '.["validation.manifests.urls.allow[1]"].source' "$WORK/shown")" \
        REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_1 "source"
}

secrets_come_from_files() {
    printf 'from the file\n' >"$WORK/secret"
    write_config "$WORK/file.yml" 0 "$WORK/store-file"
    sed -i '/secret:/d' "$WORK/file.yml"
    with "REGISTRY_HTTP_SECRET_FILE=$WORK/secret" -- "$REGISTRY_BIN" config show "$WORK/file.yml" >"$WORK/shown"
    grep -qF 'secret: "********"  # REGISTRY_HTTP_SECRET_FILE' "$WORK/shown" || fail "$(grep secret "$WORK/shown")"
    if grep -F 'from the file' "$WORK/shown"; then fail "a secret is shown"; fi
    if with "REGISTRY_HTTP_SECRET_FILE=$WORK/secret" REGISTRY_HTTP_SECRET=x -- "$REGISTRY_BIN" config check "$WORK/file.yml" >"$WORK/said" 2>&1; then
        fail "both were taken"
    fi
    assert_contains "$(cat "$WORK/said")" "is set by REGISTRY_HTTP_SECRET as well" "message"
    if with REGISTRY_HTTP_SECRET_FILE=/none -- "$REGISTRY_BIN" serve "$WORK/file.yml" >"$WORK/said" 2>&1; then fail "started"; fi
    assert_eq "$(cat "$WORK/said")" \
        "registry: REGISTRY_HTTP_SECRET_FILE: http.secret: cannot read the value from /none: No such file or directory (os error 2)" message
}

# What is shown is a configuration file that starts the same registry.
what_is_shown_starts() {
    write_config "$WORK/show.yml" 1 "$WORK/store-show"
    REG=127.0.0.1:$(free_port)
    with "REGISTRY_HTTP_ADDR=$REG" REGISTRY_HTTP_RELATIVEURLS=yes -- "$REGISTRY_BIN" config show "$WORK/show.yml" >"$WORK/again.yml"
    registry config check "$WORK/again.yml"
    clean "$REGISTRY_BIN" serve "$WORK/again.yml" >"$WORK/logs/again.log" 2>&1 </dev/null &
    REG_PID=$!
    own "$REG_PID"
    wait_ready "http://$REG/v2/" "$REG_PID" || fail "does not start: $(cat "$WORK/logs/again.log")"
    http_ok 202 POST /v2/a/blobs/uploads/ -H 'Content-Length: 0'
    assert_contains "$(header Location)" "/v2/a/blobs/uploads/" Location
    [[ $(header Location) == /* ]] || fail "relativeurls was lost: $(header Location)"
    stop "$REG_PID"
}

strict_check() {
    local line
    for line in 'loglevel: debug' 'htpp: {}' 'reporting: {bugsnag: {apikey: x}}' 'validation: {enabled: true}'; do
        EXTRA_CONFIG=$line write_config "$WORK/strict.yml" 5000 "$WORK/store"
        if registry config check "$WORK/strict.yml" >"$WORK/said" 2>&1; then fail "$line passed"; fi
        assert_contains "$(cat "$WORK/said")" "strict.yml:$(grep -n "^${line%%:*}" "$WORK/strict.yml" | cut -d: -f1):" "place of $line"
    done
}

# bash reads the completions and completes; man's own formatter reads the page.
completions_and_manual() {
    registry completions bash >"$WORK/completions"
    # shellcheck disable=SC2016 # it is for the inner shell
    bash -c '. "$1"; COMP_WORDS=(registry config sh); COMP_CWORD=2; _registry registry sh config; printf "%s\n" "${COMPREPLY[@]}"' \
        - "$WORK/completions" >"$WORK/said"
    assert_eq "$(cat "$WORK/said")" show "completion of config sh"
    registry completions zsh | grep -q '#compdef registry' || fail "zsh"
    registry completions fish | grep -q 'complete -c registry' || fail "fish"
    registry man >"$WORK/registry.1"
    grep -q '^\.TH registry 1' "$WORK/registry.1" || fail "no page"
    if command -v groff >/dev/null; then
        groff -man -Tascii -P-cbou -ww "$WORK/registry.1" >"$WORK/page" 2>"$WORK/said"
        grep -q '^REGISTRY CONFIG SHOW' "$WORK/page" || fail "groff does not read it: $(head -n 40 "$WORK/page")"
    fi
}

check "takes every variable that Distribution takes" every_variable_is_known_to_both
check "variables mean the same to both" variables_mean_the_same
check "does what is promised of variables" what_is_promised_works
check "takes secrets from files" secrets_come_from_files
check "shows a configuration that starts the same" what_is_shown_starts
check "checks strictly" strict_check
check "completes in bash, has a manual" completions_and_manual
finish
