# shellcheck shell=bash
# What three registries push into one store, and what is to be expected of it. Sourced by distribution-gc.sh.
#
# It is written down as it is pushed, one line each in $FACTS: CLASS KIND REPOSITORY WORDS…
#   CLASS  keep: tagged; child: only an index leads there; loose: nothing but its digest does
#   KIND   manifest DIGEST, blob DIGEST, tag TAG DIGEST, referrer SUBJECT DIGEST; or `gone PATH`
# $SWEPT has the digests of content that no manifest leads to any more: what a collector has to remove.

STORE=$WORK/store
LAYOUT=$WORK/layout
FACTS=$WORK/facts
SWEPT=$WORK/swept
FLAVOURS=(v2 v3 ours)
declare -A NEXT=([v2]=v3 [v3]=ours [ours]=v2)
EMPTY=sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a
UNTYPED=application/vnd.example.untyped+json
mkdir -p "$LAYOUT/blobs/sha256" "$LAYOUT/blobs/sha512" "$WORK/named"
: >"$FACTS"
: >"$SWEPT"

crane() { timeout 120 "$TOOLS/crane" --insecure "$@"; }
fact() { echo "$*" >>"$FACTS"; }
file_of() { echo "$LAYOUT/blobs/${1/://}"; }

# under FLAVOUR STORE COMMAND…: runs the command while that registry serves the store.
TURN=0
under() {
    local flavour=$1 store=$2
    shift 2
    TURN=$((TURN + 1))
    start_registry "$TURN-$BASHPID-$flavour" "$store" "$flavour"
    "$@"
    stop "$REG_PID"
}

# ----------------------------------------------------------------- fixtures

# make NAME [SUBJECT-NAME]: a manifest of the empty configuration and a layer of its own, which refers to another
# if one is named. `named NAME` is its digest.
make() {
    local digest size layer subject=null
    printf '{}' >"$WORK/empty"
    read -r digest _ < <(add_blob "$LAYOUT" "$WORK/empty")
    assert_eq "$digest" "$EMPTY" "digest of the empty configuration"
    head -c 700 /dev/urandom >"$WORK/layer"
    read -r layer size < <(add_blob "$LAYOUT" "$WORK/layer")
    if [[ -n ${2:-} ]]; then
        subject=$(printf '{"mediaType":"%s","digest":"%s","size":%d}' "$OCI_MANIFEST" "$(named "$2")" "$(size_of "$2")")
    fi
    jq -nc --arg t "$OCI_MANIFEST" --arg e "$EMPTY" --arg l "$layer" --argjson s "$size" --argjson subject "$subject" \
        '{schemaVersion: 2, mediaType: $t, artifactType: "application/vnd.example.note",
          config: {mediaType: "application/vnd.oci.empty.v1+json", digest: $e, size: 2},
          layers: [{mediaType: "application/octet-stream", digest: $l, size: $s}]}
         + if $subject then {subject: $subject} else {} end' >"$WORK/manifest"
    add_blob "$LAYOUT" "$WORK/manifest" | cut -d' ' -f1 >"$WORK/named/$1"
}

size_of() { stat -c %s "$(file_of "$(named "$1")")"; }
named() { cat "$WORK/named/$1"; }

# make_index NAME CHILD-NAME…
make_index() {
    local name=$1 child entries='[]'
    shift
    for child in "$@"; do
        entries=$(jq -c --arg t "$OCI_MANIFEST" --arg d "$(named "$child")" --argjson s "$(size_of "$child")" \
            '. + [{mediaType: $t, digest: $d, size: $s, platform: {architecture: "amd64", os: "linux"}}]' <<<"$entries")
    done
    jq -nc --arg t "$OCI_INDEX" --argjson m "$entries" '{schemaVersion: 2, mediaType: $t, manifests: $m}' >"$WORK/index"
    add_blob "$LAYOUT" "$WORK/index" | cut -d' ' -f1 >"$WORK/named/$name"
}

make_all() {
    local p image blob
    for p in "${FLAVOURS[@]}"; do
        make_image "$LAYOUT" amd64 900 1100 | jq -r .digest >"$WORK/named/$p-v1"
        for image in old new loose twice lost amd64 arm64 alone; do make "$p-$image"; done
        for image in sbom signature withdrawn added; do make "$p-$image" "$p-v1"; done
        make "$p-attached" "$p-alone"
        make_index "$p-multi" "$p-amd64" "$p-arm64"
        make_index "$p-wide" "$p-amd64"
        head -c 500 /dev/urandom >"$WORK/stray"
        add_blob "$LAYOUT" "$WORK/stray" | cut -d' ' -f1 >"$WORK/named/$p-stray"
    done
    # Ours alone takes these: a manifest whose bytes do not say its type, and one under SHA-512 with such a layer.
    make ours-untyped
    jq -c 'del(.mediaType)' "$(file_of "$(named ours-untyped)")" >"$WORK/untyped"
    add_blob "$LAYOUT" "$WORK/untyped" | cut -d' ' -f1 >"$WORK/named/ours-untyped"
    make ours-shared
    make ours-former
    make ours-long
    blob=sha512:$(sha512sum <"$WORK/layer" | cut -d' ' -f1)
    cp "$WORK/layer" "$(file_of "$blob")"
    jq -c --arg d "$blob" '.layers[0].digest = $d' "$(file_of "$(named ours-long)")" >"$WORK/long"
    echo "sha512:$(sha512sum <"$WORK/long" | cut -d' ' -f1)" >"$WORK/named/ours-long"
    cp "$WORK/long" "$(file_of "$(named ours-long)")"
}

blobs_of() { jq -r 'select(.config) | .config.digest, .layers[].digest' "$(file_of "$1")" | sort -u; }

# push CLASS REPOSITORY NAME [TAG…]: blobs, then the manifest, by digest alone where there is no tag. The class
# `swept` is for what is going to be deleted: nothing is expected of it.
push() {
    local class=$1 repository=$2 digest type blob reference
    digest=$(named "$3")
    shift 3
    for blob in $(blobs_of "$digest"); do
        http_ok 202 POST "/v2/$repository/blobs/uploads/" -H 'Content-Length: 0'
        http_ok 201 PUT "$(with_digest "$(location)" "$blob")" "${OCTETS[@]}" --data-binary "@$(file_of "$blob")"
        # The empty configuration is in use by others too.
        [[ $class == swept || ($class != keep && $blob == "$EMPTY") ]] || fact "$class" blob "$repository" "$blob"
    done
    type=$(jq -r --arg u "$UNTYPED" '.mediaType // $u' "$(file_of "$digest")")
    for reference in "${@:-$digest}"; do put_manifest "$repository" "$reference" "$(file_of "$digest")" "$type"; done
    [[ $class != swept ]] || return 0
    fact "$class" manifest "$repository" "$digest"
    for reference in "$@"; do fact keep tag "$repository" "$reference" "$digest"; done
}

# What nothing leads to once it is deleted; the empty configuration is in use elsewhere.
deleted() { # deleted REPOSITORY NAME [TAG…]
    local repository=$1 digest tag
    digest=$(named "$2")
    http_ok 202 DELETE "/v2/$repository/manifests/$digest"
    fact keep gone "/v2/$repository/manifests/$digest"
    for tag in "${@:3}"; do fact keep gone "/v2/$repository/manifests/$tag"; done
    { echo "$digest" && blobs_of "$digest"; } | grep -vx "$EMPTY" >>"$SWEPT"
}

push_own() {
    local p=$1 child
    push keep "$p/app" "$p-v1" v1 link current
    push loose "$p/app" "$p-old" old-for-now
    sed -i '/ old-for-now /d' "$FACTS"
    put_manifest "$p/app" moved "$(file_of "$(named "$p-old")")"
    push keep "$p/app" "$p-new"
    push loose "$p/app" "$p-loose"
    push swept "$p/app" "$p-twice" twice again
    push swept "$p/app" "$p-lost" lost
    for child in amd64 arm64; do push child "$p/app" "$p-$child"; done
    push keep "$p/app" "$p-multi" multi
    push loose "$p/app" "$p-sbom"
    push keep "$p/app" "$p-signature" signature
    push swept "$p/app" "$p-withdrawn"
    fact loose referrer "$p/app" "$(named "$p-v1")" "$(named "$p-sbom")"
    fact keep referrer "$p/app" "$(named "$p-v1")" "$(named "$p-signature")"
    push loose "$p/untagged" "$p-alone"
    push loose "$p/untagged" "$p-attached"
    fact loose referrer "$p/untagged" "$(named "$p-alone")" "$(named "$p-attached")"
    push_blob "$p/app" "$(file_of "$(named "$p-stray")")" >>"$SWEPT"
    deleted "$p/app" "$p-lost" lost
    [[ $p == ours ]] || return 0
    push keep ours/app ours-untyped untyped
    [[ -n $(find "$STORE" -path '*/ours/app/*' -name mediatype) ]] || fail "no type was kept for $(named ours-untyped)"
    push loose ours/app ours-long
    push swept ours/app ours-shared mine
    push swept ours/app ours-former stays
}

# work_in FLAVOUR NEIGHBOUR: what one does in a repository of another.
work_in() {
    local me=$1 p=$2 blob
    put_manifest "$p/app" moved "$(file_of "$(named "$p-new")")"
    fact keep tag "$p/app" moved "$(named "$p-new")"
    deleted "$p/app" "$p-twice" twice again
    deleted "$p/app" "$p-withdrawn"
    push keep "$p/app" "$p-wide" wide
    push loose "$p/app" "$p-added"
    fact loose referrer "$p/app" "$(named "$p-v1")" "$(named "$p-added")"
    if [[ $p == ours ]]; then
        put_manifest ours/app theirs "$(file_of "$(named ours-shared)")"
        put_manifest ours/app stays "$(file_of "$(named ours-new)")"
        fact keep tag ours/app stays "$(named ours-new)"
    fi
    for blob in $(blobs_of "$(named "$p-v1")"); do
        http_ok 201 POST "/v2/$me/mounted/blobs/uploads/?mount=$blob&from=$p/app" -H 'Content-Length: 0'
        fact keep blob "$me/mounted" "$blob"
    done
    put_manifest "$me/mounted" v1 "$(file_of "$(named "$p-v1")")"
    fact keep manifest "$me/mounted" "$(named "$p-v1")"
    fact keep tag "$me/mounted" v1 "$(named "$p-v1")"
    # 2.8 cannot delete a tag, so ours does that in 3's repository when 2.8 has been there.
    http DELETE "/v2/$p/app/manifests/old-for-now"
    assert_eq "$STATUS" "$([[ $me == v2 ]] && echo 400 || echo 202)" "status of the deletion of a tag"
}

# Ours deletes where others have set and moved tags since: those that point there go, those that did stay.
work_after() {
    local p
    deleted ours/app ours-shared mine theirs
    deleted ours/app ours-former
    for p in shared former; do
        p=$STORE/docker/registry/v2/repositories/ours/app/_manifests/revisions/$(named "ours-$p" | tr : /)
        [[ ! -e $p ]] || fail "$p is still there"
    done
    http_ok 202 DELETE /v2/v3/app/manifests/old-for-now
    for p in "${FLAVOURS[@]}"; do fact keep gone "/v2/$p/app/manifests/old-for-now"; done
}

# --------------------------------------------------------------- validation

# ask METHOD FILE: requests every line `STATUS PATH [DIGEST]` of the file over one connection; statuses have to be
# those, and the bytes of GETs those of the digest.
ask() {
    local method=$1 status path digest n=0
    rm -rf "$WORK/answers"
    mkdir "$WORK/answers"
    for status in wanted sums256 sums512 requests; do : >"$WORK/$status"; done
    [[ $method != HEAD ]] || echo head >>"$WORK/requests"
    while read -r status path digest; do
        n=$((n + 1))
        printf 'url = "http://%s%s"\noutput = "%s/answers/%d"\n' "$REG" "$path" "$WORK" "$n" >>"$WORK/requests"
        echo "$status http://$REG$path" >>"$WORK/wanted"
        [[ $digest != sha256:* ]] || echo "${digest#sha256:}  $WORK/answers/$n" >>"$WORK/sums256"
        [[ $digest != sha512:* ]] || echo "${digest#sha512:}  $WORK/answers/$n" >>"$WORK/sums512"
    done <"$2"
    ((n > 0)) || fail "nothing to ask for"
    timeout 120 curl -sS -H "$ACCEPT, $UNTYPED" -w '%{http_code} %{url}\n' -K "$WORK/requests" >"$WORK/told"
    diff "$WORK/wanted" "$WORK/told" || fail "$method: statuses (< expected, > got)"
    [[ $method == GET ]] || return 0
    [[ ! -s $WORK/sums256 ]] || sha256sum --quiet -c "$WORK/sums256" || fail "content that is not that of its digest"
    [[ ! -s $WORK/sums512 ]] || sha512sum --quiet -c "$WORK/sums512" || fail "content that is not that of its digest"
}

# validate FLAVOUR [GONE-CLASS…]: everything in $FACTS; what is of these classes has to be gone.
validate() {
    local flavour=$1 class kind repository first second status p
    local gone=" ${*:2} "
    : >"$WORK/ask"
    while read -r class kind repository first second; do
        status=200
        [[ $gone != *" $class "* ]] || status=404
        # Distribution has no manifests under SHA-512.
        [[ $flavour == ours || $kind$first != manifestsha512:* ]] || continue
        case $kind in
        gone) echo "404 $repository" ;;
        blob | manifest) echo "$status /v2/$repository/${kind}s/$first $([[ $status == 404 ]] || echo "$first")" ;;
        tag) echo "200 /v2/$repository/manifests/$first $second" ;;
        esac
    done <"$FACTS" >"$WORK/ask"
    ask HEAD "$WORK/ask"
    ask GET "$WORK/ask"
    while read -r p; do
        # shellcheck disable=SC2046 # one word for each tag
        assert_tags "$p" $(awk -v p="$p" '$2 == "tag" && $3 == p { print $4 }' "$FACTS" | sort -u)
    done < <(awk '$2 == "tag" { print $3 }' "$FACTS" | sort -u)
    [[ $flavour != ours ]] || validate_referrers "$gone"
}

# What each of them mounted and tagged, pulled by a client.
pulls() {
    local p
    for p in "${FLAVOURS[@]}"; do
        crane validate --remote "$REG/$p/app:v1"
        rm -rf "$WORK/pulled"
        timeout 120 skopeo copy --quiet --src-tls-verify=false "docker://$REG/$p/mounted:v1" "dir:$WORK/pulled"
        same_image_bytes "$WORK/pulled" "$LAYOUT" "$(named "${NEXT[$p]}-v1")"
    done
}

validate_and_pull() {
    validate "$@"
    pulls
}

# validate_referrers GONE-CLASSES: of each subject exactly those.
validate_referrers() {
    local repository subject
    while read -r repository subject; do
        http_ok 200 GET "/v2/$repository/referrers/$subject"
        assert_eq "$(jq -r '[.manifests[].digest] | sort | join(" ")' "$BODY")" \
            "$(awk -v r="$repository" -v s="$subject" -v gone="$1" \
                '$2 == "referrer" && $3 == r && $4 == s && !index(gone, " " $1 " ") { print $5 }' "$FACTS" | sort | paste -sd' ')" \
            "referrers of $subject in $repository"
    done < <(awk '$2 == "referrer" { print $3, $4 }' "$FACTS" | sort -u)
    http_ok 200 GET /v2/ours/app/manifests/untyped
    assert_eq "$(header Content-Type)" "$UNTYPED" "type that the bytes do not say"
}
