"""A SavedModel, loaded to answer."""

from pathlib import Path

import tensorflow as tf

from kerakit.data.decode import decode
from kerakit.errors import InputError
from kerakit.export.card import read_card
from kerakit.export.explanation import EXPLAIN, EXPLAINED_TASKS
from kerakit.export.folder import version_folder
from kerakit.export.refusal import reason
from kerakit.export.requests import asked_by


class Served:
    """Answers the bytes of images, or of the frames of clips, with an export, by TensorFlow alone.

    Keras builds nothing here: what answers is the graph in the SavedModel.

    Args:
        directory: A version's folder, or the folder of versions, of which the newest is taken.

    Attributes:
        folder: `pathlib.Path` of the version's folder.
        card: Content of its `card.json`.
        classes: Names of the classes.
        outputs: Names of the answers.
        explains: Whether it can give a heat map with an answer.
        sampling: Of a model of clips its `FrameSampling`, or None.
        frame_rate: Frames a second to which a video is put for it, or None.

    Raises:
        InputError: If there is no SavedModel of kerakit's, or a damaged one.
    """

    def __init__(self, directory):
        self.folder = version_folder(Path(directory))
        self.card = read_card(self.folder)
        self.classes = _classes(self.folder, self.card)
        try:
            self._loaded = tf.saved_model.load(str(self.folder))
        except (OSError, tf.errors.OpError) as error:
            raise InputError(
                f"{self.folder} is a damaged SavedModel ({str(error).splitlines()[0]}); "
                "export the model again."
            ) from error
        if "serving_default" not in self._loaded.signatures:
            raise InputError(
                f"{self.folder} has no signature serving_default, so it was not written by "
                "kerakit.export.save; export the model again."
            )
        self.explains = EXPLAIN in self._loaded.signatures
        given = asked_by(self.card)
        self._encoded, self.sampling = given.encoded, getattr(given, "sampling", None)
        self.frame_rate = getattr(given, "frame_rate", None)
        self.outputs = tuple(self._loaded.signatures["serving_default"].structured_outputs)

    def answer(self, encoded, *, batch_size=32, explain=False):
        """Answers each image or clip, whatever the others are.

        Args:
            encoded: Iterable of files' contents (bytes), or, for clips, of lists of them, the
                frames; read a batch at a time.
            batch_size: Images or clips that are computed at once, at least 1. Masks are computed
                an image at a time whatever it is, as each has a size of its own.
            explain: Whether to give `heat_map` with each answer, and, of images, `heat_map_box`.

        Yields:
            For each, in order, a dict of NumPy values by the outputs' names, or the
            `InputError` that says why it cannot be read, a phrase to put after its name.

        Raises:
            InputError: If it is to explain, and is no classifier or was written without that.
        """
        if batch_size < 1:
            raise ValueError(f"`batch_size` must be at least 1, got {batch_size}.")
        if explain and self.card["task"] not in EXPLAINED_TASKS:
            raise InputError(
                f"--explain is for classifiers, and {self.folder} is for {self.card['task']}."
            )
        if explain and not self.explains:
            raise InputError(
                f"{self.folder} has no signature `explain`; export the model with the argument "
                "`explain` of kerakit.export.save, a recipe with --explain."
            )
        signature = self._loaded.signatures[EXPLAIN if explain else "serving_default"]
        if self.card["task"] == "segmentation":
            batch_size = 1
        batch = []
        for image in encoded:
            if self.sampling and isinstance(image, bytes):
                raise ValueError("Each clip must be a list of encoded frames, got bytes.")
            batch.append(image)
            if len(batch) == batch_size:
                yield from self._answer_batch(signature, batch)
                batch = []
        if batch:
            yield from self._answer_batch(signature, batch)

    def _answer_batch(self, signature, batch):
        if self.sampling and len({len(frames) for frames in batch}) > 1:
            # No batch holds clips of several lengths: of those that are wrong each is told.
            return [answer for clip in batch for answer in self._answer_batch(signature, [clip])]
        try:
            outputs = signature(**{self._encoded: tf.constant(batch, tf.string)})
        except tf.errors.InvalidArgumentError as error:
            if len(batch) == 1:
                return [InputError(_broken_frame(batch[0], self.sampling) or reason(str(error)))]
            # TensorFlow fails the whole batch, often without naming the image: ask for each.
            return [answer for image in batch for answer in self._answer_batch(signature, [image])]
        values = {name: value.numpy() for name, value in outputs.items()}
        return [{name: value[i] for name, value in values.items()} for i in range(len(batch))]


def _broken_frame(clip, sampling):
    """Which frame of a clip is damaged: TensorFlow's decoders name none."""
    for number, frame in enumerate(clip if sampling and len(clip) == sampling.frames else ()):
        try:
            decode(tf.constant(frame), name="Image 0 of the batch (counted from 0)")
        except tf.errors.InvalidArgumentError as error:
            return f"has a frame, {number} counted from 0, that {reason(str(error))}"
    return None


def _classes(folder, card):
    """The classes, if the card names those that the export was written with."""
    listing = folder / "assets" / "classes.txt"
    try:
        written = listing.read_text(encoding="utf-8").split("\n")[:-1]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{listing} cannot be read ({error}); export the model again.") from error
    if written != card["classes"]:
        raise InputError(
            f"{folder / 'card.json'} names other classes than {listing}: one of them was edited; "
            "export the model again."
        )
    return tuple(written)
