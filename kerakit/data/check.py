"""Whether image files can be read, asked before training rather than in its third hour."""

import hashlib
import json
import os
import pathlib
import tempfile

import tensorflow as tf

from kerakit.data.decode import SIGNATURES, decode

# Below this many files every one is decoded; from here on only the first bytes are looked at.
DECODE_LIMIT = 20_000
_CACHE_VERSION = 1


def unreadable_images(paths, *, root):
    """Finds the image files that cannot be read.

    What was found for a file is kept by its path, size and time of change in the user's cache
    folder (`$XDG_CACHE_HOME/kerakit` or `~/.cache/kerakit`), so that the second run of a set
    only looks at these.

    Args:
        paths: Paths of the files, all under `root`.
        root: Folder of the set.

    Returns:
        Dict of the unreadable ones' paths, in the order given, to what is wrong with them.
    """
    decoding = len(paths) < DECODE_LIMIT
    cache = _cache_file(root) if decoding else None
    known = _read_cache(cache)
    stamps = {}
    for path in paths:
        status = os.stat(path)
        stamps[path] = [status.st_size, status.st_mtime_ns]
    found = {
        path: known[str(path)][2]
        for path in paths
        if str(path) in known and known[str(path)][:2] == stamps[path]
    }
    unknown = [path for path in paths if path not in found]
    if unknown:
        suspects = _not_decodable(unknown) if decoding else unknown
        found |= dict.fromkeys(unknown)
        found |= {path: _fault(path, decoded=decoding) for path in suspects}
        _write_cache(cache, {str(path): [*stamps[path], found[path]] for path in paths})
    return {path: found[path] for path in paths if found[path] is not None}


def _not_decodable(paths):
    """Those of the paths whose decoding fails, all decoded in parallel."""

    def decoded(index, name):
        # The shape is asked for as an output: a decoding on which nothing but the order of
        # execution depends is optimised away, and every file would pass.
        return index, tf.shape(decode(tf.io.read_file(name)))

    names = tf.data.Dataset.from_tensor_slices([str(path) for path in paths])
    shapes = names.enumerate().map(
        decoded, num_parallel_calls=tf.data.AUTOTUNE, deterministic=False
    )
    good = {index for index, _ in shapes.ignore_errors().as_numpy_iterator()}
    return [path for index, path in enumerate(paths) if index not in good]


def _fault(path, *, decoded):
    """What is wrong with a file, in words; None if nothing is and it was not decoded."""
    try:
        with open(path, "rb") as file:
            head = file.read(16)
    except OSError as error:
        return f"it cannot be opened: {error.strerror}"
    if not head:
        return "it is empty, 0 bytes"
    for kind, signature in SIGNATURES.items():
        if head.startswith(signature):
            return f"its {kind} data are broken, cut short or of a rare kind" if decoded else None
    return "it is not a JPEG, PNG, GIF or BMP file"


def _cache_file(root):
    folder = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    name = hashlib.blake2b(os.path.abspath(root).encode(), digest_size=16).hexdigest()
    return pathlib.Path(folder) / "kerakit" / f"images-{name}.json"


def _read_cache(file):
    try:
        cache = json.loads(file.read_text())
        return cache["files"] if cache["version"] == _CACHE_VERSION else {}
    except (AttributeError, OSError, ValueError, KeyError, TypeError):
        return {}  # None, absent or damaged: everything is looked at again


def _write_cache(file, files):
    if file is None:
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False) as new:
            json.dump({"version": _CACHE_VERSION, "files": files}, new)
        os.replace(new.name, file)
    except OSError:
        pass  # the cache saves time; without it all works
