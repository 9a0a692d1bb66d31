"""Files of a log folder, which an attacker may have laid out: only plain ones are opened, only small ones are read whole."""
import errno, os, re, stat


class NotPlain(ValueError):
    """A pipe would hang the verifier and a device would never end, so neither stands in for a file."""


def open_plain(path):
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a link, a socket
            raise NotPlain("it is not a plain file") from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotPlain("it is not a plain file")
    return os.fdopen(descriptor, "rb")


def read_small(path, limit=65535):
    with open_plain(path) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"it is larger than {limit} bytes")
    return data


def names(folder, pattern):
    """The names in a folder that match as a whole, in order; an absent folder has none."""
    try:
        return sorted(name for name in os.listdir(folder) if re.fullmatch(pattern, name))
    except (FileNotFoundError, NotADirectoryError):
        return []
