"""Repairs (docs/format.md §3.3 and §9.6): ranges that the log says are lost, and what it set aside."""
import base64, collections, hashlib, json, os, stat

from archive import BadArchive, open_segment
from files import open_plain

MARKER = b'"event_type":"log.repaired","emitter":"log"'
Range = collections.namedtuple("Range", "first last frontier")
Repair = collections.namedtuple("Repair", "seq ranges")


def parse_repair(seq, details):
    """The ranges of a log.repaired; None where its details are not of the form."""
    try:
        ranges, at = [], 0
        if not count(details["files"]) or not isinstance(details["sha256"], str) or len(details["ranges"]) > 12:
            return None
        if not isinstance(details["ranges"], list):
            return None
        for one in details["ranges"]:
            first, last, frontier = one["first_seq"], one["last_seq"], one["frontier"]
            if not (count(first) and count(last) and at <= first <= last < seq) or not isinstance(frontier, list):
                return None
            hashes = [base64.b64decode(text, validate=True) for text in frontier]
            if any(len(node) != 32 or base64.b64encode(node).decode() != text for node, text in zip(hashes, frontier)):
                return None
            if len(hashes) != bin(last + 1).count("1"):
                return None
            ranges.append(Range(first, last, hashes))
            at = last + 2
        return Repair(seq, ranges)
    except (KeyError, TypeError, ValueError):
        return None


def count(value):
    return type(value) is int and 0 <= value < 1 << 53


def newest_repair(logdir, segments):
    """The last segment that begins with a log.repaired of the form. Reading shows its worth."""
    for segment in reversed(segments):
        try:
            with open_segment(logdir, segment) as file:
                line = file.readline(65536)
        except BadArchive:
            continue  # reading the log ends there, and says so
        if MARKER not in line[:256] or line[-1:] != b"\n":
            continue
        try:
            record = json.loads(line)
            if record["event_type"] != "log.repaired" or record["emitter"] != "log" or record["seq"] != int(segment[:20]):
                continue
            repair = parse_repair(record["seq"], record["details"])
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        if repair:
            return repair
    return None


def untouched(logdir, seq, details):
    """Whether what was set aside is as the record says."""
    if parse_repair(seq, details) is None:
        return False
    folder, paths = os.path.join(logdir, "damaged", f"{seq:020d}"), []
    for where, _, files in os.walk(folder):
        for name in files:
            path = os.path.join(where, name)
            if stat.S_ISREG(os.lstat(path).st_mode):
                paths.append(os.fsencode(os.path.relpath(path, folder)))
    listing = hashlib.sha256()
    for path in sorted(paths):
        digest = hashlib.sha256()
        with open_plain(os.path.join(folder, os.fsdecode(path))) as file:
            while chunk := file.read(65536):
                digest.update(chunk)
        listing.update(digest.hexdigest().encode() + b"  " + path + b"\n")
    return len(paths) == details["files"] and listing.hexdigest() == details["sha256"]
