"""The tally of a segment (docs/format.md §3.1): what is counted of its records, and the tree over the sorted lines."""
import json, os, re

from files import open_plain
from tree import Tree, leaf_hash

MAX_LINES, MAX_BYTES = 1 << 20, 128 * 1024 * 1024
DIMENSIONS = "actor", "decision", "risk", "tool", "type"
LONE = re.compile("[\ud800-\udfff]")


def spell(value):
    """A value as JSON.stringify writes it, in bytes: lone surrogates escaped, nothing else beyond what must be."""
    text = json.dumps(value, ensure_ascii=False)
    return LONE.sub(lambda match: f"\\u{ord(match[0]):04x}", text).encode()


def text_or_none(value):
    return value if isinstance(value, str) else None


class Tally:
    def __init__(self):
        self.counts, self.first, self.last, self.overflow, self.bytes = {}, b"", b"", False, 0

    def add(self, record):
        actor, action = record.get("actor", {}), record.get("action", {})
        allowed = action.get("allowed")
        for dimension, value in (("type", record["event_type"]), ("actor", text_or_none(actor.get("user_id"))),
                                 ("tool", text_or_none(action.get("tool"))),
                                 ("risk", text_or_none(action.get("risk_level"))),
                                 ("decision", allowed if isinstance(allowed, bool) else None)):
            self.count(dimension, value)
        time = record["timestamp"].encode()
        self.first = min(self.first, time) if self.last else time
        self.last = max(self.last, time)

    def count(self, dimension, value):
        key = dimension, value
        if key not in self.counts:
            self.bytes += 40 + (len(spell(value)) if value is not None else 0)
            if len(self.counts) >= MAX_LINES + 5 or self.bytes > MAX_BYTES:
                self.overflow = True
                return
            self.counts[key] = 0
        self.counts[key] += 1

    def lines(self):
        return sorted(b'["%s",%s,%d]' % (dimension.encode(), spell(value), count)
                      for (dimension, value), count in self.counts.items())

    def disagrees(self, seal, path):
        """What is wrong with the details of a seal, or with the file beside the segment; None when nothing is."""
        lines = self.lines()
        tree = Tree()
        for line in lines:
            tree.add(leaf_hash(line))
        wanted = dict(first_timestamp=self.first.decode(), last_timestamp=self.last.decode(),
                      tally_size=len(lines), tally_root=tree.root().hex())
        if self.overflow or any(seal.get(name) != value for name, value in wanted.items()):
            return "the seal does not tally the records of its segment"
        try:
            with open_plain(path) as file:
                if all(file.read(len(line) + 1) == line + b"\n" for line in lines) and not file.read(1):
                    return None
        except (FileNotFoundError, NotADirectoryError, ValueError):
            pass
        return f"{os.path.basename(path)} is absent or differs from the tally of its segment"
