"""Scores on scikit-learn's tables beside its own multilayer perceptron of the same size, on the same rows.

python benchmarks/tables.py            # 5 seeds of all tables on both backends
python benchmarks/tables.py --seeds 20
python benchmarks/tables.py --quick    # 1 seed of one table: does it run?

Both standardise the columns by the training rows and train one hidden layer of 100 rectified units with Adam (learning
rate 0.001, batches of 200) for as many epochs; weights and biases start in the same distribution, so that scores differ
by chance alone: the standard error beside each mean tells how far. Seed i is `seed=i` here and `random_state=i` there.
No time is measured: it may run beside other work.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from turns import ROOT

EPOCHS = {"breast_cancer": 200, "wine": 200, "iris": 200, "digits": 200, "diabetes": 2000}
BACKENDS = ("torch", "tensorflow")
WORK = ROOT / "outputs" / "benchmarks" / "tables"


def recipe(table: str) -> Path:
    """The table's recipe, written."""
    numbers = table == "diabetes"
    x, y, *_ = rows(table)
    units = 1 if numbers or table == "breast_cancer" else len(np.unique(y))
    loss = "mse" if numbers else "binary_cross_entropy" if units == 1 else "softmax_cross_entropy"
    path = WORK / f"{table}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"task: tabular_{'regression' if numbers else 'classification'}\n"
        f"data:\n  source: {{name: sklearn, dataset: {table}}}\n  preprocess: [normalize]\n"
        f"  batch_size: {min(200, len(x))}\n"
        f"model:\n  layers:\n    - dense: {{units: 100, activation: relu, {biases(x.shape[1], 100)}}}\n"
        f"    - dense: {{units: {units}, {biases(100, units)}}}\n"
        f"loss: {loss}\nmetrics: [{'r2' if numbers else 'accuracy'}]\n"
        f"optimizer: {{name: adam, learning_rate: 1e-3}}\ntrain: {{epochs: {EPOCHS[table]}}}\n"
        "device: {threads: 1}\ntracker: none\n"
    )
    return path


def biases(read: int, made: int) -> str:
    """How scikit-learn starts the biases of a layer: as its weights, by Glorot's bound."""
    bound = (6 / (read + made)) ** 0.5
    return f"bias_initializer: {{name: uniform, low: {-bound}, high: {bound}}}"


def dlrun_score(table: str, backend: str, seed: int) -> float:
    """Accuracy or R2 on the test rows."""
    import dlrun

    words = [f"backend={backend}", f"seed={seed}"]
    metrics: dict[str, Any] = dlrun.train(recipe(table), words).metrics
    return float(metrics["test_r2" if table == "diabetes" else "test_accuracy"])


def rows(table: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training and test samples and targets, the rows that dlrun takes."""
    from dlrun.data.source import Place
    from dlrun.data.sources.sklearn import Sklearn

    source = Sklearn(dataset=table)
    train, test = (source.load(split, Place()) for split in ("train", "test"))
    return train.x, train.y, test.x, test.y


def sklearn_score(table: str, seed: int) -> float:
    """Accuracy or R2 on the test rows of scikit-learn's network."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.preprocessing import StandardScaler

    x, y, test_x, test_y = rows(table)
    scaler = StandardScaler().fit(x)
    kind = MLPRegressor if table == "diabetes" else MLPClassifier
    network = kind(
        hidden_layer_sizes=(100,), batch_size=min(200, len(x)), max_iter=EPOCHS[table], n_iter_no_change=10**9
    )
    network.set_params(random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is to train for exactly so many epochs
        network.fit(scaler.transform(x), y)
    return float(network.score(scaler.transform(test_x), test_y))


def said(scores: list[float]) -> str:
    """Mean, its standard error, and the range."""
    error = statistics.stdev(scores) / len(scores) ** 0.5 if len(scores) > 1 else float("nan")
    return f"{statistics.mean(scores):.4f} ± {error:.4f} ({min(scores):.4f}-{max(scores):.4f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one seed of one table")
    parser.add_argument("--tables", nargs="+", choices=EPOCHS, default=list(EPOCHS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=ROOT / "outputs" / "benchmarks" / "tables.json")
    args = parser.parse_args()
    tables, seeds = (args.tables[:1], 1) if args.quick else (args.tables, args.seeds)
    WORK.mkdir(parents=True, exist_ok=True)
    os.chdir(WORK)
    sides = (*BACKENDS, "scikit-learn")
    print(f"{'table':<14}" + "".join(f"{side:>38}" for side in sides) + "   mean ± its standard error (lowest-highest)")
    found = {}
    for table in tables:
        scores = {
            side: [
                sklearn_score(table, seed) if side == "scikit-learn" else dlrun_score(table, side, seed)
                for seed in range(seeds)
            ]
            for side in sides
        }
        found[table] = scores
        print(f"{table:<14}" + "".join(f"{said(s):>38}" for s in scores.values()), flush=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"seeds": seeds, "epochs": EPOCHS, "scores": found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
