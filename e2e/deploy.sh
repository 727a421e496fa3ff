#!/usr/bin/env bash
# What deploy/ ships: systemd units against systemd's own checks, a strace and a real activated socket; the Debian
# package with lintian, installed, upgraded, removed and purged in a throw-away layer over this system; the image under
# podman, read-only and unprivileged; manifests and chart rendered and validated against the API server's schemas, and
# the configuration in them given to the binary; keys of the issuer in a Secret. Needs root, REGISTRY_BIN, and the static binary that
# deploy/container/static.sh builds (STATIC_BIN, default target/static/registry).
SUITE=deploy
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

DEPLOY=$REPO/deploy
CHART=$DEPLOY/helm/registry
STATIC_BIN=${STATIC_BIN:-$REPO/target/static/registry}
export PYTHONPATH=$TOOLS/kubernetes-validate PYTHONDONTWRITEBYTECODE=1
export HELM_CACHE_HOME=$WORK/helm HELM_CONFIG_HOME=$WORK/helm HELM_DATA_HOME=$WORK/helm

[[ -x $REGISTRY_BIN ]] || fail "no registry at $REGISTRY_BIN"
[[ -x $STATIC_BIN ]] || fail "no static registry at $STATIC_BIN; deploy/container/static.sh builds it"
# Several minutes lie between the two builds, so that only a static binary of other sources is far older.
if (($(stat -c %Y "$STATIC_BIN") + ${E2E_STATIC_AGE:-86400} < $(stat -c %Y "$REGISTRY_BIN"))); then
    fail "$STATIC_BIN is a day older than $REGISTRY_BIN; build it again with deploy/container/static.sh"
fi

# ------------------------------------------------------------------ systemd

unit_exposure() {
    systemd-analyze security --offline=true --threshold=15 --no-pager "$DEPLOY/systemd/registry.service" >"$WORK/exposure" ||
        fail "exposed more than 1.5: $(grep -e '✗' -e Overall "$WORK/exposure")"
    grep Overall "$WORK/exposure"
}

# The system calls of a set such as @system-service, those of sets in it included.
calls_of() {
    local line
    systemd-analyze syscall-filter "$1" | sed 1d | while read -r line; do
        case $line in
        '#'* | '') ;;
        @*) calls_of "$line" ;;
        *) echo "$line" ;;
        esac
    done
}

# Every system call of a server at work is one that the unit allows.
unit_system_calls() {
    local port unit=$DEPLOY/systemd/registry.service
    sed -n 's/^SystemCallFilter=~//p' "$unit" | tr ' ' '\n' | while read -r set; do calls_of "$set"; done >"$WORK/denied"
    calls_of "$(sed -n 's/^SystemCallFilter=@/@/p' "$unit")" | grep -vxFf "$WORK/denied" >"$WORK/allowed"
    sed -n 's/^SystemCallFilter=\([a-z].*\)/\1/p' "$unit" | tr ' ' '\n' >>"$WORK/allowed"
    (($(wc -l <"$WORK/denied") > 20 && $(wc -l <"$WORK/allowed") > 200)) || fail "the filter could not be read"
    port=$(free_port)
    htpasswd -cbB -C 4 "$WORK/htpasswd" alice secret 2>/dev/null
    EXTRA_CONFIG="auth: {htpasswd: {realm: traced, path: $WORK/htpasswd}}" write_config "$WORK/traced.yml" "$port" "$WORK/traced"
    (clean strace -f -qq -o "$WORK/strace" "$REGISTRY_BIN" serve "$WORK/traced.yml") >"$WORK/logs/traced.log" 2>&1 </dev/null &
    REG_PID=$!
    own "$REG_PID"
    REG=127.0.0.1:$port
    wait_ready "http://$REG/v2/" "$REG_PID" || fail "not ready: $(tail -n 3 "$WORK/logs/traced.log")"
    make_fixtures "$WORK/layout"
    skopeo copy --quiet --dest-creds alice:secret --dest-tls-verify=false "oci:$WORK/layout:image" "docker://$REG/traced/image:v1"
    skopeo copy --quiet --src-creds alice:secret --src-tls-verify=false "docker://$REG/traced/image:v1" "dir:$WORK/traced-image"
    same_image_bytes "$WORK/traced-image" "$WORK/layout" "$IMAGE"
    http_ok 202 DELETE "/v2/traced/image/manifests/$IMAGE" -u alice:secret
    # strace passes the signal on by dying; end the registry, which ends strace.
    kill -TERM "$(pgrep -P "$(pgrep -P "$REG_PID" -x strace || echo "$REG_PID")" -x "$(basename "$REGISTRY_BIN")")"
    wait_gone "$REG_PID" 15 || fail "did not stop"
    sed -n 's/^[0-9]* *\([a-z0-9_]*\)(.*/\1/p' "$WORK/strace" | sort -u >"$WORK/used"
    (($(wc -l <"$WORK/used") > 30)) && grep -qx setpriority "$WORK/used" || fail "only these calls were seen: $(xargs <"$WORK/used")"
    # execve is systemd's own, before the filter is in force.
    grep -vxF execve "$WORK/used" | grep -vxFf "$WORK/allowed" >"$WORK/refused" || true
    [[ ! -s $WORK/refused ]] || fail "SystemCallFilter forbids: $(xargs <"$WORK/refused")"
}

# What registry.socket does: the port is open before the service runs, and goes to it with the first connection.
socket_activation() {
    local port
    port=$(free_port)
    sed "s#rootdirectory:.*#rootdirectory: $WORK/activated#" "$DEPLOY/systemd/config.yml" >"$WORK/activated.yml"
    (clean systemd-socket-activate --listen="127.0.0.1:$port" "$REGISTRY_BIN" serve "$WORK/activated.yml") \
        >"$WORK/logs/activated.log" 2>&1 </dev/null &
    REG_PID=$!
    own "$REG_PID"
    REG=127.0.0.1:$port
    REG_LOG=$WORK/logs/activated.log
    wait_ready "http://$REG/v2/" "$REG_PID" || fail "not ready: $(cat "$REG_LOG")"
    echo activated >"$WORK/small"
    push_blob activated "$WORK/small" >/dev/null
    stop "$REG_PID"
    assert_contains "$(cat "$REG_LOG")" stopped "log"
}

# What Type=notify and ExecReload= build on: READY when it answers, SIGHUP survived, STOPPING at the end.
unit_notifications() {
    local port i told=$WORK/told
    grep -qx Type=notify "$DEPLOY/systemd/registry.service" || fail "the unit is of another type"
    python3 - "$WORK/notify" "$told" <<'PYTHON' &
import socket, sys
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind(sys.argv[1])
with open(sys.argv[2], "w", buffering=1) as told:
    while True:
        print(manager.recv(4096).decode(), file=told)
PYTHON
    own $!
    for ((i = 0; i < 100; i++)); do
        if [[ -S $WORK/notify ]]; then break; fi
        sleep 0.1
    done
    port=$(free_port)
    write_config "$WORK/notified.yml" "$port" "$WORK/notified"
    (clean env NOTIFY_SOCKET="$WORK/notify" "$REGISTRY_BIN" serve "$WORK/notified.yml") >"$WORK/logs/notified.log" 2>&1 </dev/null &
    REG_PID=$!
    own "$REG_PID"
    for ((i = 0; i < 100; i++)); do
        if grep -qsx READY=1 "$told"; then break; fi
        sleep 0.1
    done
    grep -qx READY=1 "$told" || fail "never ready: $(cat "$told")"
    curl -fsS -o /dev/null --max-time 5 "http://127.0.0.1:$port/v2/" || fail "ready, but it does not answer"
    kill -HUP "$REG_PID"
    sleep 0.5
    curl -fsS -o /dev/null --max-time 5 "http://127.0.0.1:$port/v2/" || fail "SIGHUP ended it"
    stop "$REG_PID"
    grep -qx STOPPING=1 "$told" || fail "did not say that it stops: $(cat "$told")"
}

# ----------------------------------------------------------- Debian package

package_builds() {
    "$DEPLOY/debian/build.sh" "$REGISTRY_BIN" "$WORK/deb" >"$WORK/package"
    SOURCE_DATE_EPOCH=$(stat -c %Y "$REPO/CHANGELOG.md") "$DEPLOY/debian/build.sh" "$REGISTRY_BIN" "$WORK/deb-again" >"$WORK/package-again"
    assert_same_bytes "$(cat "$WORK/package")" "$(cat "$WORK/package-again")" "the same sources give the same package"
}

package_lint() { lintian --allow-root --fail-on error,warning "$(cat "$WORK/package")"; }

package_installs() {
    mkdir "$WORK/overlay"
    timeout 120 unshare --mount --net --pid --fork --kill-child --mount-proc bash "$E2E/deploy/package.sh" "$(cat "$WORK/package")" "$WORK/overlay"
}

# ------------------------------------------------------------------ cluster

# checked NAME FILE: validates what was rendered, and gives its configuration to the binary, with its variables. Secrets
# are where the pod would have them, below a directory of ours.
checked() {
    local secrets=$WORK/secrets variables=()
    python3 "$E2E/deploy/manifests.py" "$2" --config "$WORK/$1.config" --env "$WORK/$1.env" --custom "$WORK/$1.custom" \
        --external Secret/registry-secrets Secret/registry-issuer Secret/registry-tls ServiceAccount/images PersistentVolumeClaim/images
    crds <"$WORK/$1.custom"
    sed -i "s#/run/secrets/#$secrets/#" "$WORK/$1.config" "$WORK/$1.env"
    mapfile -t variables < <(sed -n 's/^env //p' "$WORK/$1.env")
    (clean env "${variables[@]}" "$REGISTRY_BIN" config check "$WORK/$1.config") >"$WORK/$1.said" 2>&1 || fail "$(cat "$WORK/$1.said")"
    assert_eq "$(cat "$WORK/$1.said")" "$WORK/$1.config: ok" "config check"
}

make_secrets() {
    mkdir -p "$WORK/secrets/registry" "$WORK/secrets/tls"
    echo a-secret-for-all-replicas >"$WORK/secrets/registry/http-secret"
    echo the-secret-of-the-bucket | tee "$WORK/secrets/registry/bucket-secret" >"$WORK/secrets/registry/secret-key"
    echo AKIAEXAMPLE >"$WORK/secrets/registry/access-key"
    htpasswd -cbB -C 4 "$WORK/secrets/registry/htpasswd" alice secret 2>/dev/null
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE \
        -keyout "$WORK/secrets/tls/tls.key" -out "$WORK/secrets/tls/tls.crt" 2>/dev/null
}

overlay_is_valid() {
    kustomize build "$DEPLOY/kubernetes/overlays/$1" >"$WORK/kustomize-$1.yaml"
    checked "kustomize-$1" "$WORK/kustomize-$1.yaml"
}

chart_lints() {
    local values
    helm lint --strict "$CHART"
    for values in "$CHART"/ci/*.yaml; do helm lint --strict "$CHART" --values "$values"; done
}

render() {
    local name=$1
    shift
    helm template registry "$CHART" --namespace images --kube-version 1.33.0 "$@" >"$WORK/$name.yaml"
}

chart_is_valid() {
    render "helm-$1" --values "$CHART/$2"
    checked "helm-$1" "$WORK/helm-$1.yaml"
}

# chart_refuses WORDS ARGUMENTS…: rendering fails and says WORDS.
chart_refuses() {
    local words=$1
    shift
    if render refused "$@" >"$WORK/said" 2>&1; then fail "accepted: $*"; fi
    assert_contains "$(tr '\n' ' ' <"$WORK/said")" "$words" "message for $*"
}

chart_mistakes() {
    chart_refuses replicaCount --set replicaCount=3
    chart_refuses 'replicas: 2 pods cannot share a volume of ReadWriteOnce' --set 'persistence.accessModes={ReadWriteOnce}'
    chart_refuses 'replicas: 2 pods would each have a store of their own' --set persistence.enabled=false
    chart_refuses '/service/type' --set service.type=Loadbalancer
    chart_refuses '/image/digest' --set image.digest=latest
    chart_refuses 'name the Secret in secrets.existingSecret' --set secrets.files.REGISTRY_HTTP_SECRET=http-secret
    chart_refuses 'nothing uses keys' --set issuerKeys.existingSecret=registry-issuer
    chart_refuses 'config.auth.issuer.keys' --set issuerKeys.existingSecret=registry-issuer,config.auth.issuer.keys=/keys
    chart_refuses '2 pods would refuse the tokens of each other' --set config.auth.issuer.service=registry
    chart_refuses 'metrics.serviceMonitor needs metrics.enabled' --set metrics.serviceMonitor.enabled=true
    chart_refuses 'ingress.host' --set ingress.enabled=true
    chart_refuses 'httpRoute.parentRefs' --set httpRoute.enabled=true
    chart_refuses 'config.http.addr' --set config.http.addr=:80
    chart_refuses 'rootdirectory' --set config.storage.filesystem.rootdirectory=/data
    chart_refuses 'nothing is left of terminationGracePeriodSeconds' --set preStopSleepSeconds=60
}

# A changed configuration is a new pod template; anything else that is the same is the same.
chart_rolls_out() {
    local before after
    render before
    render after --set config.log.level=debug
    before=$(grep checksum/config "$WORK/before.yaml")
    after=$(grep checksum/config "$WORK/after.yaml")
    assert_ne "$before" "$after" "checksum"
    render after
    assert_same_bytes "$WORK/before.yaml" "$WORK/after.yaml" "rendered twice"
}

# notes ARGUMENTS…: what `helm install` would print; that itself wants a cluster, and `helm template` prints no notes.
notes() {
    rm -rf "$WORK/noted"
    cp -r "$CHART" "$WORK/noted"
    {
        echo '{{- define "noted" -}}'
        cat "$CHART/templates/NOTES.txt"
        printf '{{- end -}}\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: noted}\ndata:\n  notes: {{ include "noted" . | toJson }}\n'
    } >"$WORK/noted/templates/noted.yaml"
    helm template registry "$WORK/noted" --kube-version 1.33.0 --show-only templates/noted.yaml "$@" |
        sed -n 's/^  notes: //p' | jq -r . >"$WORK/notes"
    cat "$WORK/notes"
}

chart_notes() {
    notes --namespace images
    assert_contains "$(cat "$WORK/notes")" "No access control" "notes without auth"
    assert_contains "$(cat "$WORK/notes")" "--namespace images port-forward service/registry 5000:5000" "notes without ingress"
    notes --set ingress.enabled=true,ingress.host=images.test,config.auth.htpasswd.realm=images
    assert_contains "$(cat "$WORK/notes")" "docker push images.test/hello" "notes with ingress"
    assert_contains "$(cat "$WORK/notes")" "networkPolicy.from" "notes with ingress"
    [[ $(cat "$WORK/notes") != *"No access control"* ]] || fail "notes with auth"
    notes --values "$CHART/ci/single-values.yaml"
    assert_contains "$(cat "$WORK/notes")" "One volume, one pod" "notes with one volume"
}

issuer_keys() { timeout 60 unshare --mount bash "$E2E/deploy/issuer.sh" "$REGISTRY_BIN" "$DEPLOY/issuer-keys.sh" "$WORK"; }

# -------------------------------------------------------------------- image

image_runs() {
    sed -n 's/^probe //p' "$WORK/helm-default.env" | sort -u >"$WORK/probes"
    assert_eq "$(wc -l <"$WORK/probes")" 2 "probes of the manifests"
    mkdir "$WORK/podman"
    timeout 120 unshare --mount --net --pid --fork --kill-child --mount-proc bash "$E2E/deploy/image.sh" "$STATIC_BIN" "$WORK/helm-default.config" "$WORK/probes" "$WORK/podman"
}

make_secrets
check "the unit leaves little exposed" unit_exposure
check "the unit allows every system call of a server at work" unit_system_calls
check "systemd hands an open socket over" socket_activation
check "the process tells systemd what the unit says it tells" unit_notifications
check "the Debian package builds, twice the same" package_builds
check "lintian has nothing to say" package_lint
check "the package installs, serves, upgrades, and leaves the store" package_installs
for overlay in single production bucket; do
    check "kustomize overlay $overlay is valid" overlay_is_valid "$overlay"
done
check "the chart passes helm lint" chart_lints
check "chart with default values is valid" chart_is_valid default values.yaml
for values in "$CHART"/ci/*-values.yaml; do
    values=$(basename "$values" -values.yaml)
    check "chart with ci/$values is valid" chart_is_valid "$values" "ci/$values-values.yaml"
done
check "the chart refuses what cannot work" chart_mistakes
check "a changed configuration is rolled out" chart_rolls_out
check "the chart says what to do next" chart_notes
check "pods with the same Secret of keys take the tokens of each other, and rotate them" issuer_keys
check "the image runs read-only, unprivileged, with the chart's configuration and probes" image_runs
finish
