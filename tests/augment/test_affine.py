import numpy as np
import pytest
import tensorflow as tf

from kerakit.augment import RandomAffine, affine_matrices, transform_images


def matrix_by_hand(angle, shift, scale, shear, size):
    """The product of the single steps, in float64."""
    height, width = size

    def moved(x, y):
        return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])

    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    slant = np.array([[1, np.tan(shear), 0], [0, 1, 0], [0, 0, 1.0]])
    middle = moved(width / 2, height / 2)
    return moved(*shift) @ middle @ turn @ np.diag([*scale, 1]) @ slant @ np.linalg.inv(middle)


@pytest.fixture
def draws(rng):
    return {
        "angle": rng.uniform(-3, 3, 9).astype(np.float32),
        "shift": rng.uniform(-5, 5, (9, 2)).astype(np.float32),
        "scale": rng.uniform(0.5, 2, (9, 2)).astype(np.float32),
        "shear": rng.uniform(-1, 1, 9).astype(np.float32),
    }


def test_matrices_are_the_steps_one_by_one(draws):
    got = affine_matrices(**draws, size=(30, 50))
    want = [
        matrix_by_hand(*(values[i].astype(np.float64) for values in draws.values()), (30, 50))
        for i in range(9)
    ]
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=2e-5)  # float32, offsets up to 100


def test_known_directions():
    """A positive angle is clockwise, a positive shift to the right and down."""
    zero, one = tf.zeros(1), tf.ones((1, 2))
    quarter = affine_matrices(
        angle=[np.pi / 2], shift=tf.zeros((1, 2)), scale=one, shear=zero, size=(10, 10)
    )
    np.testing.assert_allclose(quarter[0] @ [[9.0], [5.0], [1.0]], [[5], [9], [1]], atol=1e-5)
    image = np.arange(100, dtype=np.uint8).reshape(1, 10, 10, 1)
    turned = transform_images(tf.constant(image), quarter, fill=0)
    np.testing.assert_array_equal(turned[0, ..., 0], np.rot90(image[0, ..., 0], -1))
    shifted = affine_matrices(angle=zero, shift=[[3.0, 1.0]], scale=one, shear=zero, size=(10, 10))
    moved = transform_images(tf.constant(image), shifted, fill=7).numpy()[0, ..., 0]
    np.testing.assert_array_equal(moved[1:, 3:], image[0, :-1, :-3, 0])
    assert (moved[0] == 7).all()
    assert (moved[:, :3] == 7).all()


def test_a_dot_lands_where_the_matrix_says():
    height, width, count = 60, 80, 40
    augment = RandomAffine(rotation=40, translation=0.1, zoom=0.2, shear=15)
    rng = np.random.default_rng(3)
    points = rng.uniform((25, 20), (55, 40), (count, 2)).round()  # (x, y), corners of pixels
    images = np.zeros((count, height, width, 1), np.uint8)
    for image, (x, y) in zip(images, points.astype(int), strict=True):
        image[y - 2 : y + 2, x - 2 : x + 2] = 255
    seed = tf.constant([5, 6])
    moved = augment({"image": tf.constant(images)}, seed)["image"].numpy()[..., 0].astype(float)
    matrices = augment.matrices(seed, batch_size=count, size=(height, width)).numpy()
    assert np.linalg.norm(matrices - matrices[0], axis=(1, 2))[1:].min() > 0.1  # own draws
    rows, columns = np.mgrid[:height, :width] + 0.5
    for image, matrix, (x, y) in zip(moved, matrices, points, strict=True):
        assert image.sum() > 0
        found = np.array([(image * columns).sum(), (image * rows).sum()]) / image.sum()
        assert np.abs(found - (matrix @ [x, y, 1])[:2]).max() < 0.25  # well below 1 pixel


def test_pixels_are_the_bilinear_loop(draws, rng):
    image = rng.uniform(0, 255, (9, 12, 15, 2)).astype(np.float32)
    matrices = affine_matrices(**draws, size=(12, 15))
    got = transform_images(tf.constant(image), matrices, fill=50).numpy()
    padded = np.full((9, 14, 17, 2), 50.0)
    padded[:, 1:-1, 1:-1] = image
    for n, row, column in [(n, r, c) for n in range(9) for r in range(12) for c in range(15)]:
        back = np.linalg.inv(matrices[n].numpy().astype(np.float64))
        x, y = (back @ [column + 0.5, row + 0.5, 1])[:2] + 0.5  # in `padded`, from pixel centres
        left, top = int(np.floor(x)), int(np.floor(y))
        want = np.full(2, 50.0)
        if 0 <= left < 16 and 0 <= top < 13:
            a, b = x - left, y - top
            four = padded[n, top : top + 2, left : left + 2]
            want = (1 - b) * ((1 - a) * four[0, 0] + a * four[0, 1]) + b * (
                (1 - a) * four[1, 0] + a * four[1, 1]
            )
        np.testing.assert_allclose(got[n, row, column], want, atol=0.02)  # positions in float32


def test_no_strength_is_the_identity(rng):
    images = tf.constant(rng.integers(0, 256, (5, 13, 8, 3), dtype=np.uint8))
    got = RandomAffine()({"image": images}, tf.constant([1, 2]))["image"]
    np.testing.assert_array_equal(got, images)


def test_the_draws_are_a_function_of_the_seed(rng):
    batch = {
        "image": tf.constant(rng.integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)),
        "label": tf.range(5),
    }
    augment = RandomAffine(rotation=20)
    one = augment(batch, tf.constant([1, 2]))
    again = tf.function(augment)(batch, tf.constant([1, 2]))
    other = augment(batch, tf.constant([1, 3]))
    np.testing.assert_array_equal(one["image"], again["image"])
    assert np.mean(one["image"] != other["image"]) > 0.5
    np.testing.assert_array_equal(one["label"], batch["label"])
    assert one["image"].dtype == tf.uint8


def test_draws_fill_their_range_and_no_more():
    augment = RandomAffine(rotation=30, translation=0.1, zoom=0.2)
    matrices = augment.matrices(tf.constant([0, 0]), batch_size=4000, size=(100, 100)).numpy()
    angles = np.degrees(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    zooms = np.hypot(matrices[:, 0, 0], matrices[:, 1, 0])
    shifts = (matrices @ [50, 50, 1])[:, :2] - 50
    for values, low, high in ((angles, -30, 30), (zooms, 0.8, 1.2), (shifts, -10, 10)):
        span = high - low
        assert low - 1e-3 <= values.min() < low + span / 100
        assert high - span / 100 < values.max() <= high + 1e-3
        assert abs(values.mean() - (low + high) / 2) < 4 * span / np.sqrt(12 * 4000)


@pytest.mark.parametrize(
    ("strength", "message"),
    [
        ({"rotation": 181}, r"`rotation` must be in \[0, 180\], got 181"),
        ({"translation": -0.1}, r"`translation` must be in \[0, 1\], got -0.1"),
        ({"zoom": 1}, r"`zoom` must be in \[0, 1\), got 1"),
        ({"shear": 90}, r"`shear` must be in \[0, 90\), got 90"),
        ({"fill": 256}, r"`fill` must be in \[0, 255\], got 256"),
    ],
)
def test_strengths_out_of_range_are_refused(strength, message):
    with pytest.raises(ValueError, match=message):
        RandomAffine(**strength)
