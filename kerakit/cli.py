"""The command `kerakit`: costs, answers and scores of models, their service, runs' diagnoses."""

import contextlib
import json
import logging
import os
import sys

from kerakit.atomic import replaced
from kerakit.cli_parser import batch_size, command_line
from kerakit.errors import InputError, one_sentence
from kerakit.image_files import image_files, of_kind, spare_inputs
from kerakit.quiet import quiet_start


def main(argv=None):
    """Runs a command line.

    Args:
        argv: Arguments without the program's name; those of the process by default.

    Returns:
        Exit code: 0, or 1 where some of the images could not be read. What the user
        got wrong ends with code 2 and one sentence, as `SystemExit`.
    """
    parser = command_line(
        cost=_cost,
        predict=_predict,
        evaluate=_evaluate,
        serve=_serve,
        publish=_publish,
        diagnose=_diagnose,
    )
    arguments = parser.parse_args(argv)
    with one_sentence():
        return arguments.run(arguments)


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
    for option in ("pictures", "masks", "explain"):
        if getattr(arguments, option):
            spare_inputs(files, getattr(arguments, option), option=option)
    export = _load_export()
    from kerakit.export.file_answers import file_answers
    from kerakit.export.heat_map_drawn import write_heat_map
    from kerakit.export.masks_told import write_mask
    from kerakit.export.told import teller
    from kerakit.export.video_answers import video_answers

    served = export.Served(arguments.directory)
    videos = served.card["task"] == "video"
    files = of_kind(files, arguments.images, videos=videos)
    width = max(len(str(file)) for file, _ in files)
    tell = teller(served.card["task"])
    if arguments.clips > 1 and not videos:
        raise InputError(f"--clips is for a model of videos, and {served.folder} is none.")
    if arguments.explain and videos:
        raise InputError(f"--explain is for a model of images, and {served.folder} takes videos.")
    if arguments.masks and "mask" not in served.outputs:
        raise InputError(
            f"--masks is for a model that gives a class for each pixel, and {served.folder} is for "
            f"{served.card['task'].replace('_', ' ')}."
        )

    records, unreadable = [], 0
    given, at_once = [file for file, _ in files], batch_size(arguments, videos=videos)
    if videos:
        answers = video_answers(served, given, clips=arguments.clips, batch_size=at_once)
    else:
        explain = arguments.explain is not None
        answers = file_answers(served, given, batch_size=at_once, explain=explain)
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
        if arguments.explain:
            path = arguments.explain / picture
            _writing(arguments.explain, write_heat_map, file, answer, columns, path)
        if arguments.masks:
            _writing(arguments.masks, write_mask, answer["mask"], arguments.masks / picture)

    if arguments.json:
        _write_json(arguments.json, records)
    if unreadable:
        many = "videos" if videos else "images"
        print(f"{unreadable} of {len(files)} {many} could not be read.", file=sys.stderr)
        return 1
    return 0


def _evaluate(arguments):
    export = _load_export()
    from kerakit.data import load  # after TensorFlow's own messages are out of the way
    from kerakit.export.scoring import split_of

    served = export.Served(arguments.directory)
    data = load(arguments.data, task=served.card["task"], **split_of(served.card, arguments.data))
    videos = data.task == "video"
    figures = export.score(served, data, batch_size=batch_size(arguments, videos=videos))
    many = "videos" if videos else "images"
    print(f"{served.folder} on the {figures['images']} validation {many} of {data.name}")
    names = [name for name in figures if name != "images"]
    width = max(16, *map(len, names))
    for name in names:
        print(f"  {name.replace('_', ' '):<{width}} {figures[name]:.4f}")
    if arguments.json:
        _write_json(
            arguments.json, {"savedmodel": str(served.folder), "data": data.name, **figures}
        )
    return 0


def _serve(arguments):
    token = _token(arguments.token_file)
    with _quiet_keras():
        from kerakit.serve import Service, Settings

    service = Service(
        arguments.directory,
        host=arguments.host,
        port=arguments.port,
        token=token,
        settings=Settings(
            max_batch_size=arguments.max_batch_size,
            batch_timeout=arguments.batch_timeout / 1000,
            queue=arguments.queue,
            threads=arguments.threads,
            request_bytes=arguments.max_request * 2**20,
            held_bytes=8 * arguments.max_request * 2**20,
            image_pixels=arguments.max_pixels * 10**6,
            answer_seconds=arguments.timeout,
            stop_seconds=arguments.timeout + 5,
            poll_seconds=arguments.poll,
        ),
    )
    log = logging.StreamHandler()
    log.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    logging.getLogger("kerakit.serve").addHandler(log)
    logging.getLogger("kerakit.serve").setLevel(logging.INFO)
    if not service.run():
        # A thread that still computes would keep the process, and nobody waits for it.
        sys.stderr.flush()
        os._exit(0)
    return 0


def _token(path):
    """The token that requests must bear, or None."""
    if path is None:
        return os.environ.get("KERAKIT_SERVE_TOKEN") or None
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"--token-file {path} cannot be read ({why}).") from error
    if not token:
        raise InputError(f"--token-file {path} is empty; write the token into it.")
    return token


def _publish(arguments):
    if arguments.run_folder is None and arguments.name is not None:
        raise InputError("--name is for the model of a run, and no RUN was given.")
    export = _load_export()
    if arguments.run_folder is None:
        from kerakit.export.model_config import write_model_config

        names = write_model_config(arguments.to)
        print(f"Models in {arguments.to}: {', '.join(names) or 'none'}")
        return 0
    target = export.publish(arguments.run_folder, to=arguments.to, name=arguments.name)
    print(f"Published {target}")
    return 0


def _diagnose(arguments):
    with _quiet_keras():
        from kerakit.diagnose.run_folder import read_run

    run = read_run(arguments.run_folder)
    print(run)
    if arguments.json:
        _write_json(arguments.json, run.to_dict())
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
