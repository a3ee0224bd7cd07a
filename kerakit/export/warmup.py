"""Requests that TensorFlow Serving answers to itself before it takes any."""

import logging
from pathlib import Path

import tensorflow as tf

from kerakit.extras import MissingExtraError, need

_LOG = logging.getLogger(__name__)


def write_warmup(folder, requests, *, model_name):
    """Writes `assets.extra/tf_serving_warmup_requests` into a SavedModel.

    The first request to a SavedModel is slow, because TensorFlow lays its graph out then.
    The server sends these to itself first. Without the extra `serve` none are written, and
    the log says so.

    Args:
        folder: Folder of the SavedModel, already written.
        requests: A dict from signatures to dicts of inputs, arrays with the batch first.
        model_name: Name of the model; the server answers under its own configuration's.

    Returns:
        How many requests were written.
    """
    apis = "tensorflow_serving.apis"
    try:
        predict_pb2 = need(f"{apis}.predict_pb2", extra="serve")
        prediction_log_pb2 = need(f"{apis}.prediction_log_pb2", extra="serve")
    except MissingExtraError:
        _LOG.warning(
            "No warm-up requests for TensorFlow Serving were written: pip install kerakit[serve]"
        )
        return 0

    # The server looks for exactly this place.
    path = Path(folder) / "assets.extra" / "tf_serving_warmup_requests"
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests.items():
            request = predict_pb2.PredictRequest()
            request.model_spec.name = model_name
            request.model_spec.signature_name = signature
            for name, value in inputs.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=request)
            )
            writer.write(log.SerializeToString())
    return len(requests)
