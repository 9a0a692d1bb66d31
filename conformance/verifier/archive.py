"""Segments, plain and archived (docs/format.md §1.1): which file holds the lines of each, and the lines of an archive."""
import hashlib, io, os, stat, zlib

from files import names, open_plain
from line import MAX_LINE

# Deflate, an extra field, no time, name, comment or system; 40 bytes of extra, which are the subfield GB of 36.
HEADER = bytes.fromhex("1f8b08040000000000ff280047422400")
LINES = 256
MOST_LINES = LINES * (MAX_LINE + 1)
MOST_DEFLATED = MOST_LINES + 65536


class BadArchive(ValueError):
    """What ends the reading of an archive, before the first line of the member that it is about."""


class Members(io.RawIOBase):
    """The lines of an archive as one stream. Everything before a member that is not as it must be is given."""

    def __init__(self, path):
        self.file, self.lines = open_plain(path), b""
        self.whole = LINES - int(os.path.basename(path)[:20]) % LINES

    def readable(self):
        return True

    def close(self):
        self.file.close()
        super().close()

    def readinto(self, target):
        if not self.lines:
            self.lines = self.next_member()
        part = self.lines[:len(target)]
        target[:len(part)] = part
        self.lines = self.lines[len(part):]
        return len(part)

    def next_member(self):
        header = self.file.read(len(HEADER) + 36)
        if not header:
            return b""
        length = int.from_bytes(header[16:20], "little")
        if len(header) < len(HEADER) + 36 or header[:16] != HEADER or length > MOST_DEFLATED:
            raise BadArchive("this is no member of an archive")
        deflated, trailer = self.file.read(length), self.file.read(8)
        size = int.from_bytes(trailer[4:], "little")
        if len(deflated) + len(trailer) < length + 8 or hashlib.sha256(deflated).digest() != header[20:]:
            raise BadArchive("a member of the archive is cut off or was changed")
        if not 0 < size <= MOST_LINES:
            raise BadArchive("a member of the archive is empty or too long")
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            lines = inflate.decompress(deflated, size + 1)
        except zlib.error as error:
            raise BadArchive("a member of the archive does not inflate") from error
        if len(lines) != size or not inflate.eof or inflate.unused_data or zlib.crc32(lines) != int.from_bytes(trailer[:4], "little"):
            raise BadArchive("a member of the archive does not inflate to what its trailer says")
        count, whole, self.whole = lines.count(b"\n"), self.whole, LINES
        if lines[-1:] != b"\n" or count > whole or count < whole and self.file.peek(1):
            raise BadArchive("a member of the archive holds other lines than up to a multiple of 256")
        return lines


def list_segments(logdir):
    """The names of the segments, in order; a regular file of either form makes one."""
    before, found = None, segment_files(logdir)
    while before != found:  # one listing can miss both forms of a segment that is archived meanwhile
        before, found = found, segment_files(logdir)
    return sorted({name[:26] for name in found})


def segment_files(logdir):
    folder = os.path.join(logdir, "segments")
    return [name for name in names(folder, r"[0-9]{20}\.jsonl(\.gz)?") if is_file(os.path.join(folder, name))]


def is_file(path):
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def open_segment(logdir, segment):
    """Its lines, from the plain file where there is one. A log may archive a segment between two steps here."""
    path = os.path.join(logdir, "segments", segment)
    if is_file(path) or not is_file(path + ".gz"):
        try:
            return open_plain(path)
        except FileNotFoundError:
            if not is_file(path + ".gz"):
                raise
    return io.BufferedReader(Members(path + ".gz"), 65536)
