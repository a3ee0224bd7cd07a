"""Attention, feed-forward, transformer blocks and embeddings."""

from kerakit.activations import TABLE
from kerakit.cost.formulas.dense import layer_norm_parameters


def attention_parameters(width):
    """Parameters of multi-head self-attention: `4 d^2 + 4 d`, whatever the number of heads.

    Args:
        width: d.

    Example:

    >>> attention_parameters(768)
    2362368
    """
    return 4 * width**2 + 4 * width


def attention_macs(width, tokens, keys=None):
    """MACs of multi-head attention: `4 n d^2 + 2 n^2 d`.

    Projections of queries, keys, values and the output, then the scores and the weighted sum.
    With m keys from elsewhere: `2 n d^2 + 2 m d^2 + 2 n m d`.

    Args:
        width: d.
        tokens: n, queries.
        keys: m; n unless given.

    Example:

    >>> attention_macs(768, 197)
    524391936
    """
    keys = tokens if keys is None else keys
    return 2 * (tokens + keys) * width**2 + 2 * tokens * keys * width


def attention_flops(width, tokens, keys=None, *, heads=1):
    """FLOPs of multi-head attention: 2 a MAC, and 4 a score: its scaling and the softmax's 3.

    Args:
        width: d.
        tokens: n, queries.
        keys: m; n unless given.
        heads: h; each has scores of its own.

    Example:

    >>> attention_flops(768, 197, heads=12)
    1050646704
    """
    keys = tokens if keys is None else keys
    scores = heads * tokens * keys
    return 2 * attention_macs(width, tokens, keys) + scores_flops(scores)


def scores_flops(scores):
    """FLOPs of scaling attention's scores and of their softmax: `(1 + 3)` a score.

    Args:
        scores: h n m.

    Example:

    >>> scores_flops(12 * 197 * 197)
    1862832
    """
    return (1 + TABLE["softmax"].flops_per_element) * scores


def feed_forward_parameters(width, hidden=None):
    """Parameters of a feed-forward: `2 d d_ff + d_ff + d`; `8 d^2 + 5 d` at `d_ff = 4 d`.

    Args:
        width: d.
        hidden: d_ff; 4 d unless given.

    Example:

    >>> feed_forward_parameters(768) == 8 * 768**2 + 5 * 768
    True
    """
    hidden = hidden or 4 * width
    return 2 * width * hidden + hidden + width


def feed_forward_macs(width, tokens, hidden=None):
    """MACs of a feed-forward: `2 n d d_ff`.

    Args:
        width: d.
        tokens: n.
        hidden: d_ff; 4 d unless given.

    Example:

    >>> feed_forward_macs(768, 197)
    929562624
    """
    return 2 * tokens * width * (hidden or 4 * width)


def transformer_block_parameters(width, hidden=None):
    """Parameters of a transformer block: `12 d^2 + 13 d` at `d_ff = 4 d`, two layer norms in it.

    Args:
        width: d.
        hidden: d_ff; 4 d unless given.

    Example:

    >>> transformer_block_parameters(768) == 12 * 768**2 + 13 * 768
    True
    """
    attention = attention_parameters(width)
    return attention + feed_forward_parameters(width, hidden) + 2 * layer_norm_parameters(width)


def transformer_block_macs(width, tokens, hidden=None):
    """MACs of a transformer block: `12 n d^2 + 2 n^2 d` at `d_ff = 4 d`.

    Args:
        width: d.
        tokens: n.
        hidden: d_ff; 4 d unless given.

    Example:

    >>> 12 * transformer_block_macs(768, 197)  # ViT-B/16 without its patches and head
    17447454720
    """
    return attention_macs(width, tokens) + feed_forward_macs(width, tokens, hidden)


def embedding_parameters(vocabulary, width):
    """Parameters of an embedding: `V d`.

    Args:
        vocabulary: V.
        width: d.

    Example:

    >>> embedding_parameters(30000, 512)
    15360000
    """
    return vocabulary * width


def position_parameters(tokens, width):
    """Parameters of learned positions: `n d`.

    Args:
        tokens: n.
        width: d.

    Example:

    >>> position_parameters(197, 768)
    151296
    """
    return tokens * width
