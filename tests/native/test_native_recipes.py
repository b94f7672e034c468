"""How a recipe names a native model, and what is checked without importing anything."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dlrun.cli import app
from dlrun.config import compose
from dlrun.errors import DlrunErrors

pytestmark = pytest.mark.usefixtures("folder")


def refused(*overrides: str) -> list[tuple[str, str, str]]:
    with pytest.raises(DlrunErrors) as caught:
        compose(list(overrides))
    return [(e.code, e.message, e.hint or "") for e in caught.value.errors]


def test_the_short_form_is_a_model_called_native() -> None:
    composed = compose(["recipe=./one.yaml", "model.hidden=6"])
    model = composed.values["model"]
    assert model["name"] == "native"
    assert model["target"] == {"_target_": "torch_net.Net", "classes": 10, "hidden": 6}
    (node,) = composed.plan.graph.nodes
    assert node.output.shape == (10,) and node.layer.kind == "native"


def test_checking_imports_neither_framework_nor_the_users_file(folder: Path) -> None:
    (folder / "torch_net.py").write_text("raise SystemExit('executed')\nclass Net: pass\n")
    code = (
        "import sys; from dlrun.cli.app import run; code = run(['check', './one.yaml']);"
        "print('LOADED', [m for m in ('torch', 'tensorflow', 'keras') if m in sys.modules]); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "LOADED []" in done.stdout and "its own affair" in done.stdout


def test_checking_does_not_guess_how_large_it_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(("check", "./both.yaml")) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["self", "native", "(N,", "10)", "—", "—"] in lines and ["total", "(N,", "10)", "—", "—"] in lines
    assert app.run(("check", "./both.yaml", "--json")) == 0
    (recipe,) = json.loads(capsys.readouterr().out)["recipes"]
    assert (recipe["parameters"], recipe["frozen"], recipe["flops"]) == (None, None, None)
    assert recipe["layers"][0]["parameters"] is recipe["layers"][0]["flops"] is None


def test_each_backend_runs_its_own_target() -> None:
    for backend, target in (("torch", "torch_net.Net"), ("tensorflow", "keras_net.Net")):
        (node,) = compose(["recipe=./both.yaml", f"backend={backend}"]).plan.graph.nodes
        assert node.layer.target == {"_target_": target, "classes": 10}


def test_a_backend_without_a_target_is_refused() -> None:
    ((code, message, hint),) = refused("recipe=./both.yaml", "backend=tensorflow", "~model.tensorflow")
    assert code == "no-target" and "`torch` only" in message and "backend=torch" in hint


@pytest.mark.parametrize(
    ("target", "said", "hinted"),
    [
        ("torch_net.Nett", "defines no `Nett`", "`Net`"),
        ("nowhere_at_all.Net", "no module `nowhere_at_all`", "extensions: [nowhere_at_all.py]"),
        ("json.decoder.Decoder", "defines no `Decoder`", "`JSONDecoder`"),
        ("Net", "does not name", "package.module.Name"),
    ],
)
def test_a_target_that_is_not_there(target: str, said: str, hinted: str) -> None:
    ((code, message, hint),) = refused("recipe=./one.yaml", f"model._target_={target}")
    assert code == "unknown-target" and said in message and hinted in hint


def test_a_nested_target_is_looked_for_too() -> None:
    ((code, message, _),) = refused("recipe=./one.yaml", "model.config={_target_: torch_net.Config}")
    assert code == "unknown-target" and "`Config`" in message


def test_mistakes_are_located_in_the_file(folder: Path) -> None:
    text = (folder / "one.yaml").read_text().replace("torch_net.Net,", "torch_net.Nat,")
    (folder / "one.yaml").write_text(text)
    with pytest.raises(DlrunErrors) as caught:
        compose(["recipe=./one.yaml"])
    assert caught.value.errors[0].where is not None and caught.value.errors[0].where.line == 5


def test_a_native_model_is_given_in_one_way() -> None:
    assert refused("recipe=./one.yaml", "model.torch={_target_: torch_net.Net}")[0][0] == "contradiction"
    ((code, message, _),) = refused("recipe=./one.yaml", "model.weights={file: a.safetensors}")
    assert code == "contradiction" and "`weights`" in message


def test_what_names_a_module_without_importing_it() -> None:
    from dlrun.targets import check_target

    before = set(sys.modules)
    assert check_target({"_target_": "xml.dom.minidom.Document"}, ("model",)) == []
    assert check_target({"_target_": "email.mime.text.MIMEText"}, ("model",)) == []
    assert not {m for m in set(sys.modules) - before if m.startswith(("xml.dom.minidom", "email.mime"))}


def test_editors_accept_the_short_form() -> None:
    import jsonschema
    import yaml

    from dlrun.config import schema

    for name in ("one.yaml", "both.yaml"):
        jsonschema.Draft202012Validator(schema()).validate(yaml.safe_load(Path(name).read_text()))


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        ({"parts": [{"_target_": "nope.Nope"}]}, ("parts", 0)),
        ({"parts": {"deep": [[{"_target_": "nope.Nope"}]]}}, ("parts", "deep", 0, 0)),
        ({"_args_": [1, {"_target_": "nope.Nope"}]}, ("_args_", 1)),
    ],
)
def test_targets_in_lists_and_mappings_are_looked_for_too(
    arguments: dict[str, object], place: tuple[str | int, ...]
) -> None:
    from dlrun.targets import check_target

    (error,) = check_target({"_target_": "collections.OrderedDict", **arguments}, ("model",))
    assert error.code == "unknown-target" and error.path == ("model", *place, "_target_")


@pytest.mark.parametrize("given", [5, "abc", {"a": 1}, None])
def test_positional_arguments_are_a_list(given: object) -> None:
    from dlrun.errors import DlrunError
    from dlrun.targets import check_target, make

    target = {"_target_": "collections.OrderedDict", "_args_": given}
    (error,) = check_target(target, ("model",))
    assert (error.code, error.path) == ("wrong-type", ("model", "_args_")) and f"`{given}`" in error.message
    with pytest.raises(DlrunError) as caught:
        make(target)
    assert caught.value.code == "wrong-type"


def test_a_comparison_of_native_models_is_refused_before_it_starts() -> None:
    from dlrun.compare.backends import compare_backends
    from dlrun.errors import DlrunError

    for words in (["recipe=./both.yaml"], ["recipe=./one.yaml"], ["recipe=./both.yaml", "~model.torch"]):
        with pytest.raises(DlrunError) as caught:
            compare_backends(words, lambda *_: pytest.fail("a side was started"))
        error = caught.value
        assert error.code == "native-models" and error.exit_code == 2 and "own weights" in error.message
        assert error.where is not None and ".yaml:5:1" in str(error.where)
