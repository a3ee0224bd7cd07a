"""What the command line's arguments may be: each function takes a text, or says what is wrong."""

import argparse
from pathlib import Path


def path(text):
    if not text:
        raise argparse.ArgumentTypeError("must not be empty")
    return Path(text)


def positive(text):
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, got {text!r}")
    return number


def share(text):
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, got {text!r}")
    return number


def shape(text):
    numbers = text.split(",")
    if not all(number.isdecimal() and int(number) for number in numbers):
        raise argparse.ArgumentTypeError(
            f"must be whole numbers from 1 with commas between them, as 224,224,3, got {text!r}"
        )
    return tuple(map(int, numbers))
