"""Which examples of a set without a validation part are held out."""

import hashlib


def held_out(name, *, seed, fraction):
    """Whether the example is held out: by a hash of its name, the same on every machine.

    Each name is decided by itself, so that an example stays on its side when others are
    added or removed.

    Args:
        name: Name of the example, or of the group that must stay together.
        seed: Salt: another seed is another split.
        fraction: Share held out, about; in (0, 1).

    Returns:
        True or False.

    Example:

    >>> sum(held_out(str(i), seed=0, fraction=0.2) for i in range(1000))
    219
    """
    digest = hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=6).digest()
    return int.from_bytes(digest, "big") < fraction * 2**48
