#!/usr/bin/env bash
# issuer.sh BINARY ISSUER-KEYS DIRECTORY: keys of auth.issuer in a Secret, mounted as kubelet mounts it, read-only. Two
# replicas with it take the tokens of each other and go on with a key that has served its time, since they can make none;
# they take the next one when the Secret is replaced; without a key none starts. Runs in a mount namespace of its own.
set -euo pipefail
binary=$1 make=$2 work=$3/issuer
running=()
trap 'kill "${running[@]}" 2>/dev/null || true' EXIT
fail() {
    echo "FAILED: $*"
    tail -n 5 "$work"/*.log 2>/dev/null
    exit 1
}
mkdir -p "$work/secret" "$work/mounted" "$work/empty"

# published DIRECTORY: what kubelet makes of a Secret: a directory with the files, and links through one that is swapped.
published() {
    local now file
    now=..$(basename "$1")
    mkdir "$work/secret/$now"
    for file in "$1"/*; do
        install -m 0440 "$file" "$work/secret/$now/"
        ln -sfn "..data/$(basename "$file")" "$work/secret/$(basename "$file")"
    done
    ln -s "$now" "$work/secret/..data_new"
    mv -T "$work/secret/..data_new" "$work/secret/..data"
}

# start NAME KEYS: a replica, on a socket of its own.
start() {
    local i
    cat >"$work/$1.yml" <<YAML
version: 0.1
storage: inmemory
http: {net: unix, addr: $work/$1.sock}
auth: {issuer: {keys: $2, users: {htpasswd: $work/../secrets/registry/htpasswd}}}
YAML
    env -i PATH="$PATH" "$binary" serve "$work/$1.yml" >"$work/$1.log" 2>&1 </dev/null &
    running+=($!)
    for ((i = 0; i < 300; i++)); do
        [[ -S $work/$1.sock ]] && return
        kill -0 "${running[-1]}" 2>/dev/null || return 1
        sleep 0.1
    done
    return 1
}

# ask NAME PATH ARGUMENTS…: the status, and the answer in $work/answer.
ask() {
    local name=$1 path=$2
    shift 2
    curl -sS -o "$work/answer" -w '%{http_code}' --max-time 10 --unix-socket "$work/$name.sock" "$@" "http://registry$path"
}

# token NAME
token() {
    [[ $(ask "$1" '/auth/token?service=registry' -u alice:secret) == 200 ]] || fail "no token of $1: $(cat "$work/answer")"
    jq -r .access_token "$work/answer"
}

# everybody_takes TOKEN
everybody_takes() {
    local name
    for name in one other; do
        [[ $(ask "$name" /v2/ -H "Authorization: Bearer $1") == 200 ]] || fail "$name refuses the token: $(cat "$work/answer")"
    done
}

REGISTRY=$binary "$make" "$work/keys" >"$work/made"
[[ $(wc -l <"$work/made") == 2 ]] || fail "these keys were made: $(cat "$work/made")"
# As if that had been in 2023.
mkdir "$work/aged"
for file in "$work"/keys/*; do
    mv "$file" "$work/aged/$(basename "$file" | sed 's/-[0-9]\{10\}-/-1700000000-/')"
done
published "$work/aged"
mount --bind "$work/secret" "$work/mounted"
mount --bind "$work/empty" "$work/empty"
for directory in mounted empty; do mount -o remount,ro,bind "$work/$directory"; done

start one "$work/mounted" && start other "$work/mounted" || fail "not started"
everybody_takes "$(token one)"
everybody_takes "$(token other)"

REGISTRY=$binary "$make" "$work/aged" >"$work/made"
[[ $(wc -l <"$work/made") == 4 ]] || fail "these keys were made: $(cat "$work/made")"
cp -r "$work/aged" "$work/renewed"
published "$work/renewed"
# A token by a key that nobody knows has the keys read again, which is otherwise done every half minute.
unknown=$(printf '{"alg":"ES256","typ":"JWT","kid":"none"}' | basenc --base64url -w 0 | tr -d =).e30.AAAA
for name in one other; do
    [[ $(ask "$name" /v2/ -H "Authorization: Bearer $unknown") == 401 ]] || fail "$name takes what nobody signed"
    ask "$name" /auth/token/jwks >/dev/null
    [[ $(jq '.keys | length' "$work/answer") == 2 ]] || fail "$name has these keys: $(cat "$work/answer")"
done
everybody_takes "$(token one)"
if grep -h 'keys of the token issuer' "$work"/{one,other}.log; then fail "there is nothing to complain of"; fi

if start none "$work/empty"; then fail "started without a key"; fi
grep -q 'there is no file signing-….pem in it, and none can be made' "$work/none.log" || fail "what is said of it"
