"""Keys and checkpoints (docs/format.md §4 and §6). Ed25519 is checked by the openssl command, version 3."""
import base64, collections, functools, hashlib, hmac, os, re

from files import names, read_small

ORIGIN = re.compile(r"[A-Za-z0-9.-]+/gatebook/[0-9a-f]{32}")
NOTE = re.compile(rb"(([^\n]+)\n(0|[1-9][0-9]{0,15})\n([^\n]+)\n)\n((?:\xe2\x80\x94 [^ \n]+ [^ \n]+\n)+)")
Key = collections.namedtuple("Key", "name id public")
Note = collections.namedtuple("Note", "path origin size root text signatures")


def sha256(data):
    return hashlib.sha256(data).digest()


def unbase64(text):
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError("the base64 is not canonical")
    return data


def split_key(text):
    """The three parts of a key; base64 may hold a + of its own."""
    name, checksum, packed = text.split("+", 2)
    if not ORIGIN.fullmatch(name):
        raise ValueError("the key does not begin with the origin of a gatebook log")
    return name, checksum, unbase64(packed)


def parse_key(text):
    name, key_id, raw = split_key(text)
    if len(raw) != 33 or raw[0] != 1 or sha256(name.encode() + b"\n" + raw)[:4].hex() != key_id:
        raise ValueError("not an Ed25519 verifier key, or its hash is not the one it names")
    return Key(name, bytes.fromhex(key_id), raw[1:])


def parse_hmac_key(text):
    origin, checksum, key = split_key(text)
    if len(key) != 32 or sha256(origin.encode() + b"\ngatebook/v1/hmac-key\n" + key)[:4].hex() != checksum:
        raise ValueError("not an initial HMAC key, or its checksum shows a typing error")
    return origin, key


def next_epoch_key(origin, key):
    """HKDF-SHA256, which for one block of output is two HMACs."""
    return hmac.digest(hmac.digest(origin.encode(), key, "sha256"), b"gatebook/v1/epoch-key\x01", "sha256")


def parse_note(path):
    match = NOTE.fullmatch(read_small(path, 131072))
    if not match or not ORIGIN.fullmatch(match[2].decode("utf-8")):
        raise ValueError("it is not a checkpoint")
    root = unbase64(match[4].decode("utf-8"))
    lines = [line.split(" ") for line in match[5].decode("utf-8").split("\n")[:-1]]
    signatures = [(name, unbase64(packed)) for _, name, packed in lines]
    if len(root) != 32 or len(signatures) > 64 or any(len(blob) < 5 for _, blob in signatures):
        raise ValueError("it is not a checkpoint")
    return Note(path, match[2].decode(), int(match[3]), root, match[1], signatures)


def read_notes(logdir):
    """The folder's checkpoints (§9.3): those that can be parsed and are named well, and what is wrong with the others."""
    notes, bad = [], []
    kept = [f"{folder}/{name}" for folder in ("checkpoints", "cosigned")
            for name in names(os.path.join(logdir, folder), "[0-9]{20}")]
    for path in ["checkpoint"] + kept:
        try:
            note = parse_note(os.path.join(logdir, path))._replace(path=path)
            if path != "checkpoint" and note.size != int(path.split("/")[1]):
                raise ValueError("it is not named by its size")
            notes.append(note)
        except FileNotFoundError:
            continue
        except ValueError as error:
            bad.append(f"{path}: {error}")
    return notes, bad


def signed_by(note, keys):
    """Whether one of these keys signed it, and no signature line in the name of any of them fails (§6)."""
    lines = [(key.public, blob[4:]) for name, blob in note.signatures for key in keys
             if (name, blob[:4]) == (key.name, key.id) and name == note.origin]
    return bool(lines) and all(verify_ed25519(public, note.text, signature) for public, signature in lines)


@functools.lru_cache(maxsize=4096)
def verify_ed25519(public, message, signature):
    """openssl judges one signature a run, and reads it from files."""
    import subprocess
    command = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER"]
    key = bytes.fromhex("302a300506032b6570032100") + public
    for option, data in ("-inkey", key), ("-in", message), ("-sigfile", signature):
        path = os.path.join(scratch(), option[1:])
        with open(path, "wb") as file:
            file.write(data)
        command += [option, path]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if b"Signature Verif" not in run.stdout:
        raise OSError("openssl did not judge a signature: " + run.stdout.decode(errors="replace"))
    return run.returncode == 0


@functools.lru_cache(maxsize=1)
def scratch():
    import atexit, shutil, tempfile
    folder = tempfile.mkdtemp(prefix="verify-")
    atexit.register(shutil.rmtree, folder)
    return folder
