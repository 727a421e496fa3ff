#!/usr/bin/env bash
# One store that Distribution 2.8, Distribution 3 and ours have written in turn, each into the repositories of
# the others too, under the garbage collectors of both Distributions: what is in use stays, byte for byte and
# for all three; what is not is gone, from the disk and with 404; our referrers follow; nothing that only ours
# keeps stands in the way. Uploads in progress outlive the turns of the others.
SUITE=distribution-gc
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=distribution-facts.sh
. "$E2E/distribution-facts.sh"

# --------------------------------------------------------------- collection

data_of() { echo "$1/docker/registry/v2/blobs/sha256/$(cut -c8-9 <<<"$2")/${2#sha256:}/data"; }

fingerprint() { (cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum && find . -type d | sort); }

# A copy of the store, with files beside each revision link as our index of tags puts them there.
copy_store() {
    local dir
    rm -rf "$1"
    cp -a "$STORE" "$1"
    while read -r dir; do : >"$dir/tags"; : >"$dir/tag.e2e"; : >"$dir/tags.e2e"; done < <(
        find "$1" -path '*/_manifests/revisions/*' -name link -printf '%h\n')
}

# refuses FLAVOUR STORE TEXT [OPTION…]: the collector ends with an error that says so, and has removed nothing.
refuses() {
    local flavour=$1 store=$2 text=$3
    shift 3
    fingerprint "$store" >"$WORK/before"
    if collect "$flavour" "$store" "$@"; then fail "$flavour collected"; fi
    assert_contains "$(cat "$WORK/collected")" "$text" "what the collector says"
    fingerprint "$store" | diff "$WORK/before" - || fail "the store is not what it was"
}

# 2.8 does not look for untagged manifests where a repository has never had a tag, before it is given the directory.
allow_untagged() { # allow_untagged FLAVOUR STORE
    [[ $1 == v2 ]] || return 0
    refuses v2 "$2" "failed to retrieve tags unknown repository name=" --delete-untagged
    mkdir "$2"/docker/registry/v2/repositories/{ours,v2,v3}/untagged/_manifests/tags
}

dry_run_changes_nothing() {
    local option digest
    copy_store "$WORK/copy"
    allow_untagged "$1" "$WORK/copy"
    fingerprint "$WORK/copy" >"$WORK/before"
    for option in "" --delete-untagged; do
        # shellcheck disable=SC2086 # no word where there is none
        collect "$1" "$WORK/copy" --dry-run $option || fail "$(tail -n 3 "$WORK/collected")"
        while read -r digest; do
            assert_contains "$(cat "$WORK/collected")" "blob eligible for deletion: $digest" "what is to be removed"
        done <"$SWEPT"
    done
    fingerprint "$WORK/copy" | diff "$WORK/before" - || fail "the store is not what it was"
}

plain_run_keeps_what_is_used() {
    local digest flavour
    copy_store "$WORK/copy"
    while read -r digest; do [[ -f $(data_of "$WORK/copy" "$digest") ]] || fail "$digest was not there"; done <"$SWEPT"
    collect "$1" "$WORK/copy" || fail "$(tail -n 3 "$WORK/collected")"
    while read -r digest; do [[ ! -e $(data_of "$WORK/copy" "$digest") ]] || fail "$digest is still there"; done <"$SWEPT"
    [[ $(find "$WORK/copy" -path '*/_manifests/revisions/*/tag*.e2e' | wc -l) -gt 0 ]] || fail "files beside the links are gone"
    under ours "$WORK/copy" swept_is_unknown
    for flavour in "${FLAVOURS[@]}"; do under "$flavour" "$WORK/copy" validate_and_pull "$flavour"; done
    # And the other collector after it, over what the first has left.
    collect "$([[ $1 == v2 ]] && echo v3 || echo v2)" "$WORK/copy" || fail "$(tail -n 3 "$WORK/collected")"
    under ours "$WORK/copy" validate ours
    under ours "$WORK/copy" swept_comes_back
    collect "$1" "$WORK/copy" || fail "$(tail -n 3 "$WORK/collected")"
    for flavour in "${FLAVOURS[@]}"; do under "$flavour" "$WORK/copy" came_back; done
}

swept_is_unknown() {
    local digest p
    for p in "${FLAVOURS[@]}"; do sed "s|.*|404 /v2/$p/app/blobs/&|" "$SWEPT"; done >"$WORK/ask"
    ask HEAD "$WORK/ask"
    ask GET "$WORK/ask"
    # A link without content is neither mounted nor good enough for a manifest.
    digest=$(named v2-stray)
    http_ok 202 POST "/v2/ours/again/blobs/uploads/?mount=$digest&from=v2/app" -H 'Content-Length: 0'
    http_ok 202 POST "/v2/ours/again/blobs/uploads/?mount=$digest" -H 'Content-Length: 0'
    http PUT /v2/ours/app/manifests/refused -H "Content-Type: $OCI_MANIFEST" --data-binary "@$(file_of "$(named ours-twice)")"
    [[ $STATUS == 4* ]] || fail "a manifest without its blobs: $STATUS"
    assert_gone /v2/ours/app/manifests/refused
}

swept_comes_back() {
    local p blob
    for p in "${FLAVOURS[@]}"; do
        push swept "$p/app" "$p-twice" back
        for blob in $(blobs_of "$(named "$p-twice")"); do echo "200 /v2/$p/app/blobs/$blob $blob"; done
        echo "200 /v2/$p/app/manifests/back $(named "$p-twice")"
        echo "404 /v2/$p/app/manifests/twice"
    done >"$WORK/back"
    came_back
}

came_back() {
    ask HEAD "$WORK/back"
    ask GET "$WORK/back"
}

# What each makes of manifests without a tag, as docs/migration.md says: 2.8 takes children of an index too.
untagged_goes() {
    local collector=$1 flavour class kind repository digest _ gone=(loose)
    [[ $collector != v2 ]] || gone+=(child)
    copy_store "$WORK/copy"
    allow_untagged "$collector" "$WORK/copy"
    collect "$collector" "$WORK/copy" --delete-untagged || fail "$(tail -n 3 "$WORK/collected")"
    while read -r class kind repository digest _; do
        [[ " ${gone[*]} " == *" $class "* && $digest == sha256:* ]] || continue
        case $kind in
        manifest)
            # Where a repository has never had a tag, 3 leaves links that lead to nothing.
            [[ $collector$repository == v3*/untagged || ! -e $WORK/copy/docker/registry/v2/repositories/$repository/_manifests/revisions/${digest/://} ]] ||
                fail "the revision of $digest is still in $repository"
            [[ $class == child || ! -e $(data_of "$WORK/copy" "$digest") ]] || fail "manifest $digest is still there"
            ;;
        blob) [[ ! -e $(data_of "$WORK/copy" "$digest") ]] || fail "blob $digest is still there" ;;
        esac
    done <"$FACTS"
    for flavour in ours v3 v2; do under "$flavour" "$WORK/copy" validate "$flavour" "${gone[@]}"; done
}

# Ours need not be stopped while nobody writes: it has no memory of what is stored.
runs_through_a_collection() {
    copy_store "$WORK/copy"
    start_registry "through-$1" "$WORK/copy" ours
    validate ours
    collect "$1" "$WORK/copy" || fail "$(tail -n 3 "$WORK/collected")"
    swept_is_unknown
    validate ours
    swept_comes_back
    stop "$REG_PID"
}

odd_store() {
    rm -rf "$WORK/odd"
    under ours "$WORK/odd" "$@"
}

push_unknown_type() {
    push swept odd/app v2-v1 v1
    jq -c '.mediaType = "application/vnd.example.odd+json"' "$(file_of "$(named v2-v1)")" >"$WORK/odd-manifest"
    put_manifest odd/app odd "$WORK/odd-manifest" application/vnd.example.odd+json
}

drop_unknown_type() {
    http_ok 202 DELETE "/v2/odd/app/manifests/$(digest_of "$WORK/odd-manifest")"
    assert_tags odd/app v1
}

# docs/migration.md has this and the next: if a version of Distribution no longer does it, they are out of date.
unknown_type_ends_the_run() {
    odd_store push_unknown_type
    refuses "$1" "$WORK/odd" "failed to retrieve manifest for digest $(digest_of "$WORK/odd-manifest")"
    under ours "$WORK/odd" drop_unknown_type
    collect "$1" "$WORK/odd" || fail "$(tail -n 3 "$WORK/collected")"
    under ours "$WORK/odd" verify_against_layout odd/app v1 "$LAYOUT"
}

push_empty_index() {
    printf '{"schemaVersion":2,"mediaType":"%s","manifests":[]}' "$OCI_INDEX" >"$WORK/empty-index"
    put_manifest odd/fresh v1 "$WORK/empty-index" "$OCI_INDEX"
}

empty_index_ends_the_run_of_v3() {
    local layers=$WORK/odd/docker/registry/v2/repositories/odd/fresh/_layers
    odd_store push_empty_index
    collect v2 "$WORK/odd" || fail "$(tail -n 3 "$WORK/collected")"
    refuses v3 "$WORK/odd" "odd/fresh/_layers"
    mkdir "$layers"
    collect v3 "$WORK/odd" || fail "$(tail -n 3 "$WORK/collected")"
    under ours "$WORK/odd" assert_tags odd/fresh v1
}

# ----------------------------------------------------- uploads in progress

# begin REPOSITORY: an upload with two of three parts to come; its URL is kept for whoever is next.
begin() {
    head -c 300000 /dev/urandom >"$WORK/whole"
    split -b 100000 -d "$WORK/whole" "$WORK/part"
    http_ok 202 POST "/v2/$1/blobs/uploads/" -H 'Content-Length: 0'
    send 0
}

session() { sed "s|^http://[^/]*|http://$REG|" "$WORK/session"; }

# send N [URL]: the N-th part, to the session or to an older URL of it.
send() {
    local url=${2:-}
    [[ -n $url ]] || url=$(if [[ $1 == 0 ]]; then location; else session; fi)
    http PATCH "$url" "${OCTETS[@]}" -H "Content-Range: $1""00000-$1""99999" --data-binary "@$WORK/part0$1"
    [[ $STATUS != 202 ]] || location >"$WORK/session"
    [[ -n ${2:-} ]] || assert_eq "$STATUS" 202 "status of part $1"
}

finish_upload() { # finish_upload REPOSITORY
    send 2
    http_ok 201 PUT "$(with_digest "$(session)" "$(digest_of "$WORK/whole")")" -H 'Content-Length: 0'
    is_whole "$1"
}

is_whole() {
    http_ok 200 GET "/v2/$1/blobs/$(digest_of "$WORK/whole")"
    assert_same_bytes "$BODY" "$WORK/whole" "blob made under three registries"
}

# beside REPOSITORY FLAVOUR: what goes on in the same repository; of the upload nothing is to be seen.
beside() {
    push swept "$1" "$2-v1" "$2"
    verify_against_layout "$1" "$2" "$LAYOUT"
    assert_gone "/v2/$1/blobs/$(digest_of "$WORK/whole")"
    http_ok 202 POST "/v2/$1/blobs/uploads/" -H 'Content-Length: 0'
    http_ok 204 DELETE "$(location)"
}

upload_waits() {
    local repository=waits/$1 store=$WORK/uploads flavour
    under "$1" "$store" begin "$repository"
    under "${NEXT[$1]}" "$store" beside "$repository" "${NEXT[$1]}"
    under "${NEXT[${NEXT[$1]}]}" "$store" beside "$repository" "${NEXT[${NEXT[$1]}]}"
    for flavour in v2 v3; do
        collect "$flavour" "$store" || fail "$(tail -n 3 "$WORK/collected")"
    done
    # One part by the next of them, the last by the first.
    under "${NEXT[$1]}" "$store" send 1
    under "$1" "$store" finish_upload "$repository"
    for flavour in "${FLAVOURS[@]}"; do
        under "$flavour" "$store" is_whole "$repository"
        under "$flavour" "$store" verify_against_layout "$repository" "${NEXT[$1]}" "$LAYOUT"
    done
}

# A client that missed what was sent through another registry must not put its part after that.
old_url_is_refused() {
    local old digest store=$WORK/uploads
    under ours "$store" begin "old/$1"
    old=$(cat "$WORK/session")
    under "$1" "$store" send 1
    start_registry "old-$1" "$store" ours
    old=http://$REG/${old#http://*/}
    send 1 "$old"
    assert_eq "$STATUS" 416 "status of a part that is there already"
    digest=$(cat "$WORK/part00" "$WORK/part02" | sha256sum | cut -d' ' -f1)
    http PUT "$(with_digest "$old" "sha256:$digest")" "${OCTETS[@]}" --data-binary "@$WORK/part02"
    assert_eq "$STATUS" 416 "status of an end at a URL that is out of date"
    assert_gone "/v2/old/$1/blobs/sha256:$digest"
    finish_upload "old/$1"
    stop "$REG_PID"
}

cancel() { http_ok 204 DELETE "$(session)"; }

is_unknown() { # is_unknown REPOSITORY
    local url
    url=$(session)
    http_ok 404 PATCH "$url" "${OCTETS[@]}" -H 'Content-Range: 100000-199999' --data-binary "@$WORK/part01"
    http_ok 404 PUT "$(with_digest "$url" "$(digest_of "$WORK/part00")")" -H 'Content-Length: 0'
    assert_gone "/v2/$1/blobs/$(digest_of "$WORK/part00")"
}

upload_is_lost() { # upload_is_lost FLAVOUR CANCELLED-BY
    under "$1" "$WORK/uploads" begin "lost/$1-$2"
    if [[ $2 == purge ]]; then
        # What Distribution's purge does, which it begins only up to an hour after its start.
        rm -r "$WORK/uploads/docker/registry/v2/repositories/lost/$1-$2/_uploads/"*-*
    else
        under "$2" "$WORK/uploads" cancel
    fi
    under ours "$WORK/uploads" is_unknown "lost/$1-$2"
    under "$1" "$WORK/uploads" is_unknown "lost/$1-$2"
}

check "the fixtures can be made" make_all
for flavour in "${FLAVOURS[@]}"; do check "$flavour pushes and deletes" under "$flavour" "$STORE" push_own "$flavour"; done
for flavour in "${FLAVOURS[@]}"; do
    check "$flavour pushes, moves tags, mounts and deletes in a repository of ${NEXT[$flavour]}" \
        under "$flavour" "$STORE" work_in "$flavour" "${NEXT[$flavour]}"
done
check "ours deletes manifests and tags where the others have been" under ours "$STORE" work_after
for flavour in "${FLAVOURS[@]}"; do check "$flavour serves all of it and nothing else" under "$flavour" "$STORE" validate_and_pull "$flavour"; done
for flavour in v2 v3; do
    check "a dry run of $flavour changes nothing" dry_run_changes_nothing "$flavour"
    check "a run of $flavour removes what nothing leads to, and no more" plain_run_keeps_what_is_used "$flavour"
    check "a run of $flavour with --delete-untagged, and what is left" untagged_goes "$flavour"
    check "ours runs on while $flavour collects" runs_through_a_collection "$flavour"
    check "a type that $flavour does not know ends its run, until it is deleted" unknown_type_ends_the_run "$flavour"
done
check "a repository without layers ends the run of v3, until there is a directory" empty_index_ends_the_run_of_v3
for flavour in "${FLAVOURS[@]}"; do check "an upload begun under $flavour waits for the others and their collectors" upload_waits "$flavour"; done
for flavour in v2 v3; do
    check "an upload URL of ours is refused when $flavour has gone on" old_url_is_refused "$flavour"
    check "an upload begun under ours and cancelled under $flavour is unknown" upload_is_lost ours "$flavour"
    check "an upload begun under $flavour and cancelled under ours is unknown" upload_is_lost "$flavour" ours
done
check "an upload that was purged is unknown" upload_is_lost ours purge
finish
