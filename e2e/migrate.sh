#!/usr/bin/env bash
# `registry migrate`: a store that Distribution 3 and ours pushed to, copied to
# another directory and through a bucket of a real S3 server (MinIO) back onto a
# disk, served by both afterwards; runs that are killed and begun again; what
# changed while the source was served; and content that is damaged.
SUITE=migrate
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

FROM=$WORK/from
LAYOUT=$WORK/layout
FLAVOURS=(v3 ours)
make_fixtures "$LAYOUT"
# shellcheck source=lib/turns.sh
. "$E2E/lib/turns.sh"

start_minio

# configured NAME STORE: writes the configuration of a store; prints its path.
configured() {
    write_config "$WORK/$1.yml" 1 "$2"
    echo "$WORK/$1.yml"
}

# migrate ARGUMENTS…: runs it; MIGRATED is its exit code, its JSON is in
# $WORK/summary, its complaints are in $WORK/complaints.
migrate() {
    MIGRATED=0
    (clean timeout 120 "$REGISTRY_BIN" migrate --json "$@") >"$WORK/summary" 2>"$WORK/complaints" || MIGRATED=$?
}

# migrate_ok ARGUMENTS…: and it has to be complete.
migrate_ok() {
    migrate "$@"
    [[ $MIGRATED == 0 && $(summary .complete) == true ]] || {
        cat "$WORK/summary" "$WORK/complaints"
        fail "migrate $*: exit $MIGRATED"
    }
}

summary() { jq -r "$1" "$WORK/summary"; }

# same_tree ONE OTHER [WITHOUT-NOTES]: the same files with the same bytes, but
# for uploads in progress, for what the driver was writing when it was killed
# (docs/operating.md, Space), and for notes of tags where a bucket was between.
same_tree() {
    local dir
    for dir in "$1" "$2"; do
        (cd "$dir/docker/registry/v2" && find . -type f -not -path '*/_uploads/*' -not -name '*.tmp' |
            if [[ -n ${3:-} ]]; then grep -vE '/revisions/sha256/[0-9a-f]+/tags?[^/]*$'; else cat; fi |
            sort | xargs sha256sum) >"$dir.sums"
    done
    diff "$1.sums" "$2.sums" || fail "the trees of $1 and $2 differ"
    (($(wc -l <"$1.sums") > 50)) || fail "there is hardly anything in $1"
}

pushed_by_both() {
    STORE=$FROM
    push_by v3
    push_by ours
}

served_by_both() { # served_by_both STORE
    STORE=$1
    local flavour
    for flavour in "${FLAVOURS[@]}"; do under "$flavour" serves_all; done
    # By digest, with other programs.
    under ours pulled_by_digest
}

pulled_by_digest() {
    crane pull --format oci "$REG/v3/image@$IMAGE" "$WORK/pulled-crane"
    cmp "$WORK/pulled-crane/blobs/sha256/${IMAGE#sha256:}" "$LAYOUT/blobs/sha256/${IMAGE#sha256:}"
    copy "docker://$REG/ours/image@$IMAGE" "dir:$WORK/pulled-skopeo"
    same_image_bytes "$WORK/pulled-skopeo" "$LAYOUT" "$IMAGE"
    rm -rf "$WORK/pulled-crane" "$WORK/pulled-skopeo"
}

to_a_directory() {
    mkdir "$WORK/to"
    migrate_ok --dry-run "$FROM" "$WORK/to"
    assert_eq "$(find "$WORK/to" -type f | wc -l)" 0 "files written by a dry run"
    local planned
    planned=$(summary .total.copied)
    migrate_ok "$FROM" "$WORK/to"
    assert_eq "$(summary .total.copied)" "$planned" "files copied, and files that the dry run said"
    same_tree "$FROM" "$WORK/to"
    migrate_ok --verify "$FROM" "$WORK/to"
    assert_eq "$(summary '.total.copied, .total.present, .replaced' | paste -sd' ')" "0 $planned 0" "the second run"
    assert_eq "$(summary .verified)" "$(summary .files.blobs.present)" "blobs verified"
    served_by_both "$WORK/to"
}

# many STORE: a repository with 250 blobs of a quarter MiB, and one of 64 MiB.
many() {
    python3 - "$1/docker/registry/v2" <<'PYTHON'
import hashlib, os, pathlib, sys
root = pathlib.Path(sys.argv[1])
for size in [256 * 1024] * 250 + [64 << 20]:
    content = os.urandom(size)
    digest = hashlib.sha256(content).hexdigest()
    data = root / "blobs/sha256" / digest[:2] / digest / "data"
    link = root / "repositories/many/_layers/sha256" / digest / "link"
    for path, bytes in ((data, content), (link, b"sha256:" + digest.encode())):
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes)
PYTHON
}

# count_at STORE: blobs that are there.
count_at() {
    local dir=$1
    [[ $1 != s3:* ]] || dir=$MINIO_DATA/$S3_BUCKET/${1#s3:/}
    (find "$dir/docker/registry/v2/blobs" -name data 2>/dev/null || true) | wc -l
}

# Kills it twice on the way, and begins again.
killed_and_begun_again() { # killed_and_begun_again NAME DESTINATION
    local to there pid i round
    [[ $2 == s3:* ]] || mkdir -p "$2"
    to=$(configured "$1" "$2")
    for round in 1 2; do
        there=$(count_at "$2")
        clean "$REGISTRY_BIN" migrate --jobs 2 "$FROM" "$to" >"$WORK/logs/$1-$round.log" 2>&1 &
        pid=$!
        own "$pid"
        for ((i = 0; i < 600; i++)); do
            (($(count_at "$2") < there + 60)) || break
            alive "$pid" || break
            sleep 0.05
        done
        alive "$pid" || fail "it ended before it could be killed: $(cat "$WORK/logs/$1-$round.log")"
        kill -KILL "$pid"
        wait_gone "$pid" 10
        disown_pid "$pid"
        (($(count_at "$2") > there)) || fail "round $round copied nothing"
    done
    there=$(count_at "$2")
    migrate_ok "$FROM" "$to"
    (($(summary .files.blobs.present) >= there)) || fail "it began anew: $(cat "$WORK/summary")"
    (($(summary .files.blobs.copied) + $(summary .files.blobs.present) == $(count_at "$FROM"))) || fail "not all blobs"
    migrate_ok --verify "$FROM" "$to"
    assert_eq "$(summary '.total.copied, .replaced' | paste -sd' ')" "0 0" "files copied after that, and blobs that were not whole"
}

killed_on_a_disk() {
    many "$FROM"
    killed_and_begun_again disk "$WORK/killed"
    same_tree "$FROM" "$WORK/killed"
    assert_eq "$(find "$WORK/killed" -type f -not -path '*/docker/registry/v2/*' | wc -l)" 0 "files left on the way"
}

through_a_bucket() {
    local bucket
    killed_and_begun_again bucket s3:/migrated
    bucket=$WORK/bucket.yml
    served_by_both s3:/migrated
    mkdir "$WORK/back"
    migrate_ok "$bucket" "$WORK/back"
    same_tree "$FROM" "$WORK/back" without-notes
    served_by_both "$WORK/back"
}

# The credentials of one side from the environment.
with_variables() {
    sed -i '/secretkey/d' "$WORK/bucket.yml"
    mkdir "$WORK/variables"
    (
        export SRC_REGISTRY_STORAGE_S3_SECRETKEY=$S3_SECRET REGISTRY_STORAGE_S3_SECRETKEY=wrong
        migrate_ok "$WORK/bucket.yml" "$WORK/variables"
        assert_contains "$(cat "$WORK/complaints")" "write SRC_REGISTRY_STORAGE_S3_SECRETKEY or DST_" "the warning"
    )
    same_tree "$FROM" "$WORK/variables" without-notes
}

# The source is served, pushed to and deleted from while it is copied.
served_meanwhile() {
    local pid caught=$WORK/caught
    mkdir "$caught"
    start_registry meanwhile "$FROM" ours
    clean "$REGISTRY_BIN" migrate --jobs 1 "$FROM" "$caught" >"$WORK/logs/meanwhile-migrate.log" 2>&1 &
    pid=$!
    own "$pid"
    copy "oci:$LAYOUT:multi" "docker://$REG/meanwhile/multi:v1"
    copy "oci:$LAYOUT:multi" "docker://$REG/ours/image:v1"
    http_ok 202 DELETE "/v2/ours/image/manifests/doomed"
    wait "$pid" || fail "exit $? with the source served: $(cat "$WORK/logs/meanwhile-migrate.log")"
    disown_pid "$pid"
    copy "oci:$LAYOUT:image" "docker://$REG/meanwhile/image:v2"
    http_ok 202 DELETE "/v2/v3/image/manifests/doomed"
    migrate_ok "$FROM" "$caught"
    (($(summary .files.tags.copied) >= 1)) || fail "nothing was caught up with"
    assert_ne "$(summary .files.tags.onlyAtDestination)" 0 "tags only at the destination, and none"
    stop "$REG_PID"
    migrate_ok --delete "$FROM" "$caught"
    same_tree "$FROM" "$caught"
    start_registry caught "$caught" v3
    verify_against_layout meanwhile/image v2 "$LAYOUT"
    assert_eq "$(remote_digest ours/image v1)" "$MULTI" "a tag that moved"
    assert_gone /v2/v3/image/manifests/doomed
    stop "$REG_PID"
}

damaged_content_stays() {
    local blob data
    blob=$(layer_digests "$LAYOUT/blobs/sha256/${AMD64#sha256:}" | head -n 1)
    blob=${blob#sha256:}
    data=docker/registry/v2/blobs/sha256/${blob:0:2}/$blob/data
    cp -r "$FROM" "$WORK/bad"
    echo rot >>"$WORK/bad/$data"
    mkdir "$WORK/good"
    migrate "$WORK/bad" "$WORK/good"
    assert_eq "$MIGRATED" 1 "exit code with a damaged blob"
    assert_contains "$(cat "$WORK/complaints")" "registry: /$data: source: the bytes do not match the digest" "what it says"
    assert_eq "$(summary .failed)" 1 "failures"
    [[ ! -e $WORK/good/$data ]] || fail "it was copied"
    start_registry good "$WORK/good"
    http_ok 404 HEAD "/v2/ours/multi/blobs/sha256:$blob"
    # The next push brings it back.
    copy "oci:$LAYOUT:multi" "docker://$REG/ours/multi:v1"
    verify_against_layout ours/multi v1 "$LAYOUT"
    stop "$REG_PID"
}

mistakes_are_one_line() {
    migrate "$FROM" "$FROM/."
    assert_eq "$MIGRATED $(cat "$WORK/complaints")" "1 registry: $FROM and $FROM/. are the same store" "a store into itself"
    mkdir "$WORK/empty"
    migrate "$WORK/empty" "$WORK/to"
    assert_eq "$MIGRATED" 1 "exit code without a store"
    assert_contains "$(cat "$WORK/complaints")" "source: there is no /docker/registry/v2" "without a store"
    sed 's/regionendpoint: .*/regionendpoint: http:\/\/127.0.0.1:1/' "$WORK/bucket.yml" >"$WORK/away.yml"
    migrate "$FROM" "$WORK/away.yml"
    assert_eq "$MIGRATED $(wc -l <"$WORK/complaints")" "1 1" "exit code and lines when the bucket does not answer"
}

check "Distribution 3 and ours push to a store" pushed_by_both
check "a copy in another directory has the same files and is served by both" to_a_directory
check "killed twice on the way to a disk, it goes on" killed_on_a_disk
check "killed twice on the way to a bucket, it goes on; both serve it, and it comes back the same" through_a_bucket
check "each side has variables of its own" with_variables
check "the source is served meanwhile; then it catches up, and removes what is gone" served_meanwhile
check "damaged content is named and stays behind" damaged_content_stays
check "mistakes are one line" mistakes_are_one_line
finish
