"""Mosaics of four pictures."""

import tensorflow as tf

from kerakit.augment.arguments import check_fill, check_range, check_share
from kerakit.augment.box_masks import transform_box_masks
from kerakit.augment.boxes import clip_boxes, transform_boxes
from kerakit.augment.draws import draw_events, draw_seeds, draw_uniform
from kerakit.augment.frames import picture_size
from kerakit.augment.scaling import place_scaled, scaling_matrices

# Where the four meet, as a share of height and of width.
_MIDDLE = (0.25, 0.75)
_ROWS = ("boxes", "labels", "crowd", "area", "box_masks")


class Mosaic:
    """Makes each picture of a batch of four: its own and those of the three examples before it.

    The four meet at a point that is drawn for each picture, each with the corner that points
    there, so that detectors see objects out of their surroundings and cut at their borders, and
    four times as many pictures a batch (which helps batch normalization). Each is scaled by a
    draw of its own; what it leaves free is filled. Boxes and masks are cut at the seams. The order
    of a batch is random already, so that the partners are too.

    Args:
        scale: Least and largest factor of a picture, above 0.
        probability: Of a mosaic; the other examples stay as they are. In [0, 1].
        fill: Value of what is left free, 0..255.
        min_visible: Boxes of which a smaller share of the area is seen are dropped. In [0, 1].
        max_boxes: Rows of a mosaic; None: twice the rows of the batch. Of more, the smallest are
            left out.

    Raises:
        ValueError: If an argument is out of range, or, when called, if the batch has no boxes or
            has masks that are not cropped to boxes.

    Reference:
        Bochkovskiy et al., YOLOv4: Optimal Speed and Accuracy of Object Detection, 2020,
        section 3.3. Deviations: the paper gives no numbers; scale, place and `min_visible` are
        ours.

    Example:

    >>> batch = {"image": tf.zeros((4, 32, 32, 3), tf.uint8), "labels": tf.fill((4, 5), 1),
    ...          "boxes": tf.tile([[[4.0, 4.0, 9.0, 9.0]]], [4, 5, 1])}
    >>> mosaic = Mosaic()(batch, tf.constant([0, 1]))
    >>> mosaic["image"].shape, mosaic["boxes"].shape
    (TensorShape([4, 32, 32, 3]), TensorShape([4, 10, 4]))
    """

    def __init__(
        self, *, scale=(0.5, 1.5), probability=1.0, fill=114, min_visible=0.1, max_boxes=None
    ):
        self.scale = check_range("scale", scale, low=0)
        check_share("probability", probability)
        check_fill(fill)
        check_share("min_visible", min_visible)
        if max_boxes is not None and max_boxes < 1:
            raise ValueError(f"`max_boxes` must be at least 1, got {max_boxes}.")
        self.probability = probability
        self.fill = fill
        self.min_visible = min_visible
        self.max_boxes = max_boxes

    def draws(self, seed, *, batch_size, size):
        """The draws of one batch.

        Args:
            seed: int32 (2,).
            batch_size: Number of examples, B.
            size: (2,) height and width of the pictures.

        Returns:
            Scales (B, 4, 2) float32, the same both ways, of the pictures at the upper left,
            upper right, lower left and lower right, and the point where they meet, (B, 2) int32,
            (vertical, horizontal). Where there is no mosaic the upper left one is all.
        """
        event_seed, scale_seed, place_seed = draw_seeds(seed, 3)
        mixes = draw_events(event_seed, batch_size, probability=self.probability)[:, None]
        low, high = self.scale
        scale = draw_uniform(scale_seed, (batch_size, 4), low=low, high=high)
        scale = tf.repeat(tf.where(mixes, scale, 1.0)[..., None], 2, axis=-1)
        low, high = _MIDDLE
        place = draw_uniform(place_seed, (batch_size, 2), low=low, high=high)
        middle = tf.cast(tf.round(place * tf.cast(size, tf.float32)), tf.int32)
        return scale, tf.where(mixes, middle, size)

    def __call__(self, batch, seed):
        """Transforms a batch.

        Args:
            batch: Dict with `image` uint8 (B, h, w, c), `boxes` (B, N, 4), `labels` (B, N) and,
                where there are, `crowd` (B, N), `area` (B, N) and `box_masks` (B, N, M, M),
                cropped to the boxes. Other keys stay as they are.
            seed: int32 (2,); the draws are a function of it.

        Returns:
            The dict, its pictures mosaics, with the rows of what they show, the largest first.
        """
        if "image" not in batch or "boxes" not in batch or {"masks", "mask"} & set(batch):
            raise ValueError(
                "Mosaic needs `image` and `boxes`, and masks only as `box_masks`, got a batch of "
                f"{sorted(batch)}."
            )
        count, size = picture_size(batch)
        scale, middle = self.draws(seed, batch_size=count, size=size)
        start, extent = _windows(middle, size)
        # At the upper left it is the picture's end that lies at the middle, and so on.
        room = tf.cast(extent, tf.float32) - scale * tf.cast(size, tf.float32)
        is_before = tf.constant([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
        shift = room * is_before
        sources = (tf.range(count)[:, None] - tf.range(4)) % count
        image = self._composed(batch["image"], sources, scale=scale, shift=shift, extent=extent)
        matrices = scaling_matrices(scale, shift)
        rows = self._rows(batch, sources, matrices=matrices, start=start, extent=extent)
        return {**batch, **rows, "image": image}

    def _composed(self, images, sources, *, scale, shift, extent):
        def composed(own):
            sources, scale, shift, extent = own
            parts = [
                place_scaled(
                    images[sources[q]], scale[q], shift=shift[q], size=extent[q], fill=self.fill
                )
                for q in range(4)
            ]
            above, below = tf.concat(parts[:2], axis=1), tf.concat(parts[2:], axis=1)
            return tf.concat([above, below], axis=0)

        made = tf.map_fn(composed, (sources, scale, shift, extent), fn_output_signature=tf.uint8)
        return tf.ensure_shape(made, images.shape)

    def _rows(self, batch, sources, *, matrices, start, extent):
        own = {key: tf.gather(batch[key], sources) for key in _ROWS[:-1] if key in batch}
        most = batch["boxes"].shape[1]  # (B, 4, N, ...) each
        boxes, labels = _moved(own, matrices, extent, self.min_visible)
        there = labels >= 0
        corner = tf.cast(tf.tile(start[..., ::-1], [1, 1, 2]), tf.float32)
        # Kept without the corner too: in that frame the masks are moved.
        own |= {
            "boxes": tf.where(there[..., None], boxes + corner[:, :, None], 0.0),
            "labels": labels,
            "local": boxes,
            "before": own["boxes"],
        }
        area = tf.reduce_prod(boxes[..., 2:] - boxes[..., :2], axis=-1)
        area = tf.where(there, area, -1.0)
        wanted = min(self.max_boxes or 2 * most, 4 * most)
        chosen = tf.math.top_k(tf.reshape(area, (-1, 4 * most)), k=wanted).indices
        rows = {key: _chosen(values, chosen) for key, values in own.items()}
        before, local = rows.pop("before"), rows.pop("local")
        if "box_masks" in batch:
            quarter = chosen // most
            example = tf.gather(sources, quarter, batch_dims=1)
            masks = tf.gather_nd(batch["box_masks"], tf.stack([example, chosen % most], axis=-1))
            own_matrices = tf.gather(matrices, quarter, batch_dims=1)
            rows["box_masks"] = transform_box_masks(masks, own_matrices, boxes=before, moved=local)
        if self.max_boxes is not None and wanted < self.max_boxes:
            rows = {key: _filled_up(values, self.max_boxes) for key, values in rows.items()}
            rows["labels"] = _filled_up(rows["labels"][:, :wanted], self.max_boxes, value=-1)
        return rows


def _windows(middle, size):
    """First row and column, and height and width, of the four parts: both (B, 4, 2) int32."""
    (top, left), rest = tf.unstack(middle, axis=-1), size - middle
    zero = tf.zeros_like(top)
    corners = [(zero, zero), (zero, left), (top, zero), (top, left)]
    down, across = tf.unstack(rest, axis=-1)
    extents = [(top, left), (top, across), (down, left), (down, across)]
    return tuple(
        tf.stack([tf.stack(pair, axis=-1) for pair in pairs], axis=1)
        for pairs in (corners, extents)
    )


def _moved(own, matrices, extent, min_visible):
    """Boxes and labels of the four parts, each cut off at its own part's border."""
    shape = tf.shape(own["labels"])
    boxes = transform_boxes(
        tf.reshape(own["boxes"], (shape[0] * 4, -1, 4)), tf.reshape(matrices, (-1, 3, 3))
    )
    boxes, labels = clip_boxes(
        boxes,
        tf.reshape(own["labels"], (shape[0] * 4, -1)),
        size=tf.reshape(extent, (-1, 2)),
        min_visible=min_visible,
    )
    return tf.reshape(boxes, tf.shape(own["boxes"])), tf.reshape(labels, shape)


def _chosen(values, chosen):
    flat = tf.concat([[tf.shape(values)[0], 4 * values.shape[2]], tf.shape(values)[3:]], axis=0)
    return tf.gather(tf.reshape(values, flat), chosen, batch_dims=1)


def _filled_up(values, most, *, value=0):
    sides = [[0, 0], [0, most - values.shape[1]], *[[0, 0]] * (values.shape.rank - 2)]
    return tf.pad(values, sides, constant_values=tf.cast(value, values.dtype))
