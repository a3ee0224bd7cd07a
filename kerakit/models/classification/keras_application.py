"""Any network of `keras.applications`, with its preprocessing inside and a head of one's own."""

import keras

from kerakit.errors import InputError
from kerakit.models.logits import logits_dtype


def keras_application(application, *, input_shape, num_classes, weights="", name=None):
    """A network of `keras.applications` from raw pixels to logits.

    Its preprocessing becomes its first layers, so that it takes pixels 0..255 as every model of
    kerakit does. Average pooling and one dense layer follow.

    Args:
        application: Name in `keras.applications`, such as `"MobileNetV2"`.
        input_shape: (H, W, 3) of the raw pixels.
        num_classes: K, size of the output.
        weights: A `.keras`, `.weights.h5` or `.h5` file of the network without its top;
            `"imagenet"`, which Keras downloads; or `""` for random ones.
        name: Name of the model; by default the application's.

    Returns:
        `keras.Model` from (B, H, W, 3) pixels to (B, K) logits.

    Raises:
        InputError: If there is no such application, or the weights cannot be had.
    """
    build = getattr(keras.applications, application, None)
    if not isinstance(application, str) or not callable(build):
        known = [n for n, value in vars(keras.applications).items() if callable(value)]
        raise InputError(
            f"keras.applications has no {application}; it has {', '.join(sorted(known))}."
        )
    options = {"include_top": False, "pooling": "avg"}
    try:
        trained = build(
            weights="imagenet" if weights == "imagenet" else None,
            input_shape=input_shape,
            **options,
        )
        if weights not in ("", "imagenet"):
            trained.load_weights(weights)
    except Exception as error:  # Keras raises a bare Exception where a download fails
        reason = str(error).strip().splitlines()[0][:200]
        raise InputError(f"{application} with the weights {weights!r}: {reason}") from error

    images = keras.Input(input_shape, name="images")
    # `input_tensor` and not a call, which would make the network one layer of the model.
    body = build(weights=None, input_tensor=_preprocessed(images, application), **options)
    body.set_weights(trained.get_weights())
    logits = keras.layers.Dense(num_classes, dtype=logits_dtype(), name="predictions")(body.output)
    return keras.Model(images, logits, name=name or application.lower())


def _preprocessed(images, application):
    """As the application's own module says; those without one (MobileNetV3) do it themselves."""
    for module in vars(keras.applications).values():
        if hasattr(module, "preprocess_input") and hasattr(module, application):
            return module.preprocess_input(images)
    return images
