"""Small exports of every task, whose answers are known, for the tests of the page."""

import keras
import numpy as np
from keras import ops

from kerakit import export
from kerakit.data import FrameSampling, Preparation
from kerakit.gradients import gradient
from tests.export.segmenters import CLASSES as PIXEL_CLASSES
from tests.export.segmenters import segmenter
from tests.export.tiny import PREPARATION, save_tiny, tiny_model

MARKUP = ("<img src=x onerror=alert(1)>", "bée & co", "</li><b>cat</b>")
THINGS = ("ant", "bee", "cat")
# In pixels of a prepared image of 64 x 96, the surest first.
BOXES = [[26, 10, 50, 40], [40, 24, 70, 60], [60, 8, 76, 20]]
SCORES = [0.9, 0.6, 0.3]


class Fixed(keras.layers.Layer):
    """The same three objects, whatever the image, and a fourth place that is empty."""

    def __init__(self, *, masks):
        super().__init__()
        grids = np.zeros((4, 4, 4), "float32")
        grids[0, :, :2] = 1  # the left half
        grids[1] = 1
        self.found = {
            "boxes": np.array([*BOXES, [0, 0, 0, 0]], "float32"),
            "scores": np.array([*SCORES, 0], "float32"),
            "classes": np.array([0, 1, 2, -1], "int32"),
            "num_detections": np.int32(3),
            **({"masks": grids} if masks else {}),
        }

    def call(self, images):
        none = 0 * images[:, 0, 0, 0]  # of as many images
        return {
            name: ops.cast(ops.reshape(none, (-1, *[1] * value.ndim)) + value, value.dtype.name)
            for name, value in self.found.items()
        }

    def compute_output_spec(self, images):
        return {
            name: keras.KerasTensor((None, *np.shape(value)), value.dtype.name)
            for name, value in self.found.items()
        }


def fixed_detector(*, masks):
    images = keras.Input((64, 96, 3))
    model = keras.Model(images, Fixed(masks=masks)(images), name="fixed")
    model.num_classes, model.gives_masks = 3, masks
    model.total_loss = fixed_detector  # which nothing calls
    return model


def saliency(model, images):
    """The gradient of the largest logit, its largest over the channels."""
    (slope,) = gradient(lambda x: ops.max(model(x, training=False), axis=-1), images)
    return ops.max(ops.abs(slope), axis=-1)


def clip_model():
    return keras.Sequential(
        [keras.Input((4, 6, 5, 3)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )


def save_all(folder):
    """Writes a folder of models, each named after its task."""
    save_tiny(tiny_model(), folder / "classes", classes=MARKUP, explain=saliency)
    save_tiny(tiny_model(), folder / "several", task="multi_label", preparation=PREPARATION)
    letterbox = Preparation(height=64, width=96, fit="letterbox")
    for name, task in (("boxes", "detection"), ("objects", "instance_segmentation")):
        model = fixed_detector(masks=name == "objects")
        export.save(model, folder / name, preparation=letterbox, classes=THINGS, task=task)
    export.save(
        segmenter(size=(16, 16)),
        folder / "masks",
        preparation=Preparation(height=16, width=16),
        classes=PIXEL_CLASSES,
        task="segmentation",
    )
    clips = {"preparation": Preparation(height=6, width=5), "classes": ("still", "moving")}
    export.save(
        clip_model(),
        folder / "dense",
        sampling=FrameSampling(frames=4, stride=2),
        task="video",
        explain=saliency,
        **clips,
    )
    export.save(
        clip_model(),
        folder / "uniform",
        sampling=FrameSampling(frames=4, mode="uniform"),
        frame_rate=5.0,
        task="video",
        **clips,
    )
    return folder
