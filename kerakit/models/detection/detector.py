"""What detectors share: metrics of detections in stock `fit` and `evaluate`."""

import types

import keras

DETECTIONS = frozenset({"boxes", "scores", "classes"})


class Detector(keras.Model):
    """A model whose metrics score final detections, in stock `fit` and `evaluate`.

    `keras.Model` splits dictionaries of outputs over its metrics, which a metric of detections
    cannot use, and reads every metric in every step, of which host code under XLA is not
    capable. Here `compile(metrics=[...])` takes metrics whose `update_state` is given the
    whole dictionaries of targets and outputs. They are updated when the outputs hold final
    detections, that is in `evaluate` and in the validation of `fit`, and read once at the
    end: in the logs stand `val_mAP` and so on, before any callback reads them, and none of
    them among the figures of training. `train_step` and `test_step` are Keras's own.

    A subclass defines `call(images, training=None)`, which adds `boxes`, `scores` and
    `classes` to its outputs only where `training` is false, and `compute_loss`. It overrides
    `scored` where the metric needs other boxes than the loss, as those in original pixels.

    Args:
        **kwargs: As in `keras.Model`.
    """

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

    def scored(self, x, y, y_pred):
        """What the metrics are updated with.

        Args:
            x: Inputs of a batch.
            y: Its targets.
            y_pred: What the model gave out.

        Returns:
            Targets and detections as `MeanAveragePrecision.update_state` takes them, or None
            if the outputs hold no detections.
        """
        del x
        return (y, y_pred) if set(y_pred) >= DETECTIONS else None

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        figures = {}
        for metric in super().metrics:
            figures |= _as_figures(metric.name, metric.result())
        scored = self.scored(x, y, y_pred)
        if scored is None:
            return figures
        if isinstance(sample_weight, dict):
            # Given arrays, Keras repeats the weights for each of the targets.
            sample_weight = next(iter(sample_weight.values()))
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


def _as_figures(name, result):
    return result if isinstance(result, dict) else {name: result}
