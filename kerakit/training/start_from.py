"""Weights of an earlier training as the start of a new one."""

import pathlib
import warnings
import zipfile

from kerakit.errors import InputError

ENDINGS = (".keras", ".weights.h5")


def start_from(path, model):
    """Loads weights that an earlier run of the same network saved.

    Args:
        path: A `.keras` or `.weights.h5` file.
        model: `keras.Model` that takes them.

    Raises:
        InputError: If the file is not there, is no such file, or is of another network.
    """
    path = pathlib.Path(path)
    if not path.is_file() or not path.name.endswith(ENDINGS):
        raise InputError(f"--init {path} must be a file that ends in {' or '.join(ENDINGS)}.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras warns of what it then raises
            model.load_weights(path)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        # Keras's message goes on for pages, with the values of the weights.
        reason = str(error).strip().splitlines()[0][:200]
        raise InputError(
            f"--init {path} does not fit this network: {reason} "
            "Give the settings that it was trained with, such as --width, --stem and --channels."
        ) from error
