import keras
import numpy as np
import pytest

from kerakit.errors import InputError
from kerakit.training import start_from


def model(units=3):
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(units)])


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
def test_weights_are_those_saved(tmp_path, ending):
    saved, new = model(), model()
    path = tmp_path / f"model{ending}"
    saved.save(path) if ending == ".keras" else saved.save_weights(path)
    start_from(path, new)
    for one, other in zip(new.get_weights(), saved.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.keras", None, "missing.keras must be a file that ends in"),
        ("weights.txt", b"1 2 3", "weights.txt must be a file that ends in"),
        ("text.keras", b"no zip", "text.keras does not fit this network"),
        ("text.weights.h5", b"no hdf5", "text.weights.h5 does not fit this network"),
    ],
)
def test_other_files_are_refused(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        start_from(path, model())
    assert len(str(caught.value).splitlines()) == 1


def test_another_network_is_refused_in_one_sentence(tmp_path):
    model(units=5).save(tmp_path / "other.keras")
    with pytest.raises(InputError, match="does not fit this network") as caught:
        start_from(tmp_path / "other.keras", model())
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 700
