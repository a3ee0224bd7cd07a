"""Draws docs/pictures/local_gradients.png: python -m docs.draw_local_gradients"""

import pathlib

import matplotlib.pyplot as plt
from matplotlib.patches import Circle

from kerakit.gradients.local import Add, Max, Multiply, ReLU

PICTURE = pathlib.Path(__file__).parent / "pictures" / "local_gradients.png"
UPSTREAM = 2.0
FORWARD, BACKWARD = "#1b6e3c", "#b3261e"
PANELS = [
    (Add(), "+", "distributes: both get it as it is", (3.0, -4.0)),
    (Multiply(), "\N{MULTIPLICATION SIGN}", "switches: each gets it times the other", (3.0, -4.0)),
    (ReLU(), "ReLU", "routes: it passes if x > 0", (-4.0,)),
    (Max(), "max", "selects: the larger gets it all", (3.0, -4.0)),
]


def edge(axes, start, end, name, forward, backward):
    """An arrow with its value above, green, and its gradient below, red."""
    axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": "#444", "lw": 1.4})
    x, y = start[0] + 0.47 * (end[0] - start[0]), start[1] + 0.47 * (end[1] - start[1])
    text = {"ha": "center", "fontsize": 12}
    axes.text(x, y + 0.13, f"{name} = {forward:g}", color=FORWARD, va="bottom", **text)
    axes.text(x, y - 0.13, f"{backward:g}", color=BACKWARD, va="top", **text)


def panel(axes, gate, symbol, what, inputs):
    output = float(gate.forward(*inputs))
    gradients = [float(x) for x in gate.backward(UPSTREAM)]
    heights = (0.85, -0.85) if len(inputs) == 2 else (0.0,)
    for name, height, value, gradient in zip("xy", heights, inputs, gradients, strict=False):
        # Arrows end at the circle's left half, level, so that no label crosses them.
        edge(axes, (-2.6, height), (-0.45, 0.25 * height), name, value, gradient)
    edge(axes, (0.5, 0.0), (2.6, 0.0), "z", output, UPSTREAM)
    axes.add_patch(Circle((0, 0), 0.5, facecolor="#eef2f7", edgecolor="#444", lw=1.4))
    axes.text(0, 0, symbol, ha="center", va="center", fontsize=13 if len(symbol) > 1 else 20)
    axes.set_title(f"{type(gate).__name__}, the {gate.role}\n{what}", fontsize=12)
    axes.set(xlim=(-2.9, 2.9), ylim=(-1.6, 1.5), aspect="equal")
    axes.axis("off")


def main():
    figure, axes = plt.subplots(2, 2, figsize=(9, 6), layout="constrained")
    for one, row in zip(axes.flat, PANELS, strict=True):
        panel(one, *row)
    figure.text(0.30, 0.005, "forward: the value", color=FORWARD, ha="center", fontsize=12)
    figure.text(0.70, 0.005, "backward: the gradient", color=BACKWARD, ha="center", fontsize=12)
    figure.get_layout_engine().set(rect=(0, 0.04, 1, 0.94))
    figure.savefig(PICTURE, dpi=90)


if __name__ == "__main__":
    main()
