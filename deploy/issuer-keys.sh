#!/bin/sh
# issuer-keys.sh DIRECTORY: makes the keys of auth.issuer in DIRECTORY, for a Secret that all replicas mount. Run again on
# the same directory, it adds their successors, unless the last ones are less than an hour old, and removes those whose
# last token has expired; the others stay, since tokens by them are still about. REGISTRY is the program, `registry`
# unless said otherwise; ALGORITHM and REFRESH are auth.issuer.algorithm and .refreshexpiration where those are not ES256
# and 720h.
set -eu
mkdir -p -m 0700 "${1:?usage: issuer-keys.sh DIRECTORY}"
directory=$(cd "$1" && pwd)
work=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || true; rm -rf "$work"' EXIT
# The registry makes them at its start; it serves nothing else meanwhile.
cat >"$work/config.yml" <<YAML
version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage: inmemory
http: {net: unix, addr: $work/socket}
auth:
  issuer:
    keys: $directory
    algorithm: ${ALGORITHM:-ES256}
    rotation: 1h
    refreshexpiration: ${REFRESH:-720h}
    users: {htpasswd: $work/users}
YAML
: >"$work/users"
env -i PATH="$PATH" "${REGISTRY:-registry}" serve "$work/config.yml" >"$work/log" 2>&1 &
pid=$!
tries=0
until [ -S "$work/socket" ]; do
    tries=$((tries + 1))
    if ! kill -0 "$pid" 2>/dev/null || [ "$tries" -gt 300 ]; then
        cat "$work/log" >&2
        exit 1
    fi
    sleep 0.1
done
kill "$pid"
wait "$pid"
pid=
ls "$directory"
