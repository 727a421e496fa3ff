#!/usr/bin/env bash
# One store directory under Distribution 2.8 (Debian's docker-registry),
# Distribution 3 and ours in turn: what one pushed all of them serve byte for
# byte, what one deleted is gone for all, an upload begun under one is finished
# under another, and artifacts attached under Distribution by the fallback tag
# are found by our referrers API without an import.
SUITE=distribution-store
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

STORE=$WORK/store
LAYOUT=$WORK/layout
FLAVOURS=(v2 v3 ours)
make_fixtures "$LAYOUT"

oras() { timeout 120 "$TOOLS/oras" "$@"; }
# shellcheck source=lib/turns.sh
. "$E2E/lib/turns.sh"

versions_are_the_expected() {
    assert_contains "$(/usr/bin/docker-registry --version)" " 2.8" "Debian's docker-registry"
    assert_contains "$(go version -m "$TOOLS/distribution")" "github.com/distribution/distribution/v3	v3.1" "module of Distribution 3"
}

begin_upload() {
    http_ok 202 POST "/v2/moved/$1/blobs/uploads/" -H 'Content-Length: 0'
    http_ok 202 PATCH "$(location)" "${OCTETS[@]}" -H 'Content-Range: 0-999999' --data-binary "@$WORK/first"
    location >"$WORK/session"
}

finish_upload() {
    local url
    url=$(sed "s|^http://[^/]*|http://$REG|" "$WORK/session")
    http_ok 202 PATCH "$url" "${OCTETS[@]}" -H 'Content-Range: 1000000-1499999' --data-binary "@$WORK/second"
    http_ok 201 PUT "$(with_digest "$(location)" "$(digest_of "$WORK/whole")")" -H 'Content-Length: 0'
    http_ok 200 GET "/v2/moved/$1/blobs/$(digest_of "$WORK/whole")"
    assert_same_bytes "$BODY" "$WORK/whole" "blob made by two registries"
}

upload_moves() { # upload_moves FROM TO
    head -c 1500000 /dev/urandom >"$WORK/whole"
    head -c 1000000 "$WORK/whole" >"$WORK/first"
    tail -c 500000 "$WORK/whole" >"$WORK/second"
    under "$1" begin_upload "$1-$2"
    under "$2" finish_upload "$1-$2"
}

attach_by_tag() {
    local artifact
    (
        cd "$WORK"
        echo note >note.txt
        copy "oci:$LAYOUT:multi" "docker://$REG/$1/attached:v1"
        for artifact in one two; do
            oras attach --no-tty --plain-http --distribution-spec v1.1-referrers-tag --format json \
                --artifact-type "application/vnd.example.$artifact" "$REG/$1/attached@$MULTI" note.txt |
                jq -r .digest >"attached-$1-$artifact"
        done
    )
}

found_by_api() {
    local artifact
    for artifact in one two; do
        assert_referrer "$1/attached" "$MULTI" "$(cat "$WORK/attached-$1-$artifact")" "application/vnd.example.$artifact"
    done
    oras discover --plain-http --format json --distribution-spec v1.1-referrers-api "$REG/$1/attached:v1" >"$WORK/found"
    assert_contains "$(cat "$WORK/found")" "$(cat "$WORK/attached-$1-two")" "oras discover"
    # And one more, put by the API, joins them.
    echo third >"$WORK/third.txt"
    (cd "$WORK" && oras attach --no-tty --plain-http --format json --artifact-type application/vnd.example.three \
        "$REG/$1/attached@$MULTI" third.txt) | jq -r .digest >"$WORK/third"
    assert_referrer "$1/attached" "$MULTI" "$(cat "$WORK/third")"
    assert_referrer "$1/attached" "$MULTI" "$(cat "$WORK/attached-$1-one")"
}

attached_under() {
    under "$1" attach_by_tag "$1"
    under ours found_by_api "$1"
}

check "has Distribution 2.8 and 3.1 to compare with" versions_are_the_expected
for flavour in "${FLAVOURS[@]}"; do check "$flavour pushes images, an index, mounts" push_by "$flavour"; done
for flavour in "${FLAVOURS[@]}"; do check "$flavour serves what all three pushed" under "$flavour" serves_all; done
for flavour in "${FLAVOURS[@]}"; do check "what $flavour deletes is gone for all three" deleted_for_everybody "$flavour"; done
check "an upload begun under v3 ends under ours" upload_moves v3 ours
check "an upload begun under ours ends under v3" upload_moves ours v3
check "an upload begun under v2 ends under ours" upload_moves v2 ours
check "an upload begun under ours ends under v2" upload_moves ours v2
check "finds by our API what was attached under v3 by tag" attached_under v3
check "finds by our API what was attached under v2 by tag" attached_under v2
finish
