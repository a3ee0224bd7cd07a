"""That no layer is left without a rule, nor a rule without a figure worked out by hand."""

from keras import layers

from kerakit import layers as own
from kerakit.cost.kerakit_rules import KERAKIT_RULES
from kerakit.cost.layer_rules import LAYER_RULES
from kerakit.models.segmentation.sliding_window import SlidingWindow
from tests.cost.test_layers_by_hand import CASES

# Counted in other tests, or the same as one that is there.
ELSEWHERE = {
    *(layers.ConvLSTM1D, layers.ConvLSTM2D, layers.ConvLSTM3D),
    *(own.CropLike, own.MaxUnpool2D, own.PatchEmbedding, own.ResizeLike, SlidingWindow),
    *(own.RoIAlign, own.MultiScaleRoIAlign, own.NonMaxSuppression, own.AnchorGenerator),
    *(getattr(layers, name) for name in dir(layers) if name.startswith("Random")),
}


def test_every_layer_with_a_rule_is_worked_out_by_hand():
    here = {type(layer) for layer, *_ in CASES}
    here |= {type(layer.cell) for layer, *_ in CASES if type(layer) is layers.RNN}
    missing = {*LAYER_RULES, *KERAKIT_RULES} - here - ELSEWHERE
    assert not missing


def test_every_layer_of_kerass_has_a_rule_or_is_made_of_operations():
    """What a new Keras adds fails here, before it is counted in a way nobody looked at."""
    made_of_others = {
        *(layers.Layer, layers.Wrapper, layers.Lambda, layers.InputLayer, layers.StackedRNNCells),
        *(layers.SpectralNormalization, layers.Masking, layers.ReversibleEmbedding),
    }
    public = {
        getattr(layers, name)
        for name in dir(layers)
        if isinstance(getattr(layers, name), type)
        and issubclass(getattr(layers, name), layers.Layer)
    }
    left = {each.__name__ for each in public - set(LAYER_RULES) - made_of_others}
    assert left == set(PREPROCESSING.split())


# Of text and tables, of images on their way to a model, or of another framework: what of them runs
# on symbolic tensors is counted by its operations, and the rest is named.
PREPROCESSING = (
    "AugMix AutoContrast CategoryEncoding CenterCrop ContrastLimitedAdaptiveHistogramEqualization "
    "CutMix Discretization Equalization FlaxLayer HashedCrossing Hashing IntegerLookup JaxLayer "
    "MaxNumBoundingBoxes MelSpectrogram MixUp Pipeline RandAugment RandomCrop STFTSpectrogram "
    "Solarization StringLookup TFSMLayer TextVectorization TorchModuleWrapper"
)


def test_random_layers_do_nothing_at_inference():
    for name in dir(layers):
        if name.startswith("Random") and name != "RandomCrop":
            assert LAYER_RULES[getattr(layers, name)] is LAYER_RULES[layers.Identity]
