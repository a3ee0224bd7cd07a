"""Einsum equations: what is multiplied with what."""

import math

from kerakit.cost.field import union


def labels(equation, shapes):
    """([labels of each operand's axes], labels of the result's), "..." written out.

    Args:
        equation: Such as `"bqhd,bkhd->bhqk"`; without "->" the result has, in alphabetical
            order, the labels that occur once.
        shapes: Shapes of the operands.
    """
    left, arrow, right = equation.replace(" ", "").partition("->")
    operands = left.split(",")
    if not arrow:
        letters = left.replace(",", "").replace(".", "")
        once = sorted(letter for letter in letters if letters.count(letter) == 1)
        right = ("..." if "..." in left else "") + "".join(once)
    spare = max(
        (
            len(shape) - len(text.replace("...", ""))
            for text, shape in zip(operands, shapes, strict=True)
            if "..." in text
        ),
        default=0,
    )

    def written_out(text, rank=None):
        before, dots, after = text.partition("...")
        if not dots:
            return list(text)
        count = spare if rank is None else rank - len(before) - len(after)
        return [*before, *(f".{spare - count + i}" for i in range(count)), *after]

    found = [written_out(text, len(shape)) for text, shape in zip(operands, shapes, strict=True)]
    return found, written_out(right)


def einsum_macs(equation, shapes):
    """MACs of a product of two operands: the product of all sizes that the equation names."""
    operands, _ = labels(equation, shapes)
    sizes = {}
    for names, shape in zip(operands, shapes, strict=True):
        for name, size in zip(names, shape, strict=True):
            sizes[name] = max(size, sizes.get(name, 1))
    return math.prod(sizes.values())


def einsum_field(equation, shapes, fields, output_shape):
    """`Field` of the result: summed over the labels that it has not."""
    operands, result = labels(equation, shapes)
    placed, placed_shapes = [], []
    for names, shape, field in zip(operands, shapes, fields, strict=True):
        gone = [place for place, name in enumerate(names) if name not in result]
        kept = {place: result.index(name) for place, name in enumerate(names) if name in result}
        placed.append(field.contracted(shape, gone).relocated(kept))
        own = {kept[place]: shape[place] for place in kept}
        placed_shapes.append(tuple(own.get(place, 1) for place in range(len(result))))
    return union(placed, placed_shapes, output_shape)
