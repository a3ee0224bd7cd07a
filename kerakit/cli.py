"""The command `kerakit`: answers from an export, its score, and its publication."""

import argparse
import json
import os
import sys
from pathlib import Path

from kerakit.atomic import replaced
from kerakit.errors import InputError, one_sentence
from kerakit.image_files import image_files, spare_inputs
from kerakit.quiet import quiet_start

_BATCH_SIZE = 32


def main(argv=None):
    """Runs a command line.

    Args:
        argv: Arguments without the program's name; those of the process by default.

    Returns:
        Exit code: 0, or 1 where some of the images could not be read. What the user
        got wrong ends with code 2 and one sentence, as `SystemExit`.
    """
    arguments = _parser().parse_args(argv)
    with one_sentence():
        return arguments.run(arguments)


def _parser():
    parser = argparse.ArgumentParser(
        prog="kerakit",
        description="Answers from exported models, their scores, and their publication.",
        epilog="Example: kerakit predict savedmodels/digits photo.png",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    predict = _command(
        commands,
        _predict,
        "predict",
        "Say what is on images.",
        "kerakit predict savedmodels/digits photo.png scans/ --top 3 --json answers.json",
    )
    _add_savedmodel(predict)
    predict.add_argument(
        "images",
        nargs="+",
        type=_path,
        metavar="IMAGE|FOLDER",
        help="images, or folders in which all images are taken, those of their subfolders too",
    )
    predict.add_argument(
        "--top", type=_positive, default=1, metavar="N", help="classes an image (default: 1)"
    )
    predict.add_argument("--json", type=_path, metavar="FILE", help="write the answers there too")
    predict.add_argument(
        "--pictures", type=_path, metavar="DIR", help="draw each image with its answer below"
    )
    _add_batch_size(predict)

    evaluate = _command(
        commands,
        _evaluate,
        "evaluate",
        "Measure an export on the validation images of a data set.",
        "kerakit evaluate savedmodels/digits --data digits",
    )
    _add_savedmodel(evaluate)
    evaluate.add_argument(
        "--data",
        required=True,
        metavar="SOURCE",
        help="digits, folder:DIR or tfds:NAME; its classes must be the export's",
    )
    evaluate.add_argument("--json", type=_path, metavar="FILE", help="write the figures there too")
    _add_batch_size(evaluate)

    publish = _command(
        commands,
        _publish,
        "publish",
        "Copy the verified SavedModel of a run to where models are served from.",
        "kerakit publish runs/digits --name digits",
    )
    publish.add_argument("run_folder", metavar="RUN", help="folder of the run, or its name in runs")
    publish.add_argument(
        "--to", type=_path, default="savedmodels", metavar="DIR", help="default: savedmodels"
    )
    publish.add_argument("--name", help="name to publish under (default: the run's)")
    return parser


def _command(commands, run, name, text, example):
    command = commands.add_parser(name, help=text, description=text, epilog=f"Example: {example}")
    command.set_defaults(run=run)
    return command


def _add_savedmodel(command):
    command.add_argument(
        "directory",
        type=_path,
        metavar="DIRECTORY",
        help="folder of a SavedModel, or of its numbered versions (the newest is taken)",
    )


def _add_batch_size(command):
    command.add_argument(
        "--batch-size",
        type=_positive,
        default=_BATCH_SIZE,
        metavar="N",
        help=f"images computed at once (default: {_BATCH_SIZE})",
    )


def _path(text):
    if not text:
        raise argparse.ArgumentTypeError("must not be empty")
    return Path(text)


def _positive(text):
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, got {text!r}")
    return number


def _predict(arguments):
    # Before TensorFlow, which takes seconds to load: a mistyped name is told at once.
    files = image_files(arguments.images)
    if arguments.pictures:
        spare_inputs(files, arguments.pictures)
    export = _load_export()
    from kerakit.export.captioned import write_captioned

    served = export.Served(arguments.directory)
    top = min(arguments.top, len(served.classes))
    width = max(len(str(file)) for file, _ in files)
    class_width = max(len(name) for name in served.classes)

    records, unreadable = [], 0
    answers = _answers(served, [file for file, _ in files], arguments.batch_size)
    for (file, picture), answer in zip(files, answers, strict=True):
        if isinstance(answer, str):
            unreadable += 1
            print(f"error: {file} {answer}.", file=sys.stderr)
            records.append({"file": str(file), "error": f"{file} {answer}."})
            continue
        ranked = _ranked(answer["probabilities"], served.classes, top)
        columns = [f"{name:<{class_width}}  {p:6.4f}" for name, p in ranked]
        print("  ".join([f"{file!s:<{width}}", *columns]))
        records.append(
            {
                "file": str(file),
                "class": ranked[0][0],
                "probability": ranked[0][1],
                "top": [{"class": name, "probability": p} for name, p in ranked],
            }
        )
        if arguments.pictures:
            lines = [f"{name}  {p:.4f}" for name, p in ranked]
            _writing(
                arguments.pictures,
                write_captioned,
                file,
                lines,
                arguments.pictures / picture,
            )

    if arguments.json:
        _write_json(arguments.json, records)
    if unreadable:
        print(f"{unreadable} of {len(files)} images could not be read.", file=sys.stderr)
        return 1
    return 0


def _answers(served, files, batch_size):
    """The answer to each file, or, as text, why there is none."""
    unopened = {}

    def contents():
        for number, file in enumerate(files):
            try:
                yield file.read_bytes()
            except OSError as error:
                unopened[number] = f"cannot be opened ({error.strerror})"
                yield b""

    for number, answer in enumerate(served.answer(contents(), batch_size=batch_size)):
        refused = isinstance(answer, InputError)
        yield unopened.get(number, str(answer)) if refused else answer


def _ranked(probabilities, classes, top):
    """The most probable classes, the best first; of two alike the first, as argmax takes it."""
    order = sorted(range(len(classes)), key=lambda k: (-probabilities[k], k))[:top]
    return [(classes[k], float(probabilities[k])) for k in order]


def _evaluate(arguments):
    export = _load_export()
    from kerakit.data import load  # after TensorFlow's own messages are out of the way

    served = export.Served(arguments.directory)
    data = load(arguments.data, **_split_of(served.card, arguments.data))
    figures = export.score(served, data, batch_size=arguments.batch_size)
    print(f"{served.folder} on the {figures['images']} validation images of {data.name}")
    for name in ("accuracy", "precision_macro", "recall_macro", "f1_macro"):
        print(f"  {name.replace('_', ' '):<16} {figures[name]:.4f}")
    if arguments.json:
        _write_json(
            arguments.json, {"savedmodel": str(served.folder), "data": data.name, **figures}
        )
    return 0


def _split_of(card, source):
    """The settings by which the model's run divided these data, where it learnt from them."""
    if _place((card.get("data") or {}).get("name") or "") != _place(source):
        return {}
    config = card.get("config") or {}
    given = {name: config[name] for name in ("val_fraction", "skip_bad") if name in config}
    return {**given, "group_by": config.get("group_by") or None}


def _place(source):
    kind, colon, place = source.partition(":")
    return (kind, Path(place).resolve() if colon else None)


def _publish(arguments):
    export = _load_export()
    target = export.publish(arguments.run_folder, to=arguments.to, name=arguments.name)
    print(f"Published {target}")
    return 0


def _write_json(path, content):
    def write():
        path.parent.mkdir(parents=True, exist_ok=True)
        with replaced(path) as file:
            # ASCII: names of files need not be UTF-8.
            file.write_text(json.dumps(content, indent=2) + "\n")

    _writing(path, write)


def _writing(path, write, *arguments):
    """Calls what writes to a path that the user gave."""
    try:
        write(*arguments)
    except OSError as error:
        from kerakit.export.folder import why_unwritable

        raise InputError(
            f"{path} cannot be written ({why_unwritable(error)}); give another place."
        ) from error


def _load_export():
    """`kerakit.export`, imported without TensorFlow's notes on the processor."""
    # Read when TensorFlow loads. What fails comes as an exception, so nothing is lost; what
    # is written before the level is looked at, the redirection holds back.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_start():
        from kerakit import export
    return export
