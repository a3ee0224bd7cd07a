"""Golden files `checkpoint_zip.pth` and `checkpoint_legacy.pth`: one dict, as PyTorch saves it."""

import torch

from tests.golden.checkpoints import ARRAYS


def make(directory):
    """Writes both files into the directory, and returns the path of the first."""
    state = {name: torch.from_numpy(array.copy()) for name, array in ARRAYS.items()}
    matrix = state["conv.weight"]
    content = torch.nn.Module().state_dict()  # an OrderedDict with metadata, as users save it
    content.update(state)
    content["transposed"] = matrix[:, :, 0, 0].T  # views of one storage, one with strides
    content["row"] = matrix[1]
    content["parameter"] = torch.nn.Parameter(state["fc.weight"] + 1)
    content["half"] = state["fc.weight"].half()
    content["brain"] = state["fc.weight"].bfloat16()
    content["empty"] = torch.zeros(0, 3)
    content["scalar"] = torch.tensor(7)
    paths = [directory / f"checkpoint_{kind}.pth" for kind in ("zip", "legacy")]
    torch.save(content, paths[0])
    torch.save(content, paths[1], _use_new_zipfile_serialization=False)
    return paths[0]
