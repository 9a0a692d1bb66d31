"""Deleted records (docs/format.md §3.2 and §9.5): what log.pruned says is gone, and whether the policy allowed it."""
import base64, collections, datetime, json, os, re

from archive import BadArchive, open_segment
from files import names, open_plain
from tally import DIMENSIONS, spell
from tree import Tree, leaf_hash

DAY = 86_400_000
REASONS = "age", "size", "records"
MARKER = b'"event_type":"log.pruned","emitter":"log"'
Range = collections.namedtuple("Range", "first last bytes epoch hash subtrees")
Pruned = collections.namedtuple("Pruned", "seq leaf bytes removed ranges")
Seal = collections.namedtuple("Seal", "last time bytes root")


def is_number(value):
    return type(value) in (int, float)


def whole(value, name):
    """A number that JSON may also have written as 12.0."""
    found = value.get(name)
    if not is_number(found) or found != int(found) or not 0 <= found < 1 << 53:
        raise ValueError(name)
    return int(found)


def own_time(text):
    """Milliseconds since 1970, or None where it is not written as the log writes its own times."""
    if not isinstance(text, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z", text):
        return None
    try:
        time = datetime.datetime.fromisoformat(text[:-1] + "+00:00")
    except ValueError:
        return None
    return (time - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) // datetime.timedelta(milliseconds=1)


def cover(first, end):
    """Heights of the perfect subtrees that cover the leaves [first, end), each as large as its place allows."""
    heights = []
    while first < end:
        height = 0
        while first % (2 << height) == 0 and first + (2 << height) <= end:
            height += 1
        heights.append(height)
        first += 1 << height
    return heights


def parse_pruned(seq, leaf, details):
    """What a log.pruned says, or None where its details are not of the form."""
    try:
        removed, ranges = [], []
        if len(details["removed"]) > 100 or len(details["ranges"]) > 12:
            return None
        for one in details["removed"]:
            if one["reason"] not in REASONS:
                return None
            removed.append((whole(one, "first_seq"), whole(one, "last_seq"), one["reason"]))
        for one in details["ranges"]:
            subtrees = [base64.b64decode(text, validate=True) for text in one["subtrees"]]
            if [base64.b64encode(node).decode() for node in subtrees] != one["subtrees"] or any(len(node) != 32 for node in subtrees):
                return None
            ranges.append(Range(whole(one, "first_seq"), whole(one, "last_seq"), whole(one, "bytes"), whole(one, "epoch"),
                                one["hash"], subtrees))
            if not re.fullmatch("[0-9a-f]{64}", one["hash"]):
                return None
        if any(first > last for first, last, _ in removed) or any(
                one.first > one.last or len(cover(one.first, one.last + 1)) != len(one.subtrees) for one in ranges):
            return None
        if any(after.first <= before.last + 1 for before, after in zip(ranges, ranges[1:])):
            return None
        return Pruned(seq, leaf, whole(details, "bytes"), removed, ranges)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None


def newest_pruned(logdir, segments):
    """The last log.pruned in the segments, searched where anything was kept of deleted ones. Reading shows its worth."""
    if not names(os.path.join(logdir, "kept"), r"[0-9]{20}\.jsonl"):
        return None
    for segment in reversed(segments):
        found = None
        with open_segment(logdir, segment) as file:
            try:
                for line in iter(lambda: file.readline(65537), b""):
                    if MARKER in line and line[-1:] == b"\n":
                        found = parse_marked(line[:-1]) or found
            except BadArchive:
                pass  # reading the log ends there, and says so
        if found:
            return found
    return None


def parse_marked(line):
    try:
        record = json.loads(line)
        if record["event_type"] == "log.pruned" and record["emitter"] == "log":
            return parse_pruned(record["seq"], leaf_hash(line), record["details"])
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return None


def parse_policy(policy):
    """The terms of a recorded policy; None where it allows nothing."""
    if not isinstance(policy, dict) or policy.get("delete") != "oldest":
        return None
    numbers = [policy[name] for name in ("retention_days", "max_total_bytes", "max_records") if name in policy]
    type_days, hold = policy.get("type_days", {}), policy.get("hold", [])
    if not isinstance(type_days, dict) or not all(map(is_number, numbers + list(type_days.values()))):
        return None
    if not isinstance(hold, list) or not all(isinstance(one, dict) and one and all(
            name in DIMENSIONS and (value is None or isinstance(value, (str, bool))) for name, value in one.items()) for one in hold):
        return None
    return policy


class Judge:
    """Fed with the log's own records in their order; says which deletions were not allowed."""

    def __init__(self, logdir, min_days):
        self.logdir, self.min_days, self.terms, self.ahead = logdir, min_days, None, 0
        self.seals, self.ranges, self.newest = {}, [], None
        self.denied, self.runs = [], []

    def feed(self, record, leaf, length, before):
        """`length`: of the line with its newline; `before`: bounds of the bytes of all lines before it, if known."""
        kind, details = record["event_type"], record.get("details", {})
        if kind == "log.opened":
            self.terms = parse_policy(details.get("retention"))
        elif kind == "log.clock_jump":
            jump = details.get("jump_ms")
            self.ahead += jump if is_number(jump) and jump > 0 else 0
        elif kind == "log.clock_confirmed":
            self.ahead = 0
        elif kind == "log.sealed" and is_number(details.get("first_seq")) and is_number(details.get("bytes")):
            self.seals[details["first_seq"]] = Seal(record["seq"], own_time(record["timestamp"]), details["bytes"] + length,
                                                    details.get("tally_root"))
        elif kind == "log.pruned":
            pruned = parse_pruned(record["seq"], leaf, details)
            if pruned:
                self.judge(pruned, record["timestamp"], before)

    def judge(self, pruned, time, before):
        earlier, self.ranges, self.newest = self.ranges, pruned.ranges, pruned
        spans = []
        for first, last in sorted([(one.first, one.last) for one in earlier] + [one[:2] for one in pruned.removed]):
            if spans and spans[-1][1] == first - 1:
                spans[-1] = spans[-1][0], last
            else:
                spans.append((first, last))
        counts = (before is None or before[0] <= pruned.bytes <= before[1]) and spans == [(one.first, one.last) for one in pruned.ranges]
        held_bytes = pruned.bytes - sum(one.bytes for one in earlier)
        records = pruned.seq - sum(one.last + 1 - one.first for one in earlier)
        for first, last, reason in pruned.removed:
            seal = self.seals.get(first)
            if counts and seal and seal.last == last and self.permits(first, seal, reason, own_time(time), held_bytes, records):
                self.runs.append((first, last + 1, reason, time))
            else:
                self.denied.append((first, last + 1))
            held_bytes -= seal.bytes if seal else 0
            records -= last + 1 - first

    def permits(self, first, seal, reason, now, held_bytes, records):
        if self.terms is None or now is None or seal.time is None:
            return False
        terms, age = self.terms, now - seal.time - self.ahead

        def old(days):
            return self.ahead < DAY and age >= days * DAY

        if reason == "age" and not ("retention_days" in terms and old(terms["retention_days"])):
            return False
        if reason == "size" and not held_bytes > terms.get("max_total_bytes", held_bytes):
            return False
        if reason == "records" and not records > terms.get("max_records", records):
            return False
        type_days, hold = terms.get("type_days", {}), terms.get("hold", [])
        lines = tally_lines(self.logdir, first, None, seal.root) if type_days or hold else None
        keys = None if lines is None else {line[:line.rindex(b",")] for line in lines}

        def has(dimension, value):
            return keys is None or b'["%s",%s' % (dimension.encode(), spell(value)) in keys

        if any(has("type", kind) and not old(days) for kind, days in type_days.items()):
            return False
        if any(all(has(*pair) for pair in one.items()) for one in hold):
            return False
        return self.min_days is None or now - seal.time >= self.min_days * DAY


def tally_lines(logdir, first, size, root):
    """The lines of a tally's file, if they are those of a seal with this size and root; None when not."""
    try:
        with open_plain(os.path.join(logdir, "segments", f"{first:020d}.tally")) as file:
            data = file.read()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    if data and data[-1:] != b"\n":
        return None
    tree, lines = Tree(), data.split(b"\n")[:-1]
    for line in lines:
        tree.add(leaf_hash(line))
    return lines if tree.root().hex() == root and (size is None or len(lines) == size) else None
