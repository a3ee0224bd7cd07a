"""The one preparation of images: what validation runs, and what an export traces."""

import dataclasses

import tensorflow as tf

from kerakit.data.decode import decode

FITS = ("stretch", "letterbox", "crop", "pad")
# Class id of a mask where there is nothing to learn.
IGNORE = 255
# ITU-R BT.601; they sum to 1, so that white stays white.
_LUMA = (0.299, 0.587, 0.114)
# Near the mean of photographs, so that the bars are near 0 once the model has normalised.
LETTERBOX_FILL = 114


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preparation:
    """From the bytes of any image to the one size that a model takes.

    The image is scaled by (s_y, s_x) about its centre onto the middle of the result: its
    row i lies at `(i + 0.5) s_y + (height - H s_y) / 2` (edges of pixels, in pixels). With
    `fit` "stretch", `s = (height / H, width / W)`: the whole image, its aspect changed;
    "letterbox": both are the smaller of the two: the whole image, the rest grey 114;
    "crop": both are the larger: the result is full, what juts out is cut evenly. "pad" does not
    scale: the image lies at the top left, the rest is grey 114, what juts out is cut off.
    Interpolation is bilinear, with the triangle widened by 1 / s where the image shrinks
    (no aliasing); values are rounded to the nearest, halves to even.

    Args:
        height: Rows of the result; positive.
        width: Columns of the result; positive.
        channels: 3 (RGB) or 1 (grey, `0.299 R + 0.587 G + 0.114 B`, ITU-R BT.601).
        fit: "stretch", "letterbox", "crop" or "pad".

    Raises:
        ValueError: If an argument is none of these.

    Example:

    >>> preparation = Preparation(height=32, width=32, fit="letterbox")
    >>> preparation(tf.io.encode_jpeg(tf.zeros((10, 20, 3), tf.uint8))).shape
    TensorShape([32, 32, 3])
    """

    height: int
    width: int
    channels: int = 3
    fit: str = "stretch"

    def __post_init__(self):
        for side in ("height", "width"):
            value = getattr(self, side)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"`{side}` must be a positive integer, got {value!r}.")
        if self.channels not in (1, 3):
            raise ValueError(f"`channels` must be 1 or 3, got {self.channels!r}.")
        if self.fit not in FITS:
            raise ValueError(f"`fit` must be one of {', '.join(FITS)}, got {self.fit!r}.")

    def __call__(self, encoded):
        """Bytes (a scalar string) to uint8 (height, width, channels)."""
        return self.resize(decode(encoded))

    def batch(self, encoded):
        """Strings (B,) to uint8 (B, height, width, channels); an error names the position."""
        return self.framed_batch(encoded)[0]

    def framed_batch(self, encoded, *, names=None):
        """As `batch`, with the geometry of each image.

        Args:
            encoded: Strings (B,).
            names: Strings (B,), what an error calls each; None: by its place in the batch.

        Returns:
            uint8 (B, height, width, channels); float32 (B, 4), scale and shift of `geometry`;
            int32 (B, 2), height and width of the decoded images.
        """

        if names is None:
            positions = tf.strings.as_string(tf.range(tf.size(encoded)))
            names = tf.strings.join(["Image ", positions, " of the batch (counted from 0)"])

        def prepared(named):
            name, one = named
            image = decode(one, name=name)
            size = tf.shape(image)[:2]
            return self.resize(image), tf.concat(self.geometry(size), axis=0), size

        prepared_size = (self.height, self.width, self.channels)
        return tf.map_fn(
            prepared,
            (names, encoded),
            fn_output_signature=(
                tf.TensorSpec(prepared_size, tf.uint8),
                tf.TensorSpec((4,), tf.float32),
                tf.TensorSpec((2,), tf.int32),
            ),
        )

    def geometry(self, size):
        """Scale and shift from pixels of the image to pixels of the result.

        Args:
            size: (2,) integer tensor, the image's height and width, or (B, 2) of several.

        Returns:
            Two float32 tensors of its shape, both (vertical, horizontal): a point at p pixels
            from the image's top left corner comes to `p * scale + shift`.
        """
        size = tf.cast(size, tf.float32)
        target = tf.constant((self.height, self.width), tf.float32)
        scale = target / size
        if self.fit == "pad":
            return tf.ones_like(scale), tf.zeros_like(scale)
        if self.fit == "stretch":
            return scale, tf.zeros_like(scale)
        choose = tf.reduce_min if self.fit == "letterbox" else tf.reduce_max
        scale = tf.repeat(choose(scale, axis=-1, keepdims=True), 2, axis=-1)
        return scale, (target - size * scale) / 2.0

    def colors(self, image):
        """uint8 (..., 3) to float32 (..., channels), not rounded."""
        pixels = tf.cast(image, tf.float32)
        if self.channels == 1:
            pixels = tf.tensordot(pixels, tf.constant(_LUMA), axes=1)[..., None]
        return pixels

    def resize(self, image):
        """uint8 (H, W, 3) of any size to uint8 (height, width, channels); (T, H, W, 3) likewise."""
        image = tf.convert_to_tensor(image)
        pixels = self.colors(image)
        scale, shift = self.geometry(tf.shape(image)[-3:-1])
        # The op leaves 0 outside the image: with the fill as zero, the bars need no mask.
        fill = LETTERBOX_FILL if self.fit in ("letterbox", "pad") else 0
        pixels = tf.raw_ops.ScaleAndTranslate(
            images=(pixels[None] if image.shape.rank == 3 else pixels) - fill,
            size=(self.height, self.width),
            scale=scale,
            translation=shift,
            kernel_type="triangle",
            antialias=True,
        )
        pixels = tf.cast(tf.round(tf.clip_by_value(pixels + fill, 0.0, 255.0)), tf.uint8)
        shape = (self.height, self.width, self.channels)
        if image.shape.rank == 3:
            return tf.ensure_shape(pixels[0], shape)
        return tf.ensure_shape(pixels, (image.shape[0], *shape))

    def resize_mask(self, mask):
        """The mask (H, W) of an image, moved as `resize` moves the image.

        Each pixel of the result takes the id at its centre, and 255, ignore, outside the image.

        Args:
            mask: uint8 (H, W) class ids.

        Returns:
            uint8 (height, width).
        """
        size = tf.shape(mask)
        scale, shift = self.geometry(size)
        places, inside = [], []
        for axis, length in enumerate((self.height, self.width)):
            place = (tf.range(length, dtype=tf.float32) + 0.5 - shift[axis]) / scale[axis]
            place = tf.cast(tf.floor(place), tf.int32)
            inside.append((place >= 0) & (place < size[axis]))
            places.append(tf.clip_by_value(place, 0, size[axis] - 1))
        found = tf.gather(tf.gather(mask, places[0], axis=0), places[1], axis=1)
        return tf.where(inside[0][:, None] & inside[1], found, tf.cast(IGNORE, mask.dtype))

    def to_dict(self):
        """Settings as a dict of plain values, for `card.json`."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, settings):
        """The preparation whose `to_dict` gave `settings`."""
        return cls(**settings)
