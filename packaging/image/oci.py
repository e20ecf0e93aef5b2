"""An OCI image layout in a tar archive. Facts: OCI image-spec 1.0, image-layout.md, manifest.md, config.md."""
import gzip
import hashlib
import io
import json
import time

from tree import Tree

MEDIA = "application/vnd.oci.image."


def dumps(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def compress(data):
    """gzip without a name and a time."""
    out = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=out, compresslevel=9, mtime=0) as f:
        f.write(data)
    return out.getvalue()


def archive(tree, name, version, architecture, epoch):
    """(the archive's bytes, the manifest's digest). NAME: by which container runtimes will know the image."""
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch))
    layer = tree.tar()
    packed = compress(layer)
    config = dumps({
        "created": created, "architecture": architecture, "os": "linux",
        "config": {
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Entrypoint": ["/usr/local/bin/kube-proxy"], "WorkingDir": "/",
            "Labels": {"org.opencontainers.image.title": "kube-proxy",
                       "org.opencontainers.image.version": version},
        },
        "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
        "history": [{"created": created, "created_by": "make image"}],
    })
    blobs = {digest(packed): packed, digest(config): config}
    manifest = dumps({
        "schemaVersion": 2, "mediaType": MEDIA + "manifest.v1+json",
        "config": {"mediaType": MEDIA + "config.v1+json", "digest": digest(config),
                   "size": len(config)},
        "layers": [{"mediaType": MEDIA + "layer.v1.tar+gzip", "digest": digest(packed),
                    "size": len(packed)}],
    })
    blobs[digest(manifest)] = manifest
    index = dumps({
        "schemaVersion": 2, "mediaType": MEDIA + "index.v1+json",
        "manifests": [{
            "mediaType": MEDIA + "manifest.v1+json", "digest": digest(manifest),
            "size": len(manifest), "platform": {"architecture": architecture, "os": "linux"},
            # the whole name: containerd reads the first, podman and skopeo the second
            "annotations": {"io.containerd.image.name": name,
                            "org.opencontainers.image.ref.name": name},
        }],
    })
    layout = Tree(epoch)
    layout.file("oci-layout", dumps({"imageLayoutVersion": "1.0.0"}))
    layout.file("index.json", index)
    for key, data in blobs.items():
        layout.file("blobs/" + key.replace(":", "/"), data)
    return layout.tar(), digest(manifest)
