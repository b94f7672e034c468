"""What is counted of classes: scikit-learn's figures, whatever the batches, and what a picture makes of any name."""

from __future__ import annotations

import json
import warnings
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from dlrun.data.source import Signature
from dlrun.graph.tensor import TensorType
from dlrun.metrics.metric import metrics
from dlrun.report.classes import Classes
from dlrun.report.worst import Shown

ODD = ["犬", "собака", "🐕‍🦺", "<b>&", '"quoted" \x00\x1b', "x" * 200, "\udcff", "naïve"]


def shown(shape: tuple[int, ...] = (4,), stored: np.ndarray | None = None) -> Shown:
    x = np.zeros((1000, *shape), np.float32) if stored is None else stored
    signature = Signature(TensorType(shape), TensorType((), "int"), 8, None, {"test": len(x)}, 1.0, str(x.dtype))
    return Shown(signature, lambda at: x[at], lambda at: (at, None))


def count(classes: Classes, logits: np.ndarray, ids: np.ndarray, parts: int = 1) -> list[tuple[int, dict[str, Any]]]:
    said = []
    for at in np.array_split(np.arange(len(ids)), parts):
        said += classes.add(at, logits[at], ids[at])
    return said


def draw(classes: int, samples: int = 400, absent: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(classes)
    ids = rng.integers(0, classes, samples)
    if absent is not None:
        ids[ids == absent] = (absent + 1) % classes
    return (rng.normal(size=(samples, classes)) + 2 * np.eye(classes)[ids]).astype(np.float32), ids


@pytest.mark.parametrize(("classes", "absent"), [(2, None), (8, None), (8, 3), (130, 7)])
def test_figures_are_those_of_scikit_learn(classes: int, absent: int | None) -> None:
    from sklearn import metrics as reference

    logits, ids = draw(classes, absent=absent)
    if absent is not None:
        logits[:, absent] = -99  # nor is it predicted
    found = Classes([str(i) for i in range(classes)], ())
    count(found, logits, ids, 7)
    guess = logits.argmax(1)
    assert (found.matrix == reference.confusion_matrix(ids, guess, labels=range(classes))).all()
    precision, recall, f1, support = reference.precision_recall_fscore_support(
        ids, guess, labels=range(classes), zero_division=np.nan
    )
    rows = found.per_class()
    for key, expected in (("precision", precision), ("recall", recall), ("f1", f1)):
        values = np.array([np.nan if row[key] is None else row[key] for row in rows])
        np.testing.assert_allclose(values, expected, rtol=1e-14)
    assert [row["support"] for row in rows] == support.tolist()
    assert sum(row["predicted"] for row in rows) == len(ids)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        summary = found.summary()
        assert summary["accuracy"] == pytest.approx(reference.accuracy_score(ids, guess))
        assert summary["balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(ids, guess))
        assert summary["f1"] == pytest.approx(reference.f1_score(ids, guess, average="macro"))
        assert summary["matthews"] == pytest.approx(reference.matthews_corrcoef(ids, guess))
    for name in ("calibration_error", "log_loss"):
        accumulator = metrics.get(name)().start(classes)
        accumulator.add(logits, ids)
        assert summary[name] == pytest.approx(accumulator.result()[name])


def test_batches_do_not_matter() -> None:
    logits, ids = draw(8)
    whole, parts = Classes(ODD, ()), Classes(ODD, ())
    assert count(whole, logits, ids) == count(parts, logits, ids, 13)
    one, other = whole.document(shown()), parts.document(shown())
    for document in (one, other):
        document["summary"] = {k: round(v, 12) for k, v in document["summary"].items()}
        document["calibration"] = [{k: v and round(v, 12) for k, v in b.items()} for b in document["calibration"]]
    assert one == other


def test_predictions_and_the_surest_mistakes() -> None:
    logits, ids = draw(8)
    found = Classes(ODD, ())
    said = dict(count(found, logits, ids, 3))
    probability = np.exp(logits - logits.max(1, keepdims=True))
    probability /= probability.sum(1, keepdims=True)
    assert list(said) == list(range(400))
    assert [s["prediction"] for s in said.values()] == logits.argmax(1).tolist()
    assert [s["label"] for s in said.values()] == ids.tolist()
    np.testing.assert_allclose([s["confidence"] for s in said.values()], probability.max(1), rtol=1e-6)
    wrong = np.flatnonzero(logits.argmax(1) != ids)
    expected = wrong[np.argsort(-probability.max(1)[wrong], kind="stable")][:24]
    mistakes = found.document(shown())["mistakes"]
    assert [m["sample"] for m in mistakes] == expected.tolist()
    assert all(m["label"] == ids[m["sample"]] and m["prediction"] != m["label"] for m in mistakes)


def test_equal_confidence_keeps_the_first_samples_whatever_the_batches() -> None:
    logits, ids = np.tile(np.array([[2.0, 0.0]], np.float32), (100, 1)), np.ones(100, np.int64)
    for parts in (1, 9, 100):
        found = Classes("ab", ())
        count(found, logits, ids, parts)
        assert found.mistakes.positions.tolist() == list(range(24))


def test_a_single_logit() -> None:
    logits, ids = draw(2)
    one, two = Classes("ab", ()), Classes("ab", ())
    count(two, np.stack([np.zeros(400), logits[:, 0]], 1), ids)
    for shape in ((400, 1), (400,)):
        one = Classes("ab", ())
        count(one, logits[:, 0].reshape(shape), ids)
        assert (one.matrix == two.matrix).all()
        assert one.summary() == pytest.approx(two.summary())


def test_each_place_counts_but_those_of_no_class() -> None:
    from sklearn import metrics as reference

    rng = np.random.default_rng(0)
    logits, ids = rng.normal(size=(6, 5, 4, 3)), rng.integers(0, 3, (6, 5, 4))
    ids[:, 0] = 255
    found = Classes("abc", (), places=True, ignored=255)
    assert count(found, logits, ids, 2) == []
    kept, guess = ids[ids != 255], logits.argmax(-1)[ids != 255]
    assert (found.matrix == reference.confusion_matrix(kept, guess)).all()
    iou = reference.jaccard_score(kept, guess, average=None)
    assert [row["iou"] for row in found.per_class()] == pytest.approx(iou.tolist())
    assert found.summary()["iou"] == pytest.approx(iou.mean())
    assert "mistakes" not in found.document(shown())
    assert not any("Most confident" in part for part in found.parts(found.pictures(), shown()))


def test_samples_of_no_class_have_no_prediction_and_keep_their_neighbours_numbers() -> None:
    logits, ids = draw(3, 20)
    ids[::4] = -1
    found = Classes("abc", (), ignored=-1)
    said = count(found, logits, ids, 3)
    assert [at for at, _ in said] == [i for i in range(20) if i % 4]
    assert all(one["label"] == ids[at] for at, one in said)
    wrong = {i for i in range(20) if i % 4 and logits[i].argmax() != ids[i]}
    assert set(found.mistakes.positions.tolist()) == wrong


def test_the_recipe_s_bins_are_the_report_s() -> None:
    logits, ids = draw(3)
    chosen = metrics.get("calibration_error")(bins=4)
    found, accumulator = Classes("abc", (chosen,)), chosen.start(3)
    count(found, logits, ids)
    accumulator.add(logits, ids)
    assert found.summary()["calibration_error"] == accumulator.result()["calibration_error"]
    bins = found.document(shown())["calibration"]
    assert len(bins) == 4 and sum(b["samples"] for b in bins) == 400


@pytest.mark.parametrize("classes", [2, 8, 24, 25, 60, 61, 300])
def test_pictures_are_well_formed_for_any_number_of_classes(classes: int) -> None:
    names = (ODD * 40)[:classes]
    logits, ids = draw(classes)
    found = Classes(names, ())
    count(found, logits, ids)
    for svg in found.pictures().values():
        root = ElementTree.fromstring(svg.decode())
        assert "url(" not in svg.decode() and root.get("role") == "img"
        assert {e.tag.split("}")[1] for e in root.iter()} <= {"svg", "title", "style", "rect", "text", *PLOT}
    drawn = ElementTree.fromstring(found.pictures()["confusion_matrix"].decode())
    texts = {e.text for e in drawn.iter() if e.tag.endswith("}text")}
    if classes in (8, 24, 25, 60):
        assert {"犬", "собака", "🐕‍🦺", "<b>&", "naïve"} <= texts
    counts = {f"{n:,}" for n in found.matrix[found.matrix > 0].tolist()}
    assert (counts <= texts) == (classes <= 24)
    assert len([e for e in drawn.iter() if e.tag.endswith("}image")]) == (classes > 60)


PLOT = ("line", "polyline", "circle", "image")


def test_nothing_counted_and_no_mistake() -> None:
    empty, perfect = Classes("abc", ()), Classes("abc", ())
    count(empty, np.zeros((0, 3)), np.zeros(0, np.int64))
    text = "".join(empty.parts(empty.pictures(), shown()))
    assert "Nothing was counted." in text and "There are none." in text
    assert empty.summary()["accuracy"] == 0.0
    assert [row["f1"] for row in empty.per_class()] == [None] * 3
    count(perfect, np.eye(3) * 9, np.arange(3))
    text = "".join(perfect.parts(perfect.pictures(), shown()))
    assert "No class was taken for another." in text and "There are none." in text
    json.dumps([empty.document(shown()), perfect.document(shown())], allow_nan=False)


def test_a_confidence_that_is_no_number_is_left_out() -> None:
    logits, ids = draw(3, 10)
    logits[4] = np.nan
    found = Classes("abc", ())
    said = dict(count(found, logits, ids))
    assert np.isnan(said[4]["confidence"]) and 4 not in found.mistakes.positions
    assert sum(b["samples"] for b in found.document(shown())["calibration"]) == 9


def test_many_classes_are_listed_by_their_f1() -> None:
    logits, ids = draw(130)
    found = Classes([f"class {i}" for i in range(130)], ())
    count(found, logits, ids)
    text = "".join(found.parts(found.pictures(), shown()))
    assert "The 20 classes with the lowest F1." in text and "All 130 classes" in text
    assert "The 20 most frequent of" in text
    document = found.document(shown())
    assert "confusion_matrix" not in document
    assert sum(c["count"] for c in document["confusions"]) == int(found.matrix.sum() - np.trace(found.matrix))
    counts = [c["count"] for c in document["confusions"]]
    assert counts == sorted(counts, reverse=True)
    assert "class 61" in text
