"""What a network that stays as it is sees in a set, computed once."""

import contextlib
import pathlib
import zipfile

import keras
import numpy as np
import tensorflow as tf

from kerakit.atomic import replaced
from kerakit.data import evaluation_batches


def split_head(model):
    """A classifier in two: from pixels to features, and from features to logits.

    The parts share the classifier's layers: what the head learns, the classifier knows. The head
    is trained where the classifier is, on all its replicas; the body computes on one device.

    Args:
        model: Functional `keras.Model` whose last layer holds the weights of the logits.

    Returns:
        Two models, the body and the head.

    Raises:
        ValueError: If the last layer has no weights.
    """
    last = model.layers[-1]
    if not last.weights:
        raise ValueError(f"`model` must end in a layer with weights, got {last.name!r}.")
    body = keras.Model(model.input, last.input, name="body")
    features = keras.Input(last.input.shape[1:], name="features")
    strategy = getattr(model, "distribute_strategy", None)  # TensorFlow's
    with strategy.scope() if strategy else contextlib.nullcontext():
        return body, keras.Model(features, last(features), name="head")


def cached_features(body, source, preparation, *, batch_size, path, mirrored=False):
    """The body's features of all images of a source, in inference mode, in order.

    They are computed once and kept in a file, which a later call reads.

    Args:
        body: `keras.Model` from pixels to (B, D) features.
        source: `IndexedSource` or `StreamSource`.
        preparation: `Preparation` of its images.
        batch_size: Images that are computed at once.
        path: File to keep them in, `.npz`.
        mirrored: Whether each image's mirror image follows too, after all images.

    Returns:
        float32 (N, D) or, mirrored, (2 N, D), and labels (N,) or (2 N,).
    """
    path = pathlib.Path(path)
    try:
        with np.load(path) as file:
            return file["features"], file["labels"]
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
        pass  # not there yet, or cut short
    batches = evaluation_batches(source, preparation, batch_size=batch_size)
    labels = np.concatenate([labels for _, labels in batches.as_numpy_iterator()])
    features = [_predicted(body, batches)]
    if mirrored:
        features.append(_predicted(body, batches.map(lambda x, y: (x[:, :, ::-1], y))))
    features, labels = np.concatenate(features), np.tile(labels, len(features))
    with replaced(path) as place, open(place, "wb") as file:
        np.savez(file, features=features, labels=labels)
    return features, labels


def _predicted(body, batches):
    return body.predict(batches.map(lambda images, _: images), verbose=0).astype("float32")


def feature_batches(
    body, data, preparation, *, folder, seed, batch_size=32, mirrored=False, images_at_once=32,
    workers=None,
):  # fmt: skip
    """What a head learns from and is validated on, with labels as shares of the classes.

    Of several workers all call it. The chief computes; the others wait and are told, so that all
    learn from the same numbers.

    Args:
        body: `keras.Model` from pixels to (B, D) features.
        data: `kerakit.data.Data`.
        preparation: `Preparation` of its images.
        folder: Where the features are kept, `features_train.npz` and `features_val.npz`.
        seed: Integer in [0, 2**31), of their order.
        batch_size: Features a batch, B.
        mirrored: Whether mirror images are learnt from too.
        images_at_once: Images that are computed at once.
        workers: `Workers` that learn together, each with a folder of its own; None: this process.

    Returns:
        `FeatureBatches`, and a tf.data of the examples held out: (features (B, D), labels (B, K)).
    """
    parts = {}
    for part, source in (("train", data.train_source), ("val", data.val_source)):
        path = pathlib.Path(folder) / f"features_{part}.npz"
        options = {"batch_size": images_at_once, "path": path}
        options["mirrored"] = mirrored and part == "train"
        if workers and workers.count > 1:
            if workers.is_chief:
                cached_features(body, source, preparation, **options)
            content = workers.from_chief(path.read_bytes() if workers.is_chief else b"")
            if not workers.is_chief:
                path.write_bytes(content)
        features, labels = cached_features(body, source, preparation, **options)
        parts[part] = features, keras.utils.to_categorical(labels, len(data.classes))
    validation = tf.data.Dataset.from_tensor_slices(parts["val"]).batch(1024)
    return FeatureBatches(*parts["train"], batch_size=batch_size, seed=seed), validation


class FeatureBatches:
    """Batches of arrays for `fit`, in a new order each epoch, startable at any step.

    Args:
        features: (N, D) float array.
        labels: (N, ...) array.
        batch_size: Examples a batch; all of them where there are fewer.
        seed: Integer in [0, 2**31); the order of epoch e is a function of (seed, e).

    Attributes:
        steps_per_epoch: Whole batches an epoch.
    """

    def __init__(self, features, labels, *, batch_size, seed):
        self.features, self.labels = tf.constant(features), tf.constant(labels)
        self.batch_size = min(batch_size, len(features))
        self.steps_per_epoch = len(features) // self.batch_size
        self.seed = seed

    def starting_at(self, step):
        """tf.data of (features (B, D), labels (B, ...)) from global step `step` on."""

        def batch(step):
            epoch, step_in_epoch = step // self.steps_per_epoch, step % self.steps_per_epoch
            positions = step_in_epoch * self.batch_size + tf.range(self.batch_size, dtype=tf.int64)
            chosen = tf.random.experimental.index_shuffle(
                positions,
                seed=tf.stack([tf.constant(self.seed, tf.int64), epoch]),
                max_index=len(self.features) - 1,
            )
            return tf.gather(self.features, chosen), tf.gather(self.labels, chosen)

        return tf.data.Dataset.counter(step).map(batch).prefetch(tf.data.AUTOTUNE)
