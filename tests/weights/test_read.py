import io
import os
import pickle
import zipfile

import ml_dtypes
import numpy as np
import pytest

from kerakit.errors import InputError
from kerakit.weights import read_arrays
from tests.golden.checkpoints import ARRAYS
from tests.golden.regenerate import DIRECTORY

FILES = ["checkpoint_zip.pth", "checkpoint_legacy.pth"]


@pytest.mark.parametrize("file", FILES)
def test_a_checkpoint_has_pytorchs_tensors(file):
    found = read_arrays(DIRECTORY / file)
    matrix, full = ARRAYS["conv.weight"], ARRAYS["fc.weight"]
    expected = {
        **ARRAYS,
        "transposed": matrix[:, :, 0, 0].T,
        "row": matrix[1],
        "parameter": full + 1,
        "half": full.astype("float16").astype("float32"),
        "brain": full.astype(ml_dtypes.bfloat16).astype("float32"),
        "empty": np.zeros((0, 3), "float32"),
        "scalar": np.array(7),
    }
    assert list(found) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


@pytest.mark.parametrize("file", FILES)
def test_every_truncation_is_one_sentence(file, tmp_path):
    whole = (DIRECTORY / file).read_bytes()
    for length in (0, 1, 40, len(whole) // 2, len(whole) - 30):
        short = tmp_path / "short.pth"
        short.write_bytes(whole[:length])
        with pytest.raises(InputError, match="short.pth (is no|is a damaged|holds)"):
            read_arrays(short)


class Command:
    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def zip_with(content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", content)
    return file.getvalue()


@pytest.mark.parametrize("wrap", [zip_with, bytes], ids=["zip", "legacy"])
def test_code_in_a_checkpoint_is_refused_and_not_run(wrap, tmp_path):
    path, made = tmp_path / "evil.pth", tmp_path / "made"
    path.write_bytes(wrap(pickle.dumps({"fc.weight": Command(made)}, protocol=2)))
    with pytest.raises(InputError, match=r"evil.pth holds `\w+.mkdir`, and only tensors"):
        read_arrays(path)
    assert not made.exists()


def test_a_tensor_may_not_reach_beyond_its_storage(tmp_path):
    whole = (DIRECTORY / FILES[0]).read_bytes()
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    # The shape (4, 3, 2, 1) of the first tensor, as the pickle has it, made (9, 3, 2, 1).
    shape = b"(K\x04K\x03K\x02K\x01t"
    key = next(name for name in members if name.endswith("data.pkl"))
    assert shape in members[key]
    members[key] = members[key].replace(shape, b"(K\x09K\x03K\x02K\x01t")
    path = tmp_path / "greedy.pth"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(InputError, match="greedy.pth is a damaged .* reaches beyond its storage"):
        read_arrays(path)


def test_safetensors_and_npz(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    floats = {name: x for name, x in ARRAYS.items() if x.dtype == np.float32}
    numpy.save_file(floats, tmp_path / "a.safetensors")
    np.savez(tmp_path / "a.npz", **floats)
    for file in ("a.safetensors", "a.npz"):
        found = read_arrays(tmp_path / file)
        assert found.keys() == floats.keys()
        for name, array in floats.items():
            np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("ending", [".pth", ".safetensors", ".npz"])
def test_what_is_no_checkpoint_is_refused(ending, tmp_path):
    with pytest.raises(InputError, match=f"none{ending} does not exist"):
        read_arrays(tmp_path / f"none{ending}")
    path = tmp_path / f"text{ending}"
    path.write_text("not a checkpoint")
    with pytest.raises(InputError, match=f"text{ending} is no"):
        read_arrays(path)


def test_other_files_and_objects_are_refused(tmp_path):
    with pytest.raises(InputError, match="weights.h5 must end in .pth, .pt, .safetensors, .npz"):
        read_arrays("weights.h5")
    with pytest.raises(InputError, match="must be a path or a mapping .* got list"):
        read_arrays([1])
    np.savez(tmp_path / "objects.npz", a=np.array([{}], dtype=object))
    with pytest.raises(InputError, match="objects.npz is no .npz file of plain arrays"):
        read_arrays(tmp_path / "objects.npz")
