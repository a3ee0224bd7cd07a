"""Answers with a SavedModel as a server does: in a new process, with TensorFlow alone.

    python -I fresh_process.py SAVEDMODEL FOLDER

A script, never imported, so that nothing of kerakit is there that the export could lean on.
FOLDER/asked.json holds `checks`, a dict from names to lists of encoded images (base64), or of
lists of frames; `refused`, a dict from names to one of these; and `inputs`, the input's name of
each signature. FOLDER/pixels.npz holds the prepared pixels of each check. Written are
FOLDER/answers.npz, an array for each check, signature and output, and FOLDER/refusals.json, the
error for each that is to be refused, null where there was none.
"""

import base64
import json
import sys
from pathlib import Path


def main(savedmodel, folder):
    # None makes an import fail, also where the package is installed.
    sys.modules["kerakit"] = sys.modules["keras"] = None

    import numpy as np
    import tensorflow as tf

    signatures = tf.saved_model.load(str(savedmodel)).signatures
    answers = {}

    def answer(check, signature, **inputs):
        for output, value in signatures[signature](**inputs).items():
            value = value.numpy()
            # Objects would need pickle; text does not.
            answers[f"{check}/{signature}/{output}"] = (
                np.char.decode(value.astype(bytes), "utf-8") if value.dtype == object else value
            )

    asked = json.loads((folder / "asked.json").read_text())
    pixels = np.load(folder / "pixels.npz")

    inputs = asked["inputs"]

    def decoded(image):
        if isinstance(image, list):
            return [decoded(one) for one in image]
        return base64.b64decode(image)

    refusals = {}
    for name, image in asked["refused"].items():
        try:
            broken = tf.constant([decoded(image)], tf.string)
            signatures["serving_default"](**{inputs["serving_default"]: broken})
            refusals[name] = None
        except tf.errors.InvalidArgumentError as error:
            refusals[name] = str(error)
    # After the refusals, so that the answers also show that the process outlived them.
    for check in asked["checks"]:
        encoded = tf.constant(decoded(asked["checks"][check]), tf.string)
        for signature, name in inputs.items():
            given = tf.constant(pixels[check]) if signature == "tensors" else encoded
            answer(check, signature, **{name: given})

    np.savez(folder / "answers.npz", **answers)
    (folder / "refusals.json").write_text(json.dumps(refusals))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
