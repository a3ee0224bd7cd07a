"""Layer that lets the nearest stored examples vote."""

import keras
import numpy as np
from keras import ops

from kerakit.ops.approximate_neighbors import approximate_neighbors, principal_directions
from kerakit.ops.nearest_neighbors import METRICS, nearest_neighbors


@keras.saving.register_keras_serializable(package="kerakit")
class NearestNeighbors(keras.layers.Layer):
    """Share of each class among the K stored examples nearest to each input.

    Keras has no classifier without training, and none that can be exported with its examples.
    `adapt` stores examples in weights that are not trained, as `keras.layers.Normalization`
    does its statistics; saving, loading and export keep them. The search is that of
    `kerakit.ops.nearest_neighbors`: exact, equal distances in the order of storing.

    With `projections`, a large store is searched by `kerakit.ops.approximate_neighbors`: `adapt`
    finds the directions in which the examples differ most, distances along these choose a short
    list, and the list is ranked by exact distances.

    Args:
        num_classes: C, at least 1.
        num_neighbors: K, how many vote; at least 1.
        metric: `"l1"`, the sum of absolute differences, or `"l2"`, the root of the sum of
            squared ones.
        projections: None for the exact search, or P, directions of the approximate one, in
            [1, D].
        shortlist: Stored examples that the approximate search ranks exactly; at least K.
        query_chunk: Inputs that are compared at once.
        store_chunk: Stored examples that they are compared with at once; memory is that of
            `query_chunk * store_chunk` values.
        store_size: N, examples in the store; None before `adapt`. A layer made with a number
            has room for as many, all zeros of class 0, to load weights into.
        **options: As in `keras.layers.Layer`: `name`, `dtype`. Distances are float32 always.

    Call arguments:
        inputs: (B, D) values.

    Returns:
        (B, C) float32 shares of the votes, which sum to 1. Of classes with equal shares,
        `argmax` takes the lowest.

    Raises:
        ValueError: If an argument is out of its range, or at a call before `adapt`.

    Reference:
        Cover and Hart, Nearest Neighbor Pattern Classification, 1967. Deviations: theirs is
        K = 1; here K vote.

    Example:

    >>> import numpy as np
    >>> layer = NearestNeighbors(2, num_neighbors=3)
    >>> layer.adapt(np.array([[0.0], [1.0], [2.0], [9.0]]), np.array([0, 1, 1, 0]))
    >>> [round(float(share), 3) for share in layer(np.array([[0.5]]))[0]]
    [0.333, 0.667]
    """

    def __init__(
        self,
        num_classes,
        *,
        num_neighbors=5,
        metric="l2",
        projections=None,
        shortlist=64,
        query_chunk=512,
        store_chunk=32768,
        store_size=None,
        **options,
    ):
        sizes = {
            "num_classes": num_classes,
            "num_neighbors": num_neighbors,
            "query_chunk": query_chunk,
            "store_chunk": store_chunk,
        }
        if projections is not None:
            sizes["projections"] = projections
        for name, value in sizes.items():
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"`{name}` must be a positive integer, got {value!r}.")
        if metric not in METRICS:
            raise ValueError(f"`metric` must be one of {METRICS}, got {metric!r}.")
        if shortlist < num_neighbors:
            raise ValueError(
                f"`shortlist` must be at least `num_neighbors`, {num_neighbors}, got {shortlist}."
            )
        super().__init__(autocast=False, **options)
        self.num_classes = num_classes
        self.num_neighbors = num_neighbors
        self.metric = metric
        self.projections = projections
        self.shortlist = shortlist
        self.query_chunk = query_chunk
        self.store_chunk = store_chunk
        self.store_size = store_size

    def build(self, input_shape):
        if len(input_shape) != 2 or input_shape[-1] is None:
            raise ValueError(f"`inputs` must be (B, D), got shape {tuple(input_shape)}.")
        self.features = input_shape[-1]
        if self.projections is not None and self.projections > self.features:
            raise ValueError(
                f"`projections` must be at most the {self.features} values of an input, "
                f"got {self.projections}."
            )
        if self.store_size is not None:
            self._make_store()

    def _make_store(self):
        size, features = self.store_size, self.features
        if size < self.num_neighbors:
            raise ValueError(
                f"`num_neighbors` must be at most the {size} stored examples, "
                f"got {self.num_neighbors}."
            )
        self.stored = self._weight("stored", (size, features))
        # Whole numbers are exact up to 2**24 classes.
        self.labels = self._weight("labels", (size,))
        if self.projections is None:
            self.squared_norms = self._weight("squared_norms", (size,))
        else:
            self.directions = self._weight("directions", (features, self.projections))
            self.projected = self._weight("projected", (size, self.projections))

    def _weight(self, name, shape):
        # Half precision would merge distances: neither weights nor inputs are cast to it.
        return self.add_weight(
            name=name,
            shape=shape,
            dtype="float32",
            initializer="zeros",
            trainable=False,
            autocast=False,
        )

    def adapt(self, inputs, labels):
        """Stores examples, in place of those that it had.

        Args:
            inputs: (N, D) array of values. A later call must bring as many: the size of the
                store is part of every function that was compiled with it.
            labels: (N,) integer classes in [0, C).

        Raises:
            ValueError: If the shapes or labels do not fit.
        """
        inputs = np.asarray(ops.convert_to_numpy(inputs), "float32")
        labels = np.asarray(ops.convert_to_numpy(labels))
        if inputs.ndim != 2 or labels.shape != inputs.shape[:1]:
            raise ValueError(
                f"`inputs` and `labels` must be (N, D) and (N,), got shapes {inputs.shape} and "
                f"{labels.shape}."
            )
        if len(labels) == 0 or labels.min() < 0 or labels.max() >= self.num_classes:
            raise ValueError(
                f"`labels` must be classes in [0, {self.num_classes}), got "
                f"{sorted(set(labels.tolist()))[:8]}."
            )
        if self.store_size not in (None, len(inputs)):
            raise ValueError(
                f"`inputs` must be as many as the {self.store_size} stored before, "
                f"got {len(inputs)}; make a new layer for another number."
            )
        if not self.built:
            self.build(inputs.shape)
        if inputs.shape[1] != self.features:
            raise ValueError(
                f"`inputs` must have {self.features} values each, got {inputs.shape[1]}."
            )
        if self.store_size is None:
            self.store_size = len(inputs)
            # Keras lets no weight be added after `build`; its own layers open it so for LoRA.
            self._tracker.unlock()
            self._make_store()
            self._tracker.lock()
        self.stored.assign(inputs)
        self.labels.assign(labels.astype("float32"))
        if self.projections is None:
            self.squared_norms.assign(ops.sum(ops.square(self.stored), axis=-1))
        else:
            self.directions.assign(principal_directions(inputs, self.projections))
            self.projected.assign(ops.matmul(self.stored, self.directions))

    def neighbors(self, inputs):
        """Indices (B, K) int32 and distances (B, K) float32, nearest first."""
        if self.store_size is None:
            raise ValueError("The layer has no examples to compare with: call `adapt` first.")
        options = {
            "num_neighbors": self.num_neighbors,
            "metric": self.metric,
            "query_chunk": self.query_chunk,
            "store_chunk": self.store_chunk,
        }
        stored = self.stored.value
        if self.projections is None:
            norms = self.squared_norms.value
            return nearest_neighbors(inputs, stored, squared_norms=norms, **options)
        return approximate_neighbors(
            inputs,
            stored,
            directions=self.directions.value,
            projected=self.projected.value,
            shortlist=self.shortlist,
            **options,
        )

    def call(self, inputs):
        indices, _ = self.neighbors(inputs)
        labels = ops.cast(ops.take(self.labels.value, indices), "int32")
        return ops.mean(ops.one_hot(labels, self.num_classes, dtype="float32"), axis=1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.num_classes)

    def compute_output_spec(self, inputs):
        # Not by tracing: before `adapt` there is nothing to trace.
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype="float32")

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "num_neighbors": self.num_neighbors,
            "metric": self.metric,
            "projections": self.projections,
            "shortlist": self.shortlist,
            "query_chunk": self.query_chunk,
            "store_chunk": self.store_chunk,
            "store_size": self.store_size,
        }
