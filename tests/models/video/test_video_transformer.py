import numpy as np
import pytest
from keras import ops

from kerakit.models.video import video_transformer

SMALL = {
    "input_shape": (4, 16, 24, 3),
    "num_classes": 5,
    "tubelet": (2, 8, 8),
    "depth": 2,
    "width": 1 / 12,
}


def by_formula(attention, *, depth, width, tokens, inputs, classes):
    block = (12 if attention == "joint" else 16) * width**2
    block += (13 if attention == "joint" else 19) * width
    head = 2 * width + width * classes + classes
    return depth * block + (inputs + 1) * width + tokens * width + head


@pytest.mark.parametrize("attention", ["joint", "divided"])
def test_parameters_by_the_formula(attention):
    """ViT-B's sizes on 16 frames of 224 x 224, tubelets of 2 x 16 x 16, and a small one."""
    expected = by_formula(
        attention, depth=12, width=768, tokens=8 * 14 * 14, inputs=2 * 16 * 16 * 3, classes=400
    )
    assert video_transformer(attention=attention).count_params() == expected
    expected = by_formula(attention, depth=2, width=64, tokens=12, inputs=384, classes=5)
    assert video_transformer(**SMALL, attention=attention).count_params() == expected


@pytest.mark.parametrize("attention", ["joint", "divided"])
def test_without_positions_the_order_of_frames_is_lost(attention, rng):
    """Attention takes tokens for a set: what knows of time is the positions alone."""
    clips = rng.uniform(0, 255, (2, *SMALL["input_shape"])).astype("float32")
    other = np.concatenate([clips[:, 2:], clips[:, :2]], axis=1)  # tubelets exchanged
    model = video_transformer(**SMALL, attention=attention)
    positions = model.get_layer("positions")
    positions.set_weights([rng.normal(size=w.shape) for w in positions.get_weights()])
    told = [model.predict(c, verbose=0) for c in (clips, other)]
    assert np.abs(told[0] - told[1]).max() > 1e-3
    positions.set_weights([np.zeros(w.shape) for w in positions.get_weights()])
    told = [model.predict(c, verbose=0) for c in (clips, other)]
    np.testing.assert_allclose(told[0], told[1], rtol=1e-4, atol=1e-5)


def test_tubelets_stand_frame_by_frame_as_the_blocks_read_them(rng):
    model = video_transformer(**SMALL, attention="divided", normalization=None)
    clip = np.zeros((1, *SMALL["input_shape"]), "float32")
    clip[:, 2:] = 1.0
    layer = model.get_layer("tubelets")
    tokens = ops.convert_to_numpy(layer(clip))[0]
    bias = ops.convert_to_numpy(layer.bias)
    np.testing.assert_allclose(tokens[:6], np.broadcast_to(bias, (6, 64)), atol=1e-6)
    assert np.abs(tokens[6:] - bias).max() > 1e-2
    assert model.get_layer("blocks_0").frames == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"attention": "axial"}, "`attention` must be one of .*, got 'axial'"),
        ({"depth": 0}, "`depth` must be a positive integer, got 0"),
        ({"tubelet": (3, 8, 8)}, "`x` must be a multiple of the patches"),
        ({"drop_rate": 1.0}, r"`drop_rate` must be in \[0, 1\)"),
    ],
)
def test_errors(options, said):
    with pytest.raises(ValueError, match=said):
        video_transformer(**{**SMALL, **options})
