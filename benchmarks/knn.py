"""K nearest neighbours beside scikit-learn's brute force; the approximate search beside the exact.

python -m benchmarks.knn [--rounds 9] [--json FILE]
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from benchmarks.alternate import alternate, command_line, report
from kerakit.models.classification import knn_classifier

SIZE = 28
QUERIES = 2_000
STORED = 20_000
LARGE, FEW = 10 * STORED, 500  # the exact search of the large store takes its time
NEIGHBORS = 5
SEARCHES = ({"projections": 16}, {"projections": 32}, {"projections": 64, "shortlist": 128})


def noise(generator, count):
    """Pixels that know nothing of each other: no search can leave any out."""
    return generator.integers(0, 256, (count, SIZE, SIZE, 1)).astype("float32")


def pictures(generator, count):
    """Mixtures of two of the embedded digits, three times as large, moved and with noise."""
    with np.load("kerakit/data/digits.npz") as file:
        digits = file["images"].astype("float32") * (255 / 16)
    first, second = (digits[generator.integers(0, len(digits), count)] for _ in range(2))
    share = generator.uniform(0.5, 1, (count, 1, 1)).astype("float32")
    large = np.kron(share * first + (1 - share) * second, np.ones((3, 3), "float32"))
    images = generator.integers(0, 16, (count, SIZE, SIZE)).astype("float32")
    for image, digit, (top, left) in zip(
        images, large, generator.integers(0, 5, (count, 2)), strict=True
    ):
        image[top : top + 24, left : left + 24] += digit
    return np.rint(np.minimum(images, 255))[..., None]


def classifier(stored, labels, metric, **options):
    model = knn_classifier(
        input_shape=stored.shape[1:], num_neighbors=NEIGHBORS, metric=metric, **options
    )
    return model.adapt(stored, labels)


def predicting(model, queries):
    """One batch as it is: `predict` would first lead it through tf.data, some 50 ms."""
    return lambda: model.predict_on_batch(queries)


def beside_scikit_learn(metric, rounds):
    from sklearn.neighbors import KNeighborsClassifier

    generator = np.random.default_rng(0)
    stored, queries = noise(generator, STORED), noise(generator, QUERIES)
    labels = generator.integers(0, 10, STORED)
    contestants = {"kerakit": predicting(classifier(stored, labels, metric), queries)}
    for name, jobs in (("scikit-learn", None), ("scikit-learn, n_jobs=-1", -1)):
        peer = KNeighborsClassifier(
            NEIGHBORS,
            algorithm="brute",
            metric={"l1": "manhattan", "l2": "euclidean"}[metric],
            n_jobs=jobs,
        ).fit(stored.reshape(STORED, -1), labels)
        contestants[name] = lambda peer=peer: peer.predict(queries.reshape(QUERIES, -1))
    agreed = contestants["kerakit"]().argmax(axis=1) == contestants["scikit-learn"]()
    print(f"{metric}: the same answer for {agreed.sum():,} of {QUERIES:,} images")
    work = f"{metric}, {STORED:,} stored, {QUERIES:,} queries"
    return alternate(work, contestants, rounds=rounds, warmup=1)


def beside_exact(metric, rounds):
    """The approximate searches of a large store, with the share of the neighbours they find."""
    generator = np.random.default_rng(0)
    stored, queries = pictures(generator, LARGE), pictures(generator, FEW)
    labels = generator.integers(0, 10, LARGE)
    flat = queries.reshape(FEW, -1)
    exact = classifier(stored, labels, metric)
    nearest = keras.ops.convert_to_numpy(exact.get_layer("vote").neighbors(flat)[0])
    comparisons = []
    for options in SEARCHES:
        model = classifier(stored, labels, metric, **options)
        found = keras.ops.convert_to_numpy(model.get_layer("vote").neighbors(flat)[0])
        hits = (found[:, :, None] == nearest[:, None, :]).any(axis=-1).mean()
        settings = ", ".join(f"{name} {value}" for name, value in options.items())
        print(f"{metric}, {settings}: recall@{NEIGHBORS} {hits:.4f}")
        contestants = {
            "kerakit": predicting(model, queries),
            "kerakit, exact": predicting(exact, queries),
        }
        work = f"{metric}, {LARGE:,} stored, {FEW} queries, {settings}"
        comparisons.append(alternate(work, contestants, rounds=rounds, warmup=1))
    return comparisons


def main():
    options = command_line(__doc__.splitlines()[0]).parse_args()
    comparisons = []
    for metric in ("l2", "l1"):
        try:
            comparisons.append(beside_scikit_learn(metric, options.rounds))
        except ImportError:
            print("scikit-learn is not installed: left out")
    for metric in ("l2", "l1"):
        comparisons += beside_exact(metric, options.rounds)
    report(
        comparisons,
        json_file=options.json,
        backend=keras.backend.backend(),
        keras=keras.__version__,
    )


if __name__ == "__main__":
    main()
