#!/usr/bin/env bash
# Replicas on one bucket of a real S3 server (MinIO), with one secret and no
# sticky sessions: the chunks of an upload alternate between them, one is killed
# in the middle of a push and the push goes on at the other, a third joins, many
# clients push the same through a proxy that sends each request to the next
# replica, and so does the official OCI suite.
SUITE=replicas
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

LAYOUT=$WORK/layout
REPORTS=$E2E/.work/replicas
STORE=s3:/replicas
rm -rf "$REPORTS"
make_fixtures "$LAYOUT"
export EXTRA_CONFIG=$CONFORMANCE_CONFIG

start_minio

# replica NAME: starts one more. Sets NAME to its address, and NAME_PID.
replica() {
    start_registry "replica-$1" "$STORE"
    printf -v "$1" %s "$REG"
    printf -v "$1_PID" %s "$REG_PID"
}

# at REPLICA URL: the same path and query there.
at() { sed "s|^http://[^/]*|http://$1|" <<<"$2"; }

# part FILE FROM LENGTH: these bytes of it, in $WORK/part.
part() { dd if="$1" of="$WORK/part" bs=1M iflag=skip_bytes,count_bytes skip="$2" count="$3" status=none; }

random_blob() { head -c "$1" /dev/urandom >"$WORK/blob"; }

# same_everywhere REPOSITORY FILE: all replicas that run serve it.
same_everywhere() {
    local one
    for one in $A $B ${C:-}; do
        http_ok 200 GET "http://$one/v2/$1/blobs/$(digest_of "$2")"
        assert_same_bytes "$BODY" "$2" "blob from $one"
    done
}

# alternate REPOSITORY SIZE CHUNK: one upload whose requests go to one replica and the other in turn.
alternate() {
    local url from=0 to turn=0 here
    random_blob "$2"
    http_ok 202 POST "http://$A/v2/$1/blobs/uploads/" -H 'Content-Length: 0'
    REG=$A
    url=$(location)
    while ((from < $2)); do
        turn=$((turn + 1))
        here=$A
        ((turn % 2 == 0)) || here=$B
        to=$((from + $3 < $2 ? from + $3 : $2))
        part "$WORK/blob" "$from" $((to - from))
        http_ok 202 PATCH "$(at "$here" "$url")" "${OCTETS[@]}" -H "Content-Range: $from-$((to - 1))" --data-binary "@$WORK/part"
        assert_eq "$(header Range)" "0-$((to - 1))" "what has arrived"
        REG=$here
        url=$(location)
        # The other one knows it as well, before it has had a byte of it.
        [[ $here == "$A" ]] && here=$B || here=$A
        http_ok 204 GET "$(at "$here" "$url")"
        assert_eq "$(header Range)" "0-$((to - 1))" "what has arrived, as the other has it"
        from=$to
    done
    [[ $here == "$A" ]] && here=$B || here=$A
    http_ok 201 PUT "$(with_digest "$(at "$here" "$url")" "$(digest_of "$WORK/blob")")" -H 'Content-Length: 0'
    same_everywhere "$1" "$WORK/blob"
}

# A chunk that comes twice, at both replicas: the second is told where the upload is.
out_of_order() {
    local url stale
    random_blob 8000000
    REG=$A
    http_ok 202 POST "/v2/order/blobs/uploads/" -H 'Content-Length: 0'
    stale=$(location)
    part "$WORK/blob" 0 6000000
    http_ok 202 PATCH "$stale" "${OCTETS[@]}" -H 'Content-Range: 0-5999999' --data-binary "@$WORK/part"
    url=$(location)
    http_ok 416 PATCH "$(at "$B" "$url")" "${OCTETS[@]}" -H 'Content-Range: 0-5999999' --data-binary "@$WORK/part"
    part "$WORK/blob" 6000000 2000000
    http_ok 201 PUT "$(with_digest "$(at "$B" "$url")" "$(digest_of "$WORK/blob")")" "${OCTETS[@]}" --data-binary "@$WORK/part"
    same_everywhere order "$WORK/blob"
}

# One replica dies while a chunk comes in; the push goes on at the other from where the store says.
killed_in_mid_push() {
    local url sender got i
    replica D
    random_blob 40000000
    REG=$D
    http_ok 202 POST "/v2/killed/blobs/uploads/" -H 'Content-Length: 0'
    url=$(location)
    part "$WORK/blob" 0 12000000
    http_ok 202 PATCH "$url" "${OCTETS[@]}" -H 'Content-Range: 0-11999999' --data-binary "@$WORK/part"
    url=$(location)
    part "$WORK/blob" 12000000 28000000
    curl -sS -o "$WORK/unanswered" --limit-rate 12M -X PATCH "$url" "${OCTETS[@]}" --data-binary "@$WORK/part" 2>"$WORK/sender" &
    sender=$!
    sleep 1.5
    stop "$D_PID" KILL
    if wait "$sender"; then fail "the chunk was taken before the kill"; fi
    http_ok 204 GET "$(at "$B" "$url")"
    got=$(header Range)
    got=$((${got#0-} + 1))
    echo "$got bytes are there"
    ((got >= 12000000 && got < 40000000)) || fail "$got bytes are there; 12000000 were acknowledged"
    REG=$B
    url=$(location)
    part "$WORK/blob" "$got" 5000000
    http_ok 202 PATCH "$url" "${OCTETS[@]}" -H "Content-Range: $got-$((got + 4999999))" --data-binary "@$WORK/part"
    url=$(location)
    part "$WORK/blob" $((got + 5000000)) 40000000
    http_ok 201 PUT "$(with_digest "$(at "$A" "$url")" "$(digest_of "$WORK/blob")")" "${OCTETS[@]}" --data-binary "@$WORK/part"
    same_everywhere killed "$WORK/blob"
}

# A third takes over an upload that the first two have begun, and serves what they wrote.
third_joins() {
    local url
    random_blob 13000000
    REG=$A
    http_ok 202 POST "/v2/third/blobs/uploads/" -H 'Content-Length: 0'
    url=$(location)
    part "$WORK/blob" 0 6000000
    http_ok 202 PATCH "$(at "$B" "$url")" "${OCTETS[@]}" --data-binary "@$WORK/part"
    url=$(location)
    replica C
    part "$WORK/blob" 6000000 1000000
    http_ok 202 PATCH "$(at "$C" "$url")" "${OCTETS[@]}" --data-binary "@$WORK/part"
    url=$(location)
    part "$WORK/blob" 7000000 6000000
    http_ok 202 PATCH "$(at "$A" "$url")" "${OCTETS[@]}" --data-binary "@$WORK/part"
    url=$(location)
    http_ok 201 PUT "$(with_digest "$(at "$C" "$url")" "$(digest_of "$WORK/blob")")" -H 'Content-Length: 0'
    same_everywhere third "$WORK/blob"
    stop "$C_PID"
}

# The answer to the last request was lost: the client sends it again, to the other replica.
again_elsewhere() {
    local url digest
    random_blob 7000000
    digest=$(digest_of "$WORK/blob")
    REG=$A
    http_ok 202 POST "/v2/again/blobs/uploads/" -H 'Content-Length: 0'
    http_ok 202 PATCH "$(location)" "${OCTETS[@]}" --data-binary "@$WORK/blob"
    url=$(location)
    http_ok 201 PUT "$(with_digest "$url" "$digest")" -H 'Content-Length: 0'
    http_ok 201 PUT "$(with_digest "$(at "$B" "$url")" "$digest")" -H 'Content-Length: 0'
    same_everywhere again "$WORK/blob"
}

# What one deletes the others do not serve any more, at once.
deleted_at_once() {
    local digest
    for digest in $(jq -r '.config.digest, .layers[].digest' "$LAYOUT/blobs/sha256/${AMD64#sha256:}"); do
        REG=$A
        assert_eq "$(push_blob gone "$LAYOUT/blobs/sha256/${digest#sha256:}")" "$digest" "digest"
    done
    REG=$A
    put_manifest gone v1 "$LAYOUT/blobs/sha256/${AMD64#sha256:}"
    REG=$B
    assert_eq "$(remote_digest gone v1)" "$AMD64" "digest at the other"
    verify_against_layout gone v1 "$LAYOUT"
    REG=$A
    http_ok 202 DELETE "/v2/gone/manifests/$AMD64"
    http_ok 202 DELETE "/v2/gone/blobs/$digest"
    REG=$B
    assert_gone "/v2/gone/manifests/$AMD64"
    assert_gone /v2/gone/manifests/v1
    assert_gone "/v2/gone/blobs/$digest"
    assert_tags gone
}

# through_proxy NAME COMMAND…: with REG a proxy that sends each request to the next of the replicas, and with a look
# at how many each has had.
through_proxy() {
    local name=$1 i pid counts
    shift
    rm -f "$WORK/proxy-port"
    python3 "$E2E/round_robin.py" "$WORK/proxy-port" "$WORK/proxy-counts" "$A" "$B" 2>"$WORK/logs/proxy-$name.log" &
    pid=$!
    own "$pid"
    for ((i = 0; i < 100; i++)); do
        [[ ! -s $WORK/proxy-port ]] || break
        sleep 0.1
    done
    REG=127.0.0.1:$(cat "$WORK/proxy-port")
    "$@"
    stop "$pid"
    read -ra counts <"$WORK/proxy-counts"
    echo "requests: ${counts[*]}"
    ((counts[0] > 0 && counts[1] - counts[0] <= 1 && counts[0] - counts[1] <= 1)) ||
        fail "the proxy did not share the requests: ${counts[*]}"
}

# Sixteen clients at once: half of them the same image to one tag, half each to a tag of its own.
push_together() {
    local n pids=() failed=0
    for ((n = 0; n < 16; n++)); do
        timeout 100 skopeo copy --quiet --all --preserve-digests --dest-tls-verify=false "oci:$LAYOUT:image" \
            "docker://$REG/together:$( ((n % 2 == 0)) && echo same || echo "own-$n")" >"$WORK/logs/push-$n.log" 2>&1 &
        pids+=($!)
    done
    for n in "${!pids[@]}"; do
        wait "${pids[n]}" || {
            failed=$((failed + 1))
            tail -n 2 "$WORK/logs/push-$n.log"
        }
    done
    ((failed == 0)) || fail "$failed of 16 pushes failed"
    # shellcheck disable=SC2046 # a word for each
    assert_tags together same $(seq -f 'own-%g' 1 2 15)
    for n in same own-1 own-15; do verify_against_layout together "$n" "$LAYOUT"; done
}

# Two images to one tag, over and over from both sides: it is one of the two in the end, everywhere, and whole.
race_for_a_tag() {
    local n one other
    for one in "$AMD64" "$ARM64"; do
        for n in $(jq -r '.config.digest, .layers[].digest' "$LAYOUT/blobs/sha256/${one#sha256:}"); do
            push_blob race "$LAYOUT/blobs/sha256/${n#sha256:}" >/dev/null
        done
    done
    for ((n = 0; n < 20; n++)); do
        for one in "$A $AMD64" "$B $ARM64"; do
            curl -sS -o /dev/null -w '%{http_code}\n' -X PUT "http://${one% *}/v2/race/manifests/tag" -H "Content-Type: $OCI_MANIFEST" \
                --data-binary "@$LAYOUT/blobs/sha256/${one##*sha256:}" >>"$WORK/race" &
        done
        wait
    done
    assert_eq "$(sort -u "$WORK/race")" 201 "answers"
    REG=$A
    one=$(remote_digest race tag)
    REG=$B
    other=$(remote_digest race tag)
    assert_eq "$one" "$other" "the tag at both replicas"
    [[ $one == "$AMD64" || $one == "$ARM64" ]] || fail "the tag is $one"
    verify_against_layout race tag "$LAYOUT"
}

# Two clients with the same chunk of one upload, at both replicas at once: at most one byte sequence comes of it.
race_for_an_upload() {
    local url digest
    random_blob 6000000
    digest=$(digest_of "$WORK/blob")
    REG=$A
    http_ok 202 POST "/v2/race/blobs/uploads/" -H 'Content-Length: 0'
    url=$(location)
    for REG in "$A" "$B"; do
        curl -sS -o /dev/null -w '%{http_code}\n' -X PUT "$(with_digest "$(at "$REG" "$url")" "$digest")" "${OCTETS[@]}" \
            --data-binary "@$WORK/blob" >>"$WORK/race-upload" &
    done
    wait
    echo "answers: $(paste -sd' ' "$WORK/race-upload")"
    assert_contains "$(cat "$WORK/race-upload")" 201 "one of the two"
    same_everywhere race "$WORK/blob"
}

no_upload_is_left() {
    local left
    left=$(uploads_under replicas/)
    # Killed in mid-push, the replica may have left the parts that it was sending.
    ((left <= 1)) || fail "$left multipart uploads that nobody ended"
}

no_panic() {
    local log
    for log in "$WORK"/logs/replica-*.log; do
        if grep -n 'panicked' "$log"; then fail "in $log"; fi
    done
}

replica A
replica B
check "chunks of 6 MiB alternate between two replicas" alternate chunks 18874368 6291456
check "chunks below the size of a part alternate between two replicas" alternate small 7500000 1000000
check "chunks of uneven sizes alternate between two replicas" alternate uneven 17000001 5242881
check "a chunk that comes again at the other replica is told where to go on" out_of_order
check "a PUT whose answer was lost succeeds at the other replica" again_elsewhere
check "a push goes on at the other replica when one is killed" killed_in_mid_push
check "a third replica joins in the middle of an upload" third_joins
check "what one deletes is gone at the other at once" deleted_at_once
check "two images that race for a tag leave one of them" race_for_a_tag
check "the same upload closed at both replicas at once is closed once" race_for_an_upload
check "sixteen clients push through a proxy without sticky sessions" through_proxy together push_together
check "passes the official suite through the proxy" through_proxy conformance conforms_2023 "$REPORTS/2023"
if [[ -n $NEWEST_CONFORMANCE ]]; then
    check "passes the newest suite through the proxy" through_proxy newest conforms_newest "$REPORTS/newest"
else
    no_newest
fi
check "leaves no multipart upload behind but that of the killed one" no_upload_is_left
check "never panicked" no_panic
finish
