#!/usr/bin/env bash
# Installs what the suites need: clients from Debian's packages, and Go programs
# at the versions pinned in e2e/tools/*, built into e2e/.tools (not committed).
# What is there already is left alone, so that a second run takes no time.
set -euo pipefail
E2E=$(cd "$(dirname "$0")" && pwd)
TOOLS=$E2E/.tools
export PATH="$PATH:/usr/sbin:/sbin:/usr/local/go/bin"

# --- Debian packages: command, package
wanted=(
    curl:curl jq:jq python3:python3 strace:strace skopeo:skopeo podman:podman buildah:buildah
    /usr/bin/docker:docker.io dockerd:docker.io docker-registry:docker-registry redis-server:redis-server openssl:openssl /usr/bin/aiosmtpd:python3-aiosmtpd
    lintian:lintian systemd-analyze:systemd systemd-socket-activate:systemd dpkg-shlibdeps:dpkg-dev strip:binutils man:man-db ip:iproute2 pip3:python3-pip htpasswd:apache2-utils
    promtool:prometheus npm:npm
)
missing=()
for entry in "${wanted[@]}"; do
    command -v "${entry%%:*}" >/dev/null || missing+=("${entry#*:}")
done
[[ -e /etc/ssl/certs/ca-certificates.crt ]] || missing+=(ca-certificates)
if ((${#missing[@]} > 0)); then
    mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
    echo "install: apt-get install ${missing[*]}"
    # Packages would start their services; the suites run private ones instead.
    policy=/usr/sbin/policy-rc.d
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        trap 'rm -f "$policy"' EXIT
    fi
    export DEBIAN_FRONTEND=noninteractive
    timeout 300 apt-get update -qq </dev/null
    timeout 900 apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >"$E2E/.apt.log" 2>&1 || {
        tail -n 30 "$E2E/.apt.log"
        exit 1
    }
    rm -f "$E2E/.apt.log"
fi

# --- Go programs: module directory, output, package, how to build
mkdir -p "$TOOLS"
build() {
    local module=$1 output=$2 package=$3 stamp
    shift 3
    stamp=$(cat "$E2E/tools/$module/go.mod" "$E2E/tools/$module/go.sum" | sha256sum | cut -d' ' -f1)
    if [[ -x $TOOLS/$output && $(cat "$TOOLS/$output.stamp" 2>/dev/null) == "$stamp" ]]; then return; fi
    echo "install: building $output from e2e/tools/$module"
    (cd "$E2E/tools/$module" && CGO_ENABLED=0 GOFLAGS='-buildvcs=false -mod=readonly' GOTOOLCHAIN=local \
        timeout 900 go "$@" -trimpath -o "$TOOLS/$output" "$package" </dev/null)
    echo "$stamp" >"$TOOLS/$output.stamp"
}
build crane crane github.com/google/go-containerregistry/cmd/crane build
build oras oras oras.land/oras/cmd/oras build
build distribution distribution github.com/distribution/distribution/v3/cmd/registry build
# Its configuration reference, which is in its module.
reference=$TOOLS/distribution-configuration.md
if [[ ! -s $reference || $(cat "$reference.stamp" 2>/dev/null) != "$(cat "$TOOLS/distribution.stamp")" ]]; then
    module=$(cd "$E2E/tools/distribution" && GOTOOLCHAIN=local timeout 300 go mod download -json github.com/distribution/distribution/v3 |
        jq -r .Dir)
    install -m 644 "$module/docs/content/about/configuration.md" "$reference"
    cp "$TOOLS/distribution.stamp" "$reference.stamp"
fi
build token-server token-server github.com/docker/distribution/contrib/token-server build
build conformance conformance-2023 github.com/opencontainers/distribution-spec/conformance test -c
build helm helm helm.sh/helm/v3/cmd/helm build
build kustomize kustomize sigs.k8s.io/kustomize/kustomize/v5 build
build crds crds . build
build pebble pebble github.com/letsencrypt/pebble/v2/cmd/pebble build
build pebble pebble-challtestsrv github.com/letsencrypt/pebble/v2/cmd/pebble-challtestsrv build
build minio minio github.com/minio/minio build -ldflags='-s -w'

# --- Python: the schemas of Kubernetes' API servers
schemas=$TOOLS/kubernetes-validate
if [[ $(cat "$schemas.stamp" 2>/dev/null) != 1.37.0 ]]; then
    echo "install: kubernetes-validate 1.37.0"
    rm -rf "$schemas"
    timeout 300 python3 -m pip install --quiet --root-user-action ignore --target "$schemas" kubernetes-validate==1.37.0 </dev/null
    echo 1.37.0 >"$schemas.stamp"
fi

# --- Python: a parser of Prometheus' text, the messages of OTLP, and keys and certificates of every kind
libraries=(prometheus-client==0.26.0 opentelemetry-proto==1.45.2 grpcio==1.85.1 cryptography==48.0.0)
if [[ $(cat "$TOOLS/python.stamp" 2>/dev/null) != "${libraries[*]}" ]]; then
    echo "install: ${libraries[*]}"
    rm -rf "$TOOLS/python"
    timeout 300 python3 -m pip install --quiet --root-user-action ignore --target "$TOOLS/python" "${libraries[@]}" </dev/null
    echo "${libraries[*]}" >"$TOOLS/python.stamp"
fi

# --- Python: moto, a second S3
moto=('moto[s3]==5.2.5' flask==3.1.2 flask-cors==6.0.1)
if [[ $(cat "$TOOLS/moto.stamp" 2>/dev/null) != "${moto[*]}" ]]; then
    echo "install: ${moto[*]}"
    rm -rf "$TOOLS/moto"
    timeout 300 python3 -m pip install --quiet --root-user-action ignore --target "$TOOLS/moto" "${moto[@]}" </dev/null
    echo "${moto[*]}" >"$TOOLS/moto.stamp"
fi

# --- Node: Azurite, an emulator of Azure's Blob service
stamp=$(sha256sum <"$E2E/tools/azurite/package-lock.json")
if [[ $(cat "$TOOLS/azurite.stamp" 2>/dev/null) != "$stamp" ]]; then
    echo "install: azurite from e2e/tools/azurite"
    rm -rf "$TOOLS/azurite"
    mkdir "$TOOLS/azurite"
    cp "$E2E/tools/azurite/package.json" "$E2E/tools/azurite/package-lock.json" "$TOOLS/azurite/"
    (cd "$TOOLS/azurite" && timeout 300 npm ci --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null)
    echo "$stamp" >"$TOOLS/azurite.stamp"
fi

# --- Go's own reader of profiles
[[ -x $TOOLS/pprof ]] || GOTOOLCHAIN=local timeout 300 go build -o "$TOOLS/pprof" cmd/pprof

echo "install: $(skopeo --version), $(podman --version), $(buildah --version | cut -d'(' -f1)"
echo "install: $(/usr/bin/docker --version), docker-registry $(docker-registry --version | awk '{print $NF}')"
echo "install: oras $("$TOOLS/oras" version | awk 'NR == 1 {print $2}'), crane and Distribution:"
go version -m "$TOOLS/crane" "$TOOLS/distribution" | awk '$1 == "mod" { print "install:   " $2 " " $3 }'
