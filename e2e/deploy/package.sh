#!/usr/bin/env bash
# package.sh PACKAGE DIRECTORY: installs, upgrades, removes and purges the Debian package in this system's root with a
# layer over it that is thrown away. Runs in mount and network namespaces of its own.
set -euo pipefail
package=$1 work=$2
ip link set lo up
mount -t tmpfs tmpfs "$work"
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" "$work/root"
root=$work/root
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mkdir -p "$root/tmp"
mount -t tmpfs tmpfs "$root/tmp"
cp "$package" "$root/tmp/registry.deb"
export DEBIAN_FRONTEND=noninteractive
server=
trap 'kill $server 2>/dev/null || true' EXIT
fail() {
    echo "FAILED: $*"
    exit 1
}
inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C "$@"; }
# shellcheck disable=SC2016 # the words are for the shell inside
inside_sh() { inside bash -euc "$1"; }

[[ $(inside dpkg -s registry 2>/dev/null || true) == '' ]] || fail "the package is installed on this machine; nothing could be told"
# What another registry left on this machine is not there in the layer.
rm -rf "$root/var/lib/registry" "$root/etc/registry"
inside dpkg --install /tmp/registry.deb
[[ $(inside stat -c '%U:%G %a' /etc/registry/config.yml) == 'root:registry 640' ]] || fail "owner and mode of config.yml"
[[ $(inside stat -c '%U:%G %a' /var/lib/registry) == 'registry:registry 750' ]] || fail "owner and mode of the store"
inside test -L /etc/systemd/system/multi-user.target.wants/registry.service || fail "the service is not enabled"
! inside test -e /etc/systemd/system/sockets.target.wants/registry.socket || fail "the socket is enabled"
inside dpkg --verify registry || fail "files differ from the package's"

# The units, with what they refer to in its place.
inside systemd-analyze verify --man=yes --recursive-errors=no /lib/systemd/system/registry.service \
    /lib/systemd/system/registry.socket || fail "systemd-analyze verify"
inside_sh 'man --warnings -l /usr/share/man/man1/registry.1.gz 2>&1 >/dev/null | grep . && exit 1; man registry | grep -q "^NAME"' ||
    fail "the manual page"
inside_sh '. /usr/share/bash-completion/completions/registry && complete -p registry' || fail "completion of bash"

# What ExecStart says, as the user that the unit names.
command=$(sed -n 's/^ExecStart=//p' "$root/lib/systemd/system/registry.service")
# shellcheck disable=SC2086 # several words on purpose
chroot "$root" /usr/bin/env -i setpriv --reuid=registry --regid=registry --init-groups $command >"$work/log" 2>&1 </dev/null &
server=$!
answered=
for ((i = 0; i < 100; i++)); do
    if curl -fsS -o /dev/null --max-time 2 http://127.0.0.1:5000/v2/ 2>/dev/null; then answered=yes && break; fi
    sleep 0.1
done
[[ $answered ]] || fail "it does not serve: $(cat "$work/log")"
curl -fsS -o /dev/null --max-time 10 -X POST -H 'Content-Length: 0' http://127.0.0.1:5000/v2/a/blobs/uploads/ || fail "it cannot write"
kill -TERM $server
wait $server || true
grep -q 'stopped' "$work/log" || fail "it did not stop: $(cat "$work/log")"

# An administrator's changes outlive an upgrade.
inside_sh 'echo "# mine" >>/etc/registry/config.yml; DPKG_MAINTSCRIPT_PACKAGE=registry deb-systemd-helper disable registry.service >/dev/null'
inside dpkg --install --force-confdef --force-confold /tmp/registry.deb
inside grep -q '^# mine$' /etc/registry/config.yml || fail "the upgrade replaced config.yml"
[[ $(inside stat -c '%U:%G %a' /etc/registry/config.yml) == 'root:registry 640' ]] || fail "owner and mode after the upgrade"
! inside test -e /etc/systemd/system/multi-user.target.wants/registry.service || fail "the upgrade enabled the service"

inside dpkg --remove registry
inside test -e /etc/registry/config.yml || fail "removing took the configuration"
! inside test -e /usr/bin/registry || fail "removing left the binary"
inside dpkg --purge registry
! inside test -e /etc/registry || fail "purging left /etc/registry"
inside test -d /var/lib/registry/docker || fail "purging took the store"
