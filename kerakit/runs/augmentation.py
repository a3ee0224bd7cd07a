"""A classifier's augmentation from the settings of a recipe."""

from kerakit import augment
from kerakit.data import soft_labels
from kerakit.errors import InputError
from kerakit.runs.settings import flag


def augmentation(
    num_classes,
    *,
    size,
    crop=1.0,
    flip=False,
    rotation=0.0,
    translation=0.0,
    zoom=0.0,
    color=0.0,
    randaugment=0,
    mixup=0.0,
    cutmix=0.0,
    class_weights=None,
):
    """One transform of all that is not switched off, in the order of the arguments.

    Args:
        num_classes: K.
        size: (height, width) of the results.
        crop: Smallest area of a random crop, as a part of the image; 1 for none.
        flip: Whether to mirror half of the images.
        rotation: Largest rotation, degrees.
        translation: Largest shift, as a part of the side.
        zoom: Largest change of scale, as a part.
        color: Largest change of brightness, contrast and saturation, as a part.
        randaugment: Magnitude of RandAugment's two operations; 0 for none.
        mixup: Alpha of mixup; 0 for none.
        cutmix: Alpha of CutMix; 0 for none.
        class_weights: (K,) weights of the classes, or None.

    Returns:
        Function `transform(batch, seed)`; labels come out as shares of the classes.
    """
    transforms = []
    if crop < 1:
        transforms.append(augment.RandomResizedCrop(size, scale=(crop, 1.0)))
    if flip:
        transforms.append(augment.RandomFlip())
    if rotation or translation or zoom:
        transforms.append(
            augment.RandomAffine(rotation=rotation, translation=translation, zoom=zoom)
        )
    if color:
        transforms.append(augment.ColorJitter(brightness=color, contrast=color, saturation=color))
    if randaugment:
        transforms.append(augment.RandAugment(magnitude=randaugment))
    if mixup:
        transforms.append(augment.Mixup(num_classes, alpha=mixup))
    if cutmix:
        transforms.append(augment.CutMix(num_classes, alpha=cutmix))
    transforms.append(soft_labels(num_classes, weights=class_weights))
    return augment.chain(*transforms)


def clip_augmentation(
    classes,
    *,
    flip="none",
    flip_swaps=(),
    vertical_swaps=(),
    reverse=0.0,
    reverse_swaps=(),
    **of_frames,
):
    """One transform of clips, the same for all frames of each.

    Args:
        classes: Names of the classes.
        flip: "none", "horizontal" or "both", upside down too.
        flip_swaps: Pairs of classes, such as "left:right", that a mirror turns into each other.
        vertical_swaps: The same, of upside down.
        reverse: Part of the clips that is played backwards.
        reverse_swaps: Pairs of classes that this turns into each other.
        **of_frames: As of `augmentation`, except `flip`.

    Returns:
        Function `transform(batch, seed)`; labels come out as shares of the classes.

    Raises:
        InputError: If a text is no pair of classes.
    """
    mirrored = class_pairs(flip_swaps, classes, option="flip_swaps")
    turned = class_pairs(vertical_swaps, classes, option="vertical_swaps")
    reversed_ = class_pairs(reverse_swaps, classes, option="reverse_swaps")
    transforms = []
    if flip != "none":
        transforms.append(
            augment.RandomFlip(
                vertical=flip == "both", horizontal_swaps=mirrored, vertical_swaps=turned
            )
        )
    if reverse:
        transforms.append(augment.RandomReversal(probability=reverse, swaps=reversed_))
    return augment.chain(*transforms, augmentation(len(classes), **of_frames))


def class_pairs(texts, classes, *, option):
    """Pairs of classes as a setting names them, as numbers.

    Args:
        texts: Such as `("left:right", "up:down")`.
        classes: Names of the classes.
        option: The setting's name, for the message.

    Returns:
        List of pairs of class numbers.

    Raises:
        InputError: If a text is no pair of class names.

    Example:

    >>> class_pairs(["b:a"], ["a", "b"], option="flip_swaps")
    [(1, 0)]
    """
    pairs = []
    for text in texts:
        names = text.split(":")
        if len(names) != 2 or names[0] == names[1] or not set(names) <= set(classes):
            raise InputError(
                f"{flag(option)} must be pairs of the classes {', '.join(classes)}, such as "
                f"{classes[0]}:{classes[-1]}, got {text}."
            )
        pairs.append(tuple(classes.index(name) for name in names))
    if len({number for pair in pairs for number in pair}) != 2 * len(pairs):
        raise InputError(f"{flag(option)} must name each class once at most, got {texts}.")
    return pairs
