"""Step time of three networks beside the same network written by hand in the same framework.

python benchmarks/steps.py            # 9 interleaved pairs of everything
python benchmarks/steps.py --quick    # 1 short pair: does it run?

Both sides run in one process (one framework each), on the same resident samples, with the same batch and
optimizer; they take turns, so that what slows the machine slows both.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE / "baselines"))

BATCH, LENGTH, VOCABULARY, UNITS, HEADS, CLASSES = 64, 64, 5000, 128, 4, 10
IDS = f"{{name: random, shape: [{LENGTH}], dtype: int, vocabulary: {VOCABULARY}, classes: {CLASSES}, samples: 2048}}"
IMAGES = f"{{name: random, shape: [32, 32, 3], classes: {CLASSES}, samples: 2048}}"
_BLOCK = f"{{heads: {HEADS}, feedforward_units: {4 * UNITS}, dropout: 0, norm: first, activation: gelu, epsilon: 1e-5}}"
CASES: dict[str, dict[str, Any]] = {
    "resnet18": {"source": IMAGES, "model": "{name: resnet, depth: 18}", "steps": 4},
    "lstm": {
        "source": IDS,
        "model": f"{{layers: [{{embedding: {{vocabulary: {VOCABULARY}, units: {UNITS}}}}}, "
        f"{{lstm: {{units: {UNITS}, return_sequences: true}}}}, "
        f"{{lstm: {{units: {UNITS}, return_sequences: false}}}}, dense]}}",
        "steps": 10,
    },
    "transformer": {
        "source": IDS,
        "model": f"{{layers: [{{embedding: {{vocabulary: {VOCABULARY}, units: {UNITS}}}}}, learned_position, "
        f"{{transformer_encoder_block: {_BLOCK}}}, {{transformer_encoder_block: {_BLOCK}}}, "
        "global_avg_pool1d, dense]}",
        "steps": 10,
    },
}
Run = Callable[[int], Any]


def dlrun_side(backend: str, case: dict[str, Any]) -> tuple[Run, Any, Any]:
    """A function that trains for so many steps through dlrun's engine, and the samples it trains on."""
    import numpy as np

    from dlrun.backends import load_backend
    from dlrun.config import compose
    from dlrun.data.feed import Feed

    with_recipe = ROOT / "outputs" / "benchmarks" / "steps.yaml"
    with_recipe.parent.mkdir(parents=True, exist_ok=True)
    with_recipe.write_text(
        f"task: classification\ndata:\n  source: {case['source']}\n  batch_size: {BATCH}\nmodel: {case['model']}\n"
        "optimizer: {name: adam, learning_rate: 1e-3}\n"
    )
    plan = compose([f"recipe={with_recipe}", f"backend={backend}"]).plan
    feed = Feed(plan)
    engine = load_backend(backend).compile(plan)
    engine.attach(feed.x, feed.y)
    order = feed.order(0)
    done = [0]

    def run(steps: int) -> None:
        engine.train_resident(order, 0, done[0], np.full(steps, 1e-3))
        done[0] += steps

    return run, feed.x, feed.y


def hand_side(backend: str, name: str, x: Any, y: Any) -> Run:
    """The same by hand."""
    if backend == "torch":
        import torch_models as torch_side

        models = {
            "resnet18": lambda: torch_side.ResNet18(CLASSES),
            "lstm": lambda: torch_side.LSTMClassifier(VOCABULARY, UNITS, CLASSES),
            "transformer": lambda: torch_side.Transformer(VOCABULARY, LENGTH, UNITS, HEADS, CLASSES),
        }
        return torch_side.stepper(models[name](), x, y, BATCH)
    import tensorflow_models as tensorflow_side

    weights = tensorflow_side.Weights()
    forwards = {
        "resnet18": lambda: tensorflow_side.resnet18(weights, CLASSES),
        "lstm": lambda: tensorflow_side.lstm(weights, VOCABULARY, LENGTH, UNITS, CLASSES),
        "transformer": lambda: tensorflow_side.transformer(weights, VOCABULARY, LENGTH, UNITS, HEADS, CLASSES),
    }
    return tensorflow_side.stepper(forwards[name](), weights, x, y, BATCH)


def measure(backend: str, name: str, pairs: int) -> dict[str, Any]:
    """Milliseconds a step of both sides, ``pairs`` times in turn."""
    case = CASES[name]
    ours, x, y = dlrun_side(backend, case)
    sides: dict[str, Run] = {"dlrun": ours, "hand": hand_side(backend, name, x, y)}
    for run in sides.values():
        run(2)
        run(2)
    took: dict[str, list[float]] = {"dlrun": [], "hand": []}
    for turn in range(pairs):
        for side in sides if turn % 2 == 0 else reversed(sides):
            start = time.perf_counter()
            sides[side](case["steps"])
            took[side].append((time.perf_counter() - start) / case["steps"] * 1e3)
    return {"backend": backend, "network": name, "pairs": pairs, "ms": took}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one pair of everything")
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--networks", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--backends", nargs="+", choices=("torch", "tensorflow"), default=["torch", "tensorflow"])
    parser.add_argument("--one", nargs=2, metavar=("BACKEND", "NETWORK"), help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=ROOT / "outputs" / "benchmarks" / "steps.json")
    args = parser.parse_args()
    pairs = 1 if args.quick else args.pairs
    if args.one:
        print(json.dumps(measure(*args.one, pairs)))
        return
    rows = []
    print(f"{'backend':<11}{'network':<13}{'dlrun ms':>10}{'hand ms':>10}{'ratio':>7}  (low-high)")
    for backend in args.backends:
        for name in args.networks:
            command = [sys.executable, __file__, "--one", backend, name, "--pairs", str(pairs)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
            row = json.loads(done.stdout.strip().splitlines()[-1])
            ratios = [h / d for d, h in zip(row["ms"]["dlrun"], row["ms"]["hand"], strict=True)]
            row["ratio"] = {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}
            rows.append(row)
            ours, hand = (statistics.median(row["ms"][side]) for side in ("dlrun", "hand"))
            print(
                f"{backend:<11}{name:<13}{ours:>10.1f}{hand:>10.1f}{row['ratio']['median']:>7.2f}"
                f"  ({row['ratio']['low']:.2f}-{row['ratio']['high']:.2f})",
                flush=True,
            )
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(rows, indent=2) + "\n")
    print(f"\nspeed of dlrun / speed by hand; written to {args.out}")


if __name__ == "__main__":
    main()
