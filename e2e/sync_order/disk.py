"""A model of the disk: what of the store would survive a power cut."""

import os


class File:
    def __init__(self, version=0, durable=0):
        self.version, self.durable = version, durable

    def synced(self):
        return self.durable >= self.version


class Entry:
    """A name in a directory. `node` is a File, "directory", or None where it has been removed."""

    def __init__(self, node, why):
        self.node, self.durable, self.why = node, False, why


class Disk:
    """The tree below a root, and what of it would survive a power cut."""

    def __init__(self, root, existing):
        self.root = root
        self.entries = {}
        for path in existing:
            directory = os.path.isdir(path)
            self.entries[path] = Entry("directory" if directory else File(), "was there before, never synced by this process")

    def inside(self, path):
        return path == self.root or path.startswith(self.root + "/")

    def set(self, path, node, why):
        self.entries[path] = Entry(node, why)

    def remove(self, path, why):
        entry = self.entries.get(path)
        node = entry.node if entry else None
        for below in [p for p in self.entries if p.startswith(path + "/")]:
            del self.entries[below]
        self.entries[path] = Entry(None, why)
        return node

    def file(self, path):
        entry = self.entries.get(path)
        return entry.node if entry and isinstance(entry.node, File) else None

    def in_directory(self, directory):
        return [path for path, entry in self.entries.items() if os.path.dirname(path) == directory and not entry.durable]

    def ancestors(self, path):
        while path != self.root:
            path = os.path.dirname(path)
            yield path

    def missing_above(self, path):
        """What keeps the directories of a path from being durable."""
        return [
            f"directory {self.short(above)}: {self.entries[above].why}"
            for above in self.ancestors(path)
            if above in self.entries and not self.entries[above].durable
        ]

    def missing_there(self, path, content=True):
        entry = self.entries.get(path)
        if entry is None or entry.node is None:
            return [f"{self.short(path)}: not there"]
        wrong = []
        if content and not entry.node.synced():
            wrong.append(f"{self.short(path)}: its content was not synced after the last write")
        if not entry.durable:
            wrong.append(f"{self.short(path)}: its directory was not synced: {entry.why}")
        return wrong + self.missing_above(path)

    def missing_gone(self, path):
        """A path is gone for good if it or something above it is, durably."""
        wrong = []
        for candidate in [path, *self.ancestors(path)]:
            entry = self.entries.get(candidate)
            if entry is None:
                continue
            if entry.node is not None:
                return wrong or [f"{self.short(path)}: still there"]
            if entry.durable:
                return []
            wrong = [f"{self.short(candidate)}: the removal was not synced: {entry.why}"]
        return wrong or [f"{self.short(path)}: never seen"]

    def short(self, path):
        return os.path.relpath(path, self.root)
