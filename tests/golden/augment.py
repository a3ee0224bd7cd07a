"""Images that augmentations are compared on, and the cases: operations with fixed amounts."""

import numpy as np

# Case -> function in `torchvision.transforms.v2.functional`, its arguments.
COLOR_CASES = {
    "brightness_less": ("adjust_brightness", {"brightness_factor": 0.63}),
    "brightness_more": ("adjust_brightness", {"brightness_factor": 1.37}),
    "contrast_less": ("adjust_contrast", {"contrast_factor": 0.45}),
    "contrast_more": ("adjust_contrast", {"contrast_factor": 1.9}),
    "saturation_less": ("adjust_saturation", {"saturation_factor": 0.2}),
    "saturation_more": ("adjust_saturation", {"saturation_factor": 1.7}),
    "hue_back": ("adjust_hue", {"hue_factor": -0.37}),
    "hue_on": ("adjust_hue", {"hue_factor": 0.08}),
    "hue_half": ("adjust_hue", {"hue_factor": 0.5}),
    "sharpness_less": ("adjust_sharpness", {"sharpness_factor": 0.1}),
    "sharpness_more": ("adjust_sharpness", {"sharpness_factor": 1.9}),
    "posterize_5": ("posterize", {"bits": 5}),
    "posterize_1": ("posterize", {"bits": 1}),
    "solarize": ("solarize", {"threshold": 178.5}),
    "autocontrast": ("autocontrast", {}),
    "equalize": ("equalize", {}),
}
# Case -> (top, left, height, width) of the window, size (height, width) of the result.
CROP_CASES = {
    "shrunk": ((1, 3, 14, 15), (6, 10)),
    "shrunk_much": ((0, 0, 16, 20), (3, 4)),
    "grown": ((5, 10, 9, 7), (12, 16)),
    "mixed": ((1, 2, 15, 5), (6, 10)),
    "one_pixel": ((15, 19, 1, 1), (3, 3)),
}


def images():
    """uint8 (16, 20, 3) images: noise, a soft and dim one with flat parts, greys.

    Returns:
        Dict of name to image.
    """
    generator = np.random.default_rng(20250201)
    rows, columns = np.mgrid[:16, :20]
    waves = [
        90 + 60 * np.sin(rows / a) * np.cos(columns / b) for a, b in ((7, 9), (5, 30), (23, 4))
    ]
    soft = np.stack(waves, axis=-1) + generator.normal(0, 3, (16, 20, 3))
    soft[:7, :7] = (12, 200, 200)
    soft[10:, 15:] = 77
    soft[..., 2] = np.clip(soft[..., 2], 40, 150)
    grey = np.repeat(generator.integers(0, 256, (16, 20, 1)), 3, axis=-1)
    noise = generator.integers(0, 256, (16, 20, 3))
    return {
        "noise": noise.astype("uint8"),
        "soft": soft.astype("uint8"),
        "grey": grey.astype("uint8"),
    }
