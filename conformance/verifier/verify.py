#!/usr/bin/env python3
"""Verifies a gatebook log. Written from docs/format.md alone; the section numbers here are that page's.

usage: verify.py LOGDIR [--key FILE]... [--hmac-key FILE] [--level public|auditor] [--checkpoint FILE]...
                 [--min-retention 30d] [--strict]
       verify.py --batch     reads one JSON array of arguments a line, writes one JSON result a line

Needs Python 3.9 and OpenSSL 3. Segments are read line by line: the memory used does not grow with the log, save for
one root a checkpoint.
"""
import argparse, functools, json, os, sys, types

import reading
from files import read_small
from history import find_links, read_history, signed_rightly, with_linked
from note import ORIGIN, parse_hmac_key, parse_key, parse_note, read_notes, signed_by
from reading import Place, Reading
from tree import first_changed


def identify(case):
    """Adds §9.2: which brought keys belong to the log, the known keys, the log's origin."""
    opened = case.reading.opened or {}
    try:
        case.named_key = parse_key(opened["public_key"])
    except (ValueError, KeyError, AttributeError):
        case.named_key = None
    read, notes = case.reading, case.notes + case.held
    gaps = sorted([first for first, _ in read.missing] + [first for first, _, _ in read.lost])
    case.history, case.key_fault, certain = read_history(case.named_key, opened.get("public_key"), read.key_records, gaps)
    case.told_to = min(read.reach, certain)
    links, case.unlinked = find_links(case.history, notes, lambda: read_notes(case.logdir)[0], read.reach)
    # Where the folder names nobody (no first record, no checkpoint), it cannot be another log's.
    anonymous = not opened and not case.notes
    named = [entry.key for at, entry in enumerate(case.history) if links[at] or read.reach > entry.rotated + 1]
    # Evidence of another log must not make its key this one's.
    beyond = [key for key in case.brought if str(opened.get("origin", key.name)) == key.name
              and any(note.size > read.reach and signed_by(note, [key]) for note in notes)]
    case.belonging = [key for key in case.brought if anonymous or key in named or key in beyond
                      or any(signed_by(note, [key]) for note in case.notes)]
    case.named_later = any(key in beyond and key not in named for key in case.belonging)
    first = [case.named_key] if case.named_key and not case.brought else []
    case.known = with_linked(case.belonging or first, case.history, links)
    case.named_origin = str(opened.get("origin"))
    claims = [key.name for key in case.belonging] + [case.named_origin] + [note.origin for note in case.notes]
    case.origin = next((origin for origin in claims if ORIGIN.fullmatch(origin)), None)


def judge_notes(case):
    """Adds §9.3: the good checkpoints, the size of the newest; and to `bad` what is wrong with the others."""
    bounds = {first for first, _, _ in case.reading.lost}
    def right(note, held=False):
        return signed_rightly(note, case.known, case.history, case.told_to, bounds, held)
    case.good = [note for note in case.notes if note.origin == case.origin and right(note)]
    case.fair = [note for note in case.held if not case.known or right(note, True)]
    case.newest = max((note.size for note in case.good), default=0)
    if not case.known:
        return  # without a key nothing can be said of signatures
    case.bad += [f"{note.path}: a key that had to sign has not, or one that had retired has"
                 for note in case.held if note not in case.fair]
    case.bad += [f"no checkpoint of {seq + 1} records carries both keys' signatures" for seq in case.unlinked]
    case.bad += [f"{note.path}: it names another origin, or no known key signed it"
                 for note in case.notes if note not in case.good]
    if case.newest < case.reading.required:  # a log that grows may have published the checkpoint since: look again
        later = [note.size for note in read_notes(case.logdir)[0] if note.origin == case.origin and right(note)]
        if max(later, default=0) < case.reading.required:
            case.bad.append(f"no checkpoint covers {case.reading.required} records, though an epoch ended there")


def find_missing(case):
    """What is not there, and what was deleted without a record under a checkpoint, or against the policy (§9.5)."""
    read, newest = case.reading, case.reading.newest_pruned
    judged = read.judge.newest
    covered = newest and judged and judged.leaf == newest.leaf and any(
        note.size > newest.seq for note in case.good + [note for note in case.held if note.origin == case.origin])
    gone = list(read.gaps) if not covered else [
        (first, end) for first, end in read.judge.denied if any(a < end and first < b for a, b in read.gaps)]
    return sorted(read.missing + gone + [(first, end) for first, end, _ in read.lost])


def unfounded(case):
    """The place of a repair that excuses more than it may (§9.6); None when there is none."""
    ours = case.good + [note for note in case.held if note.origin == case.origin]
    if case.reading.lost and not any(note.size > case.reading.newest_repair.seq for note in ours):
        return Place("no checkpoint covers the repair that says what is lost", None, case.reading.newest_repair.seq)
    for first, _, root in case.reading.lost:
        if first and root and not any((note.size, note.root) == (first, root) for note in ours):
            return Place("no checkpoint is of the records before those that are lost", None, first)
    return None


def decide(case):
    """The first verdict of §9.4 that holds, and its Place."""
    read, origin = case.reading, case.origin
    for note in case.held:
        if origin and note.origin != origin:
            return "wrong_log", Place(f"held checkpoint {note.path} is of {note.origin}")
        if case.known and not signed_by(note, case.known):
            return "wrong_log", Place(f"held checkpoint {note.path} is signed by no known key")
    if len(case.belonging) < len(case.brought):
        return "wrong_log", Place("a brought key does not belong to the log")
    if case.hmac_key and origin and case.hmac_key[0] != origin:
        return "wrong_log", Place(f"the HMAC key is of {case.hmac_key[0]}")
    if read.fault and not (read.hole and read.fault.seq >= case.newest):
        return "tampered", read.fault
    roots = {}
    for note in sorted(case.fair + case.good, key=lambda note: note.size):
        if read.roots.get(note.size, note.root) != note.root:
            return "tampered", Place(f"the first {note.size} records do not have the root in {note.path}")
        if roots.setdefault(note.size, note.root) != note.root:
            return "tampered", Place(f"two checkpoints of size {note.size} have different roots")
    told = not read.missing and not read.lost and not case.named_later  # else the record that names the key may be gone
    if read.opened and case.brought and (case.named_origin != origin or told and case.named_key not in case.known):
        return "tampered", Place("the first record names another origin or public key", None, 0)
    if case.key_fault:
        return "tampered", case.key_fault
    if read.side_fault:
        return "tampered", read.side_fault
    if fault := unfounded(case):
        return "tampered", fault
    if read.tally_fault:
        return "tampered", read.tally_fault
    if read.reach < case.newest:
        return "truncated", Place(f"{read.reach} records, but a checkpoint here covers {case.newest}", None, read.reach)
    for note in case.fair:
        if read.reach < note.size:
            return "rolled_back", Place(f"{read.reach} records, but {note.path} covers {note.size}", None, read.reach)
    if missing := find_missing(case):
        ranges = ", ".join(f"[{first}, {end})" for first, end in missing)
        return "missing", Place(f"records {ranges} are missing", None, missing[0][0])
    if case.bad:
        return "tampered", Place("; ".join(case.bad))
    if read.repairs:
        return "tampered", Place("the log was repaired here", None, read.repairs[0])
    if not case.brought or case.level == "auditor" and not case.hmac_key:
        return "unverifiable", Place("no HMAC key was brought" if case.brought else "no public key was brought")
    return ("ok", Place(None)) if read.reach else ("unverifiable", Place("the folder holds no records"))


def verify(case):
    """The result as a dictionary. `case` holds what is brought: logdir, brought, hmac_key, held, level."""
    case.notes, case.bad = read_notes(case.logdir)  # before the segments: the log may be growing
    case.reading = Reading(case.logdir, {note.size for note in case.held + case.notes},
                           case.hmac_key if case.level == "auditor" else None, case.min_days)
    identify(case)
    judge_notes(case)
    verdict, place = decide(case)
    if verdict == "tampered" and place not in (case.reading.side_fault, case.reading.tally_fault):
        changed = first_changed(case.logdir, {note.size: note.root for note in case.fair + case.good})
        place = Place(place.reason, *changed) if changed else place
    reach = case.reading.reach
    covered = max([case.newest] + [note.size for note in case.fair if note.size <= reach])
    return dict(verdict=verdict, level=case.level, origin=case.origin, records=reach, size=covered,
                pending=max(0, reach - covered), missing=find_missing(case),
                pruned=case.reading.judge.runs, **place._asdict())


class Arguments(argparse.ArgumentParser):
    def error(self, message):
        raise ValueError(message)


def bring(path, parse):
    try:
        return parse(path)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def days(text):
    """A span as 30d, 12h, 45m or 10s, in days."""
    return int(text[:-1]) * {"w": 7 * 86400000, "d": 86400000, "h": 3600000, "m": 60000, "s": 1000}[text[-1]] / 86400000


def read_line(path):
    return read_small(path).decode("utf-8").rstrip("\n")


def run(arguments):
    """The result with its exit code (§9.4)."""
    parser = Arguments(usage=__doc__, allow_abbrev=False, add_help=False)
    parser.add_argument("logdir")
    parser.add_argument("--key", action="append", default=[])
    parser.add_argument("--hmac-key")
    parser.add_argument("--level", choices=["public", "auditor"])
    parser.add_argument("--checkpoint", action="append", default=[])
    parser.add_argument("--min-retention", type=days)
    parser.add_argument("--strict", action="store_true")
    try:
        given = parser.parse_args(arguments)
        os.listdir(given.logdir)
        hmac_key = bring(given.hmac_key, lambda path: parse_hmac_key(read_line(path))) if given.hmac_key else None
        case = types.SimpleNamespace(
            logdir=given.logdir, min_days=given.min_retention, hmac_key=hmac_key, level=given.level or ("auditor" if hmac_key else "public"),
            brought=[bring(path, lambda path: parse_key(read_line(path))) for path in given.key],
            held=[bring(path, parse_note) for path in given.checkpoint])
    except (OSError, ValueError) as error:
        return dict(verdict="usage", reason=str(error), exit=2)
    try:
        result = verify(case)
    except OSError as error:
        return dict(verdict="unreadable", reason=str(error), exit=2)
    pending_counts = given.strict and result["pending"] > 0
    result["exit"] = {"ok": 3 if pending_counts else 0, "unverifiable": 3}.get(result["verdict"], 1)
    return result


if __name__ == "__main__":
    if sys.argv[1:] == ["--batch"]:  # the requests are mostly about copies of one log, so its lines are remembered
        reading.parse_line = functools.lru_cache(maxsize=2048)(reading.parse_line)
        for request in sys.stdin:
            print(json.dumps(run(json.loads(request))), flush=True)
    else:
        outcome = run(sys.argv[1:])
        print(json.dumps(outcome))
        sys.exit(outcome["exit"])
