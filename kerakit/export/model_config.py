"""`models.config`: the models of a folder, as TensorFlow Serving is told of them."""

import logging
from pathlib import Path

from google.protobuf.text_encoding import CEscape

from kerakit.atomic import replaced
from kerakit.errors import InputError
from kerakit.export.folder import versions, why_unwritable

_LOG = logging.getLogger(__name__)

MODEL_CONFIG = "models.config"
_HEAD = "# Written anew by each `kerakit publish`: the models of this folder, mounted at /models.\n"


def write_model_config(folder):
    """Writes `models.config` into a folder of models: TensorFlow Serving's `ModelServerConfig`.

    A model is a folder with numbered versions, and is served under its name. The file is replaced
    in one step, as a server may look at it at any time. One that somebody else wrote is left as
    it is, and the log says so.

    Args:
        folder: The folder of the models, which is /models where the server runs.

    Returns:
        Names of the models.

    Raises:
        InputError: If the folder cannot be read or written.
    """
    path = Path(folder) / MODEL_CONFIG
    try:
        names = sorted(
            place.name
            for place in path.parent.iterdir()
            if not place.name.startswith(".") and versions(place)
        )
        if path.exists() and not path.read_bytes().startswith(_HEAD.encode()):
            _LOG.warning("%s is not kerakit's and was left as it is.", path)
            return names
        with replaced(path, shared=True) as file:
            file.write_text(_HEAD + _text(names))
    except OSError as error:
        raise InputError(f"{path} cannot be written ({why_unwritable(error)}).") from error
    return names


def _text(names):
    models = "".join(
        f'  config {{ name: "{name}" base_path: "/models/{name}" model_platform: "tensorflow" }}\n'
        for name in (CEscape(name.encode(), as_utf8=False) for name in names)
    )
    return f"model_config_list {{\n{models}}}\n"
