#!/usr/bin/env bash
# The driver for Azure over azurite, Microsoft's own emulator, which checks
# signatures: the driver suite, what a bucket promises, blobs of the kind that
# Distribution writes, shared access signatures. Builds the tests first.
SUITE=azure
export CARGO_HOME=${CARGO_HOME:-$HOME/.cargo} RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

PORT=$(free_port)
URL=http://127.0.0.1:$PORT
CONTAINER=suite
mkdir -p "$WORK/azurite"
"$TOOLS/azurite/node_modules/.bin/azurite-blob" --location "$WORK/azurite" --blobHost 127.0.0.1 --blobPort "$PORT" \
    --skipApiVersionCheck --disableTelemetry --silent >"$WORK/logs/azurite.log" 2>&1 </dev/null &
AZURITE=$!
disown "$AZURITE"
own "$AZURITE"
for ((i = 0; i < 200; i++)); do
    if listening "$PORT" || ! alive "$AZURITE"; then break; fi
    sleep 0.1
done
listening "$PORT" || { cat "$WORK/logs/azurite.log"; fail "azurite did not start"; }

# A container, by a request signed with the key that Microsoft publishes.
python3 - "$URL" "$CONTAINER" <<'PYTHON'
import base64, email.utils, hashlib, hmac, sys, urllib.request
account = "devstoreaccount1"
key = base64.b64decode("Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==")
url, container = sys.argv[1:]
date, version = email.utils.formatdate(usegmt=True), "2023-11-03"
message = "PUT" + "\n" * 12 + f"x-ms-date:{date}\nx-ms-version:{version}\n"
message += f"/{account}/{account}/{container}\nrestype:container"
signature = base64.b64encode(hmac.new(key, message.encode(), hashlib.sha256).digest()).decode()
headers = {"x-ms-date": date, "x-ms-version": version, "Authorization": f"SharedKey {account}:{signature}",
           "Content-Length": "0"}
request = urllib.request.Request(f"{url}/{account}/{container}?restype=container", method="PUT", headers=headers)
urllib.request.urlopen(request, timeout=10)
PYTHON

# tests TARGET…: the tests of a target whose names have azurite in them.
tests() {
    # Azurite does one thing at a time; what a test gave up on is not to be done much later.
    REGISTRY_TEST_AZURITE=$URL REGISTRY_TEST_AZURITE_CONTAINER=$CONTAINER RUST_BACKTRACE=0 timeout 240 \
        cargo test --quiet --manifest-path "$REPO/Cargo.toml" -p registry-storage --features s3,gcs,azurite "$@" \
        azurite -- --include-ignored --test-threads 2
}

timeout 600 cargo test --quiet --manifest-path "$REPO/Cargo.toml" -p registry-storage --features s3,gcs,azurite \
    --lib --test azure --no-run || fail "the tests do not build"
check "what a bucket promises, blobs of Distribution's kind, signed URLs" tests --lib
check "the driver suite, and the probe" tests --test azure
finish
