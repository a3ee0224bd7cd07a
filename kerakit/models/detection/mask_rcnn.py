"""Mask R-CNN: Faster R-CNN with a mask for every box."""

import keras
from keras import ops

from kerakit.models.detection.columns_in_use import columns_in_use
from kerakit.models.detection.faster_rcnn import FasterRCNN
from kerakit.models.detection.mask_head import MaskHead
from kerakit.models.detection.region_sampling import mean_over_chosen
from kerakit.ops import mask_targets

BINS = 14


@keras.saving.register_keras_serializable(package="kerakit")
class MaskRCNN(FasterRCNN):
    """Faster R-CNN and a third branch: the mask of each detection within its box.

    Masks are learned from the sampled regions that have an object, each for its own class alone:
    the cross-entropy of every cell with the object's mask seen through the region.

    Args:
        backbone: As in `FasterRCNN`.
        num_classes: K, without background.
        mask_filters: Channels of the mask branch's convolutions.
        mask_depth: Its 3 x 3 convolutions.
        mask_samples: Regions of an image in the mask's loss, at most; None: all with an object,
            `box_samples` times `box_positive_fraction`. Under XLA and on other backends than
            TensorFlow the branch computes so many whether they are there or not.
        **options: As in `FasterRCNN`.

    Call arguments:
        images: (B, H, W, C) pixels 0..255.
        training: Where false, final detections are among the outputs.

    Returns:
        The dict of `FasterRCNN`, and where `training` is false `masks` (B, D, 28, 28) float32
        probabilities, each within its box; 0 in padded rows. `kerakit.ops.paste_masks` puts them
        into the image. Targets have `masks` beside the boxes: (B, N, M, M) of 0 and 1, each
        cropped to its box, or (B, N, H, W) as large as the input.

    Raises:
        ValueError: As in `FasterRCNN`.

    Reference:
        He, Gkioxari, Dollar and Girshick, Mask R-CNN, 2017, Section 3. Deviations: as
        `FasterRCNN`; RoI align without the half cell's shift, as in torchvision.

    Example:

    >>> import numpy as np
    >>> from kerakit.models.detection import maskrcnn_mobilenet_v2_fpn
    >>> model = maskrcnn_mobilenet_v2_fpn(input_shape=(64, 64, 3), num_classes=2, width=0.25)
    >>> model.predict(np.zeros((1, 64, 64, 3)), verbose=0)["masks"].shape
    (1, 100, 28, 28)
    """

    gives_masks = True
    LOSS_PARTS = (*FasterRCNN.LOSS_PARTS, "mask_loss")

    def __init__(
        self,
        backbone,
        *,
        num_classes,
        mask_filters=256,
        mask_depth=4,
        mask_samples=None,
        **options,
    ):
        super().__init__(backbone, num_classes=num_classes, **options)
        most = int(self.numbers["box_samples"] * self.numbers["box_positive_fraction"])
        self.mask_options = {
            "mask_filters": mask_filters,
            "mask_depth": mask_depth,
            "mask_samples": mask_samples,
        }
        self.mask_samples = max(1, most if mask_samples is None else min(mask_samples, most))
        self.mask_regions = self._region_reader(BINS, "mask_regions")
        self.mask_head = MaskHead(
            num_classes,
            filters=mask_filters,
            depth=mask_depth,
            name="roi_heads_mask",
            dtype=self.dtype_policy,
        )
        self.mask_head.build((None, None, BINS, BINS, self.numbers["fpn_filters"]))

    @property
    def head_layers(self):
        """Layers whose size is that of the classes, which other classes learn anew."""
        return [*super().head_layers, self.mask_head.logits]

    def mask_logits(self, features, regions, classes, is_used):
        """(B, R, 28, 28) logits of masks for the classes (B, R), 0 where `is_used` is False.

        What is used comes first. On TensorFlow outside XLA, where shapes may depend on the data,
        the branch computes as many regions an image as the fullest image uses.
        """
        count, used = regions.shape[1], columns_in_use(is_used)
        pooled = self.mask_regions(features, regions[:, :used])
        logits = self.mask_head(pooled, classes[:, :used])
        batch, _, height, width = ops.shape(logits)
        unused = ops.zeros((batch, count - used, height, width), logits.dtype)
        logits = ops.concatenate([logits, unused], axis=1)
        logits = ops.reshape(logits, (-1, count, 2 * BINS, 2 * BINS))
        return ops.where(is_used[..., None, None], logits, 0.0)

    def detections(self, outputs, proposals):
        """Final detections among the proposals, a dict."""
        found = super().detections(outputs, proposals)
        is_found = found["classes"] >= 0
        logits = self.mask_logits(outputs["features"], found["boxes"], found["classes"], is_found)
        return {**found, "masks": ops.where(is_found[..., None, None], ops.sigmoid(logits), 0.0)}

    def region_losses(self, y, features, sampled, sample_weight):
        """Dict of the second stage's losses, see `FasterRCNN.region_losses`."""
        parts = super().region_losses(y, features, sampled, sample_weight)
        # Those with an object come first.
        regions, truths, labels, is_positive = (
            sampled[name][:, : self.mask_samples]
            for name in ("regions", "truths", "labels", "is_positive")
        )
        logits = self.mask_logits(features, regions, labels - 1, is_positive)
        is_whole = tuple(y["masks"].shape[2:]) == tuple(self.image_size)
        targets = mask_targets(
            y["masks"],
            regions,
            matches=truths,
            size=logits.shape[-1],
            mask_boxes=None if is_whole else y["boxes"],
        )
        # log(1 + exp(z)) - y z
        losses = ops.mean(ops.softplus(logits) - targets * logits, axis=(-2, -1))
        positive = {"is_chosen": is_positive}
        return {**parts, "mask_loss": mean_over_chosen(losses, positive, sample_weight)}

    def get_config(self):
        return {**super().get_config(), **self.mask_options}
