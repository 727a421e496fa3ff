#!/usr/bin/env bash
# Builds the Debian package of a binary that is built already: build.sh [BINARY [DIRECTORY]]
# Default: target/release/registry, into target/debian. Prints the file's name. Needs dpkg-dev and binutils.
# The same binary, sources and SOURCE_DATE_EPOCH give the same package.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
binary=${1:-$source/target/release/registry}
out=${2:-$source/target/debian}
[[ -x $binary ]] || {
    echo "build.sh: no binary at $binary; cargo build --release --locked --bin registry makes one" >&2
    exit 1
}
binary=$(realpath "$binary")
mkdir -p "$out"
out=$(realpath "$out")
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$source/Cargo.toml" | head -n 1)-1
architecture=$(dpkg --print-architecture)
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(stat -c %Y "$source/CHANGELOG.md")}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
umask 022

install -D -m 0755 "$binary" "$root/usr/bin/registry"
strip --strip-unneeded --remove-section=.comment --remove-section=.note "$root/usr/bin/registry"
install -D -m 0644 "$source/deploy/systemd/config.yml" "$root/etc/registry/config.yml"
install -D -m 0644 "$here/default" "$root/etc/default/registry"
install -D -m 0644 -t "$root/lib/systemd/system" "$source/deploy/systemd/registry.service" "$source/deploy/systemd/registry.socket"
install -D -m 0644 "$source/deploy/systemd/registry.sysusers" "$root/usr/lib/sysusers.d/registry.conf"

# Manual and completions come from the command line's definition, through the binary itself.
made() {
    local file=$root/$1
    shift
    mkdir -p "$(dirname "$file")"
    "$binary" "$@" >"$file"
    [[ -s $file ]]
}
made usr/share/man/man1/registry.1 man
made usr/share/bash-completion/completions/registry completions bash
made usr/share/zsh/vendor-completions/_registry completions zsh
made usr/share/fish/vendor_completions.d/registry.fish completions fish
gzip -9n "$root/usr/share/man/man1/registry.1"

doc=$root/usr/share/doc/registry
install -D -m 0644 "$here/copyright" "$doc/copyright"
install -m 0644 -t "$doc" "$source/docs/"{configuration,migration,operating}.md
gzip -9n <"$source/CHANGELOG.md" >"$doc/changelog.gz"
printf 'registry (%s) unstable; urgency=medium\n\n  * Built from the sources; changelog.gz has the changes.\n\n -- %s  %s\n' \
    "$version" "$(sed -n 's/^Maintainer: //p' "$here/control")" "$(date -uR -d "@$SOURCE_DATE_EPOCH")" |
    gzip -9n >"$doc/changelog.Debian.gz"
install -D -m 0644 "$here/lintian-overrides" "$root/usr/share/lintian/overrides/registry"

# What the binary is linked with, as Debian names it. dpkg-shlibdeps wants a source package around it.
mkdir -p "$work/debian"
printf 'Source: registry\n\nPackage: registry\nArchitecture: any\nDescription: registry\n' >"$work/debian/control"
depends=$(cd "$work" && dpkg-shlibdeps -O "$root/usr/bin/registry" 2>/dev/null | sed -n 's/^shlibs:Depends=//p')
[[ -n $depends ]] || {
    echo "build.sh: $binary has no dependencies that dpkg-shlibdeps knows; the package wants a dynamic binary" >&2
    exit 1
}

mkdir "$root/DEBIAN"
install -m 0755 -t "$root/DEBIAN" "$here/postinst" "$here/prerm" "$here/postrm"
install -m 0644 -t "$root/DEBIAN" "$here/conffiles"
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@DEPENDS@/$depends/" \
    -e "s/@SIZE@/$(du -sk --exclude=DEBIAN "$root" | cut -f1)/" "$here/control" >"$root/DEBIAN/control"
(cd "$root" && find . -type f -not -path './DEBIAN/*' -printf '%P\0' | LC_ALL=C sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
chmod 0644 "$root/DEBIAN/control" "$root/DEBIAN/md5sums"
find "$root" -newermt "@$SOURCE_DATE_EPOCH" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
package=$out/registry_${version}_$architecture.deb
dpkg-deb --root-owner-group -Zxz -z1 --build "$root" "$package" >/dev/null
echo "$package"
