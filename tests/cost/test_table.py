"""The report as text, CSV and dict."""

import csv
import json

import keras
import pytest
from keras import layers

from kerakit.cost import report

TEXT = """\
layer        kind                    output       parameters    MACs   FLOPs   bytes  field     stride
------------------------------------------------------------------------------------------------------
convolution  Conv2D                  15 x 15 x 8         224  48,600  97,200   7,200  3 x 3      2 x 2
norm         BatchNormalization      15 x 15 x 8          32           3,600   7,200  3 x 3      2 x 2
up           UpSampling2D            30 x 30 x 8                              28,800  3 x 3      1 x 1
fine         Conv2DTranspose         60 x 60 x 1          33  28,800  57,600  14,400  3 x 3  1/2 x 1/2
pool         GlobalAveragePooling2D  1                                 3,599       4    all
dense        Dense                   1000              2,000   1,000   2,000   4,000    all

tiny, input 32 x 32 x 3
  parameters       2,289 (2,273 trainable, 16 not)
  MACs             78,400
  FLOPs            163,999
  activations      61,604 bytes
  receptive field  the whole input (3 x 3 up to fine)

One example, inference. MACs:"""  # noqa: E501


@pytest.fixture(scope="module")
def cost():
    x = images = keras.Input((32, 32, 3))
    x = layers.Conv2D(8, 3, strides=2, name="convolution")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.UpSampling2D(2, name="up")(x)
    x = layers.Conv2DTranspose(1, 2, strides=2, name="fine")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return report(keras.Model(images, layers.Dense(1000, name="dense")(x), name="tiny"))


def test_text(cost):
    assert str(cost).startswith(TEXT)
    # The convention in words, in lines that a terminal shows whole.
    assert "MACs: multiply-accumulates of convolutions" in str(cost)
    below = str(cost).partition("One example")[2]
    assert max(map(len, below.splitlines())) <= 100


def test_one_line(cost):
    assert cost.line() == (
        "2,289 parameters, 78.400 kMACs, 163.999 kFLOPs, 0.1 MiB of activations an example, "
        "receptive field the whole input (3 x 3 up to fine)"
    )


def test_totals_are_the_sums_of_the_rows(cost):
    for total in ("parameters", "trainable_parameters", "macs", "flops", "activation_bytes"):
        assert getattr(cost, total) == sum(getattr(row, total) for row in cost.rows)


def test_dict_is_json(cost):
    content = json.loads(json.dumps(cost.to_dict(), allow_nan=False))
    assert (content["name"], content["input_shapes"]) == ("tiny", [[32, 32, 3]])
    assert (content["macs"], content["flops"]) == (78_400, 163_999)
    assert content["receptive_field"] == ["all", "all"]
    assert content["local_receptive_field"] == [3, 3]
    assert content["rows"][3]["effective_stride"] == [0.5, 0.5]
    assert content["rows"][0]["output_shape"] == [15, 15, 8]
    assert content["uncounted"] == {}
    assert "MACs" in content["convention"]


def test_csv(cost, tmp_path):
    path = tmp_path / "rows.csv"
    cost.to_csv(path)
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [row.name for row in cost.rows]
    assert sum(int(row["flops"]) for row in rows) == cost.flops
    assert json.loads(rows[0]["receptive_field"]) == [3, 3]
    assert json.loads(rows[0]["output_shape"]) == [15, 15, 8]


def test_several_outputs_of_a_layer_stand_side_by_side():
    sequence = keras.Input((5, 3))
    outputs = layers.LSTM(4, return_state=True, name="lstm")(sequence)
    cost = report(keras.Model(sequence, outputs))
    assert cost.rows[0].output_shape == ((4,), (4,), (4,))
    assert "4, 4, 4" in str(cost)


def test_the_last_layer_that_does_not_read_the_whole_input_is_named():
    """A squeeze-and-excitation reads the whole input long before the last map."""
    x = images = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, padding="same", name="before")(x)
    gates = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Conv2D(4, 5)(layers.Multiply()([x, gates]))
    assert "(3 x 3 up to before)" in report(keras.Model(images, x)).line()

    # The largest stands in a branch, whatever the order of the branches.
    pooled = layers.GlobalMaxPooling2D()(layers.Conv2D(4, 3)(images))
    other = layers.GlobalMaxPooling2D()(layers.Conv2D(4, 7, name="other")(images))
    for branches in ([pooled, other], [other, pooled]):
        cost = report(keras.Model(images, layers.Add()(branches)))
        assert "(7 x 7 up to other)" in cost.line()
