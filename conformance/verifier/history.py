"""The keys that have signed a log, as its records tell of them (docs/format.md §6), and what they ask of a checkpoint."""
import collections

from note import parse_key, signed_by, unbase64, verify_ed25519
from reading import Place

MAX_KEYS = 1000
# rotated: seq of the record that names the key; retired: seq of the one that retires it, or None
Entry = collections.namedtuple("Entry", "key text rotated retired")


def read_history(named, text, records, gaps):
    """(entries, Place of the first record that breaks a rule, or None, size up to which the entries are certain).
    `records`: (place, type, details), in order; `gaps`: where ranges that are not there begin, in order."""
    entries, told = [Entry(named, text, 0, None)] if named else [], 0 if named else -1
    certain = lambda: next((gap for gap in gaps if gap > told), float("inf"))
    for place, event_type, details in records if entries else []:
        try:
            entries = follow(entries, place.seq, event_type, details)
            told = place.seq
        except (ValueError, TypeError, AttributeError) as error:
            fault = place._replace(reason=str(error))
            return entries, None if certain() < place.seq else fault, certain()
    return entries, None, certain()


def follow(entries, seq, event_type, details):
    """The entries after one more record."""
    previous, text, signature = (details.get(name) for name in ("previous", "public_key", "signature"))
    newest, signing = entries[-1], [entry for entry in entries if entry.retired is None]
    if event_type == "log.key_rotated":
        if len(signing) > 1 or len(entries) >= MAX_KEYS or previous != newest.text:
            raise ValueError("a key is rotated while two sign, or too often, or the one before is another")
        key = parse_key(text)
        if key.name != newest.key.name or any(entry.key.id == key.id for entry in entries):
            raise ValueError("the new key is not named for the origin, or was used before")
        check_statement("key-rotated", previous, text, signature, newest.key)
        return entries + [Entry(key, text, seq, None)]
    if len(signing) < 2 or previous != signing[0].text or text != newest.text:
        raise ValueError("it retires a key, but not the older of two that sign")
    check_statement("key-retired", previous, text, signature, newest.key)
    return [entry._replace(retired=seq) if entry is signing[0] else entry for entry in entries]


def check_statement(kind, previous, text, signature, key):
    blob = unbase64(signature)
    if len(blob) != 64 or not verify_ed25519(key.public, f"gatebook/v1/{kind}\n{previous}\n{text}\n".encode(), blob):
        raise ValueError("the key that must say so has not signed for it")


def required(entries, size):
    """The keys that must all have signed a checkpoint of this size."""
    return [entry.key for at, entry in enumerate(entries)
            if (at == 0 or entry.rotated < size) and (entry.retired is None or entry.retired >= size)]


def find_links(entries, notes, again, reach):
    """For each key, whether a checkpoint that ends with the record naming it carries its signature and the one before's.
    `again` reads the checkpoints once more; second value: those that must be there and are not."""
    def linked(at, notes):
        pair = [entries[at - 1].key, entries[at].key]
        return at == 0 or any(note.size == entries[at].rotated + 1 and note.origin == pair[0].name
                              and all(signed_by(note, [key]) for key in pair) for note in notes)
    links = [linked(at, notes) for at in range(len(entries))]
    due = [at for at, entry in enumerate(entries) if not links[at] and reach > entry.rotated + 1]
    if due:
        later = again()
        links = [link or linked(at, later) for at, link in enumerate(links)]
    return links, [entries[at].rotated for at in due if not links[at]]


def with_linked(keys, entries, links):
    """The keys, and those of the history that links lead to from them."""
    known = [entry.key in keys for entry in entries]
    for at in range(1, len(entries)):
        known[at] = known[at] or known[at - 1] and links[at]
    for at in range(len(entries) - 1, 0, -1):
        known[at - 1] = known[at - 1] or known[at] and links[at]
    return keys + [entry.key for at, entry in enumerate(entries) if known[at] and entry.key not in keys]


def signed_rightly(note, known, entries, told_to, bounds, held):
    """Whether the keys signed that had to; up to `told_to` records the history tells which. `bounds`: where ranges begin
    that a repair says are lost. Of a held note one of the keys is enough."""
    if not signed_by(note, known):
        return False
    if note.size in bounds:
        return True
    wanted = required(entries, min(note.size, told_to))
    if note.size <= told_to:
        return (any if held and wanted else all)(signed_by(note, [key]) for key in wanted)
    named = [entry.key for entry in entries]
    return signed_by(note, [key for key in known if key in wanted or key not in named])
