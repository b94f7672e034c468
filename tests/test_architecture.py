"""The house rules that no single file can show: who imports whom, names, sizes, docstrings."""

from __future__ import annotations

import ast
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from dlrun.data.source import sources
from dlrun.data.transforms import transforms
from dlrun.graph import layers
from dlrun.initializers import initializers
from dlrun.losses import losses
from dlrun.metrics.metric import metrics
from dlrun.optimizers import optimizers
from dlrun.registry import Registry
from dlrun.schedules import schedules

ROOT = Path(__file__).resolve().parent.parent

OWNERS = {
    "torch": "dlrun.backends.torch",
    "tensorflow": "dlrun.backends.tensorflow",
    "keras": "dlrun.backends.tensorflow",
    "hydra": "dlrun.config",
    "omegaconf": "dlrun.config",
    "pydantic": "dlrun.config",
    "typer": "dlrun.cli",
    "rich": "dlrun.cli",
}
"""The one folder that may import a library."""

BASE = {"dlrun.errors", "dlrun.registry", "dlrun.described"}
MODEL = {*BASE, "dlrun.graph", "dlrun.initializers", "dlrun.randomness"}
FREE = {*MODEL, "dlrun.layers", "dlrun.losses", "dlrun.optimizers", "dlrun.schedules"}
DESCRIBED = {
    *FREE,
    "dlrun.data",
    "dlrun.metrics",
    "dlrun.tasks",
    "dlrun.files",
    "dlrun.recipe",
    "dlrun.update",
    "dlrun.plan",
}
DIRECTIONS = {
    "dlrun.errors": set(),
    "dlrun.described": set(),
    "dlrun.registry": {"dlrun.errors", "dlrun.described", "dlrun.extensions"},
    "dlrun.extensions": {"dlrun.errors", "dlrun.registry"},
    "dlrun.targets": {*BASE, "dlrun.extensions", "dlrun.models"},
    "dlrun.randomness": set(),
    "dlrun.files": {"dlrun.errors"},
    "dlrun.initializers": {*BASE, "dlrun.randomness"},
    "dlrun.graph": {*BASE, "dlrun.initializers"},
    "dlrun.layers": MODEL,
    "dlrun.models": {*MODEL, "dlrun.layers", "dlrun.targets"},
    "dlrun.losses": MODEL,
    "dlrun.optimizers": BASE,
    "dlrun.schedules": BASE,
    "dlrun.metrics": {*MODEL, "dlrun.losses", "dlrun.plan", "dlrun.recipe"},
    "dlrun.report": {*BASE, "dlrun.graph", "dlrun.data", "dlrun.metrics", "dlrun.plan", "dlrun.files"},
    "dlrun.tasks": {*MODEL, "dlrun.data", "dlrun.losses"},
    "dlrun.data": {*MODEL, "dlrun", "dlrun.files", "dlrun.plan", "dlrun.recipe"},
    "dlrun.recipe": DESCRIBED,
    "dlrun.update": {*BASE, "dlrun.graph", "dlrun.recipe"},
    "dlrun.phases": {*BASE, "dlrun.graph", "dlrun.losses", "dlrun.models", "dlrun.recipe"},
    "dlrun.plan": DESCRIBED,
    "dlrun.consistency": {*DESCRIBED, "dlrun.phases"},
    "dlrun.resolve": {*DESCRIBED, "dlrun.consistency", "dlrun.models", "dlrun.weights"},
    "dlrun.weights": {*DESCRIBED, "dlrun.backends"},
    "dlrun.config": {*DESCRIBED, "dlrun", "dlrun.resolve", "dlrun.backends", "dlrun.models", "dlrun.extensions"},
    "dlrun.backends.torch": {*DESCRIBED, "dlrun.backends", "dlrun.models", "dlrun.targets"},
    "dlrun.backends.tensorflow": {*DESCRIBED, "dlrun.backends", "dlrun.models", "dlrun.targets"},
    "dlrun.backends": {*DESCRIBED, "dlrun.models"},
    "dlrun.export": {*DESCRIBED, "dlrun", "dlrun.backends", "dlrun.run", "dlrun.config"},
    "dlrun.run": {
        *DESCRIBED,
        "dlrun",
        "dlrun.backends",
        "dlrun.config",
        "dlrun.resolve",
        "dlrun.export",
        "dlrun.extensions",
        "dlrun.report",
        "dlrun.weights",
    },
    "dlrun.compare": {
        *DESCRIBED,
        "dlrun",
        "dlrun.backends",
        "dlrun.config",
        "dlrun.report",
        "dlrun.run",
        "dlrun.weights",
    },
    "dlrun.cli": {
        *DESCRIBED,
        "dlrun",
        "dlrun.resolve",
        "dlrun.config",
        "dlrun.backends",
        "dlrun.run",
        "dlrun.export",
        "dlrun.compare",
        "dlrun.report",
        "dlrun.weights",
        "dlrun.reference",
    },
    "dlrun.api": {*DESCRIBED, "dlrun.config", "dlrun.run"},
    "dlrun.reference": {*DESCRIBED, "dlrun.models", "dlrun.config", "dlrun.backends"},
}
"""What a part may import beside itself. `dlrun.backends` stands for the folder without the two frameworks."""


@dataclass(frozen=True)
class Import:
    """One imported module name, where it stands, and whether only type checkers see it."""

    module: str
    line: int
    types_only: bool
    top: bool


def sources_of(*folders: str) -> Iterator[Path]:
    """Every Python file below these folders."""
    for folder in folders:
        yield from sorted(p for p in (ROOT / folder).rglob("*.py") if "__pycache__" not in p.parts)


def module_name(path: Path) -> str:
    """``dlrun/graph/build.py`` -> ``dlrun.graph.build``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports(path: Path) -> tuple[Import, ...]:
    """All imports of a file, those inside functions and ``if TYPE_CHECKING`` included."""
    found: list[Import] = []

    def visit(node: ast.AST, types_only: bool, top: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend(Import(alias.name, node.lineno, types_only, top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                exists = (ROOT / inner.replace(".", "/")).is_dir() or (ROOT / f"{inner.replace('.', '/')}.py").exists()
                found.append(Import(inner if exists else str(node.module), node.lineno, types_only, top))
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for child in node.body:
                visit(child, True, top)
            for child in node.orelse:
                visit(child, types_only, top)
            return
        inside = top and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            visit(child, types_only, inside)

    visit(ast.parse(path.read_text("utf-8")), False, True)
    return tuple(found)


def part_of(module: str) -> str:
    """The entry of ``DIRECTIONS`` a module belongs to: the longest one that contains it."""
    fits = [part for part in DIRECTIONS if module == part or module.startswith(part + ".")]
    return max(fits, key=len) if fits else "dlrun"


def within(module: str, package: str) -> bool:
    """Whether a module is a package or stands in it."""
    return module == package or module.startswith(package + ".")


def test_each_library_is_imported_by_one_folder() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{i.line} imports {i.module}, which belongs to {owner}"
        for path in sources_of("dlrun")
        for i in imports(path)
        for library, owner in OWNERS.items()
        if within(i.module, library) and not within(module_name(path), owner)
    ]
    assert not wrong, "\n".join(wrong)


def test_imports_point_one_way() -> None:
    wrong = []
    for path in sources_of("dlrun"):
        part = part_of(module_name(path))
        if part == "dlrun":
            continue
        for i in imports(path):
            if not within(i.module, "dlrun") or i.types_only:
                continue
            target = part_of(i.module)
            if target != part and target not in DIRECTIONS[part]:
                wrong.append(f"{path.relative_to(ROOT)}:{i.line}: {part} may not import {i.module}")
    assert not wrong, "\n".join(wrong)


def test_every_part_has_its_directions() -> None:
    parts = {p.stem for p in (ROOT / "dlrun").iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert {f"dlrun.{p}" for p in parts - {"__init__", "__main__"}} <= set(DIRECTIONS)


def test_verbs_import_their_work_lazily() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{i.line} imports {i.module} at the top"
        for path in sources_of("dlrun/cli")
        for i in imports(path)
        if i.top
        and not i.types_only
        and within(i.module, "dlrun")
        and i.module not in ("dlrun", "dlrun.errors", "dlrun.run.events")
        and not within(i.module, "dlrun.cli")
    ]
    assert not wrong, "\n".join(wrong)


FORBIDDEN = ("torch", "tensorflow", "keras")
COMMANDS = {
    "help": ["--help"],
    "train-help": ["train", "--help"],
    "recipes": ["recipes"],
    "check": ["check", "recipe=digits"],
    "show": ["show", "recipe=digits"],
}
PROBE = """
import json, sys
from dlrun.cli.app import main
try:
    code = main()
except SystemExit as end:
    code = end.code
loaded = [m for m in {modules!r} if m in sys.modules]
print("PROBE" + json.dumps([code or 0, loaded]))
"""


def probe(words: list[str], modules: tuple[str, ...], cwd: Path) -> tuple[int, list[str], str]:
    """Run a command line in a fresh process: exit code, which of ``modules`` it loaded, its output."""
    code = PROBE.format(modules=modules)
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=cwd, timeout=300)
    found = re.search(r"^PROBE(.*)$", done.stdout, re.MULTILINE)
    assert found, done.stdout + done.stderr
    exit_code, loaded = json.loads(found[1])
    return exit_code, loaded, done.stdout + done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_no_framework_is_loaded_before_training(command: str, tmp_path: Path) -> None:
    exit_code, loaded, output = probe(COMMANDS[command], FORBIDDEN, tmp_path)
    assert exit_code == 0, output
    assert loaded == []


def test_help_loads_neither_the_configuration_nor_numpy(tmp_path: Path) -> None:
    exit_code, loaded, output = probe(["--help"], ("hydra", "omegaconf", "pydantic", "numpy", *FORBIDDEN), tmp_path)
    assert exit_code == 0, output
    assert loaded == []


def test_check_loads_only_the_layers_and_losses_a_recipe_names(tmp_path: Path) -> None:
    families = tuple(f"dlrun.{family}.{name}" for family, name in [("layers", "attention"), ("losses", "sequence")])
    exit_code, loaded, output = probe(["check", "recipe=digits"], ("dlrun.layers.linear", *families), tmp_path)
    assert exit_code == 0, output
    assert loaded == ["dlrun.layers.linear"]


@pytest.mark.parametrize(("backend", "other"), [("torch", "tensorflow"), ("tensorflow", "torch")])
def test_training_loads_its_own_framework_only(backend: str, other: str, tmp_path: Path) -> None:
    words = ["train", "recipe=digits", f"backend={backend}", "--smoke"]
    exit_code, loaded, output = probe(words, (backend, other), tmp_path)
    assert exit_code == 0, output
    assert loaded == [backend]


def test_names_say_what_a_file_is_for() -> None:
    wrong = [p for p in sources_of("dlrun", "tests", "benchmarks") if p.stem in ("utils", "helpers", "common", "misc")]
    assert not wrong


def test_files_hold_one_idea() -> None:
    long = {
        str(p.relative_to(ROOT)): n
        for p in sources_of("dlrun", "tests", "benchmarks")
        if (n := len(p.read_text("utf-8").splitlines())) > 400
    }
    assert not long


def test_modules_say_what_they_are() -> None:
    silent = [str(p.relative_to(ROOT)) for p in sources_of("dlrun") if not ast.get_docstring(ast.parse(p.read_text()))]
    assert not silent


def test_tests_are_no_packages() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))
    stems = [p.stem for p in sources_of("tests") if p.stem != "conftest"]
    assert len(stems) == len(set(stems))


HEADINGS = ("Args", "Shapes", "Weights", "Errors", "Differs", "Source")
CONTRACTS: dict[str, Registry] = {
    "layer": layers,
    "loss": losses,
    "optimizer": optimizers,
    "schedule": schedules,
    "transform": transforms,
    "metric": metrics,
    "initializer": initializers,
}


@pytest.mark.parametrize(("role", "name"), [(role, name) for role, registry in CONTRACTS.items() for name in registry])
def test_docstring_keeps_the_contract(role: str, name: str) -> None:
    """One line; the formula; then what each heading promises, in this order."""
    text = inspect.cleandoc(CONTRACTS[role].get(name).__doc__ or "")
    first, _, rest = text.partition("\n\n")
    assert "\n" not in first and first.endswith("."), "the first line is one sentence"
    at = [re.search(rf"^{h}:", text, re.MULTILINE) for h in HEADINGS]
    missing = [h for h, found in zip(HEADINGS, at, strict=True) if found is None]
    assert not missing, f"headings missing: {missing}"
    starts = [found.start() for found in at if found]
    assert starts == sorted(starts), f"headings stand in the order {HEADINGS}"
    formula = text[len(first) : starts[0]].strip()
    assert formula, "the formula stands between the first line and `Args`"
    fields = {f for f in getattr(CONTRACTS[role].get(name), "__dataclass_fields__", {})} - {"name", "inputs"}
    explained = set(re.findall(r"^    (\w+):", text[starts[0] : starts[1]], re.MULTILINE))
    assert explained <= fields, f"`Args` names no field: {explained - fields}"


GROUPS: dict[str, list[str]] = {
    "optimizer": optimizers.names(),
    "schedule": schedules.names(),
    "loss": losses.names(),
    "backend": ["tensorflow", "torch"],
    "source": sources.names(),
}


def test_groups_offer_every_registered_choice() -> None:
    """`optimizer=sgd` and the like: a choice that cannot be named on the command line does not exist."""
    offered = {d.name: sorted(p.stem for p in d.glob("*.yaml")) for d in (ROOT / "conf").iterdir() if d.is_dir()}
    assert {"optimizer", "schedule", "backend"} <= set(offered)
    for group, names in GROUPS.items():
        if group in offered:
            assert set(names) <= set(offered[group]), group


PLACES = (r"(?<![\w.])/(?:work|root|home|opt)/\w", r"pypi\.org", r"pythonhosted\.org", r"download\.pytorch\.org")


def test_no_file_names_a_machine_or_a_registry() -> None:
    try:
        command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    found = []
    for name in listed:
        try:
            text = (ROOT / name).read_text("utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        found += [f"{name}: {m[0]}" for place in PLACES for m in re.finditer(place, text)]
    assert not found, "\n".join(found)
