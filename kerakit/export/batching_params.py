"""How TensorFlow Serving is to compute requests to a model together."""

from pathlib import Path

# The name and the place that the server looks for.
BATCHING_PARAMS = "batching_params.pbtxt"
# As `kerakit serve` does by default: 32 rows, 2 ms, and 256 rows that wait. How many batches are
# computed at once is the server's affair and no model's, which is why it does not stand here.
_TEXT = """\
max_batch_size { value: 32 }
batch_timeout_micros { value: 2000 }
max_enqueued_batches { value: 8 }
allowed_batch_sizes: [1, 2, 4, 8, 16, 32]
"""


def write_batching_params(folder):
    """Writes `batching_params.pbtxt` into a SavedModel: TensorFlow Serving's `BatchingParameters`.

    The server reads it when it is started with `--enable_batching` and
    `--enable_per_model_batching_parameters`. A model that has no such file it computes a request
    at a time. It puts together what has the same shape behind the first axis and divides each
    output along its first, so it must not have one for masks, each of the size of its image.

    Args:
        folder: Folder of the SavedModel, already written.
    """
    (Path(folder) / BATCHING_PARAMS).write_text(_TEXT)
