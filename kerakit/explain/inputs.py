"""What a model takes, as tensors, and the pixels among it."""

from keras import backend, ops, tree


def given(images):
    """The inputs of a model, and those of them that are pixels.

    Args:
        images: An array, or a dict or list of several inputs. The pixels are the only one of rank 4
            or 5 or, of several such, that under "images".

    Returns:
        The inputs as tensors, numbers with a point as float32; and the pixels, float32.

    Raises:
        ValueError: If several inputs could be the pixels or none, or there is no example.
    """
    leaves = tree.flatten_with_path(images) if _is_several(images) else None
    if leaves is None:
        inputs = pixels = ops.cast(images, "float32")
    else:
        leaves = [(path, _tensor(leaf)) for path, leaf in leaves]
        likely = [number for number, (_, x) in enumerate(leaves) if len(x.shape) in (4, 5)]
        named = [number for number in likely if leaves[number][0][-1] == "images"]
        if len(named or likely) != 1:
            told = ", ".join(f"{named_place(path)} {tuple(x.shape)}" for path, x in leaves)
            raise ValueError(
                "`images` must have one input of images, (B, H, W, C) or (B, T, H, W, C), or name "
                f"it 'images', got {told}."
            )
        (place,) = named or likely
        pixels = ops.cast(leaves[place][1], "float32")
        tensors = [pixels if number == place else x for number, (_, x) in enumerate(leaves)]
        inputs = tree.pack_sequence_as(images, tensors)
    if pixels.shape[:1] == (0,):
        raise ValueError(
            f"`images` must have at least one example, got the shape {tuple(pixels.shape)}."
        )
    return inputs, pixels


def named_place(path):
    """A place in a structure as Python has it, such as `['aux'][0]`."""
    return "".join(f"[{part!r}]" for part in path)


def _is_several(images):
    """Whether these are several inputs: a dict, or a list of whole batches."""
    if isinstance(images, dict):
        return True
    return isinstance(images, (list, tuple)) and any(
        len(getattr(one, "shape", ())) in (4, 5) for one in tree.flatten(images)
    )


def _tensor(leaf):
    tensor = ops.convert_to_tensor(leaf)
    is_float = backend.is_float_dtype(backend.standardize_dtype(tensor.dtype))
    return ops.cast(tensor, "float32") if is_float else tensor
