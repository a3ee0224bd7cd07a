import keras
import numpy as np
import pytest
from keras import layers

from kerakit import explain
from tests.explain.networks import convolutions, pixels


def segmenter():
    images = keras.Input((8, 12, 1))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="maps")(images)
    return keras.Model(images, layers.Conv2D(3, 1, name="scores")(x))


def test_none_is_the_predicted_class():
    model, images = convolutions(), pixels(4, 12, 16, 3)
    best = model.predict(images, verbose=0).argmax(axis=1)
    heat = explain.saliency(model, images)
    named = explain.saliency(model, images, target=list(best))
    np.testing.assert_array_equal(heat.values, named.values)
    assert list(heat.classes) == list(best)


def test_a_class_and_one_class_an_example():
    model, images = convolutions(), pixels(2, 12, 16, 3)
    logits = model.predict(images, verbose=0)
    heat = explain.saliency(model, images, target=np.array([2, 0]))
    np.testing.assert_allclose(heat.scores, [logits[0, 2], logits[1, 0]], rtol=1e-5)
    both = explain.saliency(model, images, target=2)
    np.testing.assert_array_equal(both.values[0], heat.values[0])


def test_a_function_of_the_outputs():
    model, images = convolutions(), pixels(2, 12, 16, 3)
    heat = explain.saliency(model, images, target=lambda scores: 3 * scores[:, 1])
    expected = explain.saliency(model, images, target=1)
    np.testing.assert_allclose(heat.values, 3 * expected.values, rtol=1e-4, atol=1e-8)
    assert heat.classes is None


def test_of_a_pixel_only_what_it_sees_counts():
    model, images = segmenter(), pixels(2, 8, 12, 1)
    heat = explain.saliency(model, images, target=explain.Pixel(2, 9, 1)).values
    seen = np.zeros((8, 12), bool)
    seen[1:4, 8:11] = True  # the 3 x 3 around it
    assert not heat[:, ~seen].any()
    assert heat[:, seen].any()
    logits = model.predict(images, verbose=0)
    predicted = explain.saliency(model, images, target=explain.Pixel(2, 9))
    assert list(predicted.classes) == list(logits[:, 2, 9].argmax(axis=-1))
    np.testing.assert_allclose(predicted.scores, logits[:, 2, 9].max(axis=-1), rtol=1e-5)


def test_a_region_is_the_sum_of_its_pixels():
    model, images = segmenter(), pixels(2, 8, 12, 1)
    mask = np.zeros((8, 12), bool)
    mask[2, 3] = mask[6, 10] = True
    heat = explain.hires_cam(model, images, target=explain.Region(mask, 2), layer="maps")
    logits = model.predict(images, verbose=0)
    np.testing.assert_allclose(heat.scores, logits[:, 2, 3, 2] + logits[:, 6, 10, 2], rtol=1e-5)
    assert list(heat.classes) == [2, 2]
    assert set(zip(*np.nonzero(heat.raw.any(axis=0)), strict=True)) <= {(2, 3), (6, 10)}
    masks = np.stack([mask, mask & (np.arange(12) > 5)])
    one = explain.hires_cam(model, images, target=explain.Region(masks, 2), layer="maps")
    np.testing.assert_allclose(one.scores[1], logits[1, 6, 10, 2], rtol=1e-5)


def test_two_heads_the_answer_is_the_logits():
    model = convolutions()
    other = layers.Dense(5, name="aux")(model.get_layer("pool").output)
    both = keras.Model(model.input, {"aux": other, "logits": model.output})
    images = pixels(2, 12, 16, 3)
    np.testing.assert_allclose(
        explain.saliency(both, images).values, explain.saliency(model, images).values, rtol=1e-5
    )
    heat = explain.grad_cam(both, images, target=lambda outputs: outputs["aux"][:, 4])
    assert heat.raw.shape == (2, 6, 8)


@pytest.mark.parametrize("target", [None, 1])
def test_of_several_answers_a_function_must_say_which(target):
    model = convolutions()
    other = layers.Dense(5, activation="softmax", name="aux")(model.get_layer("pool").output)
    images = pixels(2, 12, 16, 3)
    named = keras.Model(model.input, {"aux": other, "main": model.output})
    told = r"\(outputs\['aux'\] \(2, 5\), outputs\['main'\] \(2, 3\)\), got"
    with pytest.raises(ValueError, match=f"`target` must be a function .*{told} {target}"):
        explain.grad_cam(named, images, target=target)
    listed = keras.Model(model.input, [other, model.output])
    told = r"\(outputs\[0\] \(2, 5\), outputs\[1\] \(2, 3\)\), got"
    with pytest.raises(ValueError, match=f"`target` must be a function .*{told} {target}"):
        explain.saliency(listed, images, target=target)
    heat = explain.grad_cam(listed, images, target=lambda outputs: outputs[1][:, 2])
    expected = explain.grad_cam(model, images, target=2)
    np.testing.assert_allclose(heat.values, expected.values, rtol=1e-4, atol=1e-6)
    # What each function is given is what the model returns.
    heat = explain.grad_cam(listed, images, target=lambda outputs: outputs[0][:, 4])
    np.testing.assert_allclose(heat.scores, model_answer(listed, images)[0][:, 4], rtol=1e-4)


def model_answer(model, images):
    return [keras.ops.convert_to_numpy(x) for x in model(images)]


def test_what_is_no_score_is_no_answer():
    model = convolutions()
    tokens = layers.Reshape((48, 8))(model.get_layer("maps").output)
    both = keras.Model(model.input, [tokens, model.output])
    images = pixels(2, 12, 16, 3)
    np.testing.assert_allclose(
        explain.saliency(both, images).values, explain.saliency(model, images).values, rtol=1e-5
    )


@pytest.mark.parametrize("end", [None, "sigmoid"])
@pytest.mark.parametrize("method", [explain.grad_cam, explain.saliency, explain.cam])
def test_one_unit_that_says_no_is_explained_by_what_speaks_for_no(end, method):
    model, images = convolutions(classes=1, end=end), pixels(4, 12, 16, 3)
    kernel, _ = model.get_layer("scores").get_weights()
    features = keras.Model(model.input, model.get_layer("pool").output).predict(images, verbose=0)
    sums = (features @ kernel)[:, 0]
    model.get_layer("scores").set_weights([kernel, -np.median(sums, keepdims=True)])
    logits = sums - np.median(sums)
    heat = method(model, images)
    assert list(heat.classes) == [0 if logit >= 0 else -1 for logit in logits]
    assert set(heat.classes) == {0, -1}
    np.testing.assert_allclose(heat.scores, np.abs(logits), rtol=1e-3, atol=1e-3)
    asked = method(model, images, target=0)  # the unit itself
    np.testing.assert_allclose(asked.scores, logits, rtol=1e-3, atol=1e-3)
    signs = np.sign(logits)
    if method is explain.cam:
        expected = asked.values * signs[:, None, None]
    else:
        by_sign = {
            sign: method(model, images, target=lambda outputs, s=sign: s * outputs[:, 0]).values
            for sign in (1, -1)
        }
        expected = np.stack([by_sign[sign][number] for number, sign in enumerate(signs)])
    np.testing.assert_allclose(heat.values, expected, rtol=1e-3, atol=1e-5)


def test_a_pixel_of_one_unit_may_say_no():
    images = keras.Input((8, 12, 1))
    model = keras.Model(images, layers.Conv2D(1, 1, name="scores")(images))
    model.get_layer("scores").set_weights([np.full((1, 1, 1, 1), -0.5), np.zeros(1)])
    heat = explain.saliency(model, np.full((1, 8, 12, 1), 8.0), target=explain.Pixel(2, 3))
    assert (list(heat.scores), list(heat.classes)) == ([4.0], [-1])


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (3, "must be a class from 0 to 2, of the 3 of the model, got 3"),
        (-1, "must be a class from 0 to 2, of the 3 of the model, got -1"),
        ([0, 1, 2], "must be one class an example, 2, got 3"),
        (0.5, "must be a class, or one class an example, as whole numbers, got 0.5"),
        (explain.Pixel(0, 0), "must be a class, or None, for a model of one answer an image"),
        (explain.Detection(), "must be a class, a pixel or a function for a model that gives no"),
        (
            lambda outputs: outputs,
            r"must give one score an example, .* the shape \(2, 3\)",
        ),
    ],
)
def test_of_a_classifier_it_must_be_a_class(target, message):
    with pytest.raises(ValueError, match=f"`target` {message}"):
        explain.grad_cam(convolutions(), pixels(2, 12, 16, 3), target=target)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (None, r"`target` must be explain.Pixel\(row, column\), .* for a segmenter, got None"),
        (explain.Pixel(8, 0), "`row` must be from 0 to 7, got 8"),
        (explain.Pixel(0, -1), "`column` must be from 0 to 11, got -1"),
        (explain.Pixel(0, 0, 3), "`class_index` must be a class from 0 to 2, .* got 3"),
        (explain.Region(np.ones((8, 12)), 5), "`class_index` must be a class from 0 to 2, .*got 5"),
        (explain.Region(np.ones((4, 4)), 1), r"size \(8, 12\), got \(1, 4, 4\)"),
    ],
)
def test_of_a_segmenter_it_must_be_of_pixels(target, message):
    with pytest.raises(ValueError, match=message):
        explain.grad_cam(segmenter(), pixels(1, 8, 12, 1), target=target)


def test_of_another_answer_it_must_be_a_function():
    tokens = keras.Input((4, 4, 1))
    model = keras.Model(tokens, layers.Reshape((4, 4))(tokens))
    with pytest.raises(ValueError, match=r"function of the outputs .* shape \(1, 4, 4\), got 0"):
        explain.saliency(model, pixels(1, 4, 4, 1), target=0)
