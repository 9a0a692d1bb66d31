"""The tree over the lines, and its tiles (docs/format.md §5)."""
import functools, os

from archive import list_segments, open_segment
from files import names, open_plain
from line import MAX_LINE
from note import sha256


def leaf_hash(line):
    return sha256(b"\x00" + line)


class Tree:
    """RFC 6962 as a stack of perfect subtrees. `check(level, index, hash)` sees every hash that a tile may hold."""

    def __init__(self, check=None):
        self.size, self.stack, self.check = 0, [], check

    def add(self, node):
        index, height = self.size, 0
        while True:
            if self.check and height % 8 == 0:
                self.check(height // 8, index, node)
            if not index & 1:
                break
            node, index, height = sha256(b"\x01" + self.stack.pop() + node), index >> 1, height + 1
        self.stack.append(node)
        self.size += 1

    def add_subtree(self, node, height):
        """Adds a perfect subtree of 2^height leaves; the size must be a multiple of that."""
        index = self.size >> height
        self.size += 1 << height
        while index & 1:
            node, index = sha256(b"\x01" + self.stack.pop() + node), index >> 1
        self.stack.append(node)

    def copy(self):
        tree = Tree(self.check)
        tree.size, tree.stack = self.size, list(self.stack)
        return tree

    def root(self):
        if not self.stack:
            return sha256(b"")
        return functools.reduce(lambda right, left: sha256(b"\x01" + left + right), reversed(self.stack))


def read_tile(logdir, level, number):
    """The contents of a full tile and of its partial ones, widest first. An absent tile is no fault."""
    path = f"{number % 1000:03d}"
    while number := number // 1000:
        path = f"x{number % 1000:03d}/{path}"
    path = os.path.join(logdir, "tile", str(level), path)
    widths = sorted(names(path + ".p", "[1-9][0-9]{0,2}"), key=int, reverse=True)
    contents = []
    for name in [path] + [os.path.join(path + ".p", width) for width in widths]:
        try:
            with open_plain(name) as file:
                contents.append(file.read(256 * 32))
        except (FileNotFoundError, NotADirectoryError, ValueError):
            pass
    return contents


def tile_entries(contents, entry):
    """The hashes at one place of a tile; one that is cut off or zero is not there."""
    stored = (content[32 * entry:32 * entry + 32] for content in contents)
    return [node for node in stored if len(node) == 32 and any(node)]


def tile_leaves(logdir, first=0):
    number, start = divmod(first, 256)
    while contents := read_tile(logdir, 0, number):
        for entry in range(start, 256):
            nodes = tile_entries(contents, entry)
            if not nodes:
                return
            yield nodes[0]
        number, start = number + 1, 0


def first_changed(logdir, signed):
    """(segment, seq, offset) of the first line whose leaf differs from the tiles, as far as these fold into a signed
    root; `signed` maps sizes to roots. None where the tiles cannot tell."""
    tree, trusted, seq = Tree(), 0, 0
    for leaf in tile_leaves(logdir):
        tree.add(leaf)
        if tree.size in signed and tree.root() == signed[tree.size]:
            trusted = tree.size
    leaves = tile_leaves(logdir)
    for segment in list_segments(logdir):
        if int(segment[:20]) != seq:
            return None
        offset = 0
        try:
            with open_segment(logdir, segment) as file:
                while seq < trusted and (line := file.readline(MAX_LINE + 2)):
                    if leaf_hash(line.rstrip(b"\n")) != next(leaves, None):
                        return segment, seq, offset
                    seq, offset = seq + 1, offset + len(line)
        except ValueError:
            return None
    return None
