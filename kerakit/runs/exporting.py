"""The last part of every run: its SavedModel, verified, and its report."""

import shlex
import shutil

from kerakit import export
from kerakit.cost import report
from kerakit.data.decode import SIGNATURES
from kerakit.runs.report import write_report

_SAMPLES = 10


def write_sample(folder, name, encoded):
    """Writes an image's bytes into `folder`, with the ending of their kind."""
    ending = next(kind for kind, start in SIGNATURES.items() if encoded.startswith(start))
    name = "".join(c if c.isalnum() else "_" for c in name)
    (folder / f"{name}.{ending.lower()}").write_bytes(encoded)


def write_samples(folder, source):
    """Writes the first images held out, as files to try the export on; gives their bytes."""
    folder.mkdir(exist_ok=True)
    examples = source.encoded_dataset().take(_SAMPLES).as_numpy_iterator()
    encoded = [example["encoded"] for example in examples]
    for number, image in enumerate(encoded, start=1):
        write_sample(folder, f"image_{number}", image)
    return encoded


def export_and_report(
    run, model, *, recipe, data, preparation, metrics, by_class, headline, keep, pictures, samples,
    notes=None, input_shape=None, sampling=None, explain=None,
):  # fmt: skip
    """Exports, verifies, reports and says so; the run is then complete.

    Args:
        run: The `Run`.
        model: The trained `keras.Model`.
        recipe: Name of the recipe, for the card.
        data: `kerakit.data.Data` that it was trained on.
        preparation: `kerakit.data.Preparation` of its images.
        metrics: Dict of floats on the images held out, and `images`, their number.
        by_class: List of a dict a class.
        headline: The figure to tell first, a name of `metrics`.
        keep: Which weights these are: of the `"best"` epoch or the `"last"`.
        pictures: Names of the picture files in the run's folder.
        samples: Encoded images, or lists of encoded frames, that the export is verified with
            besides.
        notes: Dict of further lines for the report.
        sampling: `kerakit.data.FrameSampling` of a video model's clips.
        input_shape: Shape of one example that the cost is told of, where the model is of any size.
        explain: A function of `kerakit.explain` by which the export explains itself, or None.

    Returns:
        Dict of the figures, the export's folder as `savedmodel`.

    Raises:
        kerakit.export.VerificationError: If the export does not answer as the model.
    """
    heat_map = explain and (lambda model, images: explain(model, images).values)
    # A run that was killed at this point before starts its export anew.
    shutil.rmtree(run.folder / "savedmodel", ignore_errors=True)
    savedmodel = export.save(
        model,
        run.folder / "savedmodel",
        preparation=preparation,
        classes=data.classes,
        task=data.task,
        sampling=sampling,
        frame_rate=None if sampling is None else run.settings.get("frame_rate"),
        explain=heat_map,
        card={
            "recipe": recipe,
            "command": run.command,
            "config": run.settings,
            "data": {"name": data.name, "citation": data.citation},
            "licence": data.licence,
            "metrics": metrics,
        },
    )
    try:
        verification = export.verify(savedmodel, model, images=samples, explain=heat_map)
    except export.VerificationError:
        shutil.rmtree(run.folder / "savedmodel")  # nobody must take it for a good one
        raise
    write_report(
        run,
        metrics=metrics,
        by_class=by_class,
        notes={
            "weights": f"of the {keep} epoch",
            "cost": report(model, input_shape).line(),
            "export": f"{savedmodel}, verified: {verification.finding}",
            **(notes or {}),
        },
        pictures=pictures,
    )
    run.close()
    ask = shlex.join(["kerakit", "predict", f"{run.folder}/savedmodel", f"{run.folder}/samples"])
    told = f"{headline.replace('_', ' ')} {metrics[headline]:.4f}"
    kind = "images" if sampling is None else "videos"
    print(f"{told} on {metrics['images']} {kind} held out")
    print(f"report {run.folder}/report.md, model {savedmodel}; ask it:\n    {ask}")
    return {**metrics, "savedmodel": str(savedmodel)}
