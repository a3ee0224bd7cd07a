"""R-CNN's first stage: its network fine-tuned on warped regions."""

import keras
from keras import ops

from kerakit.models.detection.detector import Detector, image_weights
from kerakit.models.detection.region_detections import region_detections
from kerakit.models.detection.region_sampling import mean_over_chosen, sample_regions
from kerakit.ops import box_area
from kerakit.ops.box_formats import in_box_precision


@keras.saving.register_keras_serializable(package="kerakit")
class RegionClassifier(Detector):
    """Classifies warped regions into K + 1 classes by softmax, over an `RCNN`'s network.

    What it learns, the `RCNN` knows, since both have one network. In a step every image gives S
    regions, a quarter of them with an object: 4 images of 32 are the paper's 32 positive and 96
    negative windows. Its own detections are boxes as proposed with softmax's scores: what R-CNN
    finds without SVMs and box regression.

    Args:
        model: `RCNN`.
        regions: S, sampled regions an image.
        positive_fraction: Largest share of them with an object.
        foreground: Least IoU of a region with an object; all below are background.
        seed: Of the sampling.
        **kwargs: As in `keras.Model`: `name`.

    Reference:
        Girshick, Donahue, Darrell and Malik, Rich Feature Hierarchies for Accurate Object
        Detection and Semantic Segmentation, 2014, Section 2.3. Deviations: each image gives its
        share of the windows, which the paper draws over all classes.
    """

    def __init__(
        self, model, *, regions=32, positive_fraction=0.25, foreground=0.5, seed=0, **kwargs
    ):
        super().__init__(loss_parts=("class_loss",), autocast=False, **kwargs)
        # Where Keras does not track it: the SVMs are no part of what is trained here.
        self._parent = _Untracked(model)
        self.features = model.features
        self.num_classes = model.num_classes
        self.max_detections = model.max_detections
        self.regions = regions
        self.positive_fraction = positive_fraction
        self.foreground = foreground
        self.seed = seed
        self.classes = keras.layers.Dense(
            model.num_classes + 1,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            dtype="float32",
            name="classes",
        )
        self.classes.build((None, model.features.outputs[0].shape[-1]))
        self.add_sampling_step()

    @property
    def input_shape(self):
        """(None, H, W, C) of the images."""
        return self._parent.value.input_shape

    def build(self, input_shape=None):
        self.built = True

    def call(self, inputs, training=None):
        proposals = in_box_precision(inputs["proposals"])
        if training:
            return {"proposals": proposals}  # the network runs over what the loss samples
        model = self._parent.value
        scores = self.classes(model.region_features(inputs["images"], proposals))
        boxes = ops.repeat(proposals[:, :, None], model.num_classes, axis=2)
        return region_detections(
            boxes,
            ops.softmax(scores, axis=-1)[..., 1:],
            image_size=model.image_shape[:2],
            score_threshold=model.score_threshold,
            iou_threshold=model.iou_threshold,
            max_detections=model.max_detections,
            is_region=box_area(proposals) > 0,
        )

    def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
        (keys,) = self.sampling_keys(y, self.seed, training=training)
        sampled = sample_regions(
            x["proposals"],
            y,
            keys,
            size=self.regions,
            positive_fraction=self.positive_fraction,
            foreground=self.foreground,
            background=0.0,
        )
        crops = self._parent.value.crops(x["images"], sampled["regions"])
        (features,) = keras.tree.flatten(self.features(crops, training=training))
        logits = ops.reshape(self.classes(features), (-1, self.regions, self.classes.units))
        losses = ops.sparse_categorical_crossentropy(sampled["labels"], logits, from_logits=True)
        class_loss = mean_over_chosen(losses, sampled, image_weights(sample_weight))
        return self.total_loss({"class_loss": class_loss}, y=y)


class _Untracked:
    def __init__(self, value):
        self.value = value
