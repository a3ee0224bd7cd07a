"""Cases of the transformer blocks: sizes, masks, inputs and torch's weights by name."""

import numpy as np

WIDTH, HEADS, HIDDEN, BATCH, TOKENS, MEMORY = 16, 4, 24, 3, 6, 5

# Name of the case -> options of torch's layer.
ENCODER_CASES = {
    "post": {},
    "pre": {"norm_first": True},
    "post_gelu": {"activation": "gelu"},
    "post_causal": {"causal": True},
    "pre_causal_padding": {"norm_first": True, "causal": True, "padding": True},
    "post_padding": {"padding": True},
}
DECODER_CASES = {
    "decoder_post": {},
    "decoder_pre": {"norm_first": True},
    "decoder_post_padding": {"padding": True},
}

_D, _F = WIDTH, HIDDEN
_NORM = {"weight": (_D,), "bias": (_D,)}
_ATTENTION = {
    "in_proj_weight": (3 * _D, _D),
    "in_proj_bias": (3 * _D,),
    "out_proj.weight": (_D, _D),
    "out_proj.bias": (_D,),
}
_MLP = {
    "linear1.weight": (_F, _D),
    "linear1.bias": (_F,),
    "linear2.weight": (_D, _F),
    "linear2.bias": (_D,),
}


def _under(prefix, shapes):
    return {f"{prefix}.{name}": shape for name, shape in shapes.items()}


ENCODER_SHAPES = {
    **_under("self_attn", _ATTENTION),
    **_under("norm1", _NORM),
    **_under("norm2", _NORM),
    **_MLP,
}
DECODER_SHAPES = {
    **ENCODER_SHAPES,
    **_under("multihead_attn", _ATTENTION),
    **_under("norm3", _NORM),
}


def torch_weights(shapes):
    """Weights by torch's names, all different, scales of norms about 1."""
    generator = np.random.default_rng(20250102)
    weights = {}
    for name, shape in sorted(shapes.items()):
        drawn = generator.standard_normal(shape) * (0.3 if len(shape) == 2 else 0.1)
        is_scale = name.startswith("norm") and name.endswith("weight")
        weights[name] = (drawn + is_scale).astype("float32")
    return weights


def inputs():
    """Tokens (3, 6, 16), memory (3, 5, 16), and where each of them has a token at all."""
    generator = np.random.default_rng(20250103)
    x = generator.standard_normal((BATCH, TOKENS, WIDTH)).astype("float32")
    memory = generator.standard_normal((BATCH, MEMORY, WIDTH)).astype("float32")
    is_token = np.arange(TOKENS) < np.array([[6], [4], [1]])
    is_memory = np.arange(MEMORY) < np.array([[2], [5], [3]])
    return x, memory, is_token, is_memory


def load(block, weights):
    """Puts torch's weights into a kerakit block, which has been built."""
    pairs = {"self_attn": block.self_attention}
    norms = [block.ln_1, block.ln_2]
    if hasattr(block, "cross_attention"):
        pairs["multihead_attn"] = block.cross_attention
        norms = [block.ln_1, block.ln_cross, block.ln_2]
    for name, attention in pairs.items():
        kernels = np.split(weights[f"{name}.in_proj_weight"], 3)
        biases = np.split(weights[f"{name}.in_proj_bias"], 3)
        loaded = []
        for kernel, bias in zip(kernels, biases, strict=True):
            loaded += [kernel.T.reshape(WIDTH, HEADS, -1), bias.reshape(HEADS, -1)]
        out = weights[f"{name}.out_proj.weight"].T.reshape(HEADS, -1, WIDTH)
        attention.set_weights([*loaded, out, weights[f"{name}.out_proj.bias"]])
    for number, norm in enumerate(norms, 1):
        norm.set_weights([weights[f"norm{number}.weight"], weights[f"norm{number}.bias"]])
    for number, dense in enumerate((block.mlp.linear_1, block.mlp.linear_2), 1):
        dense.set_weights([weights[f"linear{number}.weight"].T, weights[f"linear{number}.bias"]])
