"""The files of an image, independent of the file system they are built on."""
import io
import os
import tarfile


class Tree:
    """Paths (absolute, without the leading slash) to tar members. Everything belongs to root."""

    def __init__(self, epoch):
        self.epoch = epoch
        self.members = {}  # path: (TarInfo, content or None)

    def _add(self, path, kind, mode, content=None, target=""):
        path = path.strip("/")
        parent = os.path.dirname(path)
        if parent and parent not in self.members:
            self.directory(parent)
        if parent and self.members[parent][0].type != tarfile.DIRTYPE:
            raise ValueError("%s: %s is not a directory" % (path, parent))
        info = tarfile.TarInfo(path)
        info.type, info.mode, info.linkname, info.mtime = kind, mode, target, self.epoch
        info.size = len(content or b"")
        if path in self.members:
            old, old_content = self.members[path]
            if (old.type, old.mode, old.linkname, old_content) != (kind, mode, target, content):
                raise ValueError("%s: two different files" % path)
        self.members[path] = (info, content)

    def directory(self, path, mode=0o755):
        self._add(path, tarfile.DIRTYPE, mode)

    def file(self, path, content, mode=0o644):
        self._add(path, tarfile.REGTYPE, mode, content)

    def link(self, path, target):
        self._add(path, tarfile.SYMTYPE, 0o777, target=target)

    def files(self):
        """Regular files: [(path, content)], sorted."""
        return [(path, content) for path, (_, content) in sorted(self.members.items())
                if content is not None]

    def tar(self):
        """The tree as an uncompressed tar archive: sorted, so that each directory precedes its files."""
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for _, (info, content) in sorted(self.members.items()):
                tar.addfile(info, io.BytesIO(content or b""))
        return out.getvalue()
