"""K nearest neighbours: no training, the stored images vote."""

import keras
import numpy as np
from keras import layers, ops

from kerakit.layers.nearest_neighbors import NearestNeighbors
from kerakit.models.family import check_classifier
from kerakit.models.normalization import normalize

_FLOOR = 1e-7  # share of a class without votes, whose logarithm would be minus infinity


@keras.saving.register_keras_serializable(package="kerakit")
class NeighborClassifier(keras.Model):
    """A model whose layer `vote` answers from stored examples; made by `knn_classifier`."""

    def adapt(self, data, labels=None, *, batch_size=256):
        """Stores the training set, which is all the training there is.

        Args:
            data: (N, ...) array of inputs as the model takes them, or an iterable of batches
                (inputs, labels), such as a tf.data.
            labels: (N,) integer classes in [0, K), with an array.
            batch_size: Inputs of an array that are normalised at once.

        Returns:
            The model.

        Raises:
            ValueError: If inputs and labels do not fit each other or the model, or if another
                number of examples was stored before.
        """
        if labels is not None:
            if len(data) != len(labels):
                raise ValueError(
                    f"`labels` must be as many as the {len(data)} inputs, got {len(labels)}."
                )
            pieces = [slice(i, i + batch_size) for i in range(0, len(data), batch_size)]
            batches = [(data[piece], labels[piece]) for piece in pieces]
        else:
            batches = data
        vote = self.get_layer("vote")
        features = keras.Function(self.inputs[0], vote.input)
        stored, answers = [], []
        for inputs, batch_labels in batches:
            inputs = ops.cast(ops.convert_to_numpy(inputs), "float32")
            stored.append(ops.convert_to_numpy(features(inputs)))
            answers.append(ops.convert_to_numpy(batch_labels))
        if not stored:
            raise ValueError("`data` must have at least one batch, got none.")
        vote.adapt(np.concatenate(stored), np.concatenate(answers))
        return self


def knn_classifier(
    *,
    input_shape=(28, 28, 1),
    num_classes=10,
    normalization=None,
    num_neighbors=5,
    metric="l2",
    projections=None,
    shortlist=64,
    query_chunk=512,
    store_chunk=32768,
    name="knn_classifier",
):
    """Majority vote of the K nearest stored examples.

    `model.adapt(images, labels)`, or `model.adapt(batches)`, stores a training set: O(1) work an
    example, no gradient step. An answer compares an image with all N of them: O(N D). More
    neighbours make a smoother boundary, which follows single mislabelled examples less.

    Args:
        input_shape: (H, W, C) of the raw pixels, 0..255, or (D,) of features.
        num_classes: K, size of the output.
        normalization: First layer, see `kerakit.models.normalization.normalize`; None for
            features. Distances of pixels as they are, whole numbers, are exact.
        num_neighbors: How many vote.
        metric: `"l2"`, or `"l1"`, which depends on the axes: see
            `kerakit.layers.NearestNeighbors`.
        projections: None for the exact search; for a large store the number of directions in
            which it is searched approximately.
        shortlist: Examples that the approximate search ranks exactly.
        query_chunk: Images that are compared at once.
        store_chunk: Stored examples that they are compared with at once.
        name: Name of the model.

    Returns:
        `keras.Model` with a method `adapt`, from pixels to (B, K) logits: the logarithms of the
        shares of the votes, so that their softmax is the shares. A class without votes has the
        share 1e-7. Of classes with equal votes, `argmax` takes the lowest.

    Raises:
        ValueError: If an argument is out of its range, or at a call before `adapt`.

    Reference:
        Cover and Hart, Nearest Neighbor Pattern Classification, 1967. Deviations: theirs is
        one neighbour; here several vote.
    """
    check_classifier(num_classes)
    if len(input_shape) not in (1, 3):
        raise ValueError(f"`input_shape` must be (H, W, C) or (D,), got {tuple(input_shape)}.")
    if len(input_shape) == 1 and normalization is not None:
        raise ValueError(f"`normalization` must be None for features, got {normalization!r}.")
    images = keras.Input(input_shape, name="images")
    x = layers.Flatten(name="flatten")(normalize(images, normalization))
    shares = NearestNeighbors(
        num_classes,
        num_neighbors=num_neighbors,
        metric=metric,
        projections=projections,
        shortlist=shortlist,
        query_chunk=query_chunk,
        store_chunk=store_chunk,
        name="vote",
    )(x)
    logits = ops.log(ops.maximum(shares, _FLOOR))
    return NeighborClassifier(images, logits, name=name)
