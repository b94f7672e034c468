"""A name of another tool's, or one spelt another way, leads to the name that a recipe writes."""

from __future__ import annotations

import pytest

from dlrun.data.augmentation import augmentations
from dlrun.data.source import sources
from dlrun.data.transforms import transforms
from dlrun.errors import DlrunError, folded, nearest
from dlrun.graph.layer import layers
from dlrun.losses.loss import losses
from dlrun.metrics.metric import metrics
from dlrun.optimizers.base import optimizers
from dlrun.reference import find
from dlrun.registry import Registry
from dlrun.schedules.base import schedules

REGISTRIES = (augmentations, layers, losses, metrics, optimizers, schedules, sources, transforms)


@pytest.mark.parametrize(
    ("registry", "word", "name"),
    [
        (layers, "Linear", "dense"),
        (layers, "ReLU", "relu"),
        (layers, "LeakyReLU", "leaky_relu"),
        (layers, "LSTM", "lstm"),
        (layers, "BatchNorm2d", "batch_norm"),
        (layers, "BatchNormalization", "batch_norm"),
        (layers, "swish", "silu"),
        (layers, "MultiheadAttention", "self_attention"),
        (layers, "GlobalAveragePooling2D", "global_avg_pool2d"),
        (layers, "Conv2DTranspose", "conv2d_transpose"),
        (losses, "CrossEntropyLoss", "softmax_cross_entropy"),
        (losses, "sparse_categorical_crossentropy", "softmax_cross_entropy"),
        (losses, "bce", "binary_cross_entropy"),
        (losses, "L1Loss", "mae"),
        (metrics, "acc", "accuracy"),
        (metrics, "f1_score", "f1"),
        (optimizers, "SGD", "sgd"),
        (optimizers, "AdamW", "adamw"),
        (schedules, "CosineAnnealingLR", "cosine"),
        (schedules, "OneCycleLR", "one_cycle"),
        (augmentations, "RandomHorizontalFlip", "random_flip"),
        (augmentations, "TrivialAugmentWide", "trivial_augment"),
        (sources, "ImageFolder", "image_folder"),
        (sources, "parquet", "table"),
        (transforms, "StandardScaler", "normalize"),
        (transforms, "MinMaxScaler", "min_max"),
    ],
)
def test_another_word_leads_to_the_name(registry: Registry, word: str, name: str) -> None:
    with pytest.raises(DlrunError) as caught:
        registry.get(word)
    assert caught.value.hint is not None and caught.value.hint.startswith(f"Did you mean `{name}`?")


@pytest.mark.parametrize(
    ("registry", "word", "place"),
    [
        (transforms, "random_flip", "`data.augment`"),
        (transforms, "Resize", "`size` in `data.source`"),
        (transforms, "center_crop", "`fit: crop` in `data.source`"),
        (transforms, "grayscale", "`channels: 1` in `data.source`"),
        (transforms, "ToTensor", "Nothing needs to be written"),
        (augmentations, "normalize", "`data.preprocess`"),
        (augmentations, "resize", "`size` in `data.source`"),
        (augmentations, "grayscale", "`random_grayscale`"),
    ],
)
def test_a_word_that_belongs_elsewhere_leads_there(registry: Registry, word: str, place: str) -> None:
    with pytest.raises(DlrunError) as caught:
        registry.get(word)
    assert caught.value.hint is not None and place in caught.value.hint


def test_no_other_word_is_a_name_or_that_of_two() -> None:
    words = 0
    for registry in REGISTRIES:
        names = {folded(name): name for name in registry}
        seen: dict[str, str] = {}
        for name in registry:
            for word in vars(registry.get(name)).get("known_as", ()):
                words += 1
                assert names.get(folded(word), name) == name, f"`{word}` is a {registry.role}"
                assert seen.setdefault(folded(word), name) == name, f"`{word}` is known as `{seen[folded(word)]}`"
    assert words > 90


def test_names_that_differ_in_case_or_underscores_are_meant() -> None:
    assert nearest("adamW", ["adam", "radam", "adamw"]) == ["adamw"]
    assert nearest("learningRate", ["learning_ratio", "learning_rate"]) == ["learning_rate"]
    assert nearest("Age", ["AGE", "age", "wage"]) == ["AGE", "age"]
    assert nearest("xyz", ["age"]) == []


def test_the_reference_knows_them_too() -> None:
    with pytest.raises(DlrunError) as caught:
        find("Linear")
    assert caught.value.hint is not None and caught.value.hint.startswith("Did you mean `dense`")
