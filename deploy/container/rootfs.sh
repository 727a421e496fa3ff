#!/usr/bin/env bash
# rootfs.sh BINARY DIRECTORY: lays out what is in the image: the binary, its configuration, the system's
# certificate authorities (for endpoints and stores that speak TLS), how names are resolved, and the store's place.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
binary=${1:?usage: rootfs.sh BINARY DIRECTORY}
root=${2:?usage: rootfs.sh BINARY DIRECTORY}
authorities=/etc/ssl/certs/ca-certificates.crt

if [[ ! -x $binary ]]; then
    echo "rootfs.sh: no binary at $binary; deploy/container/static.sh builds one" >&2
    exit 1
fi
# Nothing in the image could load a shared library.
if readelf --program-headers --wide "$binary" | grep -q ' INTERP '; then
    echo "rootfs.sh: $binary needs shared libraries; deploy/container/static.sh builds one that does not" >&2
    exit 1
fi
if [[ ! -s $authorities ]]; then
    echo "rootfs.sh: no $authorities on this machine; install ca-certificates" >&2
    exit 1
fi
install -D -m 0755 "$binary" "$root/usr/bin/registry"
install -D -m 0644 "$here/config.yml" "$root/etc/registry/config.yml"
install -D -m 0644 "$authorities" "$root/etc/ssl/certs/ca-certificates.crt"
install -d -m 0755 "$root/var/lib/registry"
# Without this file glibc asks DNS before /etc/hosts.
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
echo 'registry:x:65532:65532:registry:/var/lib/registry:/sbin/nologin' >"$root/etc/passwd"
echo 'registry:x:65532:' >"$root/etc/group"
chmod 0644 "$root/etc/nsswitch.conf" "$root/etc/passwd" "$root/etc/group"
