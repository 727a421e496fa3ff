# shellcheck shell=bash
# Six clients that log in: docker, podman, skopeo, crane, oras, helm. Sourced
# after lib.sh; REG names the registry, over plain HTTP on loopback. Each client
# keeps its credentials in a directory of its own, so that what one may says
# nothing of another.
#
#   start_clients                         once, outside `check`: starts dockerd
#   client_login CLIENT USER PASSWORD     fails with the client
#   client_logout CLIENT
#   client_push CLIENT REPOSITORY:TAG     new content; prints its digest
#   client_pull CLIENT REPOSITORY:TAG     prints the digest of what came
#   round_trip CLIENT REPOSITORY:TAG      both, and the digests are the same
#   refused ACTION CLIENT ARGUMENTS…      ACTION (login, push, pull) fails, and
#                                         the client says that it was refused
#
# A tag is a version (1.0.0): helm takes no other.
CLIENTS=(docker podman skopeo crane oras helm)
CLIENT_SECONDS=${CLIENT_SECONDS:-60}

# start_clients [CLIENT…]: makes ready all clients, or those.
start_clients() {
    local client
    (($# > 0)) || set -- "${CLIENTS[@]}"
    for client; do
        mkdir -p "$WORK/clients/$client"
        echo '{}' >"$WORK/clients/$client/config.json"
        [[ $client != docker ]] || start_dockerd
    done
}

# A private engine; its socket path must stay short. A suite with a
# suite_cleanup of its own calls unmount_dockerd in it.
start_dockerd() {
    local dir=$WORK/d pid
    DOCKER_LOG=$WORK/logs/dockerd.log
    mkdir -p "$dir"
    declare -F suite_cleanup >/dev/null || eval 'suite_cleanup() { unmount_dockerd; }'
    dockerd -H "unix://$dir/d.sock" --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/d.pid" \
        --storage-driver vfs --iptables=false --ip6tables=false --bridge=none >"$DOCKER_LOG" 2>&1 </dev/null &
    pid=$!
    disown "$pid"
    own "$pid"
    export DOCKER_HOST=unix://$dir/d.sock DOCKER_BUILDKIT=0
    wait_ready http://localhost/_ping "$pid" --unix-socket "$dir/d.sock" || {
        tail -n 30 "$DOCKER_LOG"
        fail "dockerd did not start"
    }
}

unmount_dockerd() { umount -R "$WORK/d/exec/netns/default" "$WORK/d/exec" "$WORK/d/data" 2>/dev/null || true; }

# run_client CLIENT ARGUMENTS…: the program with the options that it always has.
run_client() {
    local client=$1 config=$WORK/clients/$1
    shift
    case $client in
    # Debian's own client, which speaks exactly the engine's version of the API.
    docker) set -- /usr/bin/docker --config "$config" "$@" ;;
    podman)
        set -- env REGISTRY_AUTH_FILE="$config/config.json" podman --root "$WORK/p/root" --runroot "$WORK/p/run" \
            --tmpdir "$WORK/p/tmp" --storage-driver vfs --cgroup-manager cgroupfs --events-backend none "$@"
        ;;
    skopeo) set -- env REGISTRY_AUTH_FILE="$config/config.json" skopeo "$@" ;;
    crane) set -- env DOCKER_CONFIG="$config" "$TOOLS/crane" --insecure "$@" ;;
    oras) set -- env DOCKER_CONFIG="$config" "$TOOLS/oras" "$@" ;;
    helm) set -- env HELM_REGISTRY_CONFIG="$config/config.json" "$TOOLS/helm" "$@" ;;
    *) fail "unknown client $client" ;;
    esac
    timeout "$CLIENT_SECONDS" "$@"
}

client_login() {
    local client=$1 user=$2 password=$3
    case $client in
    docker) run_client docker login -u "$user" --password-stdin "$REG" <<<"$password" ;;
    podman | skopeo) run_client "$client" login --tls-verify=false -u "$user" --password-stdin "$REG" <<<"$password" ;;
    crane) run_client crane auth login -u "$user" --password-stdin "$REG" <<<"$password" && crane_checks_login ;;
    oras) run_client oras login --plain-http -u "$user" --password-stdin "$REG" <<<"$password" ;;
    helm) run_client helm registry login --plain-http -u "$user" --password-stdin "$REG" <<<"$password" ;;
    esac >&2
}

# `crane auth login` writes the file and asks nobody: what it wrote is tried, at
# the token server if there is one, or else at the registry's base.
crane_checks_login() {
    local challenge user
    challenge=$(curl -sS -o /dev/null -D - "http://$REG/v2/")
    if grep -qi '^www-authenticate: bearer' <<<"$challenge"; then
        run_client crane auth token "$REG/nothing/here"
    else
        user=$(jq -r ".auths[\"$REG\"] | .auth // (\"\(.username):\(.password)\" | @base64)" "$WORK/clients/crane/config.json")
        curl -sS --fail -H "Authorization: Basic $user" "http://$REG/v2/"
    fi
}

client_logout() {
    case $1 in
    helm) run_client helm registry logout "$REG" ;;
    crane) run_client crane auth logout "$REG" ;;
    *) run_client "$1" logout "$REG" ;;
    esac >&2
}

# one_file DIRECTORY: a directory of new content, for whoever packs it.
one_file() {
    mkdir -p "$1"
    head -c 5000 /dev/urandom >"$1/file"
}

client_push() {
    local client=$1 name=$2 scratch digest
    scratch=$(mktemp -d)
    case $client in
    docker | podman)
        one_file "$scratch/root"
        tar -C "$scratch/root" -cf "$scratch/root.tar" file
        run_client "$client" import "$scratch/root.tar" "$REG/$name" >&2 || return
        ;;
    skopeo | crane)
        mkdir "$scratch/layout"
        echo '{"imageLayoutVersion":"1.0.0"}' >"$scratch/layout/oci-layout"
        make_image "$scratch/layout" amd64 5000 | jq -c '{schemaVersion: 2,
            manifests: [. + {annotations: {"org.opencontainers.image.ref.name": "it"}}]}' >"$scratch/layout/index.json"
        ;;
    oras) one_file "$scratch/root" ;;
    helm)
        local chart=${name%:*}
        mkdir -p "$scratch/chart/templates"
        printf 'apiVersion: v2\nname: %s\nversion: %s\ndescription: %s\n' \
            "${chart##*/}" "${name##*:}" "$(basename "$scratch")" >"$scratch/chart/Chart.yaml"
        run_client helm package --destination "$scratch" "$scratch/chart" >&2 || return
        ;;
    esac
    case $client in
    docker)
        run_client docker push "$REG/$name" >"$scratch/said" || return
        digest=$(sed -n 's/.*digest: \(sha256:[0-9a-f]*\).*/\1/p' "$scratch/said")
        ;;
    podman)
        run_client podman push --quiet --tls-verify=false --digestfile "$scratch/digest" "$REG/$name" >&2 || return
        digest=$(cat "$scratch/digest")
        ;;
    skopeo)
        run_client skopeo copy --quiet --dest-tls-verify=false --digestfile "$scratch/digest" \
            "oci:$scratch/layout:it" "docker://$REG/$name" >&2 || return
        digest=$(cat "$scratch/digest")
        ;;
    crane)
        digest=$(run_client crane push "$scratch/layout" "$REG/$name") || return
        digest=${digest##*@}
        ;;
    oras)
        digest=$(cd "$scratch/root" && run_client oras push --no-tty --plain-http --format json "$REG/$name" file) || return
        digest=$(jq -r .digest <<<"$digest")
        ;;
    helm)
        run_client helm push --plain-http "$scratch"/*.tgz "oci://$REG/$(dirname "${name%:*}")" >"$scratch/said" 2>&1 || {
            cat "$scratch/said" >&2
            return 1
        }
        digest=$(sed -n 's/^Digest: //p' "$scratch/said")
        ;;
    esac
    rm -rf "$scratch"
    [[ $digest == sha256:* ]] || fail "$client told no digest of what it pushed"
    echo "$digest"
}

client_pull() {
    local client=$1 name=$2 scratch digest
    scratch=$(mktemp -d)
    case $client in
    docker)
        run_client docker rmi --force "$REG/$name" >/dev/null 2>&1 || true
        run_client docker pull "$REG/$name" >"$scratch/said" || return
        digest=$(sed -n 's/^Digest: //p' "$scratch/said")
        ;;
    podman)
        run_client podman rmi --force "$REG/$name" >/dev/null 2>&1 || true
        run_client podman pull --quiet --tls-verify=false "$REG/$name" >&2 || return
        digest=$(run_client podman image inspect --format '{{.Digest}}' "$REG/$name") || return
        ;;
    skopeo)
        run_client skopeo copy --quiet --preserve-digests --src-tls-verify=false "docker://$REG/$name" "dir:$scratch/it" >&2 || return
        digest=$(digest_of "$scratch/it/manifest.json")
        ;;
    crane)
        run_client crane pull --format oci "$REG/$name" "$scratch/it" >&2 || return
        digest=$(jq -r '.manifests[0].digest' "$scratch/it/index.json")
        ;;
    oras)
        digest=$(run_client oras pull --no-tty --plain-http --format json -o "$scratch/it" "$REG/$name") || return
        digest=$(jq -r '.reference | split("@")[1]' <<<"$digest")
        ;;
    helm)
        run_client helm pull --plain-http --destination "$scratch" "oci://$REG/${name%:*}" --version "${name##*:}" >"$scratch/said" 2>&1 || {
            cat "$scratch/said" >&2
            return 1
        }
        digest=$(sed -n 's/^Digest: //p' "$scratch/said")
        ;;
    esac
    rm -rf "$scratch"
    [[ $digest == sha256:* ]] || fail "$client told no digest of what it pulled"
    echo "$digest"
}

round_trip() {
    local pushed pulled
    pushed=$(client_push "$@")
    pulled=$(client_pull "$@")
    assert_eq "$pulled" "$pushed" "digest that $1 pulled and that it pushed"
}

# refused login|push|pull CLIENT ARGUMENTS…
refused() {
    local action=$1 said
    shift
    if said=$("client_$action" "$@" 2>&1); then
        echo "$said"
        fail "$1 was let through: $action $2"
    fi
    echo "$said"
    # The last three are what a client says after a challenge that it has no answer for.
    grep -qiE 'unauthori[sz]ed|denied|authentication required|forbidden|[^0-9]40[13]([^0-9]|$)|no basic auth credentials|invalid username/password|basic credential not found' <<<"$said" ||
        fail "$1 failed, but not because it was refused: $said"
}
