"""The reference is read off the code: complete, current, and its support table true."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from dlrun.backends import BACKENDS
from dlrun.errors import DlrunError
from dlrun.reference import COMPOSED, NATIVE, entries, entry, find, keys, lowerings, pages, registries, support

ROOT = Path(__file__).resolve().parent.parent
LOWERED = ("layers", "losses", "optimizers")


def test_the_pages_in_the_repository_are_current() -> None:
    folder = ROOT / "docs" / "reference"
    wanted = dict(pages())
    assert {p.name for p in folder.iterdir()} == set(wanted)
    stale = [name for name, text in wanted.items() if (folder / name).read_text("utf-8") != text]
    assert not stale, f"write them again: dlrun layers --write docs/reference (stale: {stale})"


def test_everything_has_a_summary_and_every_own_field_a_meaning() -> None:
    silent = []
    for title, registry in registries().items():
        for e in entries(registry):
            if not e.summary.endswith("."):
                silent.append(f"{title} {e.kind}")
            silent += [f"{title} {e.kind}.{name}" for name, _, _, meaning in e.fields() if not meaning]
    assert not silent


def test_a_page_says_formula_fields_shapes_and_source() -> None:
    page = dict(pages())["layers.md"]
    section = page[page.index("### conv2d\n") :]
    section = section[: section.index("\n### ", 5)]
    assert "y[i, j, o] = b[o] + sum" in section
    assert "| `filters` | an integer above 0 | required |" in section
    assert "**Shapes**: (N, H, W, C)" in section
    assert "| [`conv2d`](#conv2d) | Two-dimensional cross-correlation. | native | native |" in page


def test_a_name_may_stand_for_several_things_and_a_wrong_one_gets_the_nearest() -> None:
    assert [e.role for e in find("adamw")] == ["optimizer"]
    with pytest.raises(DlrunError) as caught:
        find("conv2dd")
    assert caught.value.code == "unknown-name"
    assert "`conv2d`" in str(caught.value.hint)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_support_table_is_what_the_backend_really_has(backend: str) -> None:
    pytest.importorskip(backend)
    importlib.import_module(f"dlrun.backends.{backend}")
    lowered = importlib.import_module(f"dlrun.backends.{backend}.lowering").lowered()
    for title in LOWERED:
        registry = registries()[title]
        for kind in registry:
            cls = entry(registry, kind).cls
            said = support(cls, backend)
            assert (said == NATIVE) == (cls in lowered), (backend, kind, said)
            assert said in (NATIVE, COMPOSED) or len(said) > 15, (backend, kind, said)


def test_a_gap_is_read_with_its_reason(tmp_path: Path) -> None:
    """No backend has one now; the next may."""
    (tmp_path / "lowering.py").write_text(
        "from dlrun.layers import conv, norm as of_norm\n"
        'UNSUPPORTED: dict[type, str] = {conv.Conv3D: "no volumes", of_norm.LayerNorm: "later"}\n'
        "@lowers(conv.Conv1D)\n@lowers(conv.Conv2D)\ndef both(layer, node): ...\n"
    )
    conv, norm = "dlrun.layers.conv.", "dlrun.layers.norm."
    lowered, refused = lowerings(tmp_path)
    assert lowered == {conv + "Conv1D", conv + "Conv2D"}
    assert refused == {conv + "Conv3D": "no volumes", norm + "LayerNorm": "later"}


def test_listing_loads_no_framework() -> None:
    code = (
        "import sys; from dlrun.cli.app import run; run(['layers']); run(['layers', 'lstm']);"
        "sys.exit(any(m in sys.modules for m in ('torch', 'tensorflow', 'keras')))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_keys_of_every_layer_are_told_once_and_each_layer_points_there() -> None:
    page = dict(pages())["layers.md"]
    told = page[page.index("## Keys of every layer\n") :]
    told = told[: told.index("\n## ", 5)]
    for name in ("name", "inputs", "trainable", "share"):
        assert f"| `{name}` |" in told
    assert page.count("\n## Keys of every layer\n") == 1
    assert page.count("- [Keys of every layer](#keys-of-every-layer)") == len(list(registries()["layers"]))
    assert "(layers.md#keys-of-every-layer)" in dict(pages())["README.md"]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("share", {("layer", False)}),
        ("inputs", {("layer", False)}),
        ("trainable", {("layer", False)}),
        ("regularizers", {("architecture", False)}),
        ("groups", {("optimizer", False), ("layer", True)}),
        ("nowhere", set()),
    ],
)
def test_a_key_is_found_by_its_name(name: str, wanted: set[tuple[str, bool]]) -> None:
    found = keys(name)
    assert {(key.role, bool(key.owners)) for key in found} == wanted
    assert all(key.meaning and key.type for key in found)


def test_a_key_is_explained_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    from dlrun.cli.app import run

    assert run(["layers", "share"]) == 0
    said = capsys.readouterr().out
    assert "share: key of every layer" in said and "Name of an earlier layer" in said
    assert run(["layers", "shar"]) == 2
    assert "`share`" in capsys.readouterr().err


def test_examples_are_lines_of_a_recipe() -> None:
    from dlrun.config.language import fields
    from dlrun.config.node import of
    from dlrun.config.normal import expand
    from dlrun.config.typed import Typing
    from dlrun.errors import Where
    from dlrun.graph import LayerList
    from dlrun.recipe import Recipe

    count = 0
    for title, owner, key in (("layers", LayerList, "layers"), ("losses", Recipe, "loss")):
        form = fields(owner)[key].form
        for e in entries(registries()[title]):
            shown = e.example()
            if shown is None:
                continue
            loaded = yaml.safe_load(shown)
            node = expand(form, of(loaded if key == "layers" else loaded["loss"], Where()))
            typing = Typing()
            value = typing.value(form, node, (key,))
            assert not typing.errors, (shown, [str(error) for error in typing.errors])
            made = value[0] if key == "layers" else value
            case = next(case for case in e.cls.examples if case.raises is None)
            assert all(getattr(made, name) == getattr(e.cls(**case.fields), name) for name in case.fields), shown
            count += 1
    assert count > 100


def test_a_list_of_mappings_is_called_a_list() -> None:
    (terms,) = [f for f in find("weighted_sum")[0].fields() if f[0] == "terms"]
    assert terms[1] == "list of mappings"
