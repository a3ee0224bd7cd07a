"""Fast forms of operations by TensorFlow's own kernels, for use outside XLA."""

import tensorflow as tf

from kerakit.ops.moments import moments_of_parts


def under_xla():
    """Whether TensorFlow is tracing what XLA will compile."""
    # Private: TensorFlow tells it nowhere else. A version without it counts as compiling,
    # where the plain form is right, only slower.
    try:
        from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext
    except ImportError:
        return True
    return not tf.executing_eagerly() and GraphOrParentsInXlaContext(
        tf.compat.v1.get_default_graph()
    )


def takes_any_shape():
    """Whether the shapes of what is computed here may depend on the data.

    Not under XLA, nor where Keras follows a model's shapes without its data, in a graph that it
    names so: who asks for a model's cost wants the largest.
    """
    if tf.executing_eagerly():
        return True
    # The name of a `FuncGraph`; the graphs of TensorFlow 1 have none.
    name = getattr(tf.compat.v1.get_default_graph(), "name", "")
    return not (name.startswith("scratch_graph") or under_xla())


def num_replicas():
    """Replicas that run this code side by side; 1 where it is not run by a replica."""
    context = tf.distribute.get_replica_context()
    return context.num_replicas_in_sync if context else 1


def gathered(x):
    """What all replicas have, (1, ...) each, one behind the other along the first axis."""
    context = tf.distribute.get_replica_context()
    # `all_gather` is two exchanges, of which the first is of shapes. This sum is one.
    shape = (context.num_replicas_in_sync, *x.shape[1:])
    in_its_place = tf.scatter_nd([[context.replica_id_in_sync_group]], x, shape)
    return tf.ensure_shape(context.all_reduce(tf.distribute.ReduceOp.SUM, in_its_place), shape)


def fused_batch_normalization(x, gamma, beta, epsilon, moving=()):
    """`kerakit.ops.batch_normalization` in one kernel, float16, bfloat16 or float32.

    `moving`, if given, are the mean and variance to normalise by, which are also returned.
    `tf.nn.fused_batch_norm` would raise an epsilon of 1e-5 to 1.001e-5.
    """
    mean, variance = moving or ([], [])
    outputs = tf.raw_ops.FusedBatchNormV3(
        x=_as_images(x),
        scale=gamma,
        offset=beta,
        mean=mean,
        variance=variance,
        epsilon=epsilon,
        is_training=not moving,
    )
    y = outputs.y if len(x.shape) == 4 else tf.reshape(outputs.y, tf.shape(x))
    y.set_shape(x.shape)
    if moving:
        return y, *moving
    # It returns the variance over n - 1 instead of n.
    n = tf.cast(tf.size(x) // x.shape[-1], "float32")
    return y, outputs.batch_mean, outputs.batch_variance * ((n - 1) / n)


def synchronized_batch_normalization(x, gamma, beta, epsilon):
    """`fused_batch_normalization` by the statistics of all replicas' batches, of one size.

    Each kernel is asked for a part: one for the statistics of the replica's own batch, one to
    normalise by those of all, and backward one for the sums over its own batch. What remains of
    the gradient, `-gamma (mean slope + normalised mean(slope normalised)) / deviation`, with the
    means over all replicas, is a normalisation of `x` again.
    """
    context = tf.distribute.get_replica_context()

    @tf.custom_gradient
    def normalized(x, gamma, beta):
        _, *of_batch = fused_batch_normalization(x, gamma, beta, epsilon)
        mean, variance = moments_of_parts(*tf.unstack(gathered(tf.stack(of_batch)[None]), axis=1))
        y, *_ = fused_batch_normalization(x, gamma, beta, epsilon, (mean, variance))

        def gradient(slope, *_):
            direct, *own = tf.raw_ops.FusedBatchNormGradV3(
                y_backprop=_as_images(slope),
                x=_as_images(x),
                scale=gamma,
                reserve_space_1=mean,
                reserve_space_2=variance,
                reserve_space_3=variance,  # has to be something, and is not read
                epsilon=epsilon,
                is_training=False,
            )[:3]
            sums = context.all_reduce(tf.distribute.ReduceOp.SUM, tf.stack(own))
            count = context.num_replicas_in_sync * tf.size(x) // x.shape[-1]
            share = -gamma * tf.math.rsqrt(variance + epsilon) / tf.cast(count, "float32")
            of_gamma, of_beta = tf.unstack(sums * share)
            through_statistics, *_ = fused_batch_normalization(
                x, of_gamma, of_beta, epsilon, (mean, variance)
            )
            return tf.reshape(direct, tf.shape(x)) + through_statistics, *own

        return (y, mean, variance), gradient

    return normalized(x, gamma, beta)


def _as_images(x):
    """(B, H, W, C), as the kernels take it: what lies between batch and channels is one axis.

    Left alone where it is so already, it fuses with a ReLU behind it.
    """
    return x if len(x.shape) == 4 else tf.reshape(x, (tf.shape(x)[0], -1, 1, x.shape[-1]))


def compiled_by_xla(function):
    """The function as a kernel of XLA's, inside any graph and any SavedModel.

    Keras leaves XLA off on CPU, where whole models can be slower with it. Many small steps over
    the same memory are not: fused into one loop, they read each value once.
    """
    return tf.function(function, jit_compile=True)


def has_gpu():
    """Whether TensorFlow sees a GPU, where the kernels below are not the fast ones."""
    return bool(tf.config.list_physical_devices("GPU"))


def sparse_rows_product(table, places, weights):
    """`y[n] = sum over t of weights[n, t] table[places[n, t]]` as a sparse matrix product.

    Nothing of the size (N, T, C) is ever made. The gradient of the table is the product with the
    transposed matrix, sorted first: rows are shared out among threads, so that no two write to
    the same place and each sum has one order. (The kernel that transposes while it multiplies
    adds up what threads made in the order in which they end.)

    Args:
        table: (V, C) float32 or float64, the only one to take a gradient.
        places: (N, T) int32 rows of the table.
        weights: (N, T) tensor of its dtype.

    Returns:
        (N, C) tensor.
    """

    @tf.custom_gradient
    def product(table, places, weights):
        def gradient(slopes):
            matrix = _sparse_matrix(places, weights, tf.shape(table)[0])
            transposed = tf.raw_ops.SparseMatrixTranspose(input=matrix, type=table.dtype)
            return tf.raw_ops.SparseMatrixMatMul(a=transposed, b=slopes), None, None

        # Made anew for the gradient: a SavedModel cannot keep a gradient that refers to it.
        matrix = _sparse_matrix(places, weights, tf.shape(table)[0])
        return tf.raw_ops.SparseMatrixMatMul(a=matrix, b=table), gradient

    y = product(table, places, weights)
    y.set_shape((None, table.shape[-1]))
    return y


def _sparse_matrix(places, weights, width):
    """The matrix of (N, width) that holds each row's weights in its places."""
    count, taps = tf.shape(places)[0], places.shape[-1]
    rows = tf.repeat(tf.range(tf.cast(count, tf.int64)), taps)
    columns = tf.cast(tf.reshape(places, (-1,)), tf.int64)
    return tf.raw_ops.SparseTensorToCSRSparseMatrix(
        indices=tf.stack([rows, columns], axis=1),
        values=tf.reshape(weights, (-1,)),
        dense_shape=tf.cast(tf.stack([count, width]), tf.int64),
    )


def non_max_suppression(boxes, scores, iou_threshold, max_output):
    """`kerakit.ops.non_max_suppression` of one class, by TensorFlow's kernel, image by image."""

    def one_image(image):
        # `tf.image.non_max_suppression_padded` is another algorithm, which drops boxes of no
        # area. The kernel takes what is above the threshold, which has to be a number.
        found = tf.raw_ops.NonMaxSuppressionV4(
            boxes=image[0],
            scores=image[1],
            max_output_size=max_output,
            iou_threshold=iou_threshold,
            score_threshold=tf.float32.min,
            pad_to_max_output_size=True,
        )
        return found.selected_indices, found.valid_outputs

    indices, num_valid = tf.map_fn(
        one_image, (boxes, scores), fn_output_signature=(tf.int32, tf.int32)
    )
    indices.set_shape((None, max_output))
    is_valid = tf.range(max_output)[None] < num_valid[:, None]
    return tf.where(is_valid, indices, 0), num_valid
