"""What detectors share: metrics of detections in stock `fit` and `evaluate`."""

import types

import keras
from keras import ops

from kerakit.ops.box_matching import random_keys
from kerakit.ops.mask_pasting import paste_masks
from kerakit.ops.original_boxes import original_boxes

# What a detector gives to its users; its other outputs are for the loss.
DETECTIONS = ("boxes", "scores", "classes", "num_detections", "masks")


@keras.saving.register_keras_serializable(package="kerakit")
class Detector(keras.Model):
    """A model whose metrics score final detections, in stock `fit` and `evaluate`.

    `keras.Model` splits dictionaries of outputs over its metrics, which a metric of detections
    cannot use, and reads every metric in every step, of which host code under XLA is not
    capable. Here `compile(metrics=[...])` takes metrics whose `update_state` is given the
    whole dictionaries of targets and outputs. They are updated when the outputs hold final
    detections, that is in `evaluate` and in the validation of `fit`, and read once at the
    end: in the logs stand `val_mAP` and so on, before any callback reads them, and none of
    them among the figures of training. `train_step` and `test_step` are Keras's own.

    A subclass defines `call(images, training=None)`, which gives a dict of what the loss needs
    and, where `training` is false, adds `boxes`, `scores`, `classes`, `num_detections` and
    perhaps `masks`, which alone leave by `predict`; and `compute_loss`, which ends with
    `return self.total_loss({name: value}, y=y)`. It has the attributes `num_classes`, K,
    `max_detections`, D, and, if it gives masks, `gives_masks`.

    Args:
        loss_parts: Names of the loss's parts, each of which stands in the logs with its mean
            over the batches.
        **kwargs: As in `keras.Model`.
    """

    # Whether there are masks among the detections.
    gives_masks = False

    def __init__(self, *args, loss_parts=(), **kwargs):
        super().__init__(*args, **kwargs)
        self._loss_parts = {name: keras.metrics.Mean(name=name) for name in loss_parts}

    @property
    def input_shape(self):
        """(None, H, W, C) of the images, those of the network that sees them first."""
        networks = (layer for layer in self.layers if isinstance(layer, keras.Model))
        return next((network.input_shape for network in networks), None)

    def get_build_config(self):
        shape = self.input_shape
        return super().get_build_config() if shape is None else {"input_shape": shape}

    def build_from_config(self, config):
        if not self.built:  # networks come built
            super().build_from_config(config)

    def compile(self, optimizer="rmsprop", *, metrics=(), **kwargs):
        """Configures training, as `keras.Model.compile`.

        Args:
            optimizer: As in `keras.Model.compile`.
            metrics: Metrics such as `kerakit.metrics.MeanAveragePrecision`, made in the scope of
                the strategy, if there is one.
            **kwargs: The other arguments of `keras.Model.compile`.

        Raises:
            ValueError: If a metric is no object of `keras.metrics.Metric`.
        """
        metrics = list(metrics or ())
        for metric in metrics:
            if not isinstance(metric, keras.metrics.Metric):
                raise ValueError(f"`metrics` must be keras.metrics.Metric objects, got {metric!r}.")
        # In a namespace, where Keras does not track them: it would keep those of an earlier
        # `compile`, and take a metric's buffers for the model's variables.
        self._of_detections = types.SimpleNamespace(metrics=metrics)
        super().compile(optimizer, **kwargs)

    @property
    def metrics(self):
        return super().metrics + self._detection_metrics()

    def _detection_metrics(self):
        return self._of_detections.metrics if self.compiled else []

    def total_loss(self, parts, *, y):
        """The sum of a loss's parts, each of which is noted for the logs.

        Args:
            parts: Dict from each name of `loss_parts` to a scalar tensor.
            y: Targets, of whose images these are means.

        Returns:
            A scalar tensor, the sum; on several replicas divided by their number, since their
            gradients are added.
        """
        images = ops.shape(keras.tree.flatten(y)[0])[0]
        for name, tracker in self._loss_parts.items():
            # A short batch counts as much less as Keras counts it in the whole loss.
            tracker.update_state(ops.stop_gradient(parts[name]), sample_weight=images)
        # Those of layers, such as the penalties of weights, belong to it too.
        total = ops.reshape(sum([*parts.values(), *self.losses]), (1,))
        return _Itself(reduction="mean", name="total")(total, total)

    def add_sampling_step(self):
        """Lets the model count its training steps, for `sampling_keys`; for `__init__`."""
        self.sampling_step = self.add_weight(
            shape=(),
            initializer="zeros",
            dtype="int32",
            trainable=False,
            # On replicas all count alike.
            aggregation="only_first_replica",
            name="sampling_step",
        )

    def sampling_keys(self, y, *seeds, training):
        """Keys of a batch's random choices, functions of seed, step and example alone.

        So they are the same wherever an example is computed, and after a resume. (The
        optimizer's own count is a constant in a step on JAX.) Validation chooses alike each time.

        Args:
            y: Targets, with `example_id` (B,) or else at least `boxes` (B, N, 4).
            *seeds: Integers, one a kind of choice.
            training: Whether this is a step of training, which is then counted.

        Returns:
            List of (B,) keys, one a seed.
        """
        ids = y["example_id"] if "example_id" in y else ops.arange(ops.shape(y["boxes"])[0])
        step = ops.convert_to_tensor(self.sampling_step) if training else 0
        keys = [random_keys(ids, seed=seed, step=step) for seed in seeds]
        if training:
            self.sampling_step.assign_add(1)
        return keys

    def predict_step(self, *args):
        outputs = super().predict_step(*args)
        if isinstance(outputs, tuple):  # JAX's state follows them
            return _detections(outputs[0]), *outputs[1:]
        return _detections(outputs)

    def scored(self, x, y, y_pred):
        """What the metrics are updated with.

        Where `y` says how the images were prepared, boxes go back to the pixels of the
        originals: by `geometry` (B, 4), as of `kerakit.ops.original_boxes`, and `image_size`
        (B, 2), to which detections are cut off. Masks are pasted there where `y` has
        `full_masks` (B, N, H, W), those of the truth in such pixels.

        Args:
            x: Inputs of a batch.
            y: Its targets.
            y_pred: What the model gave out.

        Returns:
            Targets and detections as `MeanAveragePrecision.update_state` takes them, or None
            if the outputs hold no detections.
        """
        del x
        if "boxes" not in y_pred:
            return None
        if "geometry" not in y:
            return y, y_pred
        found = {
            **y_pred,
            "boxes": original_boxes(y_pred["boxes"], y["geometry"], image_size=y["image_size"]),
        }
        truth = {**y, "boxes": original_boxes(y["boxes"], y["geometry"])}
        if "full_masks" in y:
            size = y["full_masks"].shape[-2:]
            masks = paste_masks(found["masks"], found["boxes"], image_size=size)
            found["masks"], truth["masks"] = masks >= 0.5, y["full_masks"]
        return truth, found

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        figures = {}
        for metric in super().metrics:
            figures |= _as_figures(metric.name, metric.result())
        scored = self.scored(x, y, y_pred)
        if scored is None:
            return figures
        sample_weight = image_weights(sample_weight)
        for metric in self._detection_metrics():
            metric.update_state(*scored, sample_weight=sample_weight)
            # Reading it belongs to the end of the epoch, in a step that is not traced too.
            standing_in = getattr(metric, "placeholder", metric.result)
            figures |= _as_figures(metric.name, standing_in())
        return figures

    def get_compile_config(self):
        metrics = [keras.saving.serialize_keras_object(m) for m in self._detection_metrics()]
        return {**super().get_compile_config(), "metrics": metrics} if self.compiled else {}

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)


def image_weights(sample_weight):
    """The weights of a batch's images, (B,) or None.

    Args:
        sample_weight: What Keras gives: None, one array, or, where it was given arrays, the same
            one for each of the targets in a dict.
    """
    if isinstance(sample_weight, dict):
        return next(iter(sample_weight.values()))
    return sample_weight


class _Itself(keras.losses.Loss):
    """A loss that is there already: what Keras does about replicas is done to it too."""

    def call(self, y_true, y_pred):
        del y_true
        return y_pred


def _detections(outputs):
    return {name: outputs[name] for name in DETECTIONS if name in outputs}


def _as_figures(name, result):
    return result if isinstance(result, dict) else {name: result}
