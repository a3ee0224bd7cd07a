"""The command line of `kerakit`: its commands and their options."""

import argparse

from kerakit import argument_types

_BATCH_SIZE, _CLIPS_AT_ONCE = 32, 8


def command_line(*, cost, predict, evaluate, serve, publish, diagnose):
    """The parser of `kerakit`.

    Args:
        cost: Function of the parsed arguments that does this command and gives the exit code.
        predict: The same of this one.
        evaluate: The same of this one.
        serve: The same of this one.
        publish: The same of this one.
        diagnose: The same of this one.

    Returns:
        `argparse.ArgumentParser` whose result has the function as `run`.
    """
    parser = argparse.ArgumentParser(
        prog="kerakit",
        description="Costs of models; answers from exported models, their scores, their "
        "publication and their service over HTTP; what is wrong with a training run.",
        epilog="Example: kerakit predict savedmodels/digits photo.png",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    command = _command(
        commands,
        cost,
        "cost",
        "Count what a model costs: parameters, MACs, FLOPs, memory, receptive field.",
        "kerakit cost VGG16 --input 224,224,3",
    )
    command.add_argument(
        "model",
        metavar="MODEL",
        help="a model of kerakit (resnet18), of keras.applications (VGG16; no weights are "
        "downloaded), or a .keras file",
    )
    command.add_argument(
        "--input",
        type=argument_types.shape,
        action="append",
        default=[],
        metavar="H,W,C",
        help="size of one example (default: the model's own), T,H,W,C for a clip; once an input",
    )
    command.add_argument(
        "--csv", type=argument_types.path, metavar="FILE", help="write the rows there too"
    )
    command.add_argument(
        "--json", type=argument_types.path, metavar="FILE", help="write all of it there too"
    )

    command = _command(
        commands,
        predict,
        "predict",
        "Say what is on images or in videos.",
        "kerakit predict savedmodels/digits photo.png scans/ --top 3 --json answers.json",
    )
    _add_savedmodel(command)
    command.add_argument(
        "images",
        nargs="+",
        type=argument_types.path,
        metavar="FILE|FOLDER",
        help="images (jpg, png, gif, bmp), or, of a model of clips, videos (mp4, avi, gif, webm, "
        "mov, mkv; extra `video`), or folders in which all are taken, their subfolders' too",
    )
    command.add_argument(
        "--top",
        type=argument_types.positive,
        metavar="N",
        help="the N most probable classes of each image (default: 1; of a model for several "
        "labels an image, those that it names); of a detector, the N surest objects, each told; of "
        "masks, the N classes of the most pixels (default: all)",
    )
    command.add_argument(
        "--threshold",
        type=argument_types.share,
        default=0.5,
        metavar="P",
        help="of a detector: least score of an object (default: 0.5)",
    )
    command.add_argument(
        "--clips",
        type=argument_types.positive,
        default=1,
        metavar="N",
        help="of a model of clips: look at N places spread evenly over each video, average the "
        "probabilities, and tell with --json and --pictures the score over time (default: 1, the "
        "middle)",
    )
    command.add_argument(
        "--json", type=argument_types.path, metavar="FILE", help="write the answers there too"
    )
    command.add_argument(
        "--pictures",
        type=argument_types.path,
        metavar="DIR",
        help="draw each image with its answer below, the objects found in it, its mask over it, or "
        "a video's film strip",
    )
    command.add_argument(
        "--masks",
        type=argument_types.path,
        metavar="DIR",
        help="of a model that gives a class for each pixel: write the masks there, a PNG each "
        "whose grey values are the classes' numbers",
    )
    command.add_argument(
        "--explain",
        type=argument_types.path,
        metavar="DIR",
        help="of a classifier of images that was exported to explain itself: draw beside each "
        "image what the answer goes by, a heat map over it",
    )
    _add_batch_size(command)

    command = _command(
        commands,
        evaluate,
        "evaluate",
        "Measure an export on the validation images of a data set.",
        "kerakit evaluate savedmodels/digits --data digits",
    )
    _add_savedmodel(command)
    command.add_argument(
        "--data",
        required=True,
        metavar="SOURCE",
        help="digits, folder:DIR, csv:FILE, tfds:NAME; of a detector coco:DIR, voc:DIR, yolo:DIR, "
        "digit-scenes; of masks masks:DIR, digit-scenes; of clips clips:DIR, moving-digits; its "
        "classes must be the export's",
    )
    command.add_argument(
        "--json", type=argument_types.path, metavar="FILE", help="write the figures there too"
    )
    _add_batch_size(command)

    command = _command(
        commands,
        serve,
        "serve",
        "Answer over HTTP with exported models, by TensorFlow Serving's REST API.",
        "kerakit serve savedmodels/ --port 8501",
    )
    command.add_argument(
        "directory",
        type=argument_types.path,
        metavar="DIRECTORY",
        help="folder of models, of one model's numbered versions, or of a SavedModel; of each "
        "model the newest version is served, also one that comes later",
    )
    _add_serving(command)

    command = _command(
        commands,
        publish,
        "publish",
        "Copy the verified SavedModel of a run to where models are served from.",
        "kerakit publish runs/digits --name digits",
    )
    command.add_argument(
        "run_folder",
        nargs="?",
        metavar="RUN",
        help="folder of the run, or its name in runs; without it DIR/models.config alone, which "
        "names the models to TensorFlow Serving, is written anew, as after one was removed",
    )
    command.add_argument(
        "--to",
        type=argument_types.path,
        default="savedmodels",
        metavar="DIR",
        help="default: savedmodels",
    )
    command.add_argument("--name", help="name to publish under (default: the run's)")

    command = _command(
        commands,
        diagnose,
        "diagnose",
        "Say what is wrong with a training run, finished or broken off.",
        "kerakit diagnose runs/digits --json findings.json",
    )
    command.add_argument("run_folder", metavar="RUN", help="folder of the run, or its name in runs")
    command.add_argument(
        "--json", type=argument_types.path, metavar="FILE", help="write the findings there too"
    )
    return parser


def _command(commands, run, name, text, example):
    command = commands.add_parser(name, help=text, description=text, epilog=f"Example: {example}")
    command.set_defaults(run=run)
    return command


def _add_serving(command):
    command.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default: 127.0.0.1, heard on this machine alone; 0.0.0.0 is "
        "heard by all who can reach it)",
    )
    command.add_argument(
        "--port", type=_port, default=8501, metavar="N", help="default: 8501; 0 takes a free one"
    )
    command.add_argument(
        "--token-file",
        type=argument_types.path,
        metavar="FILE",
        help="answer only requests that bear the token in this file (default: the one in the "
        "environment variable KERAKIT_SERVE_TOKEN, if it is set)",
    )
    for option, default, metavar, text in (
        ("--max-batch-size", 32, "N", "images or clips computed at once"),
        ("--batch-timeout", 2, "MS", "milliseconds that a batch waits for more"),
        ("--queue", 256, "N", "requests under way, and rows that wait; those beyond it get 429"),
        ("--threads", 2, "N", "batches computed at once"),
        ("--max-request", 32, "MIB", "size of a request"),
        ("--max-pixels", 25, "MILLIONS", "pixels of an image"),
        ("--timeout", 30, "SECONDS", "from a request to its answer; beyond it, it gets 504"),
        ("--poll", 2, "SECONDS", "between two looks for new versions"),
    ):
        command.add_argument(
            option,
            type=argument_types.positive,
            default=default,
            metavar=metavar,
            help=f"{text} (default: {default})",
        )


def _port(text):
    number = int(text) if text.isdecimal() else -1
    if not 0 <= number < 2**16:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to 65535, got {text!r}")
    return number


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
        metavar="N",
        help=f"images, or clips, computed at once (default: {_BATCH_SIZE}, of clips "
        f"{_CLIPS_AT_ONCE})",
    )


def batch_size(arguments, *, videos):
    """How many images or clips a command computes at once."""
    return arguments.batch_size or (_CLIPS_AT_ONCE if videos else _BATCH_SIZE)
