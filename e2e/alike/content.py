"""What is pushed, and how: images, indexes, layers with URLs."""

import hashlib
import json

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
CONFIG = b'{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[]}}'
ACCEPT = {"Accept": f"{MANIFEST}, {INDEX}"}


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def descriptor(data, media_type, **more):
    return {"mediaType": media_type, "digest": digest(data), "size": len(data), **more}


def image(*layers, **more):
    """A manifest of these layers: bytes, or descriptors as they are."""
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, "application/vnd.oci.image.config.v1+json"),
            "layers": [layer if isinstance(layer, dict) else descriptor(layer, LAYER) for layer in layers],
            **more,
        }
    ).encode()


def index(*manifests, **more):
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": list(manifests), **more}).encode()


def local(location, prefix=""):
    """The path of a Location, whatever host it names. Where `host` or `relativeurls` is set, Distribution forgets
    the prefix; it is put back."""
    path = location.split("://", 1)[-1]
    path = path[path.index("/") :]
    return path if path.startswith(prefix) else prefix + path


def begin(run, repository, prefix="", **how):
    """Location of a new upload."""
    return run.ask("POST", f"{prefix}/v2/{repository}/blobs/uploads/", **how).header("Location")


def push_blob(run, repository, data, prefix="", **how):
    path = local(begin(run, repository, prefix, **how), prefix)
    answer = run.ask("PUT", f"{path}{'&' if '?' in path else '?'}digest={digest(data)}", data, **how)
    assert answer.status == 201, (answer.status, answer.body)
    return answer


def put(run, repository, reference, manifest, media_type=MANIFEST, prefix="", **how):
    headers = {"Content-Type": media_type, **how.pop("headers", {})}
    return run.ask("PUT", f"{prefix}/v2/{repository}/manifests/{reference}", manifest, headers=headers, **how)


def push_image(run, repository, tag, *layers, prefix="", **how):
    for blob in (CONFIG, *layers):
        push_blob(run, repository, blob, prefix, **how)
    answer = put(run, repository, tag, image(*layers), prefix=prefix, **how)
    assert answer.status == 201, (answer.status, answer.body)
    return answer
