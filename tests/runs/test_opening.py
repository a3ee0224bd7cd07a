import types

import pytest

from kerakit.errors import InputError
from kerakit.runs import build_classifier, load_data, require_weights

SHAPE = {"input_shape": (32, 32, 3), "num_classes": 3}


def settings(data):
    return types.SimpleNamespace(data=data, val_fraction=0.2, group_by="", skip_bad=False)


def test_data_that_do_not_ship_are_told_where_to_get():
    with pytest.raises(InputError, match=r"no such folder.*Apache-2.0.*--data folder:Sign"):
        load_data(settings("folder:sign-digits"))
    with pytest.raises(InputError, match=r"no such folder\.$"):
        load_data(settings("folder:nowhere"))
    assert load_data(settings("digits")).classes[3] == "3"


def test_weights_that_are_not_there(tmp_path):
    (tmp_path / "w.npz").touch()
    require_weights(tmp_path / "w.npz")
    with pytest.raises(InputError, match=r"x/mobilenet_v2-b0353104.pth does not exist.*curl -O"):
        require_weights("x/mobilenet_v2-b0353104.pth")
    with pytest.raises(InputError, match=r"other.pth does not exist, or is no file\.$"):
        require_weights("other.pth")


def test_optional_settings_are_left_to_the_builder():
    model = build_classifier("resnet18", optional={"stem": None, "width": 0.0625}, **SHAPE)
    assert model.get_layer("conv1").filters == 4
    assert model.get_layer("conv1").kernel_size == (7, 7)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("lenet", {}, "--model lenet is none of alexnet, "),
        ("linear_classifier", {"optional": {"width": 2.0}}, "--width is nothing that linear_cl"),
        ("resnet18", {"optional": {"stem": "big"}}, "--model resnet18 cannot be built so: `stem`"),
        ("knn_classifier", {}, "--model knn_classifier learns in one pass"),
    ],
)
def test_what_cannot_be_built_is_named(name, options, message):
    with pytest.raises(InputError, match=message):
        build_classifier(name, **options, **SHAPE)
