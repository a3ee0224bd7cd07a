"""A trained model to a SavedModel that takes the bytes of images, or of the frames of clips."""

from pathlib import Path

import keras
import tensorflow as tf

from kerakit.data.classes import checked_classes
from kerakit.errors import InputError
from kerakit.export.answers import TASKS
from kerakit.export.batching_params import write_batching_params
from kerakit.export.card import make_card, write_card
from kerakit.export.explanation import EXPLAIN, UNITS, check_explanation, explained, raw_heat_map
from kerakit.export.folder import versions, written_whole
from kerakit.export.folding import fold
from kerakit.export.requests import requests
from kerakit.export.warmup import write_warmup
from kerakit.export.whole_image import checked_tiling


def save(
    model,
    directory,
    *,
    preparation,
    classes,
    task="classification",
    threshold=None,
    tiling=None,
    sampling=None,
    frame_rate=None,
    explain=None,
    version=None,
    card=None,
):
    """Writes `<directory>/<version>/`, a SavedModel that answers as the model does.

    It needs nothing but TensorFlow (or TensorFlow Serving) to run. Norms behind a convolution
    are folded into it, see `kerakit.export.fold`: the same answers, sooner. Two signatures give
    the same named outputs: `serving_default` takes `image_bytes`, a batch of encoded images, and
    prepares them as validation did; `tensors` takes `images`, a batch of prepared pixels. A
    model of clips takes `frames`, for each clip of a batch the list of its encoded frames, and
    `videos`: clients cut videos, and no container goes over the wire. With `explain` a third,
    `explain`, takes what `serving_default` takes and gives a heat map besides.
    `assets/classes.txt` holds the classes, `card.json` all that is known of the export. The
    folder appears in one step when all is written; a failure leaves nothing.

    Args:
        model: Keras model on the TensorFlow backend, from pixels 0..255 (B, H, W, C) to the
            task's raw outputs: logits (B, K) for classes, (B, H', W', K) for masks, and for
            objects the dict of a `kerakit.models.detection.Detector`. For "video" it takes
            clips (B, T, H, W, C).
        directory: Folder of the versions; made if need be.
        preparation: The `kerakit.data.Preparation` of the model's validation images.
        classes: K names of classes, in the order of the outputs.
        task: "classification", which names the most probable class; "multi_label", which
            names all of at least a probability; "detection", which gives boxes in the pixels of
            the file's image; "instance_segmentation", boxes with masks; "segmentation", the
            class of each pixel of the file's image, see `whole_image`; or "video", the most
            probable class of a clip.
        threshold: That probability, in (0, 1); None takes 0.5.
        tiling: For "segmentation" with a preparation that does not scale (`fit="pad"`), the
            `Tiling` of images larger than the model's input; None takes its defaults.
        sampling: For "video", the `FrameSampling` of the model's clips, by which clients take
            frames from a video.
        frame_rate: For "video", frames a second to which the model's videos were put first, as
            `kerakit.data.load` takes it; None for each one's own.
        explain: For classes, a function (model, images) of TensorFlow tensors, traced into the
            signature `explain`, that gives a heat map of each example, (B, H, W) or, of clips,
            (B, T, H, W): `lambda model, images: explain.grad_cam(model, images).values`. The model
            is the folded one, so a layer that it names must not be a norm that was folded, nor
            the layer before one. Answered is the map scaled to 0..1, an example by itself.
        version: A whole number from 1; None takes the next.
        card: Dict for the card, any of "recipe", "command", "config", "data", "metrics" and
            "licence"; not a number and infinity become null.

    Returns:
        Path of the version's folder.

    Raises:
        InputError: If the folder cannot be written, the version exists, class names repeat or
            Keras runs on another backend.
        ValueError: If the model, its preparation and its classes do not fit each other.
    """
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            f"A SavedModel is written from the TensorFlow backend, and Keras runs on "
            f"{keras.backend.backend()}; save the model with model.save('model.keras'), then "
            "load and export it in a process started with KERAS_BACKEND=tensorflow."
        )
    if task not in TASKS:
        raise ValueError(f"`task` must be one of {', '.join(TASKS)}, got {task!r}.")
    settings = TASKS[task].settings(threshold)
    if explain is not None:
        check_explanation(explain, task)
    classes = checked_classes(classes)
    given = requests(task, preparation, sampling, frame_rate)
    _check_size(model, given)
    TASKS[task].check(model, classes)
    if TASKS[task].whole:
        tiling = checked_tiling(model, preparation, tiling)
    elif tiling is not None:
        raise ValueError(f"`tiling` is for the task segmentation, got one for {task}.")
    directory = Path(directory)
    if version is None:
        version = max(versions(directory), default=0) + 1
    if not isinstance(version, int) or version < 1:
        raise ValueError(f"`version` must be a whole number from 1, got {version!r}.")

    served = fold(model)
    with written_whole(directory / str(version)) as folder:
        try:
            specs = _write_signatures(
                served, folder, given, classes, TASKS[task], settings, tiling, explain
            )
            written = write_warmup(folder, _for_each(given.example(), specs), model_name=model.name)
        except tf.errors.OpError as error:
            # How TensorFlow reports a full disk: "<operation> <path>; <reason> [<operation>]".
            raise OSError(error.message.rpartition("; ")[2].partition(" [Op:")[0]) from error
        if not TASKS[task].whole:
            write_batching_params(folder)
        content = make_card(
            model,
            task=task,
            signatures=_describe(given, specs, {**TASKS[task].units, **UNITS}),
            classes=classes,
            given_as=given,
            threshold=settings.get("threshold"),
            tiling=tiling,
            folded=served is not model,
            warmup_requests=written,
            given=card,
        )
        write_card(folder, content)
    return directory / str(version)


def _write_signatures(model, folder, given, classes, task, settings, tiling, explain):
    """Writes the SavedModel; returns `tf.TensorSpec`s of the outputs, by signature and name."""
    names, specs = tf.constant(classes), {}
    whole = task.whole and task.whole(model, given.preparation, tiling)

    def class_names(class_id):
        return tf.gather(names, class_id)

    def noted(signature, answer):
        specs[signature] = {name: tf.TensorSpec.from_tensor(v) for name, v in answer.items()}
        return answer

    def answer_prepared(images):
        outputs = model(tf.cast(images, tf.float32), training=False)
        return task.answer(outputs, class_names, **settings)

    def answer_pixels(images):
        images = given.prepared(_not_empty(images, given.pixels, given.one))
        return noted("tensors", answer_prepared(images))

    def answer_files(encoded):
        encoded = _not_empty(encoded, given.encoded, given.one)
        if whole:
            return noted("serving_default", whole(encoded))
        images, *frame = given.prepare(encoded)
        answer = answer_prepared(images)
        return noted("serving_default", task.place(answer, *frame) if task.place else answer)

    def explain_files(encoded):
        images, *frame = given.prepare(_not_empty(encoded, given.encoded, given.one))
        heat = raw_heat_map(explain, model, images)
        return noted(EXPLAIN, {**answer_prepared(images), **explained(heat, frame)})

    taken = given.specs()
    # The signatures bring the variables that they use. With `archive.track(model)`, as in
    # `model.export`, Keras 3.15 writes each of them twice (ResNet-18: 94 MB instead of 47).
    archive = keras.export.ExportArchive()
    archive.add_endpoint("serving_default", answer_files, [taken["serving_default"]])
    archive.add_endpoint("tensors", answer_pixels, [taken["tensors"]])
    if explain is not None:
        archive.add_endpoint(EXPLAIN, explain_files, [taken["serving_default"]])
    archive.write_out(str(folder), verbose=False)
    # For people and clients. The graph holds its own copy: a table that reads a file keeps
    # the path that the file had on this machine.
    listing = folder / "assets" / "classes.txt"
    listing.parent.mkdir(exist_ok=True)
    listing.write_text("".join(f"{name}\n" for name in classes), encoding="utf-8")
    return specs


def _not_empty(batch, name, one):
    # TensorFlow's convolution on CPU gives back an empty input unchanged, in its old shape,
    # so that the model fails further on with a riddle.
    some = tf.debugging.Assert(
        tf.shape(batch)[0] > 0, [f"`{name}` must hold at least one {one}, got none."]
    )
    with tf.control_dependencies([some]):
        return tf.identity(batch)


def _describe(given, specs, units):
    return {
        signature: {"inputs": taken, "outputs": _describe_outputs(specs[signature], units)}
        for signature, taken in _for_each(given.described(), specs).items()
    }


def _for_each(of_two, specs):
    """What there is for the two signatures of all exports, for the third as well."""
    # An explanation is asked for as an answer is.
    third = {EXPLAIN: of_two["serving_default"]} if EXPLAIN in specs else {}
    return {**of_two, **third}


def _describe_outputs(specs, units):
    return {  # null in a shape: of any size
        name: {"dtype": specs[name].dtype.name, "shape": specs[name].shape.as_list(), "unit": unit}
        for name, unit in units.items()
        if name in specs
    }


def _check_size(model, given):
    taken = tuple(model.input_shape[1:])
    fits = len(taken) == len(given.shape)
    if not fits or any(a not in (None, b) for a, b in zip(taken, given.shape, strict=True)):
        raise ValueError(
            f"`preparation` gives {given.one}s {given.shape}, and the model takes {taken}."
        )
