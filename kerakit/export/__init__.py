"""Trained models out as SavedModels, verified, and answers from them.

Example:

>>> import pathlib, tempfile
>>> import keras, tensorflow as tf
>>> from kerakit.data import Preparation
>>> layers = [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2)]
>>> model = keras.Sequential(layers)
>>> folder = pathlib.Path(tempfile.mkdtemp(), "pets")
>>> preparation = Preparation(height=8, width=8)
>>> version = save(model, folder, preparation=preparation, classes=["cat", "dog"])
>>> version.name
'1'
>>> verify(version, model).passed  # in a process that knows neither kerakit nor Keras
True
>>> png = tf.io.encode_png(tf.zeros((5, 4, 3), tf.uint8)).numpy()
>>> for answer in Served(folder).answer([png, b"text"]):
...     print(answer if isinstance(answer, Exception) else answer["probabilities"])
[0.5 0.5]
is not a JPEG, PNG, GIF or BMP image: it has 4 bytes and begins with the bytes 74 65 78 74
"""

from kerakit.export.folding import fold
from kerakit.export.publishing import publish
from kerakit.export.savedmodel import save
from kerakit.export.scoring import score
from kerakit.export.served import Served
from kerakit.export.tiling import Tiling
from kerakit.export.verification import Verification, VerificationError, verify
from kerakit.export.whole_image import whole_image

__all__ = [
    "Served",
    "Tiling",
    "Verification",
    "VerificationError",
    "fold",
    "publish",
    "save",
    "score",
    "verify",
    "whole_image",
]
