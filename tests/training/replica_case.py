"""A short training in a process of its own, whose numbers `test_replicas.py` compares.

python -m tests.training.replica_case KIND HOW FLOATX STEPS FILE

KIND: classifier, detector or segmenter. HOW: one, mirrored (two logical CPUs) or workers (one of
those that the environment names). FILE gets the weights and the figures.
"""

import json
import os
import sys

import numpy as np

SIDE, VALIDATION = 32, (1, 17, 101)
# Examples of a batch and learning rate. In float32 a last digit soon puts some ReLU's input on the
# other side of 0, and from there the runs part: the sooner, the smaller the batch and the larger
# the steps. A change of one process's first kernel by 1e-7 of itself moves the mean loss of 50
# steps by 1.4 % at a rate of 0.001, on JAX, and by 0.15 % at 0.0001; in float64 by nothing. So many
# steps have the lower one, where an error would be seen; one step the higher.
SETTINGS = {"float64": (4, 0.01), "float32": (16, 0.0001), "float32, one step": (16, 0.001)}


def main():
    kind, how, floatx, steps, path = sys.argv[1:]
    if how == "mirrored":
        two_devices()
    import keras

    keras.config.set_floatx(floatx)
    if floatx == "float64" and keras.backend.backend() == "jax":
        import jax

        jax.config.update("jax_enable_x64", True)
        # Keras on JAX takes the mean of float64 in float32, with x64 on too.
        keras.src.backend.common.dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
    from kerakit import training

    batch, rate = SETTINGS["float32, one step" if (floatx, steps) == ("float32", "1") else floatx]
    names = {"one": "cpu", "mirrored": "mirrored", "workers": "multiworker"}
    strategy = training.strategy(names[how])
    keras.utils.set_random_seed(1)
    with strategy.scope():
        model, options = KINDS[kind]()
        training.synchronize_batch_normalization(model)
        model.compile(keras.optimizers.SGD(rate, momentum=0.9), **options)
    figures = {}
    for count in VALIDATION:
        log = training.EpochLog(f"{path}.{count}.csv")
        training.fit(
            model,
            Batches(kind, batch, int(steps) if count == VALIDATION[0] else 1),
            epochs=1,
            state=f"{path}.{count}.ckpt",
            validation=held_out(kind, batch, count),
            callbacks=[log],
        )
        figures[count] = log.rows[0]
        if count == VALIDATION[0]:
            weights = {v.path: keras.ops.convert_to_numpy(v) for v in model.variables}
    if (kind, keras.backend.backend()) == ("classifier", "tensorflow"):
        figures |= of_keras(model, held_out(kind, batch, VALIDATION[1]))
    if training.place_among_workers()[0] == 0:
        np.savez(path, **{name.replace("/", "|"): value for name, value in weights.items()})
        with open(f"{path}.json", "w") as file:
            json.dump(figures, file)


def of_keras(model, batches):
    """What Keras's own `evaluate` and `predict` give."""
    from kerakit import training

    workers = training.Workers(model)
    whole, _ = training.whole_batches(batches, multiple_of=training.replicas(model))
    part = workers.own_part(whole)
    scores = model.predict(workers.own_part(whole.map(lambda images, *_: images)), verbose=0)
    return {
        "evaluate": model.evaluate(part, return_dict=True, verbose=0),
        "predict": {str(i): float(score) for i, score in enumerate(scores.ravel())},
    }


def two_devices():
    if os.environ.get("KERAS_BACKEND") == "jax":
        import jax

        jax.config.update("jax_num_cpu_devices", 2)
        return
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


def classifier():
    import keras

    from kerakit.models.classification import resnet18

    model = resnet18(
        input_shape=(SIDE, SIDE, 3),
        num_classes=5,
        width=0.125,
        stem="small",
        normalization="imagenet",
    )
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    return model, {"loss": loss, "weighted_metrics": ["accuracy"]}


def segmenter():
    import keras

    from kerakit.losses import PixelCrossEntropy
    from kerakit.metrics import SegmentationScores
    from kerakit.models.segmentation import backbone_unet
    from tests.models.detection.test_two_stage import backbone

    keras.utils.set_random_seed(1)
    model = backbone_unet(
        backbone(), taps=["two", "four", "eight", "sixteen"], num_classes=3, decoder=(16, 12, 8, 8)
    )
    return model, {"loss": PixelCrossEntropy(), "weighted_metrics": [SegmentationScores(3)]}


def detector():
    from kerakit.metrics import MeanAveragePrecision
    from kerakit.models.detection import FasterRCNN, feature_taps
    from tests.models.detection.test_two_stage import NUMBERS, backbone

    body = feature_taps(backbone(), ["four", "eight", "sixteen"])
    model = FasterRCNN(body, num_classes=3, **NUMBERS, score_threshold=0.0)
    return model, {"metrics": [MeanAveragePrecision(3, 101, max_boxes=4, max_detections=6)]}


KINDS = {"classifier": classifier, "detector": detector, "segmenter": segmenter}


def examples(kind, count, seed):
    from tests.models.detection.test_two_stage import scenes

    images, targets = scenes(count, seed=seed)
    draw = np.random.default_rng(seed)
    if kind == "classifier":
        return images[:, :SIDE, :SIDE], np.eye(5)[draw.integers(5, size=count)]
    if kind == "segmenter":
        return images, (images > 200).any(-1) * draw.integers(1, 3, (count, 1, 1), "uint8")
    del targets["masks"]
    return images, targets


class Batches:
    def __init__(self, kind, batch, steps):
        self.kind, self.batch, self.steps_per_epoch = kind, batch, steps

    def starting_at(self, step):
        import tensorflow as tf

        dataset = tf.data.Dataset.from_tensor_slices(examples(self.kind, 10 * self.batch, seed=5))
        return dataset.batch(self.batch, drop_remainder=True).repeat().skip(step)


def held_out(kind, batch, count):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(examples(kind, count, seed=6)).batch(batch)


if __name__ == "__main__":
    main()
