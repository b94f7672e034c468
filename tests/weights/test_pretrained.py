"""``model.weights`` in a recipe: files, the hub, freezing, and what is told."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from dlrun.config import compose
from dlrun.errors import DlrunError, RunError
from dlrun.graph.pretrained import Hub
from dlrun.weights import hub
from dlrun.weights.arrays import Safetensors, open_arrays
from dlrun.weights.pretrained import preview, start

RECIPE = """
task: classification
data: {source: digits, validation: 200}
model:
  layers:
    - flatten
    - dense: {units: 16, activation: relu, name: hidden}
    - dense: {name: logits}
  weights: {file: net.safetensors}
train: {epochs: 1, limit_batches: 4}
tracker: none
device: {threads: 1}
"""


@pytest.fixture
def arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """Weights of the recipe's model, with a file of them and the recipe in the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    shapes = {"hidden.kernel": (64, 16), "hidden.bias": (16,), "logits.kernel": (16, 10), "logits.bias": (10,)}
    made = {name: (0.1 * rng.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()}
    save_file(made, tmp_path / "net.safetensors")
    (tmp_path / "r.yaml").write_text(RECIPE)
    return made


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_training_starts_from_a_file_and_frozen_weights_stay(backend: str, arrays: dict[str, np.ndarray]) -> None:
    pytest.importorskip(backend)
    from dlrun.run import checkpoint
    from dlrun.run.directory import open_run
    from dlrun.run.evaluate import evaluate
    from dlrun.run.events import RunStarted
    from dlrun.run.train import train

    events: list[Any] = []
    composed = compose(["recipe=./r.yaml", f"backend={backend}", "model.freeze=[hidden.*]"])
    result = train(composed, [events.append])
    saved = checkpoint.load(open_run(result.directory).checkpoints()[-1]).engine.weights
    np.testing.assert_array_equal(saved["hidden.kernel"], arrays["hidden.kernel"])
    moved = np.abs(saved["logits.kernel"] - arrays["logits.kernel"]).max()
    assert 0 < moved < 0.05
    notes = next(e for e in events if isinstance(e, RunStarted)).notes
    assert any("4 of 4 weights from" in note and "canonical" in note for note in notes)
    assert json.loads((result.directory / "weights.json").read_text())["loaded"] == list(arrays)
    Path("net.safetensors").unlink()  # what was trained needs the file no more
    assert evaluate(result.directory).metrics["accuracy"] == result.metrics["test_accuracy"]


def test_check_tells_what_fits_without_a_framework(arrays: dict[str, np.ndarray]) -> None:
    import subprocess
    import sys

    del arrays["logits.bias"]
    arrays["logits.kernel"] = arrays["logits.kernel"][:, :3]
    save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, "net.safetensors")
    code = (
        "import sys; from dlrun.cli.app import run; code = run(['check', './r.yaml', *sys.argv[1:]]);"
        "print('LOADED', [m for m in ('torch', 'tensorflow', 'h5py') if m in sys.modules]); sys.exit(code)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "weights-mismatch" in done.stderr and "weights.partial: true" in done.stderr
    done = subprocess.run([*command, "model.weights.partial=true"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "2 of 4 weights from" in done.stdout and "`logits.kernel` (16, 10) is" in done.stdout
    assert "LOADED []" in done.stdout


def test_a_checkpoint_folder_and_a_torch_file_are_read_too(arrays: dict[str, np.ndarray]) -> None:
    Path("step").mkdir()
    Path("net.safetensors").rename("step/weights.safetensors")
    found = start(compose(["recipe=./r.yaml", "model.weights.file=step"]).plan)
    assert found is not None and set(found[0]) == set(arrays)
    torch = pytest.importorskip("torch")
    state = {"0.weight": arrays["hidden.kernel"].T, "0.bias": arrays["hidden.bias"]}
    state |= {"2.weight": arrays["logits.kernel"].T, "2.bias": arrays["logits.bias"]}
    torch.save({"state_dict": {k: torch.from_numpy(v.copy()) for k, v in state.items()}}, "net.pth")
    override = ["model.weights={file: net.pth, map: {hidden: '0', logits: '2'}}"]
    plan = compose(["recipe=./r.yaml", *override]).plan
    assert preview(plan) == ["net.pth, read by torch when training starts"]
    values, account = start(plan)
    assert len(account.loaded) == 4
    np.testing.assert_array_equal(values["logits.kernel"], arrays["logits.kernel"])


def test_a_torch_file_with_code_is_refused(arrays: dict[str, np.ndarray]) -> None:
    torch = pytest.importorskip("torch")

    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (Path("executed"),)

    torch.save({"a": Bomb()}, "bad.pth")
    with pytest.raises(DlrunError) as caught:
        open_arrays(Path("bad.pth"))
    assert caught.value.code == "unreadable-weights" and not Path("executed").exists()


@pytest.mark.parametrize("damage", ["short", "length", "json", "offsets"])
def test_a_damaged_file_is_refused(damage: str, arrays: dict[str, np.ndarray]) -> None:
    data = Path("net.safetensors").read_bytes()
    Path("net.safetensors").write_bytes(
        {
            "short": data[:-10],
            "length": (1 << 60).to_bytes(8, "little") + data[8:],
            "json": data[:8] + b"x" + data[9:],
            "offsets": data.replace(b"[64,16]", b"[64,17]"),
        }[damage]
    )
    with pytest.raises(DlrunError) as caught:
        Safetensors(Path("net.safetensors"))
    assert caught.value.code == "unreadable-weights"


def test_half_precision_becomes_float32(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file as save_tensors

    values = torch.tensor([[1.5, -2.25], [1e-3, 300.0]])
    save_tensors({"b": values.bfloat16(), "h": values.half()}, str(tmp_path / "half.safetensors"))
    arrays = Safetensors(tmp_path / "half.safetensors")
    np.testing.assert_array_equal(arrays.read("b"), values.bfloat16().float().numpy())
    np.testing.assert_array_equal(arrays.read("h"), values.half().float().numpy())
    assert arrays.read("b").dtype == np.float32


def test_mistakes(arrays: dict[str, np.ndarray]) -> None:
    for override, code in {
        "model.weights.file=nothing.safetensors": "missing-weights",
        "model.weights.map=torchvision_resnet": "no-map-fits",
        "model.weights.map=resnet": "unknown-map",
        "model.weights.file=r.yaml": "unreadable-weights",
    }.items():
        with pytest.raises(DlrunError) as caught:
            preview(compose(["recipe=./r.yaml", override]).plan)
        assert caught.value.code == code
    with pytest.raises(DlrunError) as caught:
        compose(["recipe=./r.yaml", "model.weights.hub={repo: a/b}"])
    assert "exactly one of" in str(caught.value)


class Server:
    """A hub of one repository; ``files`` maps paths to bytes, ``asked`` lists the requests."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.tags: dict[str, str] = {}
        self.asked: list[tuple[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:  # noqa: N802
                self.answer(False)

            def do_GET(self) -> None:  # noqa: N802
                self.answer(True)

            def answer(self, body: bool) -> None:
                outer.asked.append((self.command, self.path))
                data = outer.files.get(self.path)
                if data is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.send_header("X-Linked-Etag", f'"{outer.tags.get(self.path, hashlib.sha256(data).hexdigest())}"')
                self.end_headers()
                if body:
                    self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch):
    made = Server()
    monkeypatch.setenv("HF_ENDPOINT", made.url)
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_the_hub_is_asked_once_and_checked(arrays: dict[str, np.ndarray], server: Server) -> None:
    data = Path("net.safetensors").read_bytes()
    server.files["/me/net/resolve/v1/sub/model.safetensors"] = data
    overrides = ["recipe=./r.yaml", "model.weights={hub: {repo: me/net, file: sub/model.safetensors, revision: v1}}"]
    plan = compose(overrides).plan
    assert "fetched when training starts" in preview(plan)[0] and not server.asked
    values, account = start(plan)
    np.testing.assert_array_equal(values["hidden.kernel"], arrays["hidden.kernel"])
    assert hashlib.sha256(data).hexdigest() in account.origin
    asked = len(server.asked)
    assert start(plan) is not None and "4 of 4" in preview(plan)[0] and len(server.asked) == asked
    assert {path for _, path in server.asked} == {"/me/net/resolve/v1/sub/model.safetensors"}


def test_a_file_that_is_not_what_the_hub_publishes(arrays: dict[str, np.ndarray], server: Server) -> None:
    path = "/me/net/resolve/main/model.safetensors"
    server.files[path], server.tags[path] = Path("net.safetensors").read_bytes(), "0" * 64
    with pytest.raises(RunError) as caught:
        hub.obtain(Hub(repo="me/net"))
    assert caught.value.code == "download-failed" and "wrong checksum" in caught.value.message
    assert hub.cached(Hub(repo="me/net")) is None


def test_a_file_that_is_not_what_the_recipe_says(arrays: dict[str, np.ndarray], server: Server) -> None:
    server.files["/me/net/resolve/main/model.safetensors"] = b"x" * 100
    hub.obtain(Hub(repo="me/net"))
    with pytest.raises(DlrunError) as caught:
        hub.obtain(Hub(repo="me/net", sha256="0" * 64))
    assert caught.value.code == "wrong-checksum"


def test_what_the_hub_does_not_have_and_what_may_not_be_asked(arrays: dict[str, np.ndarray], server: Server) -> None:
    with pytest.raises(RunError) as failed:
        hub.obtain(Hub(repo="me/net"))
    assert "HTTP 404" in failed.value.message
    with pytest.raises(DlrunError) as caught:
        hub.obtain(Hub(repo="me/net"), download=False)
    assert caught.value.code == "missing-weights"
    for wrong in (Hub(repo="../x"), Hub(repo="a/b", file="../../x"), Hub(repo="a/b", revision="..")):
        with pytest.raises(DlrunError) as caught:
            hub.obtain(wrong)
        assert caught.value.code == "invalid-hub"


def mistaken(*overrides: str) -> list[tuple[str, tuple[str | int, ...], str]]:
    """Code, place and hint of what ``dlrun check`` has to say."""
    with pytest.raises(DlrunError) as caught:
        preview(compose(["recipe=./r.yaml", *overrides]).plan)
    errors = getattr(caught.value, "errors", [caught.value])
    return [(e.code, e.path, e.hint or "") for e in errors]


@pytest.mark.parametrize("file", ["net.safetensors", "net.pth"])
def test_patterns_and_names_that_match_nothing_are_mistakes(file: str, arrays: dict[str, np.ndarray]) -> None:
    Path("net.pth").touch()  # it is not read until training starts
    place = ("model", "weights")
    said = f"file: {file}, skip: [hidden.*, logitz.*], map: {{hiden: a, 'l*': b, 'c.*': d}}"
    Path("r.yaml").write_text(RECIPE.replace("file: net.safetensors", said))
    found = mistaken()
    assert [(code, path) for code, path, _ in found] == [
        ("unmatched-pattern", (*place, "skip", 1)),
        ("unmatched-pattern", (*place, "map", "hiden")),
        ("unmatched-pattern", (*place, "map", "c.*")),
    ]
    assert "`logits.*`" in found[0][2] and "`hidden`" in found[1][2]
    Path("r.yaml").write_text(RECIPE.replace("net.safetensors", f"{file}, map: resnet"))
    assert mistaken()[0][0] == "unknown-map"


def test_a_layer_without_weights_in_a_map_is_a_mistake(arrays: dict[str, np.ndarray]) -> None:
    found = mistaken("model.weights={file: net.safetensors, map: {flatten_1: a, hidden: b, logits: c}}")
    assert [path[-1] for _, path, _ in found] == ["flatten_1"]


@pytest.mark.parametrize(
    ("field", "value"), [("repo", "not a repo!!"), ("file", "../../x.safetensors"), ("revision", "../main")]
)
def test_a_hub_that_cannot_be_is_a_mistake_before_any_file_is_looked_for(
    field: str, value: str, arrays: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "_folder", lambda _: pytest.fail("looked for a file"))
    fields = {"repo": "me/net", field: value}
    written = ", ".join(f"{k}: '{v}'" for k, v in fields.items())
    ((code, path, _),) = mistaken(f"model.weights={{hub: {{{written}}}}}")
    assert code == "invalid-hub" and path == ("model", "weights", "hub", field)


@pytest.mark.parametrize("kind", [np.int8, np.int64, np.bool_])
def test_numbers_that_are_no_weights_are_refused_by_check(kind: Any, arrays: dict[str, np.ndarray]) -> None:
    save_file(arrays | {"hidden.bias": np.ones(16, kind)}, "net.safetensors")
    assert mistaken()[0][0] == "weights-type"
    save_file(arrays | {"step": np.ones(16, kind)}, "net.safetensors")
    assert start(compose(["recipe=./r.yaml"]).plan) is not None


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(value: float, arrays: dict[str, np.ndarray]) -> None:
    arrays["logits.kernel"][3, 4] = value
    save_file(arrays, "net.safetensors")
    plan = compose(["recipe=./r.yaml"]).plan
    with pytest.raises(DlrunError) as caught:
        start(plan)
    assert caught.value.code == "non-finite-weights" and "`logits.kernel`" in caught.value.message
    assert start(compose(["recipe=./r.yaml", "model.weights.skip=[logits.*]"]).plan) is not None


MAPPED = "file: other.safetensors, map: {hidden: fc1, logits: fc9}"


def test_an_entry_of_a_map_that_the_file_lacks_is_a_mistake_even_where_weights_may_be_missing(
    arrays: dict[str, np.ndarray],
) -> None:
    save_file(
        {"fc1.weight": np.ascontiguousarray(arrays["hidden.kernel"].T), "fc1.bias": arrays["hidden.bias"]},
        "other.safetensors",
    )
    for beside in ("", ", partial: true"):
        Path("r.yaml").write_text(RECIPE.replace("file: net.safetensors", MAPPED + beside))
        assert mistaken() == [
            ("unmatched-pattern", ("model", "weights", "map", "logits"), "Did you mean `fc1`?"),
        ]
    Path("r.yaml").write_text(RECIPE.replace("file: net.safetensors", MAPPED + ", skip: [logits.*]"))
    assert preview(compose(["recipe=./r.yaml"]).plan)[0].startswith("2 of 4 weights")


def test_the_error_of_a_file_that_lacks_weights_does_not_say_that_something_was_kept(
    arrays: dict[str, np.ndarray],
) -> None:
    save_file({k: v for k, v in arrays.items() if k != "logits.bias"}, "net.safetensors")
    with pytest.raises(DlrunError) as caught:
        preview(compose(["recipe=./r.yaml"]).plan)
    assert caught.value.code == "weights-mismatch" and "not in the file: `logits.bias`" in caught.value.message
    assert "nothing is loaded" in caught.value.message and "kept" not in caught.value.message


@pytest.mark.parametrize(
    ("text", "override", "code", "place", "path"),
    [
        ("file: nothing.h5", None, "missing-weights", "r.yaml:9:13", "model.weights.file"),
        ("file: half.safetensors", None, "weights-mismatch", "r.yaml:9:13", "model.weights.file"),
        ("file: alien.safetensors", None, "no-map-fits", "r.yaml:9:13", "model.weights.file"),
        ("file: alien.safetensors, map: canonical", None, "no-map-fits", "r.yaml:9:38", "model.weights.map"),
        ("file: net.safetensors, skip: [no.*]", None, "unmatched-pattern", "r.yaml:9:43", "model.weights.skip[0]"),
        (
            "file: net.safetensors, map: {hiden: a}",
            *(None, "unmatched-pattern", "r.yaml:9:42", "model.weights.map.hiden"),
        ),
        (
            "file: net.safetensors",
            "model.weights.file=half.safetensors",
            *("weights-mismatch", "command line `model.weights.file=half.safetensors`", "model.weights.file"),
        ),
    ],
)
def test_what_a_file_of_weights_gets_wrong_has_a_place(
    text: str, override: str | None, code: str, place: str, path: str, arrays: dict[str, np.ndarray]
) -> None:
    from dlrun.cli.check import _weights
    from dlrun.errors import dotted
    from dlrun.run.train import train

    save_file({"hidden.kernel": arrays["hidden.kernel"]}, "half.safetensors")
    save_file({"foo.bar": np.zeros(3, np.float32)}, "alien.safetensors")
    Path("r.yaml").write_text(RECIPE.replace("file: net.safetensors", text))
    words = ["recipe=./r.yaml", *([override] if override else [])]
    for use in (_weights, train):
        with pytest.raises(DlrunError) as caught:
            use(compose(words, check_installed=False))
        error = getattr(caught.value, "errors", (caught.value,))[0]
        assert (error.code, str(error.where), dotted(error.path)) == (code, place, path)
