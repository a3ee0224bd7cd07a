"""The command `kerakit`: a model's cost, an export's answers, score and publication."""

import argparse
import contextlib
import json
import os
import sys

from kerakit import argument_types
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
        description="Costs of models; answers from exported models, their scores, and their "
        "publication.",
        epilog="Example: kerakit predict savedmodels/digits photo.png",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    cost = _command(
        commands,
        _cost,
        "cost",
        "Count what a model costs: parameters, MACs, FLOPs, memory, receptive field.",
        "kerakit cost VGG16 --input 224,224,3",
    )
    cost.add_argument(
        "model",
        metavar="MODEL",
        help="a model of kerakit (resnet18), of keras.applications (VGG16; no weights are "
        "downloaded), or a .keras file",
    )
    cost.add_argument(
        "--input",
        type=argument_types.shape,
        action="append",
        default=[],
        metavar="H,W,C",
        help="size of one example (default: the model's own), T,H,W,C for a clip; once an input",
    )
    cost.add_argument(
        "--csv", type=argument_types.path, metavar="FILE", help="write the rows there too"
    )
    cost.add_argument(
        "--json", type=argument_types.path, metavar="FILE", help="write all of it there too"
    )

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
        type=argument_types.path,
        metavar="IMAGE|FOLDER",
        help="images, or folders in which all images are taken, those of their subfolders too",
    )
    predict.add_argument(
        "--top",
        type=argument_types.positive,
        metavar="N",
        help="the N most probable classes of each image (default: 1; of a model for several "
        "labels an image, those that it names); of a detector, the N surest objects, each told; of "
        "masks, the N classes of the most pixels (default: all)",
    )
    predict.add_argument(
        "--threshold",
        type=argument_types.share,
        default=0.5,
        metavar="P",
        help="of a detector: least score of an object (default: 0.5)",
    )
    predict.add_argument(
        "--json", type=argument_types.path, metavar="FILE", help="write the answers there too"
    )
    predict.add_argument(
        "--pictures",
        type=argument_types.path,
        metavar="DIR",
        help="draw each image with its answer below, the objects found in it, or its mask over it",
    )
    predict.add_argument(
        "--masks",
        type=argument_types.path,
        metavar="DIR",
        help="of a model that gives a class for each pixel: write the masks there, a PNG each "
        "whose grey values are the classes' numbers",
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
        help="digits, folder:DIR, csv:FILE, tfds:NAME; of a detector coco:DIR, voc:DIR, yolo:DIR, "
        "digit-scenes; of masks masks:DIR, digit-scenes; its classes must be the export's",
    )
    evaluate.add_argument(
        "--json", type=argument_types.path, metavar="FILE", help="write the figures there too"
    )
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
        "--to",
        type=argument_types.path,
        default="savedmodels",
        metavar="DIR",
        help="default: savedmodels",
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
        type=argument_types.path,
        metavar="DIRECTORY",
        help="folder of a SavedModel, or of its numbered versions (the newest is taken)",
    )


def _add_batch_size(command):
    command.add_argument(
        "--batch-size",
        type=argument_types.positive,
        default=_BATCH_SIZE,
        metavar="N",
        help=f"images computed at once (default: {_BATCH_SIZE})",
    )


def _cost(arguments):
    with _quiet_keras():
        from kerakit.cost.named import report_of

    report = report_of(arguments.model, *arguments.input)
    print(report)
    if arguments.csv:
        _written(arguments.csv, report.to_csv)
    if arguments.json:
        _write_json(arguments.json, report.to_dict())
    return 0


def _predict(arguments):
    # Before TensorFlow, which takes seconds to load: a mistyped name is told at once.
    files = image_files(arguments.images)
    for option in ("pictures", "masks"):
        if getattr(arguments, option):
            spare_inputs(files, getattr(arguments, option), option=option)
    export = _load_export()
    from kerakit.export.file_answers import file_answers
    from kerakit.export.masks_told import write_mask
    from kerakit.export.told import teller

    served = export.Served(arguments.directory)
    width = max(len(str(file)) for file, _ in files)
    tell = teller(served.card["task"])
    if arguments.masks and "mask" not in served.outputs:
        raise InputError(
            f"--masks is for a model that gives a class for each pixel, and {served.folder} is for "
            f"{served.card['task'].replace('_', ' ')}."
        )

    records, unreadable = [], 0
    answers = file_answers(served, [file for file, _ in files], batch_size=arguments.batch_size)
    for (file, picture), answer in zip(files, answers, strict=True):
        if isinstance(answer, str):
            unreadable += 1
            print(f"error: {file} {answer}.", file=sys.stderr)
            records.append({"file": str(file), "error": f"{file} {answer}."})
            continue
        columns, record, draw = tell(
            answer, served.classes, top=arguments.top, threshold=arguments.threshold
        )
        print("  ".join([f"{file!s:<{width}}", *columns]))
        records.append({"file": str(file), **record})
        if arguments.pictures:
            path = arguments.pictures / picture
            _writing(arguments.pictures, draw, file, path)
        if arguments.masks:
            _writing(arguments.masks, write_mask, answer["mask"], arguments.masks / picture)

    if arguments.json:
        _write_json(arguments.json, records)
    if unreadable:
        print(f"{unreadable} of {len(files)} images could not be read.", file=sys.stderr)
        return 1
    return 0


def _evaluate(arguments):
    export = _load_export()
    from kerakit.data import load  # after TensorFlow's own messages are out of the way
    from kerakit.export.scoring import split_of

    served = export.Served(arguments.directory)
    data = load(arguments.data, task=served.card["task"], **split_of(served.card, arguments.data))
    figures = export.score(served, data, batch_size=arguments.batch_size)
    print(f"{served.folder} on the {figures['images']} validation images of {data.name}")
    names = [name for name in figures if name != "images"]
    width = max(16, *map(len, names))
    for name in names:
        print(f"  {name.replace('_', ' '):<{width}} {figures[name]:.4f}")
    if arguments.json:
        _write_json(
            arguments.json, {"savedmodel": str(served.folder), "data": data.name, **figures}
        )
    return 0


def _publish(arguments):
    export = _load_export()
    target = export.publish(arguments.run_folder, to=arguments.to, name=arguments.name)
    print(f"Published {target}")
    return 0


def _write_json(path, content):
    # ASCII: names of files need not be UTF-8.
    _written(path, lambda file: file.write_text(json.dumps(content, indent=2) + "\n"))


def _written(path, write):
    """Makes a file whole or not at all; `write` takes the path."""

    def replace():
        path.parent.mkdir(parents=True, exist_ok=True)
        with replaced(path) as file:
            write(file)

    _writing(path, replace)


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
    with _quiet_keras():
        from kerakit import export
    return export


@contextlib.contextmanager
def _quiet_keras():
    """Lets Keras be imported without TensorFlow's notes on the processor."""
    # Read when TensorFlow loads. What fails comes as an exception, so nothing is lost; what
    # is written before the level is looked at, the redirection holds back.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_start():
        yield
