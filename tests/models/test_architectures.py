"""Named architectures are the published ones: parameters, multiplications, shapes, and errors that say what to do."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from dlrun.errors import DlrunErrors
from dlrun.graph import Graph, TensorType, build_model, models

IMAGENET = TensorType((224, 224, 3))
CIFAR = TensorType((32, 32, 3))
TEXT = TensorType((16,), "int")
NOT_PUBLISHED = {"layers", "native"}
"""Models that the recipe's author makes."""
ARCHITECTURES = [name for name in models if name not in NOT_PUBLISHED]


def graph(name: str, x: TensorType, count: int | None = 1000, /, **fields: Any) -> Graph:
    return build_model(models.get(name)(**fields), x, count)


def case(parameters: int, name: str, x: TensorType, classes: int | None = 1000, **fields: Any) -> Any:
    said = "-".join(f"{k}={v}" for k, v in fields.items())
    return pytest.param(parameters, name, x, classes, fields, id=f"{name}-{said}")


PARAMETERS = [
    # LeCun et al. 1998: 784-300-100-10, counted by hand
    case(266_610, "mlp", TensorType((28, 28, 1)), 10),
    # 156 + 2,416 + 48,120 + 10,164 + 850; the paper's 60,000 have fewer links in the second convolution
    case(61_706, "lenet", TensorType((28, 28, 1)), 10),
    case(61_706, "lenet", TensorType((32, 32, 1)), 10, padding="valid"),
    # torchvision, `num_params` of the published weights
    case(132_863_336, "vgg", IMAGENET, depth=11),
    case(133_047_848, "vgg", IMAGENET, depth=13),
    case(138_357_544, "vgg", IMAGENET, depth=16),
    case(143_667_240, "vgg", IMAGENET, depth=19),
    case(138_365_992, "vgg", IMAGENET, depth=16, batch_norm=True),
    case(143_678_248, "vgg", IMAGENET, depth=19, batch_norm=True),
    case(27_161_264, "inception", TensorType((299, 299, 3)), auxiliary=True),
    case(23_834_568, "inception", TensorType((299, 299, 3))),
    case(11_689_512, "resnet", IMAGENET, depth=18),
    case(21_797_672, "resnet", IMAGENET, depth=34),
    case(25_557_032, "resnet", IMAGENET, depth=50),
    case(25_557_032, "resnet", IMAGENET, depth=50, stride_in="first"),
    case(44_549_160, "resnet", IMAGENET, depth=101),
    case(60_192_808, "resnet", IMAGENET, depth=152),
    case(7_978_856, "densenet", IMAGENET, depth=121),
    case(28_681_000, "densenet", IMAGENET, depth=161),
    case(14_149_480, "densenet", IMAGENET, depth=169),
    case(20_013_928, "densenet", IMAGENET, depth=201),
    case(3_504_872, "mobilenet", IMAGENET),
    case(5_288_548, "efficientnet", IMAGENET, variant="b0"),
    case(7_794_184, "efficientnet", IMAGENET, variant="b1"),
    case(9_109_994, "efficientnet", IMAGENET, variant="b2"),
    case(12_233_232, "efficientnet", IMAGENET, variant="b3"),
    case(19_341_616, "efficientnet", IMAGENET, variant="b4"),
    case(30_389_784, "efficientnet", IMAGENET, variant="b5"),
    case(43_040_704, "efficientnet", IMAGENET, variant="b6"),
    case(66_347_960, "efficientnet", IMAGENET, variant="b7"),
    case(28_589_128, "convnext", IMAGENET, variant="tiny"),
    case(50_223_688, "convnext", IMAGENET, variant="small"),
    case(88_591_464, "convnext", IMAGENET, variant="base"),
    case(197_767_336, "convnext", IMAGENET, variant="large"),
    case(86_567_656, "vit", IMAGENET, variant="base"),
    case(88_224_232, "vit", IMAGENET, variant="base", patch=32),
    case(304_326_632, "vit", IMAGENET, variant="large"),
    case(306_535_400, "vit", IMAGENET, variant="large", patch=32),
    # timm, vit_tiny_patch16_224 and vit_small_patch16_224; torchvision, vit_h_14 at 224
    case(5_717_416, "vit", IMAGENET, variant="tiny"),
    case(22_050_664, "vit", IMAGENET, variant="small"),
    case(632_045_800, "vit", IMAGENET, variant="huge", patch=14),
    # He et al. 2015, table 6 (0.27, 0.46, 0.66, 0.85, 1.7 million), exact in its many reproductions
    case(269_722, "resnet", CIFAR, 10, depth=20),
    case(464_154, "resnet", CIFAR, 10, depth=32),
    case(658_586, "resnet", CIFAR, 10, depth=44),
    case(853_018, "resnet", CIFAR, 10, depth=56),
    case(1_727_962, "resnet", CIFAR, 10, depth=110),
    # option B, projections, adds 16 x 32 + 32 x 64 weights and their normalisations
    case(272_474, "resnet", CIFAR, 10, depth=20, shortcut="projection"),
    # kuangliu/pytorch-cifar
    case(11_173_962, "resnet", CIFAR, 10, depth=18, stem="cifar"),
    # Huang et al. 2016, table 2 (0.8 million), exact in imgclsmob's DenseNet-BC-100 (k=12)
    case(769_162, "densenet", CIFAR, 10, depth=100, stem="cifar"),
    # Ronneberger et al. 2015, figure 1, summed by hand; with batch normalisation and no biases, as many report
    case(31_030_658, "unet", TensorType((512, 512, 1)), 2),
    case(31_037_633, "unet", TensorType((256, 256, 3)), 1, batch_norm=True),
    # PyTorch's DCGAN tutorial
    case(3_576_704, "dcgan_generator", TensorType((100,)), None),
    case(2_765_568, "dcgan_discriminator", TensorType((64, 64, 3)), None),
    case(3_576_704 + 2_765_568, "dcgan", TensorType((64, 64, 3)), 10),
    # Kim 2014: (3 + 4 + 5) x 300 x 100 + 300 + 602, beside a table of 300 for each id
    case(360_902 + 300 * 1000, "text_cnn", TEXT, 2, vocabulary=1000),
    # keras.io, "Bidirectional LSTM on IMDB"
    case(2_757_761, "lstm_classifier", TEXT, 1, vocabulary=20_000),
    # Devlin et al. 2018 (110 million); transformers' BertModel of bert-base-uncased
    case(109_482_240, "bert", TensorType((32,), "int"), None, segments=2, answer="pooled"),
    # torch.nn.Transformer() has 44,140,544, two final norms included
    case(44_140_544 + 512 * 1000, "seq2seq_transformer", TEXT, None, vocabulary=1000, norm="first"),
    # Vaswani et al. 2017, table 3: 65 million
    case(63_082_496, "seq2seq_transformer", TEXT, None, vocabulary=37_000),
    # its encoder, with a vector for each id and one more number for each class
    case(18_914_304 + 512 * 1000 + 513 * 4, "transformer_classifier", TEXT, 4, vocabulary=1000),
]


@pytest.mark.parametrize(("parameters", "name", "x", "classes", "fields"), PARAMETERS)
def test_parameters_are_the_published_ones(
    parameters: int, name: str, x: TensorType, classes: int | None, fields: dict[str, Any]
) -> None:
    assert graph(name, x, classes, **fields).parameters == parameters


def test_every_architecture_has_a_published_count() -> None:
    assert {p.values[1] for p in PARAMETERS} == set(ARCHITECTURES)


MULTIPLICATIONS = [
    # torchvision, `_ops` of the published weights: 10^9 multiply-adds
    ("vgg", 15.470, IMAGENET, {"depth": 16}),
    ("inception", 5.713, TensorType((299, 299, 3)), {}),
    ("resnet", 1.814, IMAGENET, {"depth": 18}),
    ("resnet", 4.089, IMAGENET, {"depth": 50}),
    ("densenet", 2.834, IMAGENET, {"depth": 121}),
    ("mobilenet", 0.301, IMAGENET, {}),
    ("efficientnet", 0.386, IMAGENET, {"variant": "b0"}),
    ("convnext", 4.456, IMAGENET, {"variant": "tiny"}),
    ("vit", 17.564, IMAGENET, {"variant": "base"}),
    # He et al. 2015, table 1: 3.8 x 10^9 with the step in the first convolution
    ("resnet", 3.8, IMAGENET, {"depth": 50, "stride_in": "first"}),
]
COUNTED = ("conv2d", "depthwise_conv2d", "dense", "dot_product_attention")


@pytest.mark.parametrize(("name", "billions", "x", "fields"), MULTIPLICATIONS)
def test_multiplications_are_the_published_ones(
    name: str, billions: float, x: TensorType, fields: dict[str, Any]
) -> None:
    """Strides, padding and where the image is halved show here, not in the parameters."""
    counted = sum(n.flops for n in graph(name, x, **fields).nodes if n.layer.kind in COUNTED) / 2
    assert counted == pytest.approx(1e9 * billions, rel=0.02)


@pytest.mark.parametrize(
    ("name", "x", "fields", "output"),
    [
        ("unet", TensorType((64, 48, 3)), {"depth": 3, "filters": 4}, (64, 48, 5)),
        ("unet", TensorType((37, 50, 1)), {"depth": 3, "filters": 4}, (37, 50, 5)),
        ("dcgan_generator", TensorType((9,)), {"size": 16, "filters": 4, "channels": 1}, (16, 16, 1)),
        ("dcgan_discriminator", TensorType((8, 8, 1)), {"filters": 4}, (1,)),
        ("dcgan", TensorType((28, 28, 1)), {"size": 32, "filters": 4}, (32, 32, 1)),
        ("seq2seq_transformer", TEXT, {"vocabulary": 9, "source_length": 10}, (6, 9)),
        ("bert", TEXT, {"answer": "sequence", "depth": 1}, (16, 768)),
        ("resnet", TensorType((8, 8, 1)), {"depth": 8, "filters": 4}, (5,)),
        ("vit", TensorType((8, 12, 1)), {"patch": 4, "units": 32, "depth": 1, "heads": 2}, (5,)),
    ],
)
def test_output_shapes(name: str, x: TensorType, fields: dict[str, Any], output: tuple[int, ...]) -> None:
    assert graph(name, x, 5, **fields).output.shape == output


def test_auxiliary_classifier_is_a_second_output() -> None:
    made = graph("inception", TensorType((299, 299, 3)), 7, auxiliary=True, width=0.1)
    assert made.outputs == ("logits", "auxiliary.logits")
    assert [t.shape for t in made.output_types] == [(7,), (7,)]


def test_classes_of_the_recipe_come_before_those_of_the_data() -> None:
    assert graph("mlp", TensorType((4,)), 10, classes=3).output.shape == (3,)


def test_tied_tables_are_one() -> None:
    tied = graph("seq2seq_transformer", TEXT, None, vocabulary=11, units=8, heads=2, depth=1)
    apart = graph("seq2seq_transformer", TEXT, None, vocabulary=11, units=8, heads=2, depth=1, tied=False)
    assert apart.parameters - tied.parameters == 2 * 11 * 8
    assert {n.name: n.shares for n in tied.nodes if n.shares} == {
        "target_embedding": "embedding",
        "logits": "embedding",
    }
    copying = graph("seq2seq_transformer", TEXT, None, vocabulary=11, units=8, heads=2, depth=1, copy=True)
    assert copying.output.shape == (8, 11)
    assert {n.name for n in copying.nodes if n.shares} == {"target_embedding", "copy.logits"}


def test_stochastic_depth_grows_with_the_depth() -> None:
    made = graph("convnext", IMAGENET, blocks=(1, 1, 1, 1), filters=(8, 8, 8, 8), stochastic_depth=0.3)
    rates = [n.layer.rate for n in made.nodes if n.layer.kind == "stochastic_depth"]
    assert rates == pytest.approx([0.1, 0.2, 0.3])


MISTAKES = [
    ("resnet", IMAGENET, None, {}, "classes-missing", "classes"),
    ("resnet", IMAGENET, 10, {"depth": 19}, "unknown-depth", "depth"),
    ("resnet", IMAGENET, 10, {"depth": 18, "form": "cifar"}, "unknown-depth", "depth"),
    ("resnet", TensorType((10,)), 10, {}, "wrong-input", "name"),
    ("densenet", IMAGENET, 10, {"depth": 100}, "unknown-depth", "depth"),
    ("convnext", IMAGENET, 10, {"blocks": (1, 1)}, "wrong-sizes", "blocks"),
    ("vit", IMAGENET, 10, {"patch": 15}, "patch-not-dividing", "patch"),
    ("text_cnn", TEXT, 2, {}, "vocabulary-missing", "vocabulary"),
    ("text_cnn", TensorType((16,)), 2, {"vocabulary": 5}, "wrong-input", "name"),
    ("bert", TensorType((15,), "int"), 2, {"segments": 2}, "odd-length", "segments"),
    ("seq2seq_transformer", TEXT, None, {"vocabulary": 5, "source_length": 16}, "source-too-long", "source_length"),
    ("dcgan_generator", TensorType((100,)), None, {"size": 48}, "wrong-size", "size"),
    ("dcgan_discriminator", TensorType((64, 32, 3)), None, {}, "wrong-size", "name"),
    ("dcgan", TensorType((28, 28, 1)), None, {"size": 28}, "wrong-size", "size"),
    ("inception", TensorType((100, 100, 3)), 10, {"auxiliary": True}, "input-too-small", "auxiliary"),
    ("inception", TensorType((32, 32, 3)), 10, {}, "input-too-small", "name"),
]


@pytest.mark.parametrize(("name", "x", "classes", "fields", "code", "field"), MISTAKES)
def test_mistakes_name_the_field(
    name: str, x: TensorType, classes: int | None, fields: dict[str, Any], code: str, field: str
) -> None:
    with pytest.raises(DlrunErrors) as caught:
        graph(name, x, classes, **fields)
    assert [e.code for e in caught.value.errors] == [code]
    (error,) = caught.value.errors
    assert error.path == ("model", field)
    assert "`" in error.message and error.hint


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_docstring_keeps_the_contract(name: str) -> None:
    """As of layers: one line, what it computes, then each heading in order; every own field is explained."""
    cls = models.get(name)
    text = inspect.cleandoc(cls.__doc__ or "")
    first, _, rest = text.partition("\n\n")
    assert "\n" not in first and first.endswith(".")
    headings = re.findall(r"^(Args|Shapes|Weights|Errors|Differs|Source):", text, re.MULTILINE)
    assert headings == ["Args", "Shapes", "Weights", "Errors", "Differs", "Source"]
    assert rest.partition("Args:")[0].strip()
    explained = set(re.findall(r"^    (\w+):", text.partition("Args:")[2].partition("Shapes:")[0], re.MULTILINE))
    own = {f for f in cls.__annotations__}
    assert own <= explained <= set(cls.__dataclass_fields__)
