"""Reports of real runs: files that agree with each other, with scikit-learn, and between backends."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from dlrun.backends import installed
from dlrun.config import compose
from dlrun.errors import RunError
from dlrun.run.evaluate import EvalResult, evaluate
from dlrun.run.train import train

NAMES = ["犬", "собака", "🐕‍🦺", "<b>&<script>alert(1)</script>", '"quoted" & long ' * 9, "`naïve`"]
VECTORS = """\
task: classification
data:
  source: {name: npz, train: train.npz, test: test.npz}
  batch_size: 32
  validation: 50
model: {layers: [{dense: {units: "${data.classes}"}}]}
loss: softmax_cross_entropy
metrics: [accuracy, f1, roc_auc, {calibration_error: {bins: 10}}]
optimizer: {name: adam, learning_rate: 1e-2}
train: {epochs: 2}
"""
NUMBERS = """\
task: regression
data:
  source: {name: npz, train: train.npz, test: test.npz}
  batch_size: 32
model: {layers: [{dense: {units: 2}}]}
loss: mse
metrics: [mse, mae]
train: {epochs: 2}
"""
MASKS = """\
task: classification
data:
  source: {name: npz, train: train.npz, test: test.npz, classes: 3, ignore_label: 255}
  batch_size: 8
model: {name: unet, filters: 2, depth: 1}
loss: {name: softmax_cross_entropy, ignore_index: 255}
metrics: [iou, accuracy]
train: {epochs: 1}
"""
BACKENDS = [b for b in ("torch", "tensorflow") if installed(b)]


class Page(HTMLParser):
    """What a browser would make of a page."""

    VOID = ("meta", "img", "br")

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.texts: list[str] = []
        self.source = path.read_text("utf-8")
        self.feed(self.source)
        self.close()
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [str(v) for k, v in attrs if k in ("src", "href", "action", "style") or k.startswith("on")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        """All text, each element's apart."""
        return "\n".join(self.texts)


def run_of(text: str, backend: str = BACKENDS[0], *overrides: str) -> Path:
    Path("recipe.yaml").write_text(text, encoding="utf-8")
    words = ["recipe=recipe.yaml", f"backend={backend}", "tracker=none", "device.threads=1", *overrides]
    return train(compose(words)).directory


def report_of(run: Path, **options: Any) -> tuple[EvalResult, dict[str, Any], Page]:
    result = evaluate(run, report=True, **options)
    folder = result.report[0].parent
    assert folder == run / "eval" / f"{result.split}-{result.checkpoint.name}"
    assert {p.name for p in folder.iterdir()} == {p.name for p in result.report}
    assert {p.name for p in folder.parent.iterdir() if p.name.startswith(".")} == {".lock"}  # nothing half written
    document = json.loads((folder / "metrics.json").read_text("utf-8"))
    assert document["metrics"] == result.metrics
    for svg in folder.glob("*.svg"):
        ElementTree.fromstring(svg.read_text("utf-8"))
    page = Page(folder / "report.html")
    assert result.report[0] == folder / "report.html"
    assert "script" not in page.tags and all(
        link.startswith(("data:image/png;base64,", "image-rendering")) for link in page.links
    )
    assert page.source.replace("http://www.w3.org/2000/svg", "").count("://") == 0
    return result, document, page


def lines(result: EvalResult) -> list[dict[str, Any]]:
    file = result.report[0].parent / "predictions.jsonl"
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def vectors(absent: int | None = None, classes: int = 6, names: list[str] | None = None, size: int = 300) -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(classes, 7))
    for split in ("train", "test"):
        y = rng.integers(0, classes, size)
        if split == "test" and absent is not None:
            y[y == absent] = (absent + 1) % classes
        x = (centres[y] + rng.normal(size=(size, 7))).astype(np.float32)
        arrays = {"x": x, "y": y, **({} if names is None else {"class_names": np.array(names)})}
        np.savez(f"{split}.npz", **arrays)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("outputs")
    words = ["recipe=digits", "tracker=none", "train.epochs=2", "device.threads=1", f"output.root={root}"]
    return {b: train(compose([*words, f"backend={b}"])).directory for b in BACKENDS}


@pytest.mark.parametrize("backend", BACKENDS)
def test_figures_of_digits_are_those_of_scikit_learn(backend: str, digits: dict[str, Path]) -> None:
    from sklearn import metrics as reference

    result, document, page = report_of(digits[backend])
    said = lines(result)
    labels, guesses = [s["label"] for s in said], [s["prediction"] for s in said]
    assert [s["sample"] for s in said] == list(range(297))
    assert document["summary"]["accuracy"] == result.metrics["accuracy"] == reference.accuracy_score(labels, guesses)
    assert document["summary"]["matthews"] == pytest.approx(reference.matthews_corrcoef(labels, guesses))
    assert document["confusion_matrix"] == reference.confusion_matrix(labels, guesses, labels=range(10)).tolist()
    assert document["summary"]["log_loss"] == pytest.approx(result.metrics["loss"], rel=1e-6)
    for wrong in document["mistakes"]:
        assert said[wrong["sample"]] == wrong
    assert page.tags.count("img") == len(document["mistakes"]) > 0
    assert {p.name for p in result.report} == {
        "report.html", "metrics.json", "predictions.jsonl", "confusion_matrix.svg", "reliability.svg", "confidence.svg"
    }  # fmt: skip


def test_a_picture_is_the_sample_that_was_stored(digits: dict[str, Path]) -> None:
    import base64
    import io

    from PIL import Image

    from dlrun.data.source import Place, sources

    _, document, page = report_of(digits[BACKENDS[0]])
    first = base64.b64decode(next(link for link in page.links if link.startswith("data:")).split(",")[1])
    pixels = np.asarray(Image.open(io.BytesIO(first)))
    stored = sources.get("digits")().load("test", Place(None)).x[document["mistakes"][0]["sample"]]
    scale = 255 / 16 if stored.max() <= 16 else 1
    assert pixels.shape == (8, 8)
    np.testing.assert_allclose(pixels, stored.reshape(8, 8) * scale, atol=1)


@pytest.mark.skipif(len(BACKENDS) < 2, reason="needs both backends")
def test_the_other_backend_reports_the_same(digits: dict[str, Path]) -> None:
    run = digits["torch"]
    mine, other = (report_of(run, overrides=[f"backend={b}"]) for b in BACKENDS)
    assert mine[1]["backend"] != other[1]["backend"]
    assert other[1]["summary"] == pytest.approx(mine[1]["summary"], abs=1e-5)
    assert other[1]["confusion_matrix"] == mine[1]["confusion_matrix"]
    assert [m["sample"] for m in other[1]["mistakes"]] == [m["sample"] for m in mine[1]["mistakes"]]


def test_batches_and_another_evaluation_leave_one_same_report(digits: dict[str, Path]) -> None:
    one = report_of(digits[BACKENDS[0]])
    text = one[0].report[0].read_text("utf-8")
    other = report_of(digits[BACKENDS[0]], overrides=["data.eval_batch_size=50"])
    assert other[1]["confusion_matrix"] == one[1]["confusion_matrix"]
    assert [m["sample"] for m in other[1]["mistakes"]] == [m["sample"] for m in one[1]["mistakes"]]
    assert len(lines(other[0])) == 297
    report_of(digits[BACKENDS[0]])
    assert one[0].report[0].read_text("utf-8") == text


def test_validation_samples_are_numbered_as_in_their_split(digits: dict[str, Path]) -> None:
    from dlrun.data.source import Place, sources

    result, _, _ = report_of(digits[BACKENDS[0]], split="validation")
    said = lines(result)
    assert len(said) == 150 and max(s["sample"] for s in said) > 150
    y = sources.get("digits")().load("train", Place(None)).y
    assert [s["label"] for s in said] == y[[s["sample"] for s in said]].tolist()


def test_limited_batches_are_said(digits: dict[str, Path]) -> None:
    words = ["train.limit_batches=1", "data.eval_batch_size=40"]
    result, document, page = report_of(digits[BACKENDS[0]], overrides=words)
    assert len(lines(result)) == document["samples"] == 40 and document["of"] == 297
    assert "40 of 297 samples of the test split" in page.text


def test_names_of_any_script_and_an_absent_class() -> None:
    vectors(absent=2, names=NAMES)
    run = run_of(VECTORS)
    result, document, page = report_of(run)
    assert [c["name"] for c in document["classes"]] == NAMES
    assert document["classes"][2]["support"] == 0 and document["classes"][2]["recall"] is None
    for name in NAMES:
        assert name in page.text
    assert page.tags.count("b") == len(document["mistakes"])  # none of them is a class's
    assert 0 < result.metrics["roc_auc"] < 1
    assert document["summary"]["calibration_error"] == result.metrics["calibration_error"]
    assert {s["label_name"] for s in lines(result)} == set(NAMES) - {NAMES[2]}
    assert "犬" in (result.report[0].parent / "confusion_matrix.svg").read_text("utf-8")


def test_many_classes() -> None:
    vectors(classes=120, size=1200)
    _, document, page = report_of(run_of(VECTORS))
    assert len(document["classes"]) == 120 and "details" in page.tags and "image" in page.tags
    assert "most frequent of" in page.text


def test_a_metric_without_a_value_says_why() -> None:
    vectors(classes=2)
    with np.load("test.npz") as arrays:
        x = arrays["x"]
    np.savez("test.npz", x=x, y=np.ones(len(x), np.int64))
    result, document, page = report_of(run_of(VECTORS))
    assert result.metrics["roc_auc"] is None and "no class has both" in result.undefined["roc_auc"]
    assert document["undefined"] == result.undefined
    assert f"roc_auc has no value: {result.undefined['roc_auc']}." in page.text


def test_training_goes_on_where_the_monitored_metric_has_no_value() -> None:
    vectors(classes=2)
    with np.load("train.npz") as arrays:
        x = arrays["x"]
    np.savez("train.npz", x=x, y=np.ones(len(x), np.int64))
    run = run_of(VECTORS.replace("[accuracy, f1, roc_auc, {calibration_error: {bins: 10}}]", "[roc_auc]"))
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [r["val_roc_auc"] for r in records if r["kind"] == "epoch"] == [None, None]
    assert not (run / "best.json").exists()
    assert 0 <= evaluate(run).metrics["roc_auc"] <= 1


def test_a_single_logit() -> None:
    vectors(classes=2)
    text = VECTORS.replace('"${data.classes}"', "1").replace("softmax_cross_entropy", "binary_cross_entropy")
    result, document, _ = report_of(run_of(text))
    said = lines(result)
    assert all(0.5 <= s["confidence"] <= 1 for s in said)
    assert np.mean([s["label"] == s["prediction"] for s in said]) == pytest.approx(result.metrics["accuracy"])
    assert np.sum(document["confusion_matrix"]) == 300


@pytest.mark.parametrize("backend", BACKENDS)
def test_numbers(backend: str) -> None:
    from sklearn import metrics as reference

    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        x = rng.normal(size=(200, 5)).astype(np.float32)
        np.savez(f"{split}.npz", x=x, y=np.stack([x[:, 0] * 3, x[:, 1] ** 2], 1).astype(np.float32))
    result, document, page = report_of(run_of(NUMBERS, backend))
    said = lines(result)
    y, x = np.array([s["label"] for s in said]), np.array([s["prediction"] for s in said])
    assert document["summary"]["r2"] == pytest.approx(reference.r2_score(y, x))
    assert document["summary"]["mae"] == pytest.approx(result.metrics["mae"])
    assert document["summary"]["rmse"] ** 2 == pytest.approx(result.metrics["mse"])
    worst = document["largest_errors"][0]
    assert worst["sample"] == int(((x - y) ** 2).mean(1).argmax())
    assert {"predictions_1.svg", "residuals_2.svg"} <= {p.name for p in result.report}
    assert "Largest errors" in page.text and "img" not in page.tags


def test_masks() -> None:
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        y = rng.integers(0, 3, (16, 8, 8)).astype(np.uint8)
        y[:, :2] = 255
        np.savez(f"{split}.npz", x=rng.integers(0, 256, (16, 8, 8, 1), dtype=np.uint8), y=y)
    result, document, page = report_of(run_of(MASKS))
    assert np.sum(document["confusion_matrix"]) == 16 * 6 * 8
    assert np.mean([c["iou"] for c in document["classes"]]) == pytest.approx(result.metrics["iou"])
    assert "predictions.jsonl" not in {p.name for p in result.report}
    assert "places" in page.text and "mistakes" not in document


@pytest.mark.parametrize("augment", ["", ", augment: [random_flip]"])  # augmented samples are kept in memory as stored
def test_files_have_their_names(augment: str) -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for name in ("кот <b>", "犬"):
            folder = Path("изображения") / split / name
            folder.mkdir(parents=True)
            for i in range(6):
                Image.fromarray(rng.integers(0, 256, (300, 200, 3), dtype=np.uint8)).save(folder / f"{i}&.png")
    text = (
        "task: image_classification\n"
        "data: {source: {name: image_folder, size: [300, 200]}, root: изображения, batch_size: 4"
        f"{augment}}}\n"
        "model: {layers: [flatten, dense]}\ntrain: {epochs: 1}\n"
    )
    result, document, page = report_of(run_of(text))
    said = lines(result)
    assert [Path(s["name"]).name for s in said] == [f"{i}&.png" for i in range(6)] * 2
    assert all(Path(s["name"]).parent.name == s["label_name"] for s in said)
    assert document["mistakes"] and all(m["name"] in page.text for m in document["mistakes"])
    assert page.tags.count("img") == len(document["mistakes"])


def test_labels_that_are_neither_ids_nor_numbers_to_be_met() -> None:
    vectors(classes=2)
    for split in ("train", "test"):
        with np.load(f"{split}.npz") as arrays:
            x = arrays["x"]
        np.savez(f"{split}.npz", x=x, y=(x[:, :3] > 0).astype(np.float32))
    text = NUMBERS.replace("units: 2", "units: 3").replace("mse\nmetrics: [mse, mae]", "binary_cross_entropy")
    result, document, page = report_of(run_of(text))
    assert set(document) >= {"metrics", "run"} and "summary" not in document
    assert "the loss and metrics are all that is compared" in page.text
    assert {p.name for p in result.report} == {"report.html", "metrics.json"}


def test_a_folder_that_cannot_be_written_is_found_before_evaluating() -> None:
    vectors()
    run = run_of(VECTORS)
    (run / "eval").write_text("in the way")
    with pytest.raises(RunError, match=r"cannot-write.*eval/test-step-.*cannot be written") as caught:
        evaluate(run, report=True)
    assert "--no-report" in str(caught.value.hint) and caught.value.exit_code == 1
    assert evaluate(run).report == ()


def test_an_evaluation_that_fails_keeps_the_report_before_it() -> None:
    vectors()
    run = run_of(VECTORS)
    result, _, _ = report_of(run)
    before = {p.name: p.read_bytes() for p in result.report}
    with np.load("test.npz") as arrays:
        x, y = arrays["x"], arrays["y"]
    x[-1] = np.nan
    np.savez("test.npz", x=x, y=y)
    with pytest.raises(Exception, match="not-finite"):
        evaluate(run, report=True)
    assert {p.name: p.read_bytes() for p in result.report[0].parent.iterdir()} == before
    assert {p.name for p in (run / "eval").iterdir()} == {result.report[0].parent.name, ".lock"}
