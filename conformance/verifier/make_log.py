#!/usr/bin/env python3
"""Makes a small valid gatebook log, written from docs/format.md alone (the section numbers are that page's).

usage: make_log.py LOGDIR KEYDIR [--records N] [--epoch N] [--segment N] [--seed TEXT] [--content TEXT] [--open]

Both folders must be absent. `--records` is how many of the user's records are written (40), `--epoch` and
`--segment` after how many records an epoch ends (7) or a segment is sealed (20). The same seed gives the same keys
and origin, the same seed and content the same bytes. `--open` leaves the log as a killed writer does: not closed.
After ten of these records the log is closed and opened again, and after twenty its writer is killed: a torn tail is
set aside and a `log.recovered` tells of it.
"""
import argparse, base64, datetime, hashlib, hmac, json, os, random, shutil, subprocess, sys, tempfile, zlib

from tally import Tally

START = datetime.datetime(2025, 3, 1, 12, 0, 0, tzinfo=datetime.timezone.utc)


def sha256(data):
    return hashlib.sha256(data).digest()


def b64(data):
    return base64.b64encode(data).decode()


def node(left, right):
    return sha256(b"\x01" + left + right)


def tree_root(hashes):
    """RFC 6962 §2.1, as it is defined there: by halves."""
    if len(hashes) < 2:
        return hashes[0] if hashes else sha256(b"")
    half = 1 << (len(hashes) - 1).bit_length() - 1
    return node(tree_root(hashes[:half]), tree_root(hashes[half:]))


def write(path, data):
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data if isinstance(data, bytes) else data.encode())


class SigningKey:
    """An Ed25519 key; openssl holds the pen."""

    def __init__(self, origin, secret):
        self.origin = origin
        der = bytes.fromhex("302e020100300506032b657004220420") + secret
        self.pem = f"-----BEGIN PRIVATE KEY-----\n{b64(der)}\n-----END PRIVATE KEY-----\n"
        shown = subprocess.run(["openssl", "pkey", "-pubout", "-outform", "DER"], input=self.pem.encode(),
                               stdout=subprocess.PIPE, check=True).stdout
        raw = b"\x01" + shown[-32:]
        self.id = sha256(origin.encode() + b"\n" + raw)[:4]
        self.public = f"{origin}+{self.id.hex()}+{b64(raw)}"

    def line(self, text):
        """The signature line under a checkpoint's text (§6)."""
        return f"\u2014 {self.origin} {b64(self.id + self.sign(text))}\n"

    def sign(self, text):
        with tempfile.TemporaryDirectory() as folder:
            key, message = os.path.join(folder, "key"), os.path.join(folder, "message")
            write(key, self.pem)
            write(message, text)
            return subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", key, "-in", message],
                                  stdout=subprocess.PIPE, check=True).stdout


class Log:
    """A log being written: `append` adds a record, `end_epoch`, `seal` and `close` end what their names say."""

    def __init__(self, logdir, seed, content, host="host.example"):
        secrets = random.Random(f"secrets {seed}")
        self.logdir, self.content = logdir, random.Random(f"content {seed} {content}")
        self.origin = f"{host}/gatebook/{secrets.randbytes(16).hex()}"
        self.signing_key = SigningKey(self.origin, secrets.randbytes(32))
        self.signing_keys, self.secrets = [self.signing_key], secrets
        self.initial_key = self.key = secrets.randbytes(32)
        self.epoch, self.prev_hash, self.leaves, self.segment = 0, "0" * 64, [], 0
        self.epoch_first = self.segment_bytes = 0
        self.tally = Tally()
        os.mkdir(logdir, 0o700)
        write(os.path.join(logdir, "lock"), "")

    def path(self, *names):
        return os.path.join(self.logdir, *names)

    def uuid7(self, prefix, milliseconds):
        bits = milliseconds << 80 | 0x7 << 76 | self.content.getrandbits(12) << 64 | 2 << 62 | self.content.getrandbits(62)
        text = f"{bits:032x}"
        return f"{prefix}_{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def append(self, event_type, emitter="make_log", **members):
        seq = len(self.leaves)
        time = START + datetime.timedelta(milliseconds=1375 * seq)
        record = {"seq": seq, "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03d}Z",
                  "event_id": self.uuid7("evt", int(time.timestamp() * 1000)), "event_type": event_type,
                  "emitter": emitter, **members, "epoch": self.epoch, "prev_hash": self.prev_hash}
        self.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()[:-1])

    def write(self, body):
        """Completes a line from all that stands before its hash (§4)."""
        self.prev_hash = hmac.new(self.key, body, "sha256").hexdigest()
        line = body + f',"hash":"{self.prev_hash}"}}'.encode()
        with open(self.path("segments", f"{self.segment:020d}.jsonl"), "ab", opener=private) as file:
            file.write(line + b"\n")
        self.segment_bytes += len(line) + 1
        self.leaves.append(sha256(b"\x00" + line))
        try:
            self.tally.add(json.loads(line))
        except (ValueError, TypeError, AttributeError, RecursionError):
            pass  # a line that a test spoiled: no seal over it can be judged

    def log_record(self, event_type, **details):
        self.append(event_type, "log", details=details)

    def opened(self):
        os.makedirs(self.path("segments"), mode=0o700, exist_ok=True)
        self.log_record("log.opened", format=1, origin=self.origin, public_key=self.signing_key.public,
                        retention={"delete": "never"}, durability="group", checkpoint_interval_ms=60000,
                        segment_bytes_max=67108864, rotate="size", forward_security={"on": True},
                        software="make_log.py", pid=4242)

    def checkpoint(self):
        """Publishes a checkpoint of all records, and the tiles of its size (§5)."""
        size = len(self.leaves)
        text = f"{self.origin}\n{size}\n{b64(tree_root(self.leaves))}\n"
        note = (text + "\n" + "".join(key.line(text) for key in self.signing_keys)).encode()
        write(self.path("checkpoint"), note)
        level, hashes = 0, self.leaves
        while hashes:
            for first in range(0, len(hashes), 256):
                number, data = first // 256, b"".join(hashes[first:first + 256])
                name = f"{number % 1000:03d}"
                while number := number // 1000:
                    name = f"x{number % 1000:03d}/{name}"
                tile = self.path("tile", str(level), *name.split("/"))
                shutil.rmtree(tile + ".p", ignore_errors=True)
                write(tile if len(data) == 8192 else os.path.join(tile + ".p", str(len(data) // 32)), data)
            hashes = [tree_root(hashes[at:at + 256]) for at in range(0, len(hashes) - 255, 256)]
            level += 1
        return note

    def next_epoch(self):
        """Moves the key on; the checkpoint comes before the next record (§6)."""
        note = self.checkpoint()
        extracted = hmac.new(self.origin.encode(), self.key, "sha256").digest()
        self.key = hmac.new(extracted, b"gatebook/v1/epoch-key\x01", "sha256").digest()
        self.epoch, self.epoch_first = self.epoch + 1, len(self.leaves)
        return note

    def end_epoch(self):
        self.log_record("log.epoch", next_epoch=self.epoch + 1, reason="time")
        self.next_epoch()

    def seal(self):
        lines = self.tally.lines()
        write(self.path("segments", f"{self.segment:020d}.tally"), b"".join(line + b"\n" for line in lines))
        self.log_record("log.sealed", next_epoch=self.epoch + 1, first_seq=self.segment, last_seq=len(self.leaves),
                        records=len(self.leaves) + 1 - self.segment, bytes=self.segment_bytes,
                        first_timestamp=self.tally.first.decode(), last_timestamp=self.tally.last.decode(),
                        tally_size=len(lines), tally_root=tree_root([sha256(b"\x00" + line) for line in lines]).hex(),
                        reason="size")
        write(self.path("checkpoints", f"{len(self.leaves):020d}"), self.next_epoch())
        self.segment, self.segment_bytes, self.tally = len(self.leaves), 0, Tally()

    def rotate_key(self):
        """A new key is named, and a kept checkpoint carries the signatures of both (§6)."""
        old, new = self.signing_keys[0], SigningKey(self.origin, self.secrets.randbytes(32))
        self.key_record("rotated", old, new, old)
        self.signing_keys = [old, new]
        write(self.path("checkpoints", f"{len(self.leaves):020d}"), self.checkpoint())

    def retire_key(self):
        old, new = self.signing_keys
        self.key_record("retired", old, new, new)
        self.signing_keys = [new]
        write(self.path("checkpoints", f"{len(self.leaves):020d}"), self.checkpoint())

    def key_record(self, what, old, new, signer):
        signature = signer.sign(f"gatebook/v1/key-{what}\n{old.public}\n{new.public}\n")
        self.log_record(f"log.key_{what}", previous=old.public, public_key=new.public, signature=b64(signature))

    def close(self):
        self.log_record("log.closed", next_epoch=self.epoch + 1, records=len(self.leaves))
        self.next_epoch()

    def killed(self, torn):
        """What the next opening writes when the writer before it was killed within a write."""
        name = f"{len(self.leaves):020d}.torn"
        write(self.path("torn", name), torn)
        self.opened()
        self.log_record("log.recovered", reason="unclean_shutdown",
                        records_after_head=len(self.leaves) - 1 - self.epoch_first, torn_bytes=len(torn),
                        torn_file=name, torn_sha256=sha256(torn).hex())

    def user_record(self, number):
        """One of a few kinds, so that every member of the table in §2 stands somewhere."""
        call = f"call-{number // 2}"
        shared = {"session_id": "s-1", "call_id": call, "source": "files"}
        salted = sha256(self.content.randbytes(32) + b"the whole text")
        commitment = {"preview": "the wh\u2026", "sha256": salted.hex(), "bytes": 14, "ref": self.uuid7("cnt", 1740830400000)}
        if number % 4 == 0:
            self.append("tool_execution", actor={"channel": "mcp", "user_id": "u1", "username": "Ren\u00e9e", "agent": "demo"},
                        **shared, action={"phase": "intent", "tool": "read_file", "resource": "/tmp/\U0001f4d8",
                                          "arguments": '{"n":12345678901234567890,"s":"\\ud800","__proto__":1}',
                                          "risk_level": "low", "allowed": True})
        elif number % 4 == 1:
            self.append("tool_execution", **shared, action={"phase": "outcome", "tool": "read_file"},
                        result={"success": True, "duration_ms": 1.5, "output": commitment},
                        trace={"trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331"})
        elif number % 4 == 2:
            self.append("policy_violation", "gate", **shared,
                        security={"policy_violation": True, "rule": "no-root", "reason": "asked for \"root\"\n"})
        else:
            self.append("shop.order_paid", details={"amount": 1e3, "hash": "not a chain hash", "list": [[], {}, None],
                                                    "": -0.0, "\u2028": "line separator"})


def member(lines, level=6):
    """The lines as one member of an archive (§1.1)."""
    deflate = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    data = deflate.compress(lines) + deflate.flush()
    header = bytes.fromhex("1f8b08040000000000ff280047422400") + len(data).to_bytes(4, "little") + sha256(data)
    return header + data + zlib.crc32(lines).to_bytes(4, "little") + len(lines).to_bytes(4, "little")


def archive(lines, first, level=6):
    """The members of a segment's archive: its lines up to each multiple of 256."""
    cuts = [0] + [at for at in range(1, len(lines)) if (first + at) % 256 == 0] + [len(lines)]
    return [member(b"".join(lines[start:end]), level) for start, end in zip(cuts, cuts[1:])]


def private(path, flags):
    return os.open(path, flags, 0o600)


def make_log(logdir, keydir, records=40, epoch=7, segment=20, seed="1", content="1", leave_open=False):
    """Writes the log and the keys a verifier is given; returns the Log, on which more may be appended."""
    log = Log(logdir, seed, content)
    write(os.path.join(keydir, "origin"), log.origin + "\n")
    write(os.path.join(keydir, "signing-key.pem"), log.signing_key.pem)
    write(os.path.join(keydir, "public-key"), log.signing_key.public + "\n")
    checksum = sha256(f"{log.origin}\ngatebook/v1/hmac-key\n".encode() + log.initial_key)[:4].hex()
    write(os.path.join(keydir, "initial-hmac-key"), f"{log.origin}+{checksum}+{b64(log.initial_key)}\n")
    log.opened()
    for number in range(records):
        log.user_record(number)
        if number == 10:
            log.close()
            log.opened()
        if number == 20:
            log.killed(b'{"seq":%d,"timestamp":"2025-' % len(log.leaves))
        if len(log.leaves) - log.segment >= segment:
            log.seal()
        elif len(log.leaves) - log.epoch_first >= epoch:
            log.end_epoch()
    if not leave_open:
        log.close()
    return log


if __name__ == "__main__":
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("logdir")
    parser.add_argument("keydir")
    for option, default in ("--records", 40), ("--epoch", 7), ("--segment", 20):
        parser.add_argument(option, type=int, default=default)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--content", default="1")
    parser.add_argument("--open", action="store_true", dest="leave_open")
    options = vars(parser.parse_args())
    log = make_log(options.pop("logdir"), options.pop("keydir"), **options)
    sys.stdout.write(f"{len(log.leaves)} records of {log.origin}\n")
