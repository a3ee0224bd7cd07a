"""What a server takes at most, and how long it waits."""

import dataclasses

from kerakit.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Sizes, numbers and times of a server; each positive.

    Example:

    >>> Settings(max_batch_size=12).batch_sizes
    (1, 2, 4, 8, 12)
    """

    max_batch_size: int = 32
    """Images or clips that are computed at once; masks are computed one by one."""
    batch_timeout: float = 0.002
    """Seconds that a batch waits for more, once requests come together."""
    queue: int = 256
    """Requests under way at once, and rows that wait for one signature; beyond it: 429."""
    threads: int = 2
    """Batches computed at once, and requests read or written at once."""
    request_bytes: int = 32 * 2**20
    """Size of one request's body; beyond it: 413."""
    held_bytes: int = 256 * 2**20
    """Size of all bodies held together; beyond it: 429."""
    image_pixels: int = 25_000_000
    """Of one image, and of all of a batch, by their headers; a PNG takes 35 bytes each."""
    nesting: int = 32
    """Depth of the lists and objects of a request."""
    read_seconds: float = 20.0
    """For a request's head, and again for its body; beyond it: 408."""
    answer_seconds: float = 30.0
    """From a request's last byte to its answer; beyond it: 504."""
    stop_seconds: float = 35.0
    """For requests under way, when the server is stopped."""
    poll_seconds: float = 2.0
    """Between two looks at the folder of the models."""

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise InputError(f"`{field.name}` must be positive, got {value}.")

    @property
    def batch_sizes(self):
        """Sizes to which batches are filled up, so that TensorFlow meets few shapes."""
        powers = (2**power for power in range(self.max_batch_size.bit_length()))
        return tuple(sorted({*powers, self.max_batch_size}))
