#!/usr/bin/env bash
# image.sh BINARY CONFIG PROBES DIRECTORY: builds the image of BINARY and runs it as our manifests do, with CONFIG
# mounted, read-only, as user 65532, without capabilities. Runs in mount and network namespaces of its own, so that the
# ports 5000 and 53 are free and the layout of the host's control groups does not matter.
set -euo pipefail
binary=$1 config=$2 probes=$3 work=$4
here=$(cd "$(dirname "$0")" && pwd)
umount -R /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
ip link set lo up
python3 "$here/dns.py" &
dns=$!
running=
trap 'kill $dns $running 2>/dev/null || true' EXIT

cat >"$work/podman" <<SH
#!/bin/sh
exec podman --root "$work/root" --runroot "$work/run" --tmpdir "$work/tmp" --storage-driver vfs \
    --cgroup-manager cgroupfs --events-backend none "\$@"
SH
chmod +x "$work/podman"
fail() {
    echo "FAILED: $*"
    cat "$work/log" 2>/dev/null
    exit 1
}

"$here/../../deploy/container/build.sh" --tool "$work/podman" --binary "$binary" --tag registry -- --quiet >/dev/null
described=$("$work/podman" image inspect --format '{{json .Config}}' registry)
jq -e '.User == "65532:65532" and .Entrypoint == ["/usr/bin/registry"] and .Volumes == {"/var/lib/registry": {}} and
    .Cmd == ["serve", "/etc/registry/config.yml"] and .ExposedPorts == {"5000/tcp": {}}' <<<"$described" >/dev/null ||
    fail "the image is described as $described"
container=$("$work/podman" create --network none registry)
files=$("$work/podman" export "$container" | tar -t | grep -v -e '/$' -e '^\(dev\|proc\|sys\|run\)/' | LC_ALL=C sort | xargs)
"$work/podman" rm "$container" >/dev/null
expected='etc/group etc/nsswitch.conf etc/passwd etc/registry/config.yml etc/ssl/certs/ca-certificates.crt usr/bin/registry'
# podman adds these two for the network of a container.
files=$(tr ' ' '\n' <<<"$files" | grep -vx -e etc/hosts -e etc/resolv.conf -e etc/hostname -e etc/mtab | xargs)
[[ $files == "$expected" ]] || fail "the image has the files $files"
echo "image: $(stat -c %s "$binary") bytes, $files"

# start URL ARGUMENTS…: runs a container until it answers there.
start() {
    local url=$1 i
    shift
    "$work/podman" run --rm --name registry --network host --cgroups=disabled --ulimit nofile=1024:1024 \
        --ulimit nproc=1024:1024 --read-only --read-only-tmpfs=false --user 65532:65532 --cap-drop ALL \
        --security-opt no-new-privileges --volume store:/var/lib/registry --dns 127.0.0.1 "$@" registry \
        >"$work/log" 2>&1 </dev/null &
    running=$!
    for ((i = 0; i < 100; i++)); do
        curl -fsS -o /dev/null --max-time 2 "$url" 2>/dev/null && return
        kill -0 $running 2>/dev/null || break
        sleep 0.1
    done
    fail "nothing answers at $url"
}

# end: SIGTERM, as a cluster sends it; every request is answered, so the exit code is 0.
end() {
    local code=0
    kill -TERM $running
    wait $running || code=$?
    running=
    ((code == 0)) || fail "exit code $code"
}

# The configuration that is in the image: a blob goes in.
start http://127.0.0.1:5000/v2/
echo blob >"$work/blob"
digest=sha256:$(sha256sum <"$work/blob" | cut -d' ' -f1)
location=$(curl -fsS --max-time 10 -X POST -D - -o /dev/null -H 'Content-Length: 0' http://127.0.0.1:5000/v2/a/blobs/uploads/ |
    tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
separator='?'
[[ $location != *\?* ]] || separator='&'
curl -fsS -o /dev/null --max-time 10 -X PUT -H 'Content-Type: application/octet-stream' --data-binary "@$work/blob" \
    "$location${separator}digest=$digest" || fail "the blob was refused"
server=$("$work/podman" inspect --format '{{.State.Pid}}' registry)
awk '/^Uid:/ && $2 == 65532 && $3 == 65532 { n++ } /^CapEff:/ && $2 ~ /^0+$/ { n++ } /^NoNewPrivs:/ && $2 == 1 { n++ }
    END { exit n != 3 }' "/proc/$server/status" || fail "the process runs as $(cat "/proc/$server/status")"
writable=$(awk '$6 ~ /^rw/ && $5 !~ "^/(dev|proc|sys|run|etc/(hosts|resolv.conf|hostname))" { print $5 }' "/proc/$server/mountinfo" | xargs)
[[ $writable == /var/lib/registry ]] || fail "writable: $writable"
echo "process: user 65532, no capabilities, writes only $writable"
end

# The configuration of the manifests, with their probes, on the same store: the blob is there.
mkdir -p "$work/etc"
cp "$config" "$work/etc/config.yml"
chmod 0755 "$work/etc"
start http://127.0.0.1:5000/v2/ --volume "$work/etc:/etc/registry:ro"
[[ $(curl -fsS --max-time 10 "http://127.0.0.1:5000/v2/a/blobs/$digest") == blob ]] || fail "the blob is not what was pushed"
while read -r path; do
    status=$(curl -s -o /dev/null --max-time 10 -w '%{http_code}' "http://127.0.0.1:5000$path")
    [[ $status == 200 ]] || fail "probe $path: $status"
    echo "probe $path: $status"
done <"$probes"
end

# Names are found without shared libraries: in the hosts file, and by DNS.
start http://127.0.0.1:5000/v2/ --env REGISTRY_HTTP_ADDR=in-hosts.test:5000 --add-host in-hosts.test:127.0.0.1
end
start http://127.0.0.1:5000/v2/ --env REGISTRY_HTTP_ADDR=in-dns.test:5000
end
echo "names: in-hosts.test, in-dns.test"
