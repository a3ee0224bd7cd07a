import keras
import numpy as np
import pytest

from kerakit.errors import InputError
from kerakit.training import load_body


def small(classes, *, width=4):
    inputs = keras.Input((3,))
    x = keras.layers.Dense(width, name="fc1")(inputs)
    return keras.Model(inputs, keras.layers.Dense(classes, name="fc2")(x), name="small")


def test_an_earlier_run_gives_all_but_its_head(tmp_path):
    earlier, model = small(5), small(2)
    earlier.save(tmp_path / "best.keras")
    head = [w.numpy() for w in model.get_layer("fc2").weights]
    load_body(tmp_path / "best.keras", model)
    np.testing.assert_array_equal(
        model.get_layer("fc1").kernel.numpy(), earlier.get_layer("fc1").kernel.numpy()
    )
    for after, before in zip(model.get_layer("fc2").weights, head, strict=True):
        np.testing.assert_array_equal(after.numpy(), before)


def test_a_checkpoint_of_torchvision_gives_all_but_its_head(tmp_path, rng):
    arrays = {"fc1.weight": rng.normal(size=(4, 3)), "fc1.bias": rng.normal(size=4)}
    arrays |= {"fc2.weight": rng.normal(size=(9, 4)), "fc2.bias": np.zeros(9)}
    np.savez(tmp_path / "w.npz", **arrays)
    model = small(2)
    load_body(tmp_path / "w.npz", model)
    np.testing.assert_allclose(
        model.get_layer("fc1").kernel.numpy(), arrays["fc1.weight"].T, rtol=1e-6
    )


def test_what_cannot_be_a_start_is_named(tmp_path):
    small(5, width=7).save(tmp_path / "wide.keras")
    (tmp_path / "text.keras").write_text("no model")
    for name, message in (
        ("w.txt", r"must end in \.pth, \.pt, \.safetensors, \.npz or \.keras"),
        ("none.keras", "does not exist, or is no file"),
        ("text.keras", "cannot be loaded"),
        ("wide.keras", "does not fit small: its layers are others"),
    ):
        with pytest.raises(InputError, match=f"--weights .*{name} {message}"):
            load_body(tmp_path / name, small(2))
