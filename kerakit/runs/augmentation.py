"""A classifier's augmentation from the settings of a recipe."""

from kerakit import augment
from kerakit.data import soft_labels


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
