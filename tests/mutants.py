"""Plants mistakes in the lowerings, losses and optimizers of both backends and counts how many the tests find.

    python tests/mutants.py               # 80 mutants, the fixed draw
    python tests/mutants.py --count 200 --seed 1 --only torch/conv

A mutant is one small change of one source file: another sign, another constant, another axis, the other
padding side, a term left out, two arguments swapped, a flag turned over, a comparison moved by one. Mutants
are drawn by a fixed seed, evenly over the files. Each runs in a process of its own, in which the changed file
is loaded in place of the real one (nothing is written to the package) and the tests of what the file
lowers are run until one fails. On the real files those tests pass: see to that first. Survivors are listed with
their place and change, and so is what could not be run. Exit status 1 if there are any.
"""

from __future__ import annotations

import argparse
import ast
import copy
import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BACKENDS = ROOT / "dlrun" / "backends"
NOT_MEANING = {
    "use_locking",
    "name",
    "memory_format",
    "parallel_iterations",
    "foreach",
    "fused",
    "swap_memory",
    "inplace",
    "strict",
}
"""Keyword arguments that change speed or looks, never a number."""
SWAPPED = {"matmul", "subtract", "kl_div", "xlogy", "divide_no_nan", "logaddexp", "pow", "squared_difference"}
"""Functions of two tensors whose order matters."""
LIMIT_S = 420


@dataclass(frozen=True)
class Mutant:
    """One change: ``before`` became ``after`` at ``line`` of ``file``."""

    file: Path
    line: int
    kind: str
    before: str
    after: str
    source: str

    @property
    def place(self) -> str:
        """``torch/conv.py:31``."""
        return f"{self.file.relative_to(BACKENDS)}:{self.line}"


def families() -> list[Path]:
    """The files that lower something, in both backends."""
    return [
        path
        for backend in ("torch", "tensorflow")
        for path in sorted((BACKENDS / backend).rglob("*.py"))
        if re.search(r"^@lowers\(", path.read_text(), re.MULTILINE)
    ]


def mutants_of(path: Path) -> list[Mutant]:
    """Every mutant of a file, in order."""
    text = path.read_text()
    tree = ast.parse(text)
    found = []
    for index, node in enumerate(ast.walk(tree)):
        for kind, change in _changes(node):
            changed = copy.deepcopy(tree)
            target = next(n for i, n in enumerate(ast.walk(changed)) if i == index)
            change(target)
            ast.fix_missing_locations(changed)
            before, after = ast.unparse(node), ast.unparse(target)
            if before == after:
                continue
            found.append(Mutant(path, getattr(node, "lineno", 0), kind, before, after, ast.unparse(changed)))
    return found


def _changes(node: ast.AST) -> Iterator[tuple[str, object]]:
    """The ways to change one node: (kind, function that does it in place)."""
    if isinstance(node, ast.BinOp):
        pairs = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
        if type(node.op) in pairs and not _text(node.left) and not _text(node.right):
            yield "sign", lambda n: setattr(n, "op", pairs[type(n.op)]())
            if isinstance(node.op, ast.Add | ast.Sub):
                yield "omitted term", _keep_left
            if isinstance(node.op, ast.Sub | ast.Div):
                yield "swapped operands", _swap
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        if not isinstance(node.operand, ast.Constant):
            yield "sign", lambda n: setattr(n, "op", ast.UAdd())
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        moved = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
        if type(node.ops[0]) in moved:
            yield "bound", lambda n: setattr(n, "ops", [moved[type(n.ops[0])]()])
    elif isinstance(node, ast.Call):
        if len(node.args) == 3 and isinstance(node.func, ast.Attribute) and node.func.attr == "where":
            yield "swapped arguments", lambda n: n.args.__setitem__(slice(1, 3), [n.args[2], n.args[1]])
        if len(node.args) == 2 and isinstance(node.func, ast.Attribute) and node.func.attr in SWAPPED:
            yield "swapped arguments", lambda n: n.args.reverse()
        for i, keyword in enumerate(node.keywords):
            if keyword.arg is None or keyword.arg in NOT_MEANING:
                continue
            yield from _keyword(i, keyword)


def _keyword(i: int, keyword: ast.keyword) -> Iterator[tuple[str, object]]:
    value = keyword.value

    def put(new: ast.expr) -> object:
        return lambda n: setattr(n.keywords[i], "value", new)

    if isinstance(value, ast.Constant) and isinstance(value.value, bool):
        yield "flag", put(ast.Constant(not value.value))
    elif isinstance(value, ast.Constant) and isinstance(value.value, int | float):
        kind = "axis" if keyword.arg in ("axis", "dim", "axes") else "constant"
        yield kind, put(ast.Constant(value.value + 1))
    elif isinstance(value, ast.Constant) and value.value in ("SAME", "VALID"):
        yield "padding side", put(ast.Constant("VALID" if value.value == "SAME" else "SAME"))
    elif isinstance(value, ast.UnaryOp) and isinstance(value.operand, ast.Constant):
        yield "axis", put(ast.Constant(0 if keyword.arg in ("axis", "dim", "axes") else value.operand.value))
    elif isinstance(value, ast.Tuple) and len(value.elts) == 2:
        yield "padding side", put(ast.Tuple([value.elts[1], value.elts[0]], ast.Load()))
    elif isinstance(value, ast.Attribute) and keyword.arg in ("eps", "epsilon", "momentum", "alpha", "negative_slope"):
        yield "constant", put(ast.BinOp(copy.deepcopy(value), ast.Mult(), ast.Constant(1.5)))


def _keep_left(node: ast.BinOp) -> None:
    node.right = ast.Constant(0)


def _swap(node: ast.BinOp) -> None:
    node.left, node.right = node.right, node.left


def _text(node: ast.AST) -> bool:
    """Whether an expression is about text or sequences, where a changed sign would only raise."""
    return any(
        isinstance(n, ast.JoinedStr | ast.List | ast.Tuple)
        or (isinstance(n, ast.Constant) and isinstance(n.value, str))
        for n in ast.walk(node)
    )


def draw(files: list[Path], count: int, seed: int) -> list[Mutant]:
    """``count`` mutants, evenly over the files and, within one, over the kinds of change."""
    chance = random.Random(seed)
    pools = {path: mutants_of(path) for path in files}
    for pool in pools.values():
        chance.shuffle(pool)
    chosen: list[Mutant] = []
    while len(chosen) < count and any(pools.values()):
        for path in files:
            pool = pools[path]
            if not pool or len(chosen) == count:
                continue
            used = [m.kind for m in chosen if m.file == path]
            pool.sort(key=lambda m: used.count(m.kind))  # stable: the shuffled order decides among equals
            chosen.append(pool.pop(0))
    return chosen


def selection(path: Path) -> list[list[str]]:
    """The tests of what a file lowers, as pytest's arguments: the quick ones, then the rest."""
    if "optimizer" in path.stem:
        return [["tests/backends/test_optimizer_rules.py", "tests/backends/test_weight_rules.py"]]
    if path.parent.name == "losses":
        return [["tests/conformance/test_losses.py"], ["tests/losses"]]
    from dlrun.graph import layers

    backend = path.relative_to(BACKENDS).parts[0]
    classes = set(re.findall(r"^@lowers\((?:\w+\.)*(\w+)", path.read_text(), re.MULTILINE))
    kinds = [kind for kind in layers if layers.get(kind).__name__ in classes]
    quick = ["tests/conformance/test_layers.py", "-k", " or ".join(f"{kind}-" for kind in kinds)]
    return [quick, ["tests/layers", f"tests/backends/test_{backend}_layers.py"]]


CHILD = """
import importlib.abc, importlib.util, json, sys
name, source, arguments = json.load(sys.stdin)

class Planted(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):
    def find_spec(self, fullname, path, target=None):
        return importlib.util.spec_from_loader(fullname, self) if fullname == name else None
    def get_filename(self, fullname):
        return "<mutant>"
    def get_data(self, path):
        return source.encode()

sys.meta_path.insert(0, Planted())
import pytest
code = pytest.main(arguments)
loaded = sys.modules.get(name)
sys.exit(int(code) if loaded is not None and loaded.__file__ == "<mutant>" else 97)
"""


def fate(mutant: Mutant) -> tuple[str, str]:
    """``killed`` when a test fails on the mutant, ``survived``, or ``not run``; and what pytest said last.

    Only a test that fails kills: a file that cannot even be collected says nothing of the tests.
    """
    name = ".".join(("dlrun", "backends", *mutant.file.relative_to(BACKENDS).with_suffix("").parts))
    last = ""
    for chosen in selection(mutant.file):
        # In one process (-n 0): workers would load the real file.
        arguments = [*chosen, "-x", "-q", "--no-header", "--tb=no", "-p", "no:cacheprovider", "-n", "0"]
        try:
            done = subprocess.run(
                [sys.executable, "-c", CHILD],
                input=json.dumps([name, mutant.source, arguments]),
                capture_output=True,
                text=True,
                cwd=ROOT,
                timeout=LIMIT_S,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            )
        except subprocess.TimeoutExpired:
            return "killed", "ran too long"
        last = (done.stdout.strip().splitlines() or [""])[-1]
        if done.returncode == 1:
            return "killed", last
        if done.returncode not in (0, 5):  # 5: no test was selected; 97: the changed file was not loaded
            return "not run", last
    return "survived", last


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=80)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="files whose path contains this")
    parser.add_argument("--list", action="store_true", help="say which mutants there would be, run nothing")
    parser.add_argument("--out", type=Path, default=ROOT / "outputs" / "mutants.json")
    args = parser.parse_args()
    files = [f for f in families() if args.only in str(f.relative_to(BACKENDS))]
    chosen = draw(files, args.count, args.seed)
    if args.list:
        for m in chosen:
            print(f"{m.place:34} {m.kind:18} {m.before}  ->  {m.after}")
        return 0
    fates: dict[str, list[Mutant]] = {"killed": [], "survived": [], "not run": []}
    results, started = [], time.monotonic()
    for i, mutant in enumerate(chosen, 1):
        end, last = fate(mutant)
        results.append({"place": mutant.place, "kind": mutant.kind, "before": mutant.before, "after": mutant.after})
        results[-1] |= {"fate": end, "said": last}
        fates[end].append(mutant)
        print(f"{i}/{len(chosen)} {end:8} {mutant.place:34} {mutant.kind}", flush=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"seed": args.seed, "mutants": results}, indent=2) + "\n")
    print(f"\n{len(fates['killed'])} of {len(chosen)} killed in {time.monotonic() - started:.0f} s")
    for end in ("survived", "not run"):
        for m in fates[end]:
            print(f"{end}: {m.place} {m.kind}: {m.before}  ->  {m.after}")
    return 0 if len(fates["killed"]) == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
