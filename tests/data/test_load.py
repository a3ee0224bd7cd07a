import re

import pytest

from kerakit.data import load
from kerakit.data.split import held_out
from kerakit.errors import InputError


@pytest.mark.parametrize("source", ["mnist", "cocoa:/x", "folder:", "csv:", "tfds:", "digits:", ""])
def test_an_unknown_source_lists_what_there_is(source):
    with pytest.raises(InputError, match=f"{source!r} is no source of data; there are") as error:
        load(source)
    for known in ("digits", "folder:DIR", "csv:FILE", "tfds:NAME"):
        assert known in str(error.value)


def test_a_bare_folder_gets_a_hint(tmp_path):
    with pytest.raises(InputError, match=f"For that folder give folder:{tmp_path}."):
        load(str(tmp_path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "boxes"}, "`task` must be classification, multi_label, detection, inst"),
        ({"task": "detection"}, "'digits' is no source of data for detection; there are digit-s"),
        ({"val_fraction": 0}, "`val_fraction` must be between 0 and 1, got 0."),
        ({"group_by": "x"}, "voc:DIR, masks:DIR and clips:DIR alone, got it with digits."),
        ({"task": "multi_label"}, "digits has one label an image; for several, as --multi-label"),
    ],
)
def test_options_out_of_place_are_refused(options, message):
    with pytest.raises(InputError, match=re.escape(message)):
        load("digits", **options)


def test_held_out_is_a_share_and_never_changes():
    names = [f"class/{i}.png" for i in range(10_000)]
    share = sum(held_out(name, seed=0, fraction=0.3) for name in names) / 10_000
    assert abs(share - 0.3) < 0.0138  # three standard deviations of the binomial
    # As `printf 0:class/0.png | b2sum -l 48` says; another answer would move users' files
    # between train and val.
    held = [i for i in range(30) if held_out(names[i], seed=0, fraction=0.1)]
    assert held == [0, 9, 10, 12, 15, 16, 23]
    smaller = {n for n in names if held_out(n, seed=0, fraction=0.1)}
    assert smaller < {n for n in names if held_out(n, seed=0, fraction=0.3)}
