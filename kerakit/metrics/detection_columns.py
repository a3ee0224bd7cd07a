"""Padded rows of truth and detections as flat columns on the host."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Column:
    """The boxes of one side, true or predicted, ordered by image and then by place in it.

    Attributes:
        image: (M,) integer image of each box.
        label: (M,) integer class, 0..K-1.
        box: (M, 4) float64 xyxy.
        extra: (M, ...) what else stands in the rows: scores; or crowd flags and areas.
        mask: (M, ceil(h w / 8)) uint8 bits of the masks, or None.
    """

    image: np.ndarray
    label: np.ndarray
    box: np.ndarray
    extra: np.ndarray
    mask: np.ndarray | None

    @property
    def size(self):
        """Widths and heights, (M, 2)."""
        return self.box[:, 2:] - self.box[:, :2]


def column(rows, masks=None):
    """Takes the boxes that are there out of padded rows.

    Args:
        rows: (E, N, 5 + extra) float32: box xyxy, class + 1 (0 where there is no box), extra.
        masks: (E, N, bytes) uint8 bits of the masks, or None.

    Returns:
        A `Column`. float32 is widened to float64, which loses nothing.
    """
    image, place = np.nonzero(rows[..., 4])
    found = rows[image, place].astype("float64")
    return Column(
        image=image,
        label=found[:, 4].astype("int64") - 1,
        box=found[:, :4],
        extra=found[:, 5:],
        mask=None if masks is None else masks[image, place],
    )


def unpacked(bits, mask_size):
    """Masks (M, h, w) of 0 and 1 from their bits (M, bytes): runs of pixels, a bit each."""
    height, width = mask_size
    shifts = np.arange(7, -1, -1, dtype="uint8")
    pixels = ((bits[:, None] >> shifts[:, None]) & 1).reshape(len(bits), -1)
    return pixels[:, : height * width].reshape(-1, height, width)
