"""Averaged weights in the place of the trained ones, for a while."""

import contextlib

import keras


@contextlib.contextmanager
def averages_in(model):
    """Within this the model has its optimizer's averaged weights, if it keeps some (`use_ema`).

    Keras puts them in at the end of `fit` alone, so that the figures of an epoch, and the best
    model by them, would be of other weights than those that come out.

    Args:
        model: Compiled `keras.Model`.
    """
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if optimizer is None or not optimizer.use_ema or not optimizer.built:
        yield
        return
    pairs = [
        (
            variable,
            optimizer._model_variables_moving_average[optimizer._get_variable_index(variable)],
        )
        for variable in model.trainable_variables
    ]
    trained = [keras.ops.convert_to_numpy(variable) for variable, _ in pairs]
    for variable, average in pairs:
        variable.assign(average)
    try:
        yield
    finally:
        for (variable, _), value in zip(pairs, trained, strict=True):
            variable.assign(value)


class EvaluateAverages(keras.callbacks.Callback):
    """Has `fit` validate with the averaged weights, where the optimizer keeps some."""

    def on_test_begin(self, logs=None):
        self._within = averages_in(self.model)
        self._within.__enter__()

    def on_test_end(self, logs=None):
        self._within.__exit__(None, None, None)
