"""One record's line (docs/format.md §2). Python reads JSON more laxly than RFC 8259; the gaps are closed here."""
import json, re

MAX_LINE, HASH_TAIL = 65535, 75
TYPES = dict(seq=int, timestamp=str, event_id=str, event_type=str, emitter=str, actor=dict, session_id=str,
             call_id=str, source=str, action=dict, result=dict, security=dict, details=dict, trace=dict,
             epoch=int, prev_hash=str, hash=str)
REQUIRED = {"seq", "timestamp", "event_id", "event_type", "emitter", "epoch", "prev_hash", "hash"}
START = re.compile(rb'\{"seq":(0|[1-9][0-9]{0,15})(?![0-9])')
END = re.compile(rb',"epoch":(0|[1-9][0-9]{0,15}),"prev_hash":"([0-9a-f]{64})","hash":"([0-9a-f]{64})"\}\Z')
TOKENS = re.compile(r'("(?:[^"\\]|\\.)*"|[][{},:])', re.DOTALL)
BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[][{}]', re.DOTALL)


def members(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member is doubled")
    return found


def no_constant(word):
    raise ValueError(f"{word} is not JSON")


# An integer of thousands of digits is good JSON that int() refuses, so long ones become floats: none is a seq.
JSON = json.JSONDecoder(object_pairs_hook=members, parse_constant=no_constant,
                        parse_int=lambda digits: int(digits) if len(digits) < 20 else float(digits))


def check_depth(text):
    """At most 512 objects and arrays inside each other; counted only where so many brackets stand at all."""
    depth = 0
    for token in BRACKETS.finditer(text):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token[0], 0)
        if depth > 512:
            raise ValueError("nested deeper than 512")


def check_escapes(text):
    """No backslash in a top-level name, nor in the values of timestamp, event_id and event_type."""
    depth, name, value = 0, "", False
    for (token,) in (match.groups() for match in TOKENS.finditer(text)):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token, 0)
        if depth == 1 and token in (",", ":"):
            value = token == ":"
        elif depth == 1 and token[0] == '"':
            name = name if value else token
            if "\\" in token and (not value or name in ('"timestamp"', '"event_id"', '"event_type"')):
                raise ValueError("an escape where none may be")


def parse_start(line):
    """The seq a line begins with, or None."""
    match = START.match(line)
    return int(match[1]) if match else None


def parse_end(line):
    """(epoch, prev_hash, hash) as a line ends with them, or None. Only one brace closes, so they are top-level."""
    match = END.search(line, max(0, len(line) - 250))
    return (int(match[1]), match[2], match[3]) if match else None


def parse_line(line):
    """(record, epoch, prev_hash, hash) of a line without its newline; ValueError says which rule of §2 it breaks.
    Who reads the line bounds its length."""
    end = parse_end(line)
    if parse_start(line) is None or not end or b"\r" in line:
        raise ValueError("the line does not begin or end as a record does, or holds a carriage return")
    text = line.decode("utf-8")
    if text.count("{") + text.count("[") > 512:
        check_depth(text)
    record = JSON.decode(text)
    if "\\" in text:
        check_escapes(text)
    if [name for name in TYPES if name in record] != list(record) or not REQUIRED <= record.keys():
        raise ValueError("members are missing, unknown or out of order")
    for name, value in record.items():
        if type(value) is not TYPES[name]:
            raise ValueError(f"member {name} is of the wrong type")
    return (record, *end)
