"""A recipe's settings: from the command line, and checked by the names they have there."""

import math

from kerakit.errors import InputError
from kerakit.extras import need


def parse_settings(presets, description, *, prog):
    """The settings of a preset that the command line names and changes; `--help` tells them all.

    Args:
        presets: Dict of a preset's name to a tuple of its description and its settings.
        description: What the command's help begins with.
        prog: How the command is called.

    Returns:
        Dataclass of settings.
    """
    ask = need("tyro", extra="recipes").extras.overridable_config_cli
    return ask(presets, prog=prog, description=description)


def require(config, *, at_least=None, above=None, at_most=None, below=None):
    """Refuses settings out of their range, and any that is not finite, by their flag.

    Those that are None have no range.

    Args:
        config: Dataclass of settings.
        at_least: Dict of a setting's name to the smallest value allowed.
        above: Dict of a setting's name to the value that it must exceed.
        at_most: Dict of a setting's name to the largest value allowed.
        below: Dict of a setting's name to the value that it must stay under.

    Raises:
        InputError: One sentence that names the flag.
    """
    rules = (
        (at_least, "at least", lambda value, bound: value >= bound),
        (above, "above", lambda value, bound: value > bound),
        (at_most, "at most", lambda value, bound: value <= bound),
        (below, "below", lambda value, bound: value < bound),
    )
    for name, value in vars(config).items():
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{flag(name)} must be a finite number, got {value}.")
        for bounds, words, holds in rules:
            bounded = value is not None and name in (bounds or {})
            if bounded and not holds(value, bounds[name]):
                raise InputError(f"{flag(name)} must be {words} {bounds[name]}, got {value}.")


def flag(name):
    """The command-line flag of a setting: `learning_rate` -> `--learning-rate`."""
    return "--" + name.replace("_", "-")


def require_size(config, *, multiple=1):
    """Refuses a `size` whose sides are not 1 to 4096 pixels.

    Args:
        config: Dataclass of settings with `size`, (height, width).
        multiple: What both must be divisible by.

    Raises:
        InputError: One sentence that names the flag.
    """
    if not all(1 <= side <= 4096 for side in config.size):
        raise InputError(f"--size must be two numbers from 1 to 4096, got {config.size}.")
    if any(side % multiple for side in config.size):
        raise InputError(f"--size must be divisible by {multiple}, got {config.size}.")
