"""What a power loss may leave of a directory, made from the journal of power_disk.cc.

The rules are those of POSIX, read against us, with what journaling file systems add:

  * A file's bytes are safe once it was synced. Of what was written or truncated since, anything may have come to
    the disk: nothing, all, a part in order, or any of its sectors of 512 bytes. A size may be there without its
    bytes: they are zeros then.
  * A name is safe once its directory was synced; the sync of a file is none of its name. Of the changes of names
    since, a first part is there: of each directory's own, or of all in the order in which they were made.
  * A rename is there or not. A directory that was synced can be reached.
  * A wal-index is gone.

What a folder may keep (another machine's disk) is kept whole. The directory is changed in place: files that stay
what they were keep inode and times, as clean-close records and remembered replicas want them.
"""
import os
import shutil
import struct

HEADER = struct.Struct("<cQQIII")
SECTOR = 512


class File:
    def __init__(self, content=b""):
        self.durable = bytes(content)
        self.pending = []  # (offset, bytes), or a size

    @staticmethod
    def apply(content, change):
        if isinstance(change, int):
            content[change:] = bytes(max(change - len(content), 0))
            return
        offset, data = change
        content.extend(bytes(max(offset - len(content), 0)))
        content[offset:offset + len(data)] = data

    def current(self):
        content = bytearray(self.durable)
        for change in self.pending:
            self.apply(content, change)
        return content

    def sync(self):
        self.durable = bytes(self.current())
        self.pending = []

    def lose(self, draw):
        """The content after a power loss."""
        content = bytearray(self.durable)
        way = draw.choice(["nothing", "all", "first", "sectors", "sectors"])
        if way == "nothing":
            return content
        changes, chance = self.pending, draw.choice([0.05, 0.5, 0.95])
        if way == "first":
            changes = changes[:draw.randint(0, len(changes))]
        for number, change in enumerate(changes):
            is_torn = way == "sectors" or (way == "first" and number == len(changes) - 1)
            if not is_torn:
                self.apply(content, change)
            elif isinstance(change, int):
                if draw.random() < chance:
                    self.apply(content, change)
            else:
                self.apply_sectors(content, *change, draw, chance)
        return content

    def apply_sectors(self, content, offset, data, draw, chance):
        at = 0
        while at < len(data):
            end = min(at + SECTOR - (offset + at) % SECTOR, len(data))
            if draw.random() < chance:
                self.apply(content, (offset + at, data[at:end]))
            at = end


class Directory:
    def __init__(self):
        self.durable = {}
        self.current = {}
        self.pending = []  # (number, {name: node, or None where it went})

    def change(self, number, names):
        self.pending.append((number, names))
        self.update(self.current, names)

    @staticmethod
    def update(entries, names):
        for name, node in names.items():
            entries.pop(name, None)
            if node is not None:
                entries[name] = node

    def sync(self):
        self.durable = dict(self.current)
        self.pending = []

    def lose(self, draw, cut):
        """The names after a power loss; `cut`: the number of the first change that is lost."""
        last = draw.randint(0, len(self.pending)) if cut is None else len(self.pending)
        entries = dict(self.durable)
        for number, names in self.pending[:last]:
            if cut is None or number < cut:
                self.update(entries, names)
        return entries


class Disk:
    def __init__(self, root, journal):
        self.root = root
        self.journal = journal
        self.begin()

    def begin(self):
        """From here on what is there is safe."""
        self.files = {}
        self.top = self.read_directory(self.root)
        self.number = 0
        with open(self.journal, "wb"):
            pass

    def read_directory(self, path):
        directory = Directory()
        for entry in os.scandir(path):
            if entry.is_dir(follow_symlinks=False):
                directory.current[entry.name] = self.read_directory(entry.path)
                continue
            with open(entry.path, "rb") as file:
                directory.current[entry.name] = self.files[entry.inode()] = File(file.read())
        directory.sync()
        return directory

    # --- The journal ---

    def replay(self):
        with open(self.journal, "rb") as file:
            journal = file.read()
        at = 0
        while at < len(journal):
            operation, inode, offset, *sizes = HEADER.unpack_from(journal, at)
            at += HEADER.size
            texts = []
            for size in sizes:
                texts.append(journal[at:at + size])
                at += size
            self.number += 1
            self.take(operation.decode(), inode, offset, os.fsdecode(texts[0]), os.fsdecode(texts[1]), texts[2])

    def take(self, operation, inode, offset, path, second, data):
        if operation == "w":
            self.files[inode].pending.append((offset, data))
        elif operation == "t":
            self.files[inode].pending.append(offset)
        elif operation == "s":
            self.files[inode].sync()
        elif operation == "d":
            self.sync_directory(path.removesuffix("/."))  # so that it may be a link
        elif operation == "r":
            self.rename(path, second)
        else:
            node = None if operation == "u" else Directory() if operation == "m" else File()
            if operation == "c":
                self.files[inode] = node
            parent, name = self.parent(path)
            parent.change(self.number, {name: node})

    def parent(self, path):
        folder = self.top
        *folders, name = path.split("/")
        for part in folders:
            folder = folder.current[part]
        return folder, name

    def rename(self, old_path, new_path):
        old_parent, old_name = self.parent(old_path)
        new_parent, new_name = self.parent(new_path)
        node = old_parent.current[old_name]
        if old_parent is new_parent:
            old_parent.change(self.number, {old_name: None, new_name: node})
        else:
            old_parent.change(self.number, {old_name: None})
            new_parent.change(self.number, {new_name: node})

    def sync_directory(self, path):
        folder = self.top
        for part in path.split("/"):
            folder.durable[part] = folder.current[part]
            folder = folder.current[part]
        folder.sync()

    # --- The loss ---

    def lose_power(self, draw, kept_folder=None):
        self.replay()
        cut = draw.choice([None, draw.randint(0, self.number + 1)])
        wanted = self.lost_tree(self.top, "", draw, cut, kept_folder)
        self.write_tree(wanted)
        self.begin()

    def lost_tree(self, directory, prefix, draw, cut, kept_folder):
        """{path: content; None for a directory}"""
        tree = {}
        is_kept = kept_folder is not None and (prefix + "/").startswith(kept_folder + "/")
        entries = directory.current if is_kept else directory.lose(draw, cut)
        if prefix == "":
            entries = {**entries, **{name: directory.current[name] for name in directory.durable}}
        for name, node in entries.items():
            path = prefix + "/" + name if prefix else name
            if isinstance(node, Directory):
                tree[path] = None
                tree.update(self.lost_tree(node, path, draw, cut, kept_folder))
            elif not name.endswith("-shm"):
                tree[path] = (node, node.current() if is_kept else node.lose(draw))
        return tree

    def write_tree(self, tree):
        inodes = {node: inode for inode, node in self.files.items()}
        aside = self.root + ".aside"
        os.mkdir(aside)
        for path in self.paths(self.root):
            relative = os.path.relpath(path, self.root)
            inode = os.stat(path).st_ino
            wanted = tree.get(relative, False)
            if os.path.isdir(path):
                if wanted is not None:
                    shutil.rmtree(path)  # its files went aside before
            elif not wanted or inodes.get(wanted[0]) != inode:
                os.rename(path, os.path.join(aside, str(inode)))
        for relative in sorted(tree):
            path, wanted = os.path.join(self.root, relative), tree[relative]
            if wanted is None:
                os.makedirs(path, exist_ok=True)
            else:
                self.write_file(path, os.path.join(aside, str(inodes.get(wanted[0]))), wanted[1])
        shutil.rmtree(aside)

    @staticmethod
    def paths(root):
        for folder, folders, names in os.walk(root, topdown=False):
            yield from (os.path.join(folder, name) for name in names + folders)

    @staticmethod
    def write_file(path, aside, content):
        if os.path.exists(aside):
            os.rename(aside, path)
        if not os.path.exists(path):
            with open(path, "xb"):
                pass
            os.chmod(path, 0o600)
        with open(path, "rb") as file:
            if file.read() == content:
                return
        with open(path, "r+b") as file:
            file.truncate(0)
            file.write(content)
