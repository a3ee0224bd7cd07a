"""What a region proposal network learns from: which anchors hold something, and by how much off."""

from keras import ops

from kerakit.models.detection.columns_in_use import columns_in_use
from kerakit.models.detection.region_losses import smooth_l1
from kerakit.models.detection.region_sampling import mean_over_chosen, share_in_crowd
from kerakit.ops import box_area, encode_boxes, match_boxes, pairwise_iou, sample_matches
from kerakit.ops.box_formats import in_box_precision

_NEITHER = -2


def proposal_losses(
    logits,
    offsets,
    anchors,
    targets,
    keys,
    *,
    size=256,
    positive_fraction=0.5,
    foreground=0.7,
    background=0.3,
    sample_weight=None,
):
    """Losses of anchors, a balanced random choice of each image's.

    An anchor holds something if its IoU with an object is at least `foreground`, or no anchor has
    a higher one with that object; it is background if all of its IoUs are below `background` and
    not half of it lies in a crowd.

    Args:
        logits: (B, A) of something being there.
        offsets: (B, A, 4) from the anchors.
        anchors: (A, 4) xyxy in pixels.
        targets: Dict with `boxes` (B, N, 4), `labels` (B, N), -1 for padding, and perhaps `crowd`
            (B, N) bool.
        keys: (B,) int of `kerakit.ops.random_keys`.
        size: Anchors chosen an image.
        positive_fraction: Largest share of them that hold something.
        foreground: Least IoU of an anchor that holds something.
        background: IoU below which it is background.
        sample_weight: (B,) weight of each image, or None.

    Returns:
        Dict of two scalars: `objectness_loss`, the mean over chosen anchors of the cross-entropy,
        and `proposal_box_loss`, the sum of `smooth_l1` of the offsets of those that hold
        something over the number of chosen ones; means over the images.

    Reference:
        Ren et al., Faster R-CNN, 2015, Section 3.1.2. Deviations: as torchvision, whose box loss
        has beta 1/9 and no further weight; each image counts alike, where torchvision takes the
        mean over the chosen anchors of all images (the same, as long as every image has `size`).
    """
    boxes = in_box_precision(targets["boxes"])
    is_object = ops.logical_and(ops.cast(targets["labels"], "int32") >= 0, box_area(boxes) > 0)
    # Every row is compared with every anchor, which took a third of a step.
    used = columns_in_use(is_object)
    boxes, is_object = boxes[:, :used], is_object[:, :used]
    crowd = None
    if "crowd" in targets:
        crowd = ops.logical_and(is_object, ops.cast(targets["crowd"][:, :used], "bool"))
        is_object = ops.logical_and(is_object, ops.logical_not(crowd))
    matches = match_boxes(
        pairwise_iou(boxes, anchors[None]),
        is_object,
        high=foreground,
        low=background,
        allow_low_quality=True,
    )
    if crowd is not None:
        in_crowd = share_in_crowd(anchors[None], boxes, crowd) >= 0.5
        matches = ops.where(ops.logical_and(in_crowd, matches < 0), _NEITHER, matches)
    indices, is_positive, is_chosen = sample_matches(
        matches, keys, size=size, positive_fraction=positive_fraction
    )
    logits = ops.take_along_axis(logits, indices, axis=1)
    offsets = ops.take_along_axis(offsets, indices[..., None], axis=1)
    truth = ops.maximum(ops.take_along_axis(matches, indices, axis=1), 0)
    wanted = encode_boxes(
        ops.take_along_axis(boxes, truth[..., None], axis=1), ops.take(anchors, indices, axis=0)
    )
    # log(1 + exp(z)) - y z
    cross_entropy = ops.softplus(logits) - ops.where(is_positive, logits, 0.0)
    wanted = ops.cast(ops.stop_gradient(wanted), offsets.dtype)
    box_losses = ops.sum(smooth_l1(offsets - wanted), axis=-1)
    box_losses = ops.where(is_positive, box_losses, 0.0)
    chosen = {"is_chosen": is_chosen}
    return {
        "objectness_loss": mean_over_chosen(cross_entropy, chosen, sample_weight),
        "proposal_box_loss": mean_over_chosen(box_losses, chosen, sample_weight),
    }
