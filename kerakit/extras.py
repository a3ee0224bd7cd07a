"""Optional packages, imported where they are used."""

import importlib

from kerakit.errors import InputError


class MissingExtraError(InputError, ImportError):
    """An optional package is not installed; the message names the extra that has it."""


def need(module, *, extra):
    """Imports an optional module, or says which extra of kerakit brings it.

    Args:
        module: Dotted name, such as `"matplotlib.pyplot"`.
        extra: Name of the extra in kerakit's `pyproject.toml`.

    Returns:
        The module.

    Raises:
        MissingExtraError: If its package is not installed.

    Example:

    >>> need("json", extra="plot").dumps([1])
    '[1]'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if (error.name or "").partition(".")[0] != package:
            raise  # the package is there, something that it needs is not
        raise MissingExtraError(
            f"This needs the package {package}, which is not installed: "
            f"pip install kerakit[{extra}]"
        ) from error
