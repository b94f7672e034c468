"""Whether `dlrun compare` holds for every architecture: a small recipe of each, on random samples.

python benchmarks/agreement.py                       # all, sequentially, about a minute each
python benchmarks/agreement.py --only vit --only unet  # names as in the table, or of architectures
python benchmarks/agreement.py --only vit device.name=cuda

Each recipe is a file in a temporary folder and goes through the command in a process of its own: both backends, 20
updates in float64 and in float32, noise over five repetitions, and over thirty where that is not enough. Exit code 1
when a promise is broken.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "outputs" / "benchmarks" / "agreement.json"
STEPS = {"float64": 20, "float32": 10}
"""Updates that the table tells of."""
SEEDS = (5, 30)
"""Repetitions that measure noise; the more of them only where the promise is broken with the fewer, which may all miss
a relu that switches by the last bit."""
TIMEOUT_S = 1800
PACKAGES = ("dlrun", "torch", "tensorflow", "tensorflow-cpu", "keras", "numpy")


@dataclass(frozen=True)
class Case:
    """A recipe.

    Args:
        name: How the table calls it.
        model: The architecture's name and fields.
        source: Fields of the source `random`.
        optimizer: Name and learning rate.
        more: Further keys of the recipe.
    """

    name: str
    model: dict[str, Any]
    source: dict[str, Any]
    optimizer: dict[str, Any] = field(default_factory=lambda: {"name": "sgd", "learning_rate": 0.01, "momentum": 0.9})
    more: dict[str, Any] = field(default_factory=dict)

    def recipe(self) -> dict[str, Any]:
        """The recipe as a file says it: 24 updates, three epochs of eight."""
        return {
            "task": "classification",
            "data": {"source": {"name": "random", "samples": 48, **self.source}, "batch_size": 6},
            "model": self.model,
            "optimizer": self.optimizer,
            "train": {"epochs": 3},
            "device": {"name": "cpu", "threads": 1},
            "tracker": "none",
            **self.more,
        }


def _images(side: int, channels: int = 3) -> dict[str, Any]:
    return {"shape": [side, side, channels], "classes": 5}


CLASSES = 5
IDS = 11
TEXT = {"shape": [12], "dtype": "int", "vocabulary": IDS, "classes": CLASSES}
"""Id 0, the padding, is drawn like any other."""
PAIR = {**TEXT, "shape": [14], "target": [6], "classes": IDS}
"""Eight ids of a source and six of a target, of which each is predicted."""
SMALL = {"vocabulary": IDS, "units": 8, "heads": 2, "depth": 2, "feedforward_units": 16}
ADAM = {"name": "adam", "learning_rate": 1e-3}
SLOW = {"name": "sgd", "learning_rate": 1e-5}
"""For the deepest stacks of batch normalisation, whose gradient grows a thousandfold on its way; with ``clip_norm``."""
STRONGER = [
    {"match": "hidden?.kernel", "initializer": "he_normal"},
    {"match": "logits.kernel", "initializer": "he_normal"},
]
"""The published start lets so little of a narrow network's answer through that any would agree."""
BOTH_OUTPUTS = {
    "name": "weighted_sum",
    "terms": [
        {"loss": "softmax_cross_entropy"},
        {"loss": "softmax_cross_entropy", "weight": 0.4, "output": "auxiliary.logits"},
    ],
}


CASES = (
    Case("mlp", {"name": "mlp", "units": [16, 8], "batch_norm": True, "dropout": 0.2}, _images(8, 1)),
    Case("lenet", {"name": "lenet"}, _images(28, 1)),
    Case(
        "vgg",
        {"name": "vgg", "depth": 11, "filters": 4, "units": 16, "pool": 1, "initializers": STRONGER},
        _images(32),
    ),
    Case(
        "vgg, batch norm",
        {
            "name": "vgg",
            "depth": 11,
            "filters": 4,
            "units": 16,
            "pool": 2,
            "batch_norm": True,
            "initializers": STRONGER,
        },
        _images(64),
    ),
    Case(
        "inception",
        {"name": "inception", "width": 0.04},
        _images(107),
        SLOW,
        {"train": {"epochs": 3, "clip_norm": 1.0}},
    ),
    Case(
        "inception, auxiliary",
        {"name": "inception", "width": 0.04, "auxiliary": True},
        {**_images(299), "samples": 24},
        SLOW,
        {"loss": BOTH_OUTPUTS, "train": {"epochs": 6, "clip_norm": 1.0}},
    ),
    Case("resnet, CIFAR", {"name": "resnet", "depth": 20, "filters": 4}, _images(32)),
    Case("resnet, ImageNet 18", {"name": "resnet", "depth": 18, "filters": 4}, _images(64)),
    Case(
        "resnet, ImageNet 50",
        {"name": "resnet", "depth": 50, "filters": 4},
        _images(64),
        SLOW,
        {"train": {"epochs": 3, "clip_norm": 1.0}},
    ),
    Case("densenet", {"name": "densenet", "blocks": [2, 3], "growth": 4, "dropout": 0.1}, _images(32)),
    Case(
        "mobilenet", {"name": "mobilenet", "width": 0.2}, _images(64), SLOW, {"train": {"epochs": 3, "clip_norm": 1.0}}
    ),
    Case(
        "efficientnet",
        {"name": "efficientnet", "width": 0.15, "depth": 0.5},
        _images(64),
        SLOW,
        {"train": {"epochs": 3, "clip_norm": 1.0}},
    ),
    Case(
        "convnext",
        {"name": "convnext", "blocks": [1, 1, 2], "filters": [4, 6, 8], "layer_scale": 0.5},
        _images(32),
        ADAM,
    ),
    Case(
        "vit",
        {"name": "vit", "patch": 4, "units": 16, "depth": 2, "heads": 2, "dropout": 0.1, "attention_dropout": 0.1},
        _images(16),
        ADAM,
    ),
    Case(
        "vit, mean",
        {"name": "vit", "patch": 8, "units": 16, "depth": 1, "heads": 4, "pool": "mean"},
        _images(24),
        ADAM,
    ),
    Case("unet", {"name": "unet", "depth": 2, "filters": 4}, {**_images(16), "target": [16, 16]}),
    Case(
        "unet, batch norm",
        {"name": "unet", "depth": 2, "filters": 4, "batch_norm": True},
        {"shape": [18, 21, 2], "classes": 4, "target": [18, 21]},
    ),
    Case("text_cnn", {"name": "text_cnn", "vocabulary": IDS, "units": 8, "filters": 4}, TEXT, ADAM),
    Case(
        "lstm_classifier",
        {"name": "lstm_classifier", "vocabulary": IDS, "units": 8, "state": 6, "dropout": 0.2},
        TEXT,
        ADAM,
    ),
    Case(
        "lstm_classifier, one way",
        {"name": "lstm_classifier", "vocabulary": IDS, "units": 8, "state": 6, "bidirectional": False},
        TEXT,
        ADAM,
    ),
    Case("transformer_classifier", {"name": "transformer_classifier", **SMALL, "attention_dropout": 0.1}, TEXT, ADAM),
    Case(
        "transformer_classifier, norm first",
        {"name": "transformer_classifier", **SMALL, "norm": "first", "positions": "learned", "pool": "max"},
        TEXT,
        ADAM,
    ),
    Case(
        "bert",
        {
            "name": "bert",
            **SMALL,
            "length": 16,
            "initializers": [
                {"match": "encoder.*.kernel", "initializer": "he_normal"},
                {"match": "logits.kernel", "initializer": "he_normal"},
            ],
        },
        TEXT,
        ADAM,
    ),
    Case("seq2seq_transformer", {"name": "seq2seq_transformer", **SMALL, "source_length": 8, "start": 1}, PAIR, ADAM),
    Case(
        "seq2seq_transformer, untied",
        {"name": "seq2seq_transformer", **SMALL, "source_length": 8, "tied": False, "norm": "first"},
        PAIR,
        ADAM,
    ),
    Case(
        "seq2seq_transformer, copy",
        {"name": "seq2seq_transformer", **SMALL, "source_length": 8, "copy": True},
        PAIR,
        ADAM,
    ),
    Case(
        "dcgan_generator",
        {"name": "dcgan_generator", "size": 16, "filters": 4},
        {"shape": [6], "target": [16, 16, 3]},
        more={"task": "regression"},
    ),
    Case(
        "dcgan_discriminator",
        {"name": "dcgan_discriminator", "filters": 4},
        {"shape": [16, 16, 3], "target": [1]},
        more={"task": "regression"},
    ),
)


def measure(case: Case, folder: Path, overrides: Sequence[str] = (), steps: int | None = None) -> dict[str, Any]:
    """Compare one recipe on both backends.

    Args:
        case: The recipe.
        folder: Where its file and the report go.
        overrides: Further words of the command.
        steps: Updates in both precisions instead of 20.

    Returns:
        Name, recipe, seconds, exit code, verdict, and of each precision what ``dlrun compare --json`` says of the
        updates asked for; ``error`` instead of those where the command failed.
    """
    import yaml

    file = folder / "".join(c if c.isalnum() else "_" for c in case.name)
    file = file.with_suffix(".yaml")
    file.write_text(yaml.safe_dump({**case.recipe(), "output": {"root": str(folder)}}, sort_keys=False))
    command = [sys.executable, "-m", "dlrun", "compare", str(file), *overrides]
    command += ["--steps", str(steps or max(STEPS.values())), "--no-speed", "--json", "--quiet"]
    # The one who reads this wants dlrun's errors, not TensorFlow's greeting.
    env = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    started = time.perf_counter()
    for seeds in SEEDS:
        words = [*command, "--seeds", str(seeds)]
        done = subprocess.run(words, capture_output=True, text=True, cwd=folder, env=env, timeout=TIMEOUT_S)
        if done.returncode != 1 or '"precisions"' not in done.stdout:  # what failed in another way failed
            break
    found: dict[str, Any] = {
        "seeds": seeds,
        "name": case.name,
        "architecture": case.model["name"],
        "recipe": case.recipe(),
        "seconds": round(time.perf_counter() - started, 1),
        "exit_code": done.returncode,
        "holds": False,
    }
    try:
        report = json.loads(done.stdout)
    except json.JSONDecodeError:
        report = {}
    if "precisions" not in report:
        return {**found, "error": done.stderr.strip() or done.stdout.strip()}
    precisions = {p["dtype"]: _precision(p) for p in report["precisions"]}
    found["precisions"] = precisions
    found["holds"] = done.returncode == 0
    return found


def _precision(report: dict[str, Any]) -> dict[str, Any]:
    """The check of the updates the table tells of, all checks, and the cause of a difference."""
    check = next((c for c in report["checks"] if c["steps"] == STEPS[report["dtype"]]), report["checks"][0])
    return {**check, "checks": report["checks"], "cause": report["cause"] and report["cause"]["says"]}


def second_term(row: dict[str, Any]) -> str:
    """The precisions in which only ten times the recipe's own noise allows the difference."""
    by_noise = [
        f"{dtype} at {c['steps']}" for dtype, p in row["precisions"].items() for c in p["checks"] if c["by_noise"]
    ]
    return ", ".join(by_noise) or "no"


def table(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Markdown, one line a recipe."""
    measured = [title for dtype, n in STEPS.items() for title in (f"{dtype}, {n} updates", "noise")]
    titles = ("recipe", *measured, "needs noise", "verdict")
    lines = [titles, tuple("---:" if "updates" in t or t == "noise" else "---" for t in titles)]
    for row in rows:
        verdict = "pass" if row["holds"] else "FAIL"
        if "error" in row:
            lines.append((row["name"], "", "", "", "", "", f"{verdict}: exit code {row['exit_code']}"))
            continue
        numbers = [_said(row["precisions"][d][k]) for d in STEPS for k in ("difference", "noise")]
        lines.append((row["name"], *numbers, second_term(row), verdict))
    widths = [max(len(line[i]) for line in lines) for i in range(len(titles))]
    return [f"| {' | '.join(c.ljust(w) for c, w in zip(line, widths, strict=True))} |" for line in lines]


def _said(value: float | None) -> str:
    return "not a number" if value is None else f"{value:.1e}"


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return {"versions": found, "python": platform.python_version(), "processor": platform.machine()}


def chosen(names: Sequence[str] | None) -> list[Case]:
    """Cases by their own or their architecture's names; all when none is given."""
    known = {c.name for c in CASES} | {c.model["name"] for c in CASES}
    for name in names or ():
        if name not in known:
            raise SystemExit(f"`{name}` is none of {', '.join(sorted(known))}")
    return [c for c in CASES if not names or c.name in names or c.model["name"] in names]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="overrides of every recipe")
    parser.add_argument("--only", action="append", metavar="NAME", help="a recipe or an architecture; can be repeated")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    rows = []
    cases = chosen(args.only)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="dlrun-agreement-") as temporary:
        for i, case in enumerate(cases, 1):
            print(f"{i}/{len(cases)} {case.name}", end=" ", file=sys.stderr, flush=True)
            row = measure(case, Path(temporary), args.overrides)
            rows.append(row)
            print(f"{'pass' if row['holds'] else 'FAIL'}, {row['seconds']:.0f} s", file=sys.stderr)
            causes = [f"{d}: {p['cause']}" for d, p in row.get("precisions", {}).items() if p["cause"]]
            for said in [*causes, *row.get("error", "").splitlines()[-12:]]:
                print(f"    {said}", file=sys.stderr, flush=True)
            args.out.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=2) + "\n")
    print("\n".join(table(rows)))
    print(f"\nwritten to {args.out}", file=sys.stderr)
    return 0 if all(row["holds"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
