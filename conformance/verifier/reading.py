"""One pass over the segments of a log (docs/format.md §9.1), and what is checked beside the lines: tiles, torn files."""
import collections, hashlib, hmac, os, re

from archive import BadArchive, list_segments, open_segment
from files import names, open_plain
from line import HASH_TAIL, MAX_LINE, parse_end, parse_line, parse_start
from note import next_epoch_key, parse_key
from repair import newest_repair, untouched
from retention import Judge, cover, newest_pruned, tally_lines
from tally import Tally
from tree import Tree, leaf_hash, read_tile, tile_entries, tile_leaves

KEY_RECORDS = {"log.key_rotated", "log.key_retired"}
EPOCH_ENDS = {"log.epoch", "log.sealed", "log.closed"}
JUDGED = {"log.opened", "log.sealed", "log.pruned", "log.clock_jump", "log.clock_confirmed"}
COMPLETE = re.compile(rb',"epoch":[0-9]+,"prev_hash":"[0-9a-f]{64}","hash":"[0-9a-f]{64}"\}.', re.DOTALL)
LONGEST_END = 300
Place = collections.namedtuple("Place", "reason segment seq offset", defaults=(None, None, None))


class Fault(Exception):
    """What ends the reading (§9.1); its argument is a Place."""


class Reading:
    """One pass over the segments (§9.1). `sizes`: whose roots are wanted; `hmac_key`: (origin, K_0), or None."""

    def __init__(self, logdir, sizes, hmac_key, min_days=None):
        self.judge, self.gaps, self.bytes_before = Judge(logdir, min_days), [], 0
        self.lost, self.repairs = [], []  # ranges that a repair names, with the root before each; seqs of log.repaired
        self.logdir, self.sizes, self.hmac_key, self.key_epoch = logdir, sizes, hmac_key, 0
        self.reach, self.prev_hash, self.epoch, self.epoch_ended = 0, b"0" * 64, 0, False
        self.opened = None  # details of the record at seq 0
        self.key_records = []  # (Place, type, details) of those about keys (§6)
        self.last_type, self.hole = None, False  # type of the last record; whether the fault may be a power loss's hole
        # Places: of what ended the reading; of a wrong tile or torn file; of a seal or file that does not tally
        self.fault = self.side_fault = self.tally_fault = None
        self.missing, self.required = [], 0
        self.tree, self.tiles, self.roots = Tree(self.check_tile), {}, {0: Tree().root()}
        segments = list_segments(logdir)
        self.newest_pruned = newest_pruned(logdir, segments)
        self.newest_repair = newest_repair(logdir, segments)
        try:
            for self.segment in segments:
                self.offset, self.tally = 0, Tally()
                self.read_segment(is_last=self.segment == segments[-1])
                self.bytes_before += self.offset
        except Fault as fault:
            self.fault = fault.args[0]

    def fail(self, reason, seq=None):
        raise Fault(self.here(reason, self.reach if seq is None else seq))

    def here(self, reason, seq):
        return Place(reason, self.segment, seq, self.offset)

    def read_segment(self, is_last):
        with open_segment(self.logdir, self.segment) as file:
            while line := self.next_line(file):
                if line[-1:] != b"\n":
                    return self.read_tail(file, line, is_last)
                if self.offset == 0:
                    self.begin_segment(line[:-1])
                try:
                    self.read_line(line[:-1])
                except Fault:
                    self.hole = is_last and b"\0" in line
                    raise
                self.offset += len(line)
        if self.offset == 0 and not is_last:
            self.fail("the segment is empty")

    def next_line(self, file):
        try:
            return file.readline(MAX_LINE + 1)
        except BadArchive as error:
            self.fail(str(error), self.reach if self.offset else min(self.reach, int(self.segment[:20])))

    def read_tail(self, file, tail, is_last):
        """The bytes behind the last newline; `tail` is the beginning of them, or of a line that is too long."""
        complete, length, zero = False, len(tail), False
        while True:
            complete = complete or bool(COMPLETE.search(tail))
            zero = zero or b"\0" in tail
            chunk = file.read(65536)
            if b"\n" in chunk:
                self.fail("the line is longer than 65,535 bytes")
            if not chunk:
                break
            length += len(chunk)
            tail = tail[-LONGEST_END:] + chunk
        if length > MAX_LINE and is_last:
            self.hole = zero
            self.fail("an unfinished line is longer than 65,535 bytes")
        if complete or not is_last:
            self.fail("a newline is missing")

    def begin_segment(self, line):
        first, end = int(self.segment[:20]), parse_end(line)
        if parse_start(line) != first:
            self.fail("the segment does not begin with the record it is named by", min(self.reach, first))
        if first < self.reach:
            self.fail("the segment begins before the end of the one before it", first)
        if self.reach > 0 and self.last_type != "log.sealed" and not (
                self.repair_at(self.reach, first) if first > self.reach else
                b',"event_type":"log.recovered",' in line or b',"event_type":"log.repaired",' in line):
            self.fail("the segment before was cut off or split: it does not end with its seal")
        if first > self.reach:
            reach, epoch, segment = self.reach, self.epoch, self.segment
            while self.reach < first:
                if lost := self.repair_at(self.reach, first):
                    self.skip_lost(lost)
                else:
                    self.skip_gap(min([one.first for one in self.repair_ranges() if self.reach < one.first
                                       and one.last < first], default=first))
            self.segment, self.offset = segment, 0
            # No epoch is empty, so a range holds no more epochs than records (§4). The other bound, half a year of
            # epochs, keeps one forged line from making the auditor derive keys for ever.
            if self.epoch is None:
                if not end or not 0 <= end[0] - (epoch or 0) <= min(first - reach, 1 << 18):
                    self.fail("the epoch cannot follow the one before the missing range", first)
                self.epoch, self.prev_hash, _ = end

    def repair_ranges(self):
        return self.newest_repair.ranges if self.newest_repair else []

    def repair_at(self, start, end):
        return next((one for one in self.repair_ranges() if one.first == start and one.last < end), None)

    def skip_lost(self, one):
        """A repair says what tree there was behind what is lost; the signed roots that follow judge it (§9.6)."""
        self.lost.append((one.first, one.last + 1, None if self.missing else self.tree.root()))
        self.reach, self.epoch_ended, self.last_type, self.epoch, self.prev_hash = one.last + 1, False, None, None, None
        if not self.missing:
            self.tree.size, self.tree.stack = one.last + 1, list(one.frontier)
            if self.reach in self.sizes:
                self.roots[self.reach] = self.tree.root()

    def skip_gap(self, to):
        """Goes over records that no segment holds: deleted ones by what was kept of them, others are missing (rule 7)."""
        ranges = self.newest_pruned.ranges if self.newest_pruned else []
        run = None
        for name in names(os.path.join(self.logdir, "kept"), r"[0-9]{20}\.jsonl"):
            start = int(name[:20])
            one = next((one for one in ranges if one.first <= start <= one.last), None)
            if one is None or not self.reach <= start < to:
                continue
            if run and (one is not run[1] or start > self.reach):
                run = self.end_run(*run)
            if start > self.reach:
                self.skip_missing(start)
            run = run or (start, one, {})
            self.segment, self.offset = "kept/" + name, 0
            self.read_kept(os.path.join(self.logdir, "kept", name), start, min(to - 1, one.last), run[2])
        if run:
            self.end_run(*run)
        if self.reach < to:
            self.skip_missing(to)

    def skip_missing(self, to):
        self.missing.append((self.reach, to))
        self.reach, self.epoch_ended, self.last_type, self.epoch, self.prev_hash = to, False, None, None, None

    def read_kept(self, path, start, last, leaves):
        """The log's own lines of a deleted segment, which end with its seal and are all that its tally counts."""
        counts, record, length, facts = {}, None, 0, []
        try:
            with open_plain(path) as file:
                while line := file.readline(MAX_LINE + 1):
                    if line[-1:] != b"\n" or record and record["event_type"] == "log.sealed":
                        self.fail("it does not end with the seal of its segment")
                    try:
                        record, epoch, prev_hash, own_hash = parse_line(line[:-1])
                    except ValueError as error:
                        self.fail(str(error))
                    seq, kind, details = record["seq"], record["event_type"], record.get("details", {})
                    if not self.reach <= seq <= last or not kind.startswith("log."):
                        self.fail("it is none of the log's own records of this segment")
                    if seq == self.reach and self.prev_hash not in (None, prev_hash):
                        self.fail("prev_hash is not the hash of the record before")
                    if self.epoch not in (None, epoch) or epoch > seq:
                        self.fail(f"the epoch is {epoch} where {self.epoch} must stand")
                    if self.hmac_key and not hmac.compare_digest(self.epoch_hmac(epoch, line[:-1 - HASH_TAIL]), own_hash):
                        self.fail("the hash is not the HMAC of the record")
                    if seq == 0:
                        self.check_opened(record)
                    leaf = leaf_hash(line[:-1])
                    leaves[seq] = leaf, self.segment, self.offset
                    counts[kind] = counts.get(kind, 0) + 1
                    self.keep_key_record(seq, kind, details)
                    if kind in JUDGED:
                        facts.append((record, leaf, len(line)))
                    if kind == "log.recovered" and not self.side_fault:
                        self.check_torn(details.get("torn_file"), details.get("torn_sha256"), seq)
                    self.reach, self.prev_hash, self.epoch = seq + 1, own_hash, epoch + (kind in EPOCH_ENDS)
                    self.offset, length = self.offset + len(line), len(line)
        except (FileNotFoundError, NotADirectoryError):
            return self.skip_missing(start + 1)
        if not record or record["event_type"] != "log.sealed" or [details.get("first_seq"), details.get("last_seq")] != [
                start, record["seq"]]:
            self.fail("it does not end with the seal of its segment")
        lines = tally_lines(self.logdir, start, details.get("tally_size"), details.get("tally_root"))
        if lines is None:
            self.tally_fault = self.tally_fault or self.here("the tally of a deleted segment is absent or differs", record["seq"])
        else:
            counts["log.sealed"] -= 1
            tallied = (re.fullmatch(rb'\["type","(log\.[^"]*)",([0-9]+)\]', line) for line in lines)
            if {one[1].decode(): int(one[2]) for one in tallied if one} != {kind: n for kind, n in counts.items() if n}:
                self.fail("some of the log's own records are gone from it")
        self.epoch_ended, self.last_type = True, "log.sealed"
        before, self.bytes_before = self.bytes_before, self.bytes_before + details["bytes"] + length
        for fact in facts:  # where they stood in their segment is not known any more
            self.judge.feed(*fact, None if self.missing or self.lost else (before, self.bytes_before))

    def end_run(self, start, one, leaves):
        """The tree grows over deleted records by the tiles, their only copy, which must lead to the recorded subtrees."""
        end, whole = self.reach, (start, self.reach) == (one.first, one.last + 1)
        self.gaps.append((start, end))
        if whole and (one.hash.encode(), one.epoch) != (self.prev_hash, self.epoch):
            self.fail("log.pruned names another hash or epoch for the end of what was deleted", one.last)
        if self.missing:
            return None
        grown, roots, differs, recorded = self.tree.copy(), {}, None, self.tree.copy()
        grown.check = recorded.check = None
        for seq, leaf in zip(range(start, end), tile_leaves(self.logdir, start)):
            if seq in leaves and leaves[seq][0] != leaf:
                differs = differs or leaves[seq]
            grown.add(leaf)
            if grown.size in self.sizes:
                roots[grown.size] = grown.root()
        if whole:
            for node, height in zip(one.subtrees, cover(start, end)):
                recorded.add_subtree(node, height)
        if grown.size < end or whole and recorded.root() != grown.root():
            self.side_fault = self.side_fault or Place("the tiles of deleted records, their only copy, are absent or differ")
            grown, roots = recorded, {}
        elif differs:
            _, self.segment, self.offset = differs
            self.fail("the leaf of a kept record is not the one in the tree", next(seq for seq in leaves if leaves[seq] is differs))
        grown.check = self.check_tile
        self.tree = grown
        self.roots.update(roots)
        if end in self.sizes and grown.size == end:
            self.roots[end] = grown.root()
        return None

    def bytes_up_to(self):
        """Of all lines before this one; None where some are missing."""
        exact = self.bytes_before + self.offset
        return None if self.missing or self.lost else (exact, exact)

    def check_opened(self, record):
        details = record.get("details", {})
        if record["event_type"] != "log.opened" or type(details.get("format")) is not int or details["format"] != 1:
            self.fail("the first record does not open a log of format 1")
        try:
            if parse_key(details["public_key"]).name != details["origin"]:
                raise ValueError
        except (ValueError, KeyError, AttributeError):
            self.fail("the first record's public_key is not a key named for its origin")
        self.opened = details

    def read_line(self, line):
        seq = self.reach
        try:
            record, epoch, prev_hash, own_hash = parse_line(line)
        except ValueError as error:
            self.fail(str(error))
        details, event_type = record.get("details", {}), record["event_type"]
        if record["seq"] != seq or seq >= 1 << 53:
            self.fail(f"seq is {record['seq']} where {seq} must stand")
        if seq == 0:
            self.check_opened(record)
        if prev_hash != self.prev_hash:
            self.fail("prev_hash is not the hash of the record before")
        if epoch != self.epoch:
            self.fail(f"the epoch is {epoch} where {self.epoch} must stand")
        if self.last_type == "log.sealed" and self.offset > 0:
            self.fail("a record stands behind the seal of its segment")
        first = int(self.segment[:20])
        counted = [first, seq, seq + 1 - first, self.offset]
        if event_type == "log.sealed" and [details.get(name) for name in (
                "first_seq", "last_seq", "records", "bytes")] != counted:
            self.fail("the seal does not count its own segment")
        if self.hmac_key and not hmac.compare_digest(self.epoch_hmac(epoch, line[:-HASH_TAIL]), own_hash):
            self.fail("the hash is not the HMAC of the record")
        self.keep_key_record(seq, event_type, details)
        if self.epoch_ended:
            self.required = seq
        self.epoch_ended, self.last_type = event_type in EPOCH_ENDS, event_type
        self.reach, self.prev_hash, self.epoch = seq + 1, own_hash, epoch + self.epoch_ended
        if event_type == "log.recovered" and not self.side_fault:
            self.check_torn(details.get("torn_file"), details.get("torn_sha256"), seq)
        if event_type == "log.repaired":
            self.repairs.append(seq)
            if not self.side_fault and not untouched(self.logdir, seq, details):
                self.side_fault = self.here("what a repair set aside is gone or was changed since", seq)
        if event_type != "log.sealed":
            self.tally.add(record)
        elif wrong := self.tally.disagrees(details, os.path.join(self.logdir, "segments", f"{first:020d}.tally")):
            self.tally_fault = self.tally_fault or self.here(wrong, seq)
        if event_type in JUDGED:
            self.judge.feed(record, leaf_hash(line), len(line) + 1, self.bytes_up_to())
        if not self.missing:
            self.tree.add(leaf_hash(line))
            if self.reach in self.sizes:
                self.roots[self.reach] = self.tree.root()

    def keep_key_record(self, seq, event_type, details):
        if event_type in KEY_RECORDS and len(self.key_records) < 2000:
            self.key_records.append((self.here(None, seq), event_type, details))

    def epoch_hmac(self, epoch, body):
        origin, key = self.hmac_key
        while self.key_epoch < epoch:
            key, self.key_epoch = next_epoch_key(origin, key), self.key_epoch + 1
        self.hmac_key = origin, key
        return hmac.digest(key, body, "sha256").hex().encode()

    def check_torn(self, name, wanted, seq):
        if name is None or wanted is None:
            return
        digest = hashlib.sha256()
        try:
            if not re.fullmatch(r"(?!\.)[A-Za-z0-9._-]{1,255}", name):
                raise ValueError("the name leads out of the folder")
            with open_plain(os.path.join(self.logdir, "torn", name)) as file:
                while chunk := file.read(65536):
                    digest.update(chunk)
        except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
            wanted = None
        if digest.hexdigest() != wanted:
            self.side_fault = self.here("a torn file is absent or differs from what its record says", seq)

    def check_tile(self, level, index, node):
        number, entry = divmod(index, 256)
        if self.tiles.get(level, (None,))[0] != number:
            self.tiles[level] = number, read_tile(self.logdir, level, number)
        if not self.side_fault and any(stored != node for stored in tile_entries(self.tiles[level][1], entry)):
            self.side_fault = Place(f"tile {level}/{number} differs from the lines at entry {entry}")
