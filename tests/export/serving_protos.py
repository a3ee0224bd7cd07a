"""TensorFlow Serving's `BatchingParameters`, which tensorflow-serving-api leaves out."""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

# Number, name and type of each field in session_bundle_config.proto, which lies in
# tensorflow_serving/servables/tensorflow of https://github.com/tensorflow/serving.
FIELDS = (
    (1, "max_batch_size", "Int64Value"),
    (2, "batch_timeout_micros", "Int64Value"),
    (3, "max_enqueued_batches", "Int64Value"),
    (4, "num_batch_threads", "Int64Value"),
    (5, "thread_pool_name", "StringValue"),
    (6, "allowed_batch_sizes", "repeated int64"),
    (7, "pad_variable_length_inputs", "bool"),
    (8, "enable_large_batch_splitting", "BoolValue"),
    (9, "max_execution_batch_size", "Int64Value"),
)


def batching_parameters():
    """The class of the message."""
    file = descriptor_pb2.FileDescriptorProto(
        name="session_bundle_config.proto",
        package="tensorflow.serving",
        syntax="proto3",
        dependency=[wrappers_pb2.DESCRIPTOR.name],
    )
    message, of = (
        file.message_type.add(name="BatchingParameters"),
        descriptor_pb2.FieldDescriptorProto,
    )
    for number, name, kind in FIELDS:
        field = message.field.add(number=number, name=name, label=of.LABEL_OPTIONAL)
        if kind == "repeated int64":
            field.type, field.label = of.TYPE_INT64, of.LABEL_REPEATED
        elif kind == "bool":
            field.type = of.TYPE_BOOL
        else:
            field.type, field.type_name = of.TYPE_MESSAGE, f".google.protobuf.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(
        pool.FindMessageTypeByName("tensorflow.serving.BatchingParameters")
    )
