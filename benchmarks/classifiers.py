"""Training step and inference of classifiers beside keras.applications' and torchvision's.

python -m benchmarks.classifiers [--rounds 9] [--only resnet50] [--json FILE]

8 images of 224 x 224, float32, random weights. Each contestant has a process of its own, called
through a pipe: TensorFlow and PyTorch in one process crash on import and would share a heap.
Both compute with as many threads as there are cores.

- training step: forward, cross-entropy, backward, SGD with momentum. Keras models run
  `train_on_batch`, compiled without XLA, on a tensor that is there already; PyTorch the usual
  loop, channels last, with the loss read at the end.
- inference: kerakit's SavedModel from uint8 pixels to the logits, classes and probabilities, as a
  server runs it, norms folded; of keras.applications `predict_on_batch`; of torchvision
  `eval()` under `no_grad`, channels last.

Not alike: kerakit normalises the pixels inside. ResNet50 of keras.applications is another net:
its stride stands in the first 1 x 1 convolution, where torchvision's and kerakit's stands in the
3 x 3 (3.86 against 4.09 GMAC), and its convolutions have biases. VGG16 of keras.applications has
no dropout.

PyTorch's threads wait for each other by spinning and lose more than TensorFlow's where other work
runs on the cores (inference of ResNet-50 took 0.75 s or 2.1 s): compare with torchvision on a
quiet machine only. The load is printed.

On two cores, 2026-11-24, median of 9: resnet50 0.88 (training) and 0.97 (inference) of
keras.applications' time, 0.94 and 0.85 of torchvision's; vgg16 1.00, 0.99, 0.89, 0.89; densenet121
0.69, 0.91, 0.99, 0.80.

Where the time goes (operations of TensorFlow's profile, taken beside other work: only shares and
counts hold):

- ResNet-50, training: gradients of kernels 34 %, of inputs 33 %, convolutions 23 %, norms 6 %, all
  else (ReLU, sums, SGD) 4 %. Keras's norm, the formula written out in 5 operations and their
  gradients, takes about 20 % in keras.applications, one fused kernel 6 % here.
- Inference, unfolded: a norm is a multiplication and an addition over the whole map, 8 %.
  Folded, each of the 53 convolutions runs with its bias, the residual sum and the ReLU as one
  kernel, and nothing else takes over 1 %. That needs the bias as a BiasAdd (`ops.add`): with `+`
  TensorFlow sums bias and identity first, and 20 convolutions stay unfused.
- Padding on both sides: 4 convolutions of stride 2 in ResNet-50; TensorFlow fuses the padding.
- DenseNet-121: 62 norms stand before their convolution and stay, each one kernel with its ReLU
  (8 % of inference); concatenations 6 %.
- VGG-16: all in convolutions and their gradients (95 %), the same kernels as keras.applications.
- Weights as constants of the graph would save reordering them at each call: 2 to 5 % of processor
  time in one run each, against weights written into the graph. Left.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import contextlib
import importlib.util
import multiprocessing
import tempfile

import numpy as np

from benchmarks.alternate import alternate, command_line, report

BATCH, SIZE, CLASSES = 8, 224, 1000
RATE, MOMENTUM = 1e-3, 0.9
# Name here and in torchvision -> name in keras.applications.
NETS = {"resnet50": "ResNet50", "vgg16": "VGG16", "densenet121": "DenseNet121"}
TRAINING, INFERENCE = WORKS = ("training step", "inference")


def batch():
    """Pixels 0..255, the same from -1 to 1 as the peers take them, and labels."""
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (BATCH, SIZE, SIZE, 3), dtype="uint8")
    return pixels, (pixels / 127.5 - 1).astype("float32"), generator.integers(0, CLASSES, BATCH)


def training_step(model, images, labels):
    """A callable that trains a Keras model on one batch, as `fit` does."""
    import keras
    import tensorflow as tf

    model.compile(
        keras.optimizers.SGD(RATE, momentum=MOMENTUM),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    images, labels = tf.constant(images), tf.constant(labels)
    return lambda: model.train_on_batch(images, labels)


def kerakit(name, work):
    import tensorflow as tf

    from kerakit import export
    from kerakit.data import Preparation
    from kerakit.models import classification

    model = getattr(classification, name)()
    pixels, _, labels = batch()
    if work == TRAINING:
        return training_step(model, pixels.astype("float32"), labels)
    with tempfile.TemporaryDirectory() as folder:
        preparation = Preparation(height=SIZE, width=SIZE)
        classes = [str(number) for number in range(CLASSES)]
        version = export.save(model, folder, preparation=preparation, classes=classes)
        served = tf.saved_model.load(str(version))
    pixels = tf.constant(pixels)
    return lambda: served.signatures["tensors"](images=pixels)["logits"].numpy()


def applications(name, work):
    import keras
    import tensorflow as tf

    model = getattr(keras.applications, NETS[name])(weights=None, classifier_activation=None)
    _, images, labels = batch()
    if work == TRAINING:
        return training_step(model, images, labels)
    model.jit_compile = False
    images = tf.constant(images)
    return lambda: model.predict_on_batch(images)


def torchvision(name, work):
    import torch
    import torchvision

    torch.set_num_threads(os.cpu_count())  # TensorFlow's default
    _, images, labels = batch()
    model = getattr(torchvision.models, name)().to(memory_format=torch.channels_last)
    images = torch.from_numpy(images.transpose(0, 3, 1, 2)).to(memory_format=torch.channels_last)
    labels = torch.from_numpy(labels)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)

    def step():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    def answer():
        with torch.no_grad():
            return model(images).numpy()

    model.train(work == TRAINING)
    return step if work == TRAINING else answer


def serve(pipe, prepare, name, work):
    """Calls what `prepare` gives each time it is told to."""
    function = prepare(name, work)
    while pipe.recv():
        function()
        pipe.send(True)


@contextlib.contextmanager
def contestant(prepare, name, work):
    """A callable whose work is done in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, prepare, name, work), daemon=True)
    process.start()
    theirs.close()  # so that a process that dies ends the wait for it

    def call():
        ours.send(True)
        ours.recv()

    yield call
    ours.send(False)
    process.join()


def main():
    parser = command_line(__doc__.splitlines()[0])
    parser.add_argument("--only", choices=NETS, help="one net")
    options = parser.parse_args()
    peers = {"kerakit": kerakit, "keras.applications": applications}
    if importlib.util.find_spec("torchvision"):
        peers["torchvision"] = torchvision
    else:
        print("torchvision is not installed: left out")
    comparisons = []
    for name in [options.only] if options.only else NETS:
        for work in WORKS:
            with contextlib.ExitStack() as stack:
                contestants = {
                    peer: stack.enter_context(contestant(prepare, name, work))
                    for peer, prepare in peers.items()
                }
                label = f"{name}, {work}"
                comparisons.append(alternate(label, contestants, rounds=options.rounds))
    load, *_ = os.getloadavg()
    print(f"{BATCH} x {SIZE} x {SIZE} x 3, {os.cpu_count()} cores, load {load:.1f} at the end")
    report(comparisons, json_file=options.json, batch=BATCH, size=SIZE, load=load)


if __name__ == "__main__":
    main()
