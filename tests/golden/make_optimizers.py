"""Golden file `optimizers.npz`: how `torch.optim` walks through the recorded run."""

import numpy as np
import torch

from tests.golden.optimizers import STRETCH, TORCH_CASES, checksum, recorded_run


def trajectory(name, options):
    """Float64 weights after each stretch, (20, 4, 5)."""
    gradients, rates, weights = recorded_run()
    weight = torch.nn.Parameter(torch.tensor(weights))
    optimizer = getattr(torch.optim, name)([weight], lr=1.0, **options)
    kept = []
    for step, (gradient, rate) in enumerate(zip(gradients, rates, strict=True)):
        optimizer.param_groups[0]["lr"] = float(rate)
        weight.grad = torch.tensor(gradient)
        optimizer.step()
        if (step + 1) % STRETCH == 0:
            kept.append(weight.detach().numpy().copy())
    return np.stack(kept)


def make(directory):
    """Writes the golden file into the directory, and returns its path."""
    path = directory / "optimizers.npz"
    np.savez(
        path,
        checksum=checksum(*recorded_run()),
        torch_version=torch.__version__,
        **{case: trajectory(*call) for case, call in TORCH_CASES.items()},
    )
    return path
