#!/usr/bin/env python3
"""Makes logs with make_log.py, changes them in every way below, and asks verify.py for its verdict on each.

usage: selftest.py [SEED]     exits 1 when a verdict is another than docs/format.md §9.4 says
"""
import base64, json, os, random, re, shutil, subprocess, sys, tempfile, time

import make_log
import verify

HERE = os.path.dirname(os.path.abspath(__file__))
FIRST, SECOND, LAST = (f"segments/{first:020d}.jsonl" for first in (0, 21, 42))
SEED = sys.argv[1] if len(sys.argv) > 1 else str(random.randrange(1 << 32))
failures, checks = [], 0

WHOLE_END = b',"epoch":1,"prev_hash":"' + b"0" * 64 + b'","hash":"' + b"0" * 64 + b'"}'


class Folder:
    """A copy of a log to be changed, with what is brought to its verification."""

    def __init__(self, log, keys):
        self.path = tempfile.mkdtemp(dir=ROOT)
        self.log, self.keys = os.path.join(self.path, "log"), keys
        shutil.copytree(log, self.log)

    def at(self, name):
        return os.path.join(self.log, name)

    def read(self, name):
        with open(self.at(name), "rb") as file:
            return file.read()

    def write(self, name, data):
        os.makedirs(os.path.dirname(self.at(name)), exist_ok=True)
        with open(self.at(name), "wb") as file:
            file.write(data)

    def edit(self, name, change):
        """`change` is given the bytes and returns others."""
        before = self.read(name)
        after = change(before)
        assert after != before, f"the change to {name} changes nothing"
        self.write(name, after)

    def edit_lines(self, name, change):
        """`change` is given the list of lines, newlines included, and changes it in place."""
        def change_bytes(data):
            lines = data.splitlines(keepends=True)
            change(lines)
            return b"".join(lines)
        self.edit(name, change_bytes)


def arguments(log, keys, level, key=True, hmac_key=True, held=(), strict=False):
    found = [log, "--level", level]
    found += ["--key", f"{keys}/public-key"] if key else []
    found += ["--hmac-key", f"{keys}/initial-hmac-key"] if level == "auditor" and hmac_key else []
    for path in held:
        found += ["--checkpoint", path]
    return found + (["--strict"] if strict else [])


def expect(title, folder, public, auditor=None, **options):
    """Asks at both levels. An expectation is a verdict, or a verdict and members of the result as a dictionary."""
    global checks
    for level, wanted in ("public", public), ("auditor", auditor or public):
        verdict, members = wanted if isinstance(wanted, tuple) else (wanted, {})
        result = verify.run(arguments(folder.log, options.get("keys", folder.keys), level,
                                      **{name: value for name, value in options.items() if name != "keys"}))
        checks += 1
        if any(result.get(name) != value for name, value in dict(members, verdict=verdict).items()):
            failures.append(title)
            print(f"WRONG {title} ({level}): wanted {verdict} {members or ''}, got {json.dumps(result)}")


def make(name, **options):
    log, keys = os.path.join(ROOT, name, "log"), os.path.join(ROOT, name, "keys")
    os.mkdir(os.path.join(ROOT, name))
    return make_log.make_log(log, keys, **options), lambda: Folder(log, keys)


def flip(data, at, bit=1):
    return data[:at] + bytes([data[at] ^ bit]) + data[at + 1:]


def values(line):
    """The place of the first byte of each top-level member's value, by name."""
    found, record, at = {}, json.loads(line), 0
    for name, value in record.items():
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        at = line.index(b'"%s":' % name.encode(), at) + len(name) + 3
        found[name] = at
        at += len(text)
    return found


def intact(closed, still_open):
    expect("an intact log", closed(), ("ok", dict(pending=0, records=52, size=52, exit=0)))
    expect("an open log", still_open(), ("ok", dict(exit=0, records=46, size=42, pending=4)))
    expect("an open log, strictly", still_open(), ("ok", dict(exit=3)), strict=True)
    expect("no key", closed(), ("unverifiable", dict(exit=3)), key=False)
    expect("no HMAC key", closed(), "ok", ("unverifiable", dict(exit=3)), hmac_key=False)
    folder = closed()
    for name in os.listdir(folder.log):
        path = folder.at(name)
        shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
    expect("an empty folder", folder, "unverifiable")
    folder = closed()
    for name in os.listdir(folder.at("segments")):
        os.remove(folder.at(f"segments/{name}"))
    expect("no segments, but checkpoints", folder, "truncated")
    folder = closed()
    for name in "segments/notes.txt", f"{LAST}.tmp", "checkpoints/1.tmp", "checkpoint.tmp", "tile/0/x.tmp", "note":
        folder.write(name, b"of no meaning")
    expect("names of no meaning", folder, "ok")


def members(closed, still_open):
    """A byte of each member of each kind of record, under a signature and behind it (guarantees 1 and 8)."""
    seen = set()
    for segment in FIRST, SECOND, LAST:
        lines = closed().read(segment).splitlines(keepends=True)
        offset = 0
        for number, line in enumerate(lines):
            seq = int(segment[9:29]) + number
            kind = json.loads(line)["event_type"]
            for name, at in values(line).items():
                if (kind, name) not in seen and seq:
                    seen.add((kind, name))
                    folder = closed()
                    folder.edit(segment, lambda data: flip(data, offset + at + (line[at] in b'"{')))
                    expect(f"a flip in {name} of {kind} at {seq}", folder,
                           ("tampered", dict(seq=seq, segment=segment[9:], offset=offset, exit=1)))
            offset += len(line)
    last = still_open().read(LAST).splitlines(keepends=True)
    offset = sum(map(len, last[:-1]))
    for name, at in values(last[-1]).items():
        folder = still_open()
        folder.edit(LAST, lambda data: flip(data, offset + at + (last[-1][at] in b'"{')))
        structural = name in ("seq", "epoch", "prev_hash", "action", "result", "security", "trace", "details", "actor")
        expect(f"a flip in {name} of the last, pending record", folder, "tampered" if structural else "ok",
               ("tampered", dict(seq=45, offset=offset)))
    chooser = random.Random(SEED)
    for _ in range(150):
        folder, segment = closed(), chooser.choice([FIRST, SECOND, LAST])
        at = chooser.randrange(len(folder.read(segment)))
        folder.edit(segment, lambda data: flip(data, at, 1 << chooser.randrange(8)))
        expect(f"a flip at byte {at} of {segment}", folder, "tampered")


def lines(closed, still_open):
    """Records removed, swapped, copied, forged, cut off (guarantees 2, 3, 5)."""
    def case(title, segment, change, *wanted, of=closed, **options):
        folder = of()
        folder.edit_lines(segment, change)
        expect(title, folder, *wanted, **options)

    def swap(found):
        found[3], found[4] = found[4], found[3]

    def forge(found):
        record = json.loads(found[-1])
        record.update(seq=record["seq"] + 1, prev_hash=record["hash"], event_type="a.lie", epoch=record["epoch"] + 1)
        found.append(json.dumps(record, separators=(",", ":")).encode() + b"\n")

    case("a record removed", SECOND, lambda found: found.pop(5), ("tampered", dict(seq=26)))
    case("two records swapped", SECOND, swap, ("tampered", dict(seq=24)))
    case("a record copied", SECOND, lambda found: found.insert(6, found[5]), ("tampered", dict(seq=27)))
    case("the first record removed", FIRST, lambda found: found.pop(0), ("tampered", dict(seq=0)))
    case("a record forged at the end", LAST, forge, ("ok", dict(pending=1)), ("tampered", dict(seq=52)))
    case("the last record cut off", LAST, lambda found: found.pop(), ("truncated", dict(records=51, size=52)))
    case("pending records cut off", LAST, lambda found: found.pop(), ("ok", dict(pending=3)), of=still_open)
    case("the end of a middle segment cut off", SECOND, lambda found: found.pop(), ("tampered", dict(seq=41)))
    case("a middle segment emptied", SECOND, lambda found: found.clear(), ("tampered", dict(seq=21)))
    case("the last segment emptied", LAST, lambda found: found.clear(), ("truncated", dict(records=42)))
    case("a carriage return", SECOND, lambda found: found.__setitem__(2, found[2].replace(b"\n", b"\r\n")), "tampered")
    case("a blank line", SECOND, lambda found: found.insert(2, b"\n"), ("tampered", dict(seq=23)))
    case("white space before the first byte", SECOND, lambda found: found.__setitem__(2, b" " + found[2]), "tampered")
    case("a line too long", SECOND, lambda found: found.insert(2, b"x" * 70000 + b"\n"), ("tampered", dict(seq=23)))
    for segment, wanted in (FIRST, ("missing", dict(missing=[(0, 21)]))), (SECOND, ("missing", dict(missing=[(21, 42)]))), \
            (LAST, "truncated"):
        folder = closed()
        os.remove(folder.at(segment))
        expect(f"{segment} deleted", folder, wanted)
    folder = closed()
    os.rename(folder.at(SECOND), folder.at(f"segments/{22:020d}.jsonl"))
    expect("a segment renamed", folder, ("tampered", dict(seq=21)))
    folder = closed()
    shutil.copy(folder.at(SECOND), folder.at(f"segments/{30:020d}.jsonl"))
    expect("a segment copied", folder, ("tampered", dict(seq=30)))
    folder = closed()
    os.remove(folder.at(SECOND))
    os.mkfifo(folder.at(SECOND))
    expect("a pipe for a segment", folder, "missing")
    folder = closed()
    os.remove(folder.at(LAST))
    os.mkdir(folder.at(LAST))
    expect("a folder for the last segment", folder, "truncated")
    folder = closed()
    folder.write(f"segments/{15:020d}.jsonl", b"".join(folder.read(FIRST).splitlines(keepends=True)[15:]))
    expect("a segment that begins within another", folder, ("tampered", dict(seq=15)))
    for change in (lambda epoch: epoch + 22, lambda epoch: 1):
        folder = closed()
        os.remove(folder.at(SECOND))
        folder.edit(LAST, lambda data: re.sub(rb'"epoch":(\d+)', lambda found: b'"epoch":%d' % change(int(found[1])), data))
        expect("an epoch that cannot follow the missing range", folder, ("tampered", dict(seq=42)))
    folder = closed()
    shutil.rmtree(folder.at("segments"))
    expect("no segments folder", folder, "truncated")


def tails(closed, still_open):
    for title, tail, wanted in (
            ("half a line", b'{"seq":52,"timest', "ok"), ("a page of zeros", bytes(4096), "ok"),
            ("a long unfinished line", b"x" * 200000, "tampered"),
            ("a long hole", b"\0" * 200000, "ok"),
            ("a line too long", b"x" * 70000 + b"\n", "tampered"),
            ("a whole line without its newline", b'{"seq":52,"hash":"' + b"0" * 64 + b'"}', "ok"),
            ("a whole line and a byte", b'{"seq":52' + WHOLE_END + b" ", "tampered"),
            ("a hash of the user's own", b'{"seq":52,"hash":"' + b"0" * 64 + b'"} ', "ok"),
            ("a hole of a power loss", b'{"seq":52' + b"\0" * 600 + WHOLE_END + b"\n", "ok"),
            ("a whole line far in, and a byte", b"x" * 131000 + WHOLE_END + b" ", "tampered")):
        folder = closed()
        folder.edit(LAST, lambda data: data + tail)
        expect(f"{title} behind the last record", folder, wanted)
        folder = closed()
        folder.edit(FIRST, lambda data: data + tail)
        expect(f"{title} at the end of the first segment", folder, ("tampered", dict(seq=21)))
    folder = closed()
    folder.edit(LAST, lambda data: data[:-1])
    expect("the last newline cut off", folder, "truncated")
    folder = closed()
    folder.edit(LAST, lambda data: flip(data, len(data) - 1))
    expect("the last newline flipped", folder, "tampered")
    torn = "torn/" + os.listdir(closed().at("torn"))[0]
    folder = closed()
    folder.edit(torn, lambda data: flip(data, 0))
    expect("a torn file changed", folder, "tampered")
    folder = closed()
    os.remove(folder.at(torn))
    expect("a torn file removed", folder, "tampered")


def checkpoints(closed, still_open, other):
    def case(title, change, *wanted, of=closed, name="checkpoint"):
        folder = of()
        folder.edit(name, change)
        expect(title, folder, *wanted)

    key_id = base64.b64decode(closed().read("checkpoint").split()[-1])[:4]
    witness = "— witness.example {}\n".format(base64.b64encode(b"\0\0\0\1" + bytes(64)).decode()).encode()
    namesake = "— {} {}\n".format(closed().read("checkpoint").split()[0].decode(),
                                  base64.b64encode(key_id + bytes(64)).decode()).encode()
    # Of the open log the newest checkpoint is also a sealed one, so nothing else is wrong when that file is.
    for of, size in (closed, b"\n52\n"), (still_open, b"\n42\n"):
        for title, change, wanted in (
                ("the signature stripped", lambda data: data[:data.index(b"\n\n") + 2], "tampered"),
                ("the signature flipped", lambda data: data[:-9] + (b"A" if data[-9:-8] != b"A" else b"B") + data[-8:], "tampered"),
                ("the key hash changed", lambda data: data.replace(base64.b64encode(key_id)[:4], b"AAAA"), "tampered"),
                ("the size changed", lambda data: data.replace(size, b"\n21\n"), "tampered"),
                ("a leading zero in the size", lambda data: data.replace(size, b"\n0" + size[1:]), "tampered"),
                ("an extension line", lambda data: data.replace(b"\n\n", b"\nmore\n\n"), "tampered"),
                ("carriage returns", lambda data: data.replace(b"\n", b"\r\n"), "tampered"),
                ("no newline at the end", lambda data: data[:-1], "tampered"),
                ("an empty line at the end", lambda data: data + b"\n", "tampered"),
                ("a spare bit of the base64 set", lambda data: data[:-3] + chr(data[-3] + 1).encode() + data[-2:], "tampered"),
                ("an empty checkpoint", lambda data: b"", "tampered"),
                ("a huge checkpoint", lambda data: data + witness * 2000, "tampered"),
                ("another log's checkpoint", lambda data: other().read("checkpoint"), "tampered"),
                ("a wrong line in our own name", lambda data: data + namesake, "tampered"),
                ("a witness's line", lambda data: data + witness, "ok")):
            case(title, change, wanted, of=of)
    sealed = f"checkpoints/{42:020d}"
    older, oldest = closed().read(sealed), closed().read(f"checkpoints/{21:020d}")
    case("an older checkpoint, an epoch behind", lambda data: older, "tampered")
    case("an older checkpoint, a sealed one beside it", lambda data: oldest, ("ok", dict(pending=4)), of=still_open)
    case("a sealed checkpoint flipped", lambda data: flip(data, 90), "tampered", name=sealed)
    folder = closed()
    os.rename(folder.at(sealed), folder.at(f"checkpoints/{41:020d}"))
    expect("a sealed checkpoint renamed", folder, "tampered")
    folder = closed()
    os.remove(folder.at("checkpoint"))
    expect("no checkpoint", folder, "tampered")
    folder = closed()
    os.remove(folder.at("checkpoint"))
    shutil.rmtree(folder.at("checkpoints"))
    expect("no checkpoint at all", folder, "tampered")


def evidence(closed, still_open, other, fork, wrong_key):
    newest, sealed = closed().at("checkpoint"), closed().at(f"checkpoints/{42:020d}")
    expect("held evidence that fits", closed(), "ok", held=[newest, sealed])
    expect("held evidence of more, an older copy", still_open(), ("rolled_back", dict(records=46)), held=[newest])
    expect("held evidence, the log gone", empty(closed), "rolled_back", held=[newest])
    expect("held evidence of a fork", closed(), "tampered", held=[fork().at("checkpoint")])
    expect("a fork in the folder's place", fork(), "tampered", held=[sealed])
    expect("another log in its place", other(), "wrong_log", keys=closed().keys)
    expect("held evidence of another log", closed(), "wrong_log", held=[other().at("checkpoint")])
    folder = closed()
    folder.edit("checkpoint", lambda data: data[:-60] + b"AAAA" + data[-56:])
    expect("held evidence signed by nobody known", closed(), "wrong_log", held=[folder.at("checkpoint")])
    folder = closed()
    folder.edit_lines(LAST, lambda found: found.pop())
    os.remove(folder.at("checkpoint"))
    expect("rolled back to an epoch's end, checkpoint taken away", folder, "rolled_back", held=[newest])
    folder = fork()
    folder.keys = closed().keys
    os.remove(folder.at("checkpoint"))
    shutil.copy(newest, folder.at("checkpoint"))
    expect("a fork under our checkpoint", folder, "tampered")
    folder = closed()
    folder.edit_lines(LAST, lambda found: found.pop())
    expect("records cut off, and a fork of what they were", folder, "tampered", held=[fork().at("checkpoint")])
    folder = other()
    folder.keys = closed().keys
    folder.edit_lines(LAST, lambda found: found.pop())
    shutil.rmtree(folder.at("checkpoints"))
    shutil.copy(newest, folder.at("checkpoint"))
    expect("another log under our checkpoint of more", folder, "tampered")
    expect("an ended epoch rewritten by a key holder", wrong_key(), "ok", ("tampered", dict(seq=0)), keys=closed().keys)
    expect("the same against held evidence", wrong_key(), "tampered", keys=closed().keys, held=[newest])
    expect("the HMAC key of another log", closed(), "ok", "wrong_log", keys=swapped_hmac(closed, other))


def empty(make_folder):
    folder = make_folder()
    shutil.rmtree(folder.log)
    os.mkdir(folder.log)
    return folder


def swapped_hmac(closed, other):
    keys = tempfile.mkdtemp(dir=ROOT)
    shutil.copy(f"{closed().keys}/public-key", keys)
    shutil.copy(f"{other().keys}/initial-hmac-key", keys)
    return keys


def replace_once(body, old, new):
    assert old in body, f"{old} is not in {body}"
    return body.replace(old, new, 1)


def strict_json():
    """Lines that a key holder wrote and signed well, so that only the rules of §2 can refuse them."""
    def case(title, wanted, change, **options):
        log, folder = make(f"json {title}", records=2, leave_open=True)
        good = make_log.Log.write
        log.write = lambda body: good(log, change(body))
        log.append("shop.odd", **options)
        del log.write
        log.close()
        expect(f"JSON: {title}", folder(), wanted)

    def in_details(text):
        return lambda body: replace_once(body, b'"X"', text)

    for title, wanted, text in (
            ("NaN", "tampered", b"NaN"), ("Infinity", "tampered", b"-Infinity"), ("an odd number", "tampered", b"01"),
            ("a bare point", "tampered", b"1."), ("a plus", "tampered", b"+1"), ("hex", "tampered", b"0x1"),
            ("a lone surrogate in UTF-8", "tampered", b'"\xed\xa0\x80"'), ("overlong UTF-8", "tampered", b'"\xc0\xaf"'),
            ("Latin-1", "tampered", b'"\xe9"'), ("a tab in a string", "tampered", b'"\t"'), ("NUL", "tampered", b'"\0"'),
            ("a wrong escape", "tampered", b'"\\x41"'), ("single quotes", "tampered", b"'a'"),
            ("a comma too many", "tampered", b"[1,]"), ("a comment", "tampered", b"1/**/"), ("nothing", "tampered", b""),
            ("an unclosed array", "tampered", b"[1"), ("crossed brackets", "tampered", b"[{]}"),
            ("a deep doubled member", "tampered", b'[{"a":1,"\\u0061":2}]'),
            ("a doubled member by surrogates", "tampered", b'{"\\ud83d\\ude00":1,"\xf0\x9f\x98\x80":2}'),
            ("crossed brackets far down", "tampered", b"[" * 9000 + b"{]" + b"]" * 8999 + b"}"),
            ("a doubled member far down", "tampered", b"[" * 9000 + b'{"a":1,"a":1}' + b"]" * 9000),
            ("deep nesting", "ok", b"[" * 509 + b"]" * 509), ("deeper nesting", "tampered", b"[" * 511 + b"]" * 511),
            ("deep objects", "tampered", b'{"":' * 9000 + b"1" + b"}" * 9000),
            ("a long integer", "ok", b"9" * 30000), ("a huge exponent", "ok", b"1e999999"), ("minus zero", "ok", b"-0"),
            ("escaped lone surrogates", "ok", b'"\\ud800 \\udc00"'), ("an escaped NUL", "ok", b'"\\u0000"'),
            ("DEL", "ok", b'"\x7f"'), ("brackets in a string", "ok", b'"]}\\"]"'), ("white space", "ok", b"[ 1 ,\t2 ]")):
        case(title, wanted, in_details(text), details={"value": "X"})
    for title, old, new in (
            ("a doubled top-level member", b'"emitter":', b'"emitt\\u0065r":"x","emitter":'),
            ("a doubled hash", b',"epoch":', b',"h\\u0061sh":"x","epoch":'),
            ("an unknown member", b',"epoch":', b',"more":1,"epoch":'), ("no emitter", b'"emitter":"make_log",', b""),
            ("members out of order", b'"emitter":"make_log","source":"s"', b'"source":"s","emitter":"make_log"'),
            ("null for a string", b'"source":"s"', b'"source":null'), ("an array for an object", b'"trace":{}', b'"trace":[]'),
            ("a leading zero in seq", b'{"seq":', b'{"seq":0'), ("a fraction in seq", b',"timestamp"', b'.0,"timestamp"'),
            ("an exponent in seq", b',"timestamp"', b'e0,"timestamp"'), ("white space in seq", b'{"seq":', b'{"seq": '),
            ("a byte order mark", b'{"seq":', b'\xef\xbb\xbf{"seq":'), ("a string for epoch", b'"epoch":0', b'"epoch":"0"'),
            ("an epoch skipped", b'"epoch":0', b'"epoch":1'), ("a leading zero in epoch", b'"epoch":0', b'"epoch":00'),
            ("prev_hash of 65 digits", b'"prev_hash":"', b'"prev_hash":"A'), ("a second object", b'{"seq":', b'{}{"seq":'),
            ("white space before the tail", b',"epoch":', b' ,"epoch": ')):
        case(title, "tampered", lambda body: replace_once(body, old, new), source="s", trace={})
    for old, new in (b'"format":1', b'"format":2'), (b'"format":1', b'"format":"1"'), (b'"format":1', b'"format":true'), \
            (b"log.opened", b"log.opened.not"):
        good = make_log.Log.write
        make_log.Log.write = lambda log, body: good(log, body if log.leaves else replace_once(body, old, new))
        try:
            _, folder = make(f"first record {new.decode()}")
        finally:
            make_log.Log.write = good
        expect(f"{new.decode()} in the first record", folder(), ("tampered", dict(seq=0)))
    case("a line of 65,535 bytes", "ok", lambda body: body.replace(b"X", b"X" * (65535 - 75 - len(body) + 1)), details={"a": "X"})
    case("a line of 65,536 bytes", "tampered", lambda body: body.replace(b"X", b"X" * (65536 - 75 - len(body) + 1)),
         details={"a": "X"})


def tiles():
    log, folder = make("large", records=560, epoch=200, segment=300)
    wanted = len(log.leaves)
    expect("two full tiles", folder(), ("ok", dict(size=wanted)))
    partial = f"tile/0/002.p/{wanted % 256}"
    for name in "tile/0/000", "tile/0/001", partial, "tile/1/000.p/2":
        case = folder()
        case.edit(name, lambda data: flip(data, 40))
        expect(f"{name} flipped", case, "tampered")
        for title, change in ("zeroed", lambda data: bytes(len(data))), ("cut", lambda data: data[:40]), \
                ("emptied", lambda data: b""):
            case = folder()
            case.edit(name, change)
            expect(f"{name} {title}", case, "ok")
    case = folder()
    shutil.rmtree(case.at("tile"))
    expect("no tiles", case, "ok")
    second = sorted(name for name in os.listdir(folder().at("segments")) if name.endswith(".jsonl"))[1]
    case = folder()
    case.edit_lines(f"segments/{second}", lambda found: found.__setitem__(100, found[100].replace(b"call-", b"cell-", 1)))
    seq = int(second[:20]) + 100
    expect("a change named by the tiles", case, ("tampered", dict(seq=seq, segment=second)))
    shutil.rmtree(case.at("tile"))
    expect("a change that no tile can name", case, ("tampered", dict(seq=None)), ("tampered", dict(seq=seq)))


def archives():
    """A segment as its archive (§1.1): the same verdicts, and a fault wherever a byte of the archive is not as it must be."""
    _, folder = make("archived", records=700, epoch=300, segment=600)
    path = "segments/" + min(os.listdir(folder().at("segments")))[:26]
    archived, lines = path + ".gz", folder().read(path).splitlines(keepends=True)
    parts = make_log.archive(lines, 0)
    assert len(parts) == 3

    def case(title, data, wanted, plain=None):
        changed = folder()
        os.remove(changed.at(path))
        changed.write(archived, data)
        if plain is not None:
            changed.write(path, plain)
        expect(f"archive: {title}", changed, wanted)

    def fault(seq):
        return "tampered", dict(seq=seq, offset=len(b"".join(lines[:seq])), segment=path[9:])

    whole = b"".join(parts)
    case("as it must be", whole, ("ok", dict(pending=0)))
    case("compressed less", b"".join(make_log.archive(lines, 0, 0)), "ok")
    for at, part in enumerate(parts):
        for byte in list(range(52)) + [random.randrange(52, len(part)) for _ in range(12)] + list(range(len(part) - 8, len(part))):
            changed = parts[:at] + [flip(part, byte, 1 << random.randrange(8))] + parts[at + 1:]
            case(f"member {at}, byte {byte}", b"".join(changed), fault(256 * at))
    for title, changed, seq in (
            ("first removed", parts[1:], 0), ("second removed", parts[:1] + parts[2:], 256), ("last removed", parts[:2], None),
            ("exchanged", [parts[1], parts[0], parts[2]], 0), ("doubled", parts[:2] + parts[1:], 512),
            ("last doubled", parts + parts[2:], 512), ("cut", [whole[:-1]], 512), ("header cut", parts[:2] + [parts[2][:30]], 512),
            ("garbage", [whole, b"x"], 512), ("zeros", [whole, bytes(512)], 512), ("empty member", [whole, make_log.member(b"")], 512),
            ("plain lines", lines, 0), ("one member", [make_log.member(b"".join(lines))], 0),
            ("a line changed", make_log.archive([flip(line, 60) if at == 300 else line
                                                 for at, line in enumerate(lines)], 0), 300),
            ("a line less", make_log.archive(lines[:300] + lines[301:], 0), 300)):
        case(title, b"".join(changed), "tampered" if seq is None else fault(seq))
    case("emptied", b"", "tampered")
    case("the plain file beside", whole, "ok", b"".join(lines))
    case("damaged beside the plain file", whole[:-9], "ok", b"".join(lines))
    case("a changed plain file beside", whole, fault(300), flip(b"".join(lines), len(b"".join(lines[:300])) + 60))
    gone = folder()
    os.remove(gone.at(path))
    expect("archive: not there", gone, ("missing", dict(seq=0)))
    gone.write("elsewhere", whole)
    os.symlink("../elsewhere", gone.at(archived))
    expect("archive: a link", gone, ("missing", dict(seq=0)))


def tallies(closed, still_open):
    def case(title, wanted, change):
        folder = closed()
        change(folder)
        expect(f"tally: {title}", folder, wanted)

    tally = f"{FIRST[:-6]}.tally"
    case("a count changed", "tampered", lambda folder: folder.edit(tally, lambda data: flip(data, data.rindex(b"]") - 1)))
    case("a line gone", "tampered", lambda folder: folder.edit_lines(tally, lambda found: found.pop()))
    case("a line too many", "tampered", lambda folder: folder.edit(tally, lambda data: data + b'["type","x.y",1]\n'))
    case("emptied", "tampered", lambda folder: folder.write(tally, b""))
    case("absent", "tampered", lambda folder: os.remove(folder.at(tally)))
    case("one of the open segment has no meaning", "ok", lambda folder: folder.write(f"{LAST[:-6]}.tally", b"x"))
    for title, change in (
            ("a wrong root", dict(tally_root="0" * 64)), ("a wrong size", dict(tally_size=1)), ("no root", dict(tally_root=None)),
            ("a later beginning", dict(first_timestamp="2026-01-01T00:00:00.000Z")), ("an earlier end", dict(last_timestamp="")),
            ("a wrong last seq", dict(last_seq=5)), ("written with a fraction", None)):
        log, folder = make(f"seal {title}", records=10, segment=100, leave_open=True)
        good = log.log_record
        log.log_record = lambda event_type, **details: good(event_type, **dict(details, **(change or {})))
        if not change:
            write = make_log.Log.write
            log.write = lambda body: write(log, body.replace(b',"bytes":', b'.0,"bytes":'))
        log.seal()
        log.log_record = good
        vars(log).pop("write", None)
        log.opened()
        log.close()
        expect(f"a seal with {title}", folder(), "tampered" if change else "ok")


def growing():
    """A writer ends epochs and seals after the verifier has read the checkpoints (the last sentence of §9.4)."""
    log, folder = make("growing", records=30, leave_open=True)
    reading = verify.Reading

    def late(*given):
        log.end_epoch()
        for number in range(40):
            log.user_record(number)
        log.seal()
        log.opened()
        return reading(*given)

    case = folder()
    log.logdir = case.log
    verify.Reading = late
    try:
        expect("a log that grows while it is read", case, "ok")
    finally:
        verify.Reading = reading


def make_rotated(name, stop="closed", content="1"):
    """A log whose key was rotated: 10 records, overlap of 10, 10 with the new key alone; or one that stops before."""
    log, folder = make(name, records=10, leave_open=True, content=content)
    log.log_record("log.opened", public_key="nothing to a verifier")
    old = log.signing_key
    log.rotated = len(log.leaves)
    log.rotate_key()
    for number in range(10):
        log.user_record(number)
    log.overlapping = len(log.leaves)
    write_kept(log)
    if stop != "overlap":
        log.retired = len(log.leaves)
        log.retire_key()
        for number in range(10):
            log.user_record(number)
        log.close()
    log.old, log.new = old, log.signing_keys[-1]
    return log, folder


def write_kept(log):
    make_log.write(log.path("checkpoints", f"{len(log.leaves):020d}"), log.checkpoint())


def only_line(key):
    """Takes every signature line away but that of one key."""
    def change(data):
        text, lines = data.split(b"\n\n", 1)
        kept = [line for line in lines.splitlines(keepends=True) if make_log.b64(key.id)[:5].encode() in line]
        return text + b"\n\n" + b"".join(kept)
    return change


def keys():
    """§6 and §9.2: what a key history must look like, and who is believed."""
    log, rotated = make_rotated("rotated")
    part, overlapping = make_rotated("overlapping", "overlap")
    link, newest = f"checkpoints/{log.rotated + 1:020d}", f"checkpoints/{log.retired + 1:020d}"
    old, new = (write_keys(rotated().keys, name, key) for name, key in (("old", log.old), ("new", log.new)))
    stranger = write_keys(rotated().keys, "stranger", make_log.SigningKey(log.origin, b"s" * 32))

    def case(title, public, change=None, of=rotated, auditor=None, **options):
        for name, key_folder in ("old", old), ("new", new):
            wanted = public[name] if isinstance(public, dict) else public
            folder = of()
            if change:
                change(folder)
            expect(f"{title}, the {name} key", folder, wanted, auditor, keys=key_folder, **options)

    case("a rotated key", "ok")
    case("two keys that sign", "ok", of=overlapping)
    expect("a rotated key, a stranger's key", rotated(), "wrong_log", keys=stranger)
    expect("a rotated key, no key", rotated(), "unverifiable", keys=old, key=False)
    case("the new key's signature stripped from the link", "tampered", lambda f: f.edit(link, only_line(log.old)))
    case("the old key's signature stripped from the link", "tampered", lambda f: f.edit(link, only_line(log.new)))
    case("the link taken away", "tampered", lambda f: os.remove(f.at(link)))
    case("both keys, the newest stripped of the new", "tampered",
         lambda f: f.edit("checkpoint", only_line(part.old)), of=overlapping)
    case("both keys, the newest stripped of the old", "tampered",
         lambda f: f.edit("checkpoint", only_line(part.new)), of=overlapping)
    case("the old key signs again", "tampered", lambda f: f.edit("checkpoint", lambda data: signed(data, log.old)))
    case("the old key signs beside the new one", "ok", lambda f: f.edit("checkpoint", lambda data: signed(data, log.old, log.new)))
    case("a stolen old key signs for more", "tampered", lambda f: f.edit("checkpoint", lambda data: signed(more(data), log.old)))
    case("the new key signs for more", "truncated", lambda f: f.edit("checkpoint", lambda data: signed(more(data), log.new)))
    case("held: the overlap, the newest", "ok", held=[rotated().at(link), rotated().at("checkpoint")])
    case("held: the old key alone, after its end", "tampered", held=[held_note(rotated, log.old)])
    case("held: the old key alone, for more than there is, after its end", "tampered", held=[held_note(rotated, log.old, more)])
    case("held: the new key, for more than there is", "rolled_back", held=[held_note(rotated, log.new, more)])
    before, _ = make("before", records=10, leave_open=True)
    shutil.rmtree(before.logdir + "/tile", ignore_errors=True)
    case("rolled back to before the rotation, the overlap held", "rolled_back",
         of=lambda: Folder(before.logdir, rotated().keys), held=[rotated().at(link)])
    case("rolled back to before the rotation", {"old": "ok", "new": "wrong_log"}, of=lambda: Folder(before.logdir, rotated().keys))
    cut = [line for line in rotated().read(FIRST).splitlines(keepends=True)]
    case("cut off before the rotation", "truncated", lambda f: (f.write(FIRST, b"".join(cut[:log.rotated - 1])), shutil.rmtree(f.at("tile"))))
    for title, details in forged_records(log):
        forged, folder = make_rotated("forged " + title)
        forged.log_record(*details[:1], **details[1])
        write_kept(forged)
        case("forged: " + title, "tampered", of=folder)
    mallory_log, mallory = make("mallory", records=10)
    introduce(mallory_log)
    expect("whoever only has the HMAC key names a key", mallory(), "tampered")
    expect("the same, brought", mallory(), "tampered", keys=write_keys(mallory().keys, "evil", mallory_log.signing_keys[0]))


def introduce(log):
    """A key holder without the signing key writes a rotation, signs for it with the key it names, and goes on with that."""
    old, evil = log.signing_keys[0], make_log.SigningKey(log.origin, b"e" * 32)
    log.opened()
    log.key_record("rotated", old, evil, evil)
    log.signing_keys = [evil]
    write_kept(log)
    log.key_record("retired", old, evil, evil)
    log.close()


def forged_records(log):
    key = make_log.SigningKey(log.origin, b"k" * 32)
    other = make_log.SigningKey("host.example/gatebook/" + "0" * 32, b"k" * 32)

    def facts(what, old, new, signer):
        signature = make_log.b64(signer.sign(f"gatebook/v1/key-{what}\n{old.public}\n{new.public}\n"))
        return f"log.key_{what}", dict(previous=old.public, public_key=new.public, signature=signature)

    yield "signed by the retired key", facts("rotated", log.new, key, log.old)
    yield "previous is the retired key", facts("rotated", log.old, key, log.old)
    yield "signed by itself", facts("rotated", log.new, key, key)
    yield "back to the old key", facts("rotated", log.new, log.old, log.new)
    yield "a key of another name", facts("rotated", log.new, other, log.new)
    yield "a retirement with one key", facts("retired", log.old, log.new, log.new)
    name, good = facts("rotated", log.new, key, log.new)
    yield "no signature", (name, {member: good[member] for member in ("previous", "public_key")})
    yield "a signature that is a number", (name, dict(good, signature=1))
    yield "a key with a blank behind it", (name, dict(good, public_key=good["public_key"] + " "))
    yield "the statement of a retirement", (name, dict(good, signature=facts("retired", log.new, key, log.new)[1]["signature"]))


def write_keys(keys, name, key):
    folder = os.path.join(ROOT, f"keys {name} {os.path.basename(os.path.dirname(keys))}")
    shutil.copytree(keys, folder, dirs_exist_ok=True)
    make_log.write(os.path.join(folder, "public-key"), key.public + "\n")
    return folder


def signed(data, *by):
    text = data.split(b"\n\n", 1)[0].decode() + "\n"
    return (text + "\n" + "".join(key.line(text) for key in by)).encode()


def more(data):
    """The checkpoint's text, for 900 records."""
    origin, _, rest = data.split(b"\n", 2)
    return origin + b"\n900\n" + rest


def held_note(folder, key, change=lambda data: data):
    made = folder()
    made.write("checkpoint", signed(change(made.read("checkpoint")), key))
    return made.at("checkpoint")


def command_line(closed, still_open):
    global checks
    script, folder = os.path.join(HERE, "verify.py"), still_open()
    cases = [(arguments(closed().log, folder.keys, "auditor"), 0), (arguments(folder.log, folder.keys, "public"), 0),
             (arguments(folder.log, folder.keys, "public", strict=True), 3), (arguments(empty(closed).log, folder.keys, "public"), 3),
             (arguments(folder.log, folder.keys, "public", held=[closed().at("checkpoint")]), 1),
             ([], 2), ([folder.log, "--level", "high"], 2), ([folder.log, "--key", folder.at("checkpoint")], 2),
             ([folder.at("absent")], 2), ([folder.log, "--checkpoint", folder.at(LAST)], 2), ([folder.log, "--more"], 2)]
    batch = subprocess.run([sys.executable, script, "--batch"], stdout=subprocess.PIPE, check=True,
                           input="".join(json.dumps(given) + "\n" for given, _ in cases).encode())
    for (given, wanted), answer in zip(cases, batch.stdout.splitlines()):
        alone = subprocess.run([sys.executable, script] + given, stdout=subprocess.PIPE)
        checks += 1
        if not alone.returncode == wanted == json.loads(answer)["exit"] or json.loads(alone.stdout) != json.loads(answer):
            failures.append(given)
            print(f"WRONG {given}: wanted exit {wanted}, got {alone.returncode}, {alone.stdout.decode()} and {answer.decode()}")


def main():
    began = time.monotonic()
    print(f"seed {SEED}")
    _, closed = make("closed")
    _, still_open = make("open", records=36, leave_open=True)
    _, other = make("other", seed="2")
    _, fork = make("fork", content="2")
    initial, make_log.Log.__init__ = make_log.Log.__init__, forget_initial_key(make_log.Log.__init__)
    _, wrong_key = make("wrong key")
    make_log.Log.__init__ = initial
    intact(closed, still_open)
    members(closed, still_open)
    lines(closed, still_open)
    tails(closed, still_open)
    checkpoints(closed, still_open, other)
    evidence(closed, still_open, other, fork, wrong_key)
    strict_json()
    tiles()
    archives()
    tallies(closed, still_open)
    growing()
    keys()
    command_line(closed, still_open)
    print(f"{checks} verdicts, {len(failures)} wrong, {time.monotonic() - began:.1f} s")
    return 1 if failures else 0


def forget_initial_key(initialise):
    """A key holder of a later epoch has the origin and the signing key, but K_0 is erased: it must be invented."""
    def without(log, *given, **options):
        initialise(log, *given, **options)
        log.initial_key = log.key = b"?" * 32
    return without


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="selftest-") as ROOT:
        sys.exit(main())
