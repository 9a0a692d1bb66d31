"""One pass over the segments of a log (docs/format.md §9.1), and what is checked beside the lines: tiles, torn files."""
import collections, hashlib, hmac, os, re, stat

from files import names, open_plain
from line import HASH_TAIL, MAX_LINE, parse_end, parse_line, parse_start
from note import next_epoch_key, parse_key
from tally import Tally
from tree import Tree, leaf_hash, read_tile, tile_entries

KEY_RECORDS = {"log.key_rotated", "log.key_retired"}
EPOCH_ENDS = {"log.epoch", "log.sealed", "log.closed"}
COMPLETE = re.compile(rb',"epoch":[0-9]+,"prev_hash":"[0-9a-f]{64}","hash":"[0-9a-f]{64}"\}.', re.DOTALL)
LONGEST_END = 300
Place = collections.namedtuple("Place", "reason segment seq offset", defaults=(None, None, None))


class Fault(Exception):
    """What ends the reading (§9.1); its argument is a Place."""


class Reading:
    """One pass over the segments (§9.1). `sizes`: whose roots are wanted; `hmac_key`: (origin, K_0), or None."""

    def __init__(self, logdir, sizes, hmac_key):
        self.logdir, self.sizes, self.hmac_key, self.key_epoch = logdir, sizes, hmac_key, 0
        self.reach, self.prev_hash, self.epoch, self.epoch_ended = 0, b"0" * 64, 0, False
        self.opened = None  # details of the record at seq 0
        self.key_records = []  # (Place, type, details) of those about keys (§6), as far as nothing is missing below
        self.last_type, self.hole = None, False  # type of the last record; whether the fault may be a power loss's hole
        # Places: of what ended the reading; of a wrong tile or torn file; of a seal or file that does not tally
        self.fault = self.side_fault = self.tally_fault = None
        self.missing, self.required = [], 0
        self.tree, self.tiles, self.roots = Tree(self.check_tile), {}, {0: Tree().root()}
        folder = os.path.join(logdir, "segments")
        segments = [name for name in names(folder, r"[0-9]{20}\.jsonl")
                    if stat.S_ISREG(os.lstat(os.path.join(folder, name)).st_mode)]
        try:
            for self.segment in segments:
                self.offset, self.tally = 0, Tally()
                self.read_segment(is_last=self.segment == segments[-1])
        except Fault as fault:
            self.fault = fault.args[0]

    def fail(self, reason, seq=None):
        raise Fault(self.here(reason, self.reach if seq is None else seq))

    def here(self, reason, seq):
        return Place(reason, self.segment, seq, self.offset)

    def read_segment(self, is_last):
        with open_plain(os.path.join(self.logdir, "segments", self.segment)) as file:
            while line := file.readline(MAX_LINE + 1):
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
        if self.reach > 0 and self.last_type != "log.sealed" and (
                first > self.reach or b',"event_type":"log.recovered",' not in line):
            self.fail("the segment before was cut off or split: it does not end with its seal")
        if first > self.reach:
            # No epoch is empty, so a range holds no more epochs than records (§4). The other bound, half a year of
            # epochs, keeps one forged line from making the auditor derive keys for ever.
            if not end or not 0 <= end[0] - self.epoch <= min(first - self.reach, 1 << 18):
                self.fail("the epoch cannot follow the one before the missing range", first)
            self.missing.append((self.reach, first))
            self.reach, self.epoch_ended, self.last_type, (self.epoch, self.prev_hash, _) = first, False, None, end

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
            if event_type != "log.opened" or type(details.get("format")) is not int or details["format"] != 1:
                self.fail("the first record does not open a log of format 1")
            try:
                if parse_key(details["public_key"]).name != details["origin"]:
                    raise ValueError
            except (ValueError, KeyError, AttributeError):
                self.fail("the first record's public_key is not a key named for its origin")
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
        self.opened = details if seq == 0 else self.opened
        if event_type in KEY_RECORDS and not self.missing and len(self.key_records) < 2000:
            self.key_records.append((self.here(None, seq), event_type, details))
        if self.epoch_ended:
            self.required = seq
        self.epoch_ended, self.last_type = event_type in EPOCH_ENDS, event_type
        self.reach, self.prev_hash, self.epoch = seq + 1, own_hash, epoch + self.epoch_ended
        if event_type == "log.recovered" and not self.side_fault:
            self.check_torn(details.get("torn_file"), details.get("torn_sha256"), seq)
        if event_type != "log.sealed":
            self.tally.add(record)
        elif wrong := self.tally.disagrees(details, os.path.join(self.logdir, "segments", f"{first:020d}.tally")):
            self.tally_fault = self.tally_fault or self.here(wrong, seq)
        if not self.missing:
            self.tree.add(leaf_hash(line))
            if self.reach in self.sizes:
                self.roots[self.reach] = self.tree.root()

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
