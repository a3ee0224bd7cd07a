"""Images with masks of class ids: what is read, and what is refused before training."""

import json
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from kerakit.data import Preparation, SegmentationBatches, load
from kerakit.errors import InputError

CLASSES = ["sky", "sea", "boat"]
SIZES = {"train": [(10, 20), (16, 8), (12, 12)], "val": [(9, 9), (20, 10)]}


def masks_of(part):
    rng = np.random.default_rng(len(part))
    drawn = [rng.integers(0, 3, size).astype(np.uint8) for size in SIZES[part]]
    drawn[0][0, :4] = 255
    return drawn


@pytest.fixture
def folder(tmp_path):
    """A good set; the function changes a file of it and gives the source's name."""
    for part, sizes in SIZES.items():
        for kind in ("images", "masks"):
            (tmp_path / kind / part).mkdir(parents=True)
        for number, (size, mask) in enumerate(zip(sizes, masks_of(part), strict=True)):
            picture = np.full((*size, 3), 40 * number, np.uint8)
            Image.fromarray(picture).save(tmp_path / f"images/{part}/{number}.png")
            Image.fromarray(mask).save(tmp_path / f"masks/{part}/{number}.png")
    (tmp_path / "classes.json").write_text(json.dumps({"classes": CLASSES, "ignore": None}))
    return tmp_path


def opened(folder, **options):
    return load(f"masks:{folder}", task="segmentation", **options)


def test_ids_are_those_of_the_files(folder):
    data = opened(folder)
    assert data.classes == tuple(CLASSES)
    for part in SIZES:
        examples = list(getattr(data, part).as_numpy_iterator())
        for example, mask in zip(examples, masks_of(part), strict=True):
            np.testing.assert_array_equal(example["mask"], mask)
            assert example["image"].shape == (*mask.shape, 3)
        records = getattr(data, f"{part}_source").encoded_dataset().as_numpy_iterator()
        first = next(iter(records))
        np.testing.assert_array_equal(first["mask"], masks_of(part)[0])
        assert first["encoded"] == (folder / f"images/{part}/0.png").read_bytes()


def test_counts_of_pixels(folder):
    masks = masks_of("train")
    counts = opened(folder).train_source.masks
    assert counts.largest_size == (16, 20)
    expected = [[(mask == label).sum() for label in (0, 1, 2, 255)] for mask in masks]
    np.testing.assert_array_equal(counts.pixels, expected)
    shares = np.array(expected)[:, :3].sum(axis=0) / (sum(mask.size for mask in masks) - 4)
    np.testing.assert_allclose(counts.class_shares(), shares, rtol=1e-12)
    balanced = counts.class_weights(power=1.0) * shares
    np.testing.assert_allclose(balanced, 1 / 3, rtol=1e-12)
    np.testing.assert_allclose(counts.class_weights(power=0.0), 1.0, rtol=1e-12)
    with pytest.raises(ValueError, match=r"`power` must be in \[0, 1\], got 2"):
        counts.class_weights(power=2)


def test_palette_counts_by_place_not_by_colour(folder):
    """As PASCAL VOC has its masks; TensorFlow's decoder gives the colours' grey."""
    mask = masks_of("val")[1]
    coloured = Image.fromarray(mask)
    coloured.putpalette([200, 10, 30, 0, 255, 0, 9, 9, 9] + [0] * 759)
    assert coloured.mode == "P"
    coloured.save(folder / "masks/val/1.png")
    examples = list(opened(folder).val.as_numpy_iterator())
    np.testing.assert_array_equal(examples[1]["mask"], mask)


def test_ignored_id_becomes_255(folder):
    (folder / "classes.json").write_text(json.dumps({"classes": CLASSES, "ignore": 7}))
    mask = masks_of("train")[1]
    mask[3, 4] = 7
    Image.fromarray(mask).save(folder / "masks/train/1.png")
    examples = list(opened(folder).train.as_numpy_iterator())
    assert examples[1]["mask"][3, 4] == 255


def test_an_ignored_class_need_not_be_seen(folder):
    (folder / "classes.json").write_text(json.dumps({"classes": [*CLASSES, "void"], "ignore": 3}))
    assert opened(folder).classes == (*CLASSES, "void")


def test_masks_of_nothing_that_counts(folder):
    for number, size in enumerate(SIZES["val"]):
        Image.fromarray(np.full(size, 255, np.uint8)).save(folder / f"masks/val/{number}.png")
    with pytest.raises(InputError, match="no pixel of the masks for val has a class"):
        opened(folder)


def test_split_by_a_hash_of_the_name(tmp_path):
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    for number in range(40):
        picture = np.full((4, 4, 3), number, np.uint8)
        mask = np.array([[0, 1, 2, 0]] * 4, np.uint8)
        Image.fromarray(picture).save(tmp_path / f"images/{number // 4}_{number}.png")
        Image.fromarray(mask).save(tmp_path / f"masks/{number // 4}_{number}.png")
    (tmp_path / "classes.json").write_text(json.dumps({"classes": CLASSES}))
    data = opened(tmp_path, group_by="^([0-9]+)_", val_fraction=0.4)
    sides = [
        {int(example["image"][0, 0, 0]) // 4 for example in part.as_numpy_iterator()}
        for part in (data.train, data.val)
    ]
    assert not sides[0] & sides[1]
    assert sides[0] | sides[1] == set(range(10))


def mask_at(folder, mask, name="masks/train/1.png"):
    Image.fromarray(mask).save(folder / name)


def beyond(folder):
    mask = masks_of("train")[1]
    mask[:2, :2] = 3
    mask_at(folder, mask)


def other_size(folder):
    mask_at(folder, np.zeros((8, 16), np.uint8))


def colours(folder):
    mask_at(folder, np.zeros((16, 8, 3), np.uint8))


def sixteen_bits(folder):
    mask_at(folder, np.zeros((16, 8), np.uint16))


def four_bits(folder):
    """A grey PNG of 4 bits, which Pillow cannot write, with ids of 0 and 1."""

    def chunk(kind, content):
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 8, 16, 4, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x01" * 4) * 16)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", rows), chunk(b"IEND", b"")
    (folder / "masks/train/1.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def no_mask(folder):
    (folder / "masks/train/1.png").unlink()


def cut_short(folder):
    data = (folder / "masks/train/1.png").read_bytes()
    (folder / "masks/train/1.png").write_bytes(data[: len(data) // 2])


def bad_image(folder):
    (folder / "images/train/1.png").write_bytes(b"no picture")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (beyond, r"train/1.png: it has the class id 3 in 4 pixels, and there are 3 classes, 0 to"),
        (other_size, "train/1.png: it is 16 wide and 8 high, and its image 8 and 16"),
        (colours, r"train/1.png: it holds colours .*\(Pillow's mode RGB\)"),
        (sixteen_bits, r"train/1.png: it holds colours or numbers of more than 8 bits"),
        (four_bits, "train/1.png: it is a grey PNG of 4 bits a pixel; write it with 8"),
        (no_mask, "there is no mask .*train/1.png"),
        (cut_short, "train/1.png: it cannot be read"),
        (bad_image, "images/train/1.png: not a readable image"),
    ],
)
def test_bad_files_are_named_or_left_out(folder, spoil, says):
    spoil(folder)
    with pytest.raises(InputError, match=says) as caught:
        opened(folder)
    assert str(caught.value).count("\n") == 0
    with pytest.warns(UserWarning, match="left out, as --skip-bad says"):
        assert opened(folder, skip_bad=True).train_source.size == 2


def test_several_bad_files_in_one_sentence(folder):
    beyond(folder)
    mask_at(folder, np.zeros((3, 3), np.uint8), "masks/train/2.png")
    with pytest.raises(InputError, match=r"1.png: .* \(1 more: .*2.png\)"):
        opened(folder)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "classes.json: there is no such file"),
        ("{", "classes.json: it cannot be read"),
        ('{"classes": ["one"]}', "`classes` must be a list of 2 to 254 names"),
        ('["one", "two"]', "`classes` must be a list"),
        ('{"classes": ["one", "two"], "ignore": "x"}', "`ignore` must be null or an id"),
        ('{"classes": ["one", "one"]}', "Two classes are both called 'one'"),
        ('{"classes": ["sky", "sea", "boat", "sun"]}', "no training mask has .* the class sun"),
    ],
)
def test_bad_classes(folder, content, says):
    (folder / "classes.json").unlink()
    if content is not None:
        (folder / "classes.json").write_text(content)
    with pytest.raises(InputError, match=says):
        opened(folder)


def test_bad_layouts(folder, tmp_path_factory):
    with pytest.raises(InputError, match="there is no folder .*images"):
        opened(tmp_path_factory.mktemp("empty"))
    with pytest.raises(InputError, match="divided into train and val already"):
        opened(folder, group_by="x")
    for path in (folder / "images/val").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="images/val: there are no images in it"):
        opened(folder)
    (folder / "images/val").rmdir()
    with pytest.raises(InputError, match="beside .*train there is no folder .*val"):
        opened(folder)
    with pytest.raises(InputError, match="`task` must be segmentation, got 'classification'"):
        load(f"masks:{folder}")
    with pytest.raises(InputError, match=f"give masks:{folder}"):
        load(str(folder), task="segmentation")


def test_one_mask_for_two_images(folder):
    Image.fromarray(np.zeros((16, 8, 3), np.uint8)).save(folder / "images/train/1.jpg")
    with pytest.raises(InputError, match="two images are called 1"):
        opened(folder)


def test_batches_hold_image_and_mask_together(folder):
    """Each picture is of one colour, told apart by it; a mask that went with another would show."""
    data, preparation = opened(folder), Preparation(height=16, width=20, fit="pad")
    batches = SegmentationBatches(data.train_source, preparation, batch_size=2, seed=3)
    expected = []
    for mask in masks_of("train"):
        whole = np.full((16, 20), 255, np.uint8)
        whole[: mask.shape[0], : mask.shape[1]] = mask
        expected.append(whole)
    seen = set()
    for images, masks in batches.starting_at(0).take(12).as_numpy_iterator():
        for image, mask in zip(images, masks, strict=True):
            number = int(image[0, 0, 0]) // 40
            seen.add(number)
            np.testing.assert_array_equal(mask, expected[number])
    assert seen == {0, 1, 2}
    late = next(iter(batches.starting_at(5).as_numpy_iterator()))
    same = list(batches.starting_at(0).take(6).as_numpy_iterator())[5]
    np.testing.assert_array_equal(late[1], same[1])
