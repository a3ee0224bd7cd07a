"""A version of a model, loaded and warmed up."""

import functools

import tensorflow as tf
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from kerakit.errors import InputError
from kerakit.export.card import read_card
from kerakit.export.requests import asked_by
from kerakit.extras import MissingExtraError, need
from kerakit.serve.batching import Batcher
from kerakit.serve.protocol import no_signature
from kerakit.serve.signature import Signature


class Version:
    """A SavedModel of kerakit's that answers requests.

    Args:
        folder: Its folder, a `pathlib.Path`.
        number: Its number.
        settings: `Settings`.
        threads: `Threads` in which it computes.
        on_batch: Function of the number of rows of each batch that was computed.

    Attributes:
        number: Its number.
        card: Content of its `card.json`.
        signature_defs: Dict from names of signatures to their `SignatureDef` as JSON.
        batchers: Dict from names of signatures to the `Batcher` of each.

    Raises:
        InputError: If there is no SavedModel of kerakit's, or a damaged one.
    """

    def __init__(self, folder, number, *, settings, threads, on_batch):
        self.number = number
        self.card = read_card(folder)
        try:
            self.signature_defs = _signature_defs(folder)
            # Kept, as its functions do not keep the variables that they read.
            self._loaded = tf.saved_model.load(str(folder))
        except (OSError, DecodeError, tf.errors.OpError) as error:
            why = str(error).splitlines()[0]
            raise InputError(
                f"{folder} is a damaged SavedModel ({why}); export the model again."
            ) from error
        given = asked_by(self.card)
        self._signatures = {
            name: Signature(function, given, most_pixels=settings.image_pixels)
            for name, function in self._loaded.signatures.items()
        }
        for name, inputs in _warmup_requests(folder, given):
            self.signature(name).compute(inputs)
        # Traces the decoder, which takes longer than to decode.
        default = "serving_default"
        self.signature(default).check(given.example()[default], "instances")
        # Of masks each has the size of its image, and no array holds several sizes.
        alone = self.card["task"] == "segmentation"
        batcher = functools.partial(
            Batcher,
            settings=settings,
            threads=threads,
            most_rows=1 if alone else settings.max_batch_size,
            on_batch=on_batch,
        )
        self.batchers = {name: batcher(own.compute) for name, own in self._signatures.items()}

    def signature(self, name):
        """The `Signature` of a name, or a `Refusal`."""
        if name not in self._signatures:
            raise no_signature(name)
        return self._signatures[name]


def _signature_defs(folder):
    content = (folder / "saved_model.pb").read_bytes()
    model = saved_model_pb2.SavedModel.FromString(content)
    as_json = functools.partial(
        json_format.MessageToDict,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )
    return {
        name: as_json(definition)
        for meta_graph in model.meta_graphs
        for name, definition in sorted(meta_graph.signature_def.items())
    }


def _warmup_requests(folder, given):
    """Names of signatures with inputs: TensorFlow Serving's warm-up file, else an example each."""
    file = folder / "assets.extra" / "tf_serving_warmup_requests"
    try:
        logs = need("tensorflow_serving.apis.prediction_log_pb2", extra="serve")
        records = list(tf.data.TFRecordDataset(str(file)).as_numpy_iterator())
        asked = [logs.PredictionLog.FromString(each).predict_log.request for each in records]
    except (MissingExtraError, DecodeError, tf.errors.OpError):
        asked = []
    if not asked:  # also of a file that is cut short
        return list(given.example().items())
    return [
        (
            request.model_spec.signature_name,
            {name: tf.make_ndarray(value) for name, value in request.inputs.items()},
        )
        for request in asked
    ]
