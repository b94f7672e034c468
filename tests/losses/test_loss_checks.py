"""What a loss refuses, and in which words."""

from __future__ import annotations

import numpy as np
import pytest

from dlrun.errors import DlrunError, DlrunErrors
from dlrun.graph import TensorType
from dlrun.losses import losses
from dlrun.losses.weighted_sum import Term

IDS = TensorType((), "int")


def make(kind: str, **fields: object):
    return losses.get(kind)(**fields)


@pytest.mark.parametrize(
    ("loss", "output", "target", "classes", "code", "words"),
    [
        (make("softmax_cross_entropy"), (9,), IDS, 10, "output-classes", "10 classes"),
        (make("softmax_cross_entropy"), (2, 10), IDS, 10, "output-classes", "(N, 2, 10)"),
        (make("softmax_cross_entropy"), (3,), TensorType(()), None, "wrong-target", "float `(N)`"),
        (make("softmax_cross_entropy"), (3,), TensorType((4,)), None, "output-shape", "`(N, 4)`"),
        (
            make("softmax_cross_entropy", class_weights=(1.0, 1.0)),
            (3,),
            IDS,
            3,
            "class-weights-length",
            "2 entries for 3 classes",
        ),
        (make("binary_cross_entropy"), (2,), IDS, 2, "output-shape", "(N, 1)"),
        (make("binary_cross_entropy"), (1,), IDS, 3, "output-shape", "3 classes"),
        (make("mse"), (2,), TensorType((3,)), None, "output-shape", "(N, 3)"),
    ],
)
def test_output_must_fit_the_labels(loss, output, target, classes, code, words) -> None:
    with pytest.raises(DlrunError) as caught:
        loss.check(TensorType(output), target, classes)
    assert caught.value.code == code
    assert words in caught.value.message
    assert caught.value.path[:1] in (("loss",), ("model",))


@pytest.mark.parametrize(
    ("loss", "output", "target", "classes"),
    [
        (make("softmax_cross_entropy"), (10,), IDS, 10),
        (make("binary_cross_entropy"), (1,), IDS, 2),
        (make("binary_cross_entropy"), (4,), TensorType((4,)), None),
        (make("mse"), (1,), TensorType(()), None),
        (make("mse"), (3, 2), TensorType((3, 2)), None),
        (make("softmax_cross_entropy"), (7, 10), TensorType((7,), "int"), 10),
        (make("softmax_cross_entropy"), (3,), TensorType((3,)), None),
        (make("binary_cross_entropy"), (4, 4, 1), TensorType((4, 4), "int"), 2),
        (make("dice"), (4, 4, 5), TensorType((4, 4), "int"), 5),
    ],
)
def test_fitting_output_passes(loss, output, target, classes) -> None:
    loss.check(TensorType(output), target, classes)


def test_every_mistake_of_a_sum_is_found_with_its_place() -> None:
    entropy, mse = make("softmax_cross_entropy"), make("mse")
    terms = (
        Term(loss=entropy),
        Term(loss=make("softmax_cross_entropy", class_weights=(1.0,)), output="aux"),
        Term(loss=mse, output="auxx"),
        Term(loss=make("weighted_sum", terms=(Term(loss=mse),))),
    )
    outputs = {"answer": TensorType((3,)), "aux": TensorType((3,))}
    with pytest.raises(DlrunErrors) as caught:
        make("weighted_sum", terms=terms).check_outputs(outputs, IDS, 3)
    found = {e.path: (e.code, e.message, e.hint) for e in caught.value.errors}
    assert {path: code for path, (code, *_) in found.items()} == {
        ("loss", "terms", 1, "loss", "class_weights"): "class-weights-length",
        ("loss", "terms", 2, "output"): "unknown-output",
        ("loss", "terms", 3, "loss"): "nested-sum",
    }
    assert "Did you mean `aux`?" in found["loss", "terms", 2, "output"][2]


def test_outputs_that_train_nothing_are_refused() -> None:
    outputs = {"answer": TensorType((3,)), "aux": TensorType((3,))}
    with pytest.raises(DlrunError) as caught:
        make("softmax_cross_entropy").check_outputs(outputs, IDS, 3)
    assert (caught.value.code, "`aux`" in caught.value.message) == ("unread-output", True)
    both = make("weighted_sum", terms=(Term(loss=make("softmax_cross_entropy"), output="aux"),))
    with pytest.raises(DlrunErrors) as caught:
        both.check_outputs(outputs, IDS, 3)
    assert ["`answer`" in e.message for e in caught.value.errors] == [True]


def test_an_output_of_ids_has_no_loss() -> None:
    with pytest.raises(DlrunError) as caught:
        make("mse").check_outputs({"answer": TensorType((3,), "int")}, TensorType((3,)), None)
    assert caught.value.code == "output-dtype"


@pytest.mark.parametrize(
    ("loss", "labels", "named"),
    [
        (make("softmax_cross_entropy"), [0, 3], "3"),
        (make("softmax_cross_entropy", ignore_index=255), [0, 255, -1], "-1"),
        (make("softmax_focal", ignore_index=0), [2, 9], "9"),
        (make("dice"), [[0, 3]], "3"),
        (make("dice", ignore_index=3), [[3, -2]], "-2"),
        (make("ctc"), [[1, 3, 0]], "3"),
        (make("ctc", frame_counts=True), [[9, 1, 5]], "5"),
        (make("ctc", blank=2), [[0, 4, 2]], "4"),
    ],
)
def test_ids_that_the_output_has_not(loss, labels, named) -> None:
    y = np.array(labels)
    outputs = {"answer": TensorType((*y.shape[1:], 3))}
    terms = make("weighted_sum", terms=(Term(loss=make("adversarial")), Term(loss=loss, output="answer")))
    for reads in (loss, terms):
        with pytest.raises(DlrunError) as caught:
            reads.check_labels(outputs, y)
        assert caught.value.code == "label-out-of-range"
        assert f"`{named}`" in caught.value.message and "the ids 0 to 2" in caught.value.message


@pytest.mark.parametrize(
    ("loss", "labels", "output"),
    [
        (make("softmax_cross_entropy", ignore_index=255), [0, 255, 2], (3,)),
        (make("softmax_cross_entropy"), [[0.5, 9.0, 0.0]], (3,)),
        (make("dice", ignore_index=-1), [[-1, 2]], (2, 3)),
        (make("dice"), [[0, 7]], (2, 1)),
        (make("ctc"), [[1, 0, 9], [2, -1, 9]], (4, 3)),
        (make("ctc", frame_counts=True), [[9, 1, 2]], (4, 3)),
        (make("mse"), [7, -7], (1,)),
        (make("softmax_cross_entropy"), np.zeros((0,), int), (3,)),
    ],
)
def test_labels_that_are_read_as_they_are(loss, labels, output) -> None:
    loss.check_labels({"answer": TensorType(output)}, np.array(labels))
