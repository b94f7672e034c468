"""Step time of three networks beside the same network written by hand in the same framework.

python benchmarks/steps.py            # 9 interleaved pairs of everything
python benchmarks/steps.py --quick    # 1 short pair: does it run?

Each side runs in a process of its own, on the same resident samples, with the same batch and optimizer; the two
take turns, so that what slows the machine slows both, and every pair starts two new processes, since a process may be
faster or slower by a third for as long as it lives. A ratio is that of the medians of a pair's turns. dlrun runs as
it does by default, reproducibly; the other side as its framework does.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from turns import ROOT, serve, spread, take_turns

sys.path.insert(0, str(Path(__file__).resolve().parent / "baselines"))

BATCH, LENGTH, VOCABULARY, UNITS, HEADS, CLASSES = 64, 64, 5000, 128, 4, 10
IDS = f"{{name: random, shape: [{LENGTH}], dtype: int, vocabulary: {VOCABULARY}, classes: {CLASSES}, samples: 2048}}"
IMAGES = f"{{name: random, shape: [32, 32, 3], classes: {CLASSES}, samples: 2048}}"
_BLOCK = f"{{heads: {HEADS}, feedforward_units: {4 * UNITS}, dropout: 0, norm: first, activation: gelu, epsilon: 1e-5}}"
CASES: dict[str, dict[str, Any]] = {
    "resnet18": {"source": IMAGES, "model": "{name: resnet, depth: 18}", "steps": 2},
    "lstm": {
        "source": IDS,
        "model": f"{{layers: [{{embedding: {{vocabulary: {VOCABULARY}, units: {UNITS}}}}}, "
        f"{{lstm: {{units: {UNITS}, return_sequences: true}}}}, "
        f"{{lstm: {{units: {UNITS}, return_sequences: false}}}}, dense]}}",
        "steps": 4,
    },
    "transformer": {
        "source": IDS,
        "model": f"{{layers: [{{embedding: {{vocabulary: {VOCABULARY}, units: {UNITS}}}}}, learned_position, "
        f"{{transformer_encoder_block: {_BLOCK}}}, {{transformer_encoder_block: {_BLOCK}}}, "
        "global_avg_pool1d, dense]}",
        "steps": 4,
    },
}
Run = Callable[[int], Any]


def prepared(backend: str, name: str) -> tuple[Any, Any]:
    """The plan of a network and its data."""
    from dlrun.config import compose
    from dlrun.data.feed import Feed

    case = CASES[name]
    recipe = ROOT / "outputs" / "benchmarks" / f"steps-{name}.yaml"
    recipe.write_text(
        f"task: classification\ndata:\n  source: {case['source']}\n  batch_size: {BATCH}\nmodel: {case['model']}\n"
        "optimizer: {name: adam, learning_rate: 1e-3}\n"
    )
    plan = compose([f"recipe={recipe}", f"backend={backend}"]).plan
    return plan, Feed(plan)


def dlrun_side(backend: str, name: str) -> Run:
    """A function that trains for so many steps through dlrun's engine."""
    import numpy as np

    from dlrun.backends import load_backend

    plan, feed = prepared(backend, name)
    engine = load_backend(backend).compile(plan)
    engine.attach(feed.x, feed.y)
    order = feed.order(0)
    done = [0]

    def run(steps: int) -> None:
        engine.train_resident(order, 0, done[0], np.full(steps, 1e-3))
        done[0] += steps

    return run


def hand_side(backend: str, name: str) -> Run:
    """The same by hand."""
    _, feed = prepared(backend, name)
    x, y = feed.x, feed.y
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


def measure(backend: str, name: str, pairs: int, turns: int) -> dict[str, Any]:
    """Milliseconds a step of both sides, the median of ``turns`` turns in each of ``pairs`` pairs of processes."""
    steps = CASES[name]["steps"]
    commands = {side: [sys.executable, __file__, "--side", backend, name, side] for side in ("dlrun", "hand")}
    took: dict[str, list[float]] = {side: [] for side in commands}
    for pair in range(pairs):
        for side, seconds in take_turns(commands, steps, turns, reverse=pair % 2 == 1).items():
            took[side].append(seconds / steps * 1e3)
    return {"backend": backend, "network": name, "pairs": pairs, "turns": turns, "ms": took}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one pair of everything")
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--turns", type=int, default=7, help="turns of each side in a pair")
    parser.add_argument("--networks", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--backends", nargs="+", choices=("torch", "tensorflow"), default=["torch", "tensorflow"])
    parser.add_argument("--side", nargs=3, metavar=("BACKEND", "NETWORK", "SIDE"), help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=ROOT / "outputs" / "benchmarks" / "steps.json")
    args = parser.parse_args()
    pairs, turns = (1, 1) if args.quick else (args.pairs, args.turns)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    if args.side:
        backend, name, side = args.side
        serve((dlrun_side if side == "dlrun" else hand_side)(backend, name), warm=(2, 2))
        return
    rows = []
    print(f"{'backend':<11}{'network':<13}{'dlrun ms':>10}{'hand ms':>10}{'ratio':>7}  (low-high)")
    for backend in args.backends:
        for name in args.networks:
            row = measure(backend, name, pairs, turns)
            ratios = [h / d for d, h in zip(row["ms"]["dlrun"], row["ms"]["hand"], strict=True)]
            row["ratio"] = {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}
            rows.append(row)
            ours, hand = (statistics.median(row["ms"][side]) for side in ("dlrun", "hand"))
            print(
                f"{backend:<11}{name:<13}{ours:>10.1f}{hand:>10.1f}   {spread(ratios)}",
                flush=True,
            )
    args.out.write_text(json.dumps(rows, indent=2) + "\n")
    print(f"\nspeed of dlrun / speed by hand; written to {args.out}")


if __name__ == "__main__":
    main()
