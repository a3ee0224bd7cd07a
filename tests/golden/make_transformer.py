"""Golden file `transformer.npz`: outputs of torch's transformer layers."""

import numpy as np
import torch

from tests.golden.transformer import (
    DECODER_CASES,
    DECODER_SHAPES,
    ENCODER_CASES,
    ENCODER_SHAPES,
    HEADS,
    HIDDEN,
    TOKENS,
    WIDTH,
    inputs,
    torch_weights,
)


def _layer(kind, shapes, options):
    layer = kind(WIDTH, HEADS, HIDDEN, dropout=0.0, batch_first=True, **options)
    layer.load_state_dict({k: torch.tensor(v) for k, v in torch_weights(shapes).items()})
    return layer.train()  # no dropout, and not the fast path, which leaves padding at 0


def _causal():
    return torch.triu(torch.ones(TOKENS, TOKENS, dtype=torch.bool), diagonal=1)


def encoder(*, causal=False, padding=False, **options):
    x, _, is_token, _ = map(torch.tensor, inputs())
    layer = _layer(torch.nn.TransformerEncoderLayer, ENCODER_SHAPES, options)
    return layer(
        x,
        src_mask=_causal() if causal else None,
        src_key_padding_mask=~is_token if padding else None,
    )


def decoder(*, padding=False, **options):
    x, memory, is_token, is_memory = map(torch.tensor, inputs())
    layer = _layer(torch.nn.TransformerDecoderLayer, DECODER_SHAPES, options)
    return layer(
        x,
        memory,
        tgt_mask=_causal(),
        tgt_key_padding_mask=~is_token if padding else None,
        memory_key_padding_mask=~is_memory if padding else None,
    )


def make(directory):
    """Writes the golden file into the directory, and returns its path."""
    path = directory / "transformer.npz"
    outputs = {case: encoder(**options) for case, options in ENCODER_CASES.items()}
    outputs |= {case: decoder(**options) for case, options in DECODER_CASES.items()}
    np.savez(
        path,
        torch_version=torch.__version__,
        **{case: output.detach().numpy() for case, output in outputs.items()},
    )
    return path
