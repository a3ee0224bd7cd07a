"""Closed formulas of what layers cost: sizes, parameters, multiply-accumulates, FLOPs.

Plain functions of plain numbers. A MAC is one multiplication with its addition; FLOPs of a
convolution or a matrix product are two a MAC. With a bias that is exact: N products, N - 1
additions and the bias, `(2 N - 1) + 1 = 2 N`. Without one it is one too many an output, as the
first addition is to zero, and kept so, as profilers count it.
"""

from kerakit.cost.formulas.attention import (
    attention_flops,
    attention_macs,
    attention_parameters,
    embedding_parameters,
    feed_forward_macs,
    feed_forward_parameters,
    position_parameters,
    transformer_block_macs,
    transformer_block_parameters,
)
from kerakit.cost.formulas.convolution import (
    convolution_macs,
    convolution_parameters,
    depthwise_separable_macs,
    depthwise_separable_parameters,
    transposed_convolution_macs,
)
from kerakit.cost.formulas.dense import (
    activation_flops,
    batch_norm_flops,
    batch_norm_parameters,
    dense_flops,
    dense_macs,
    dense_parameters,
    layer_norm_flops,
    layer_norm_parameters,
)
from kerakit.cost.formulas.recurrent import (
    gru_flops,
    gru_parameters,
    lstm_flops,
    lstm_parameters,
    recurrent_macs,
    rnn_flops,
    rnn_parameters,
)
from kerakit.cost.formulas.sizes import (
    average_pooling_flops,
    convolution_size,
    effective_kernel,
    max_pooling_flops,
    pooling_size,
    receptive_field,
    receptive_field_of_equal_layers,
    same_padding,
    transposed_convolution_size,
)

__all__ = [
    "activation_flops",
    "attention_flops",
    "attention_macs",
    "attention_parameters",
    "average_pooling_flops",
    "batch_norm_flops",
    "batch_norm_parameters",
    "convolution_macs",
    "convolution_parameters",
    "convolution_size",
    "dense_flops",
    "dense_macs",
    "dense_parameters",
    "depthwise_separable_macs",
    "depthwise_separable_parameters",
    "effective_kernel",
    "embedding_parameters",
    "feed_forward_macs",
    "feed_forward_parameters",
    "gru_flops",
    "gru_parameters",
    "layer_norm_flops",
    "layer_norm_parameters",
    "lstm_flops",
    "lstm_parameters",
    "max_pooling_flops",
    "pooling_size",
    "position_parameters",
    "receptive_field",
    "receptive_field_of_equal_layers",
    "recurrent_macs",
    "rnn_flops",
    "rnn_parameters",
    "same_padding",
    "transformer_block_macs",
    "transformer_block_parameters",
    "transposed_convolution_macs",
    "transposed_convolution_size",
]
