"""Training speed beside hand-written loops and other trainers, in interleaved pairs of fresh processes.

python benchmarks/training.py            # 9 pairs of everything
python benchmarks/training.py --quick    # 1 short pair: does it run?
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import pty
import statistics
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from turns import ENVIRONMENT

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE / "baselines"))

from workload import BATCH, RECIPES, WARM  # noqa: E402

RIVALS = {
    ("torch", "mlp"): ("torch_loop", "lightning_fit"),
    ("torch", "cnn"): ("torch_loop", "lightning_fit"),
    ("tensorflow", "mlp"): ("tensorflow_loop", "keras_fit"),
    ("tensorflow", "cnn"): ("tensorflow_loop", "keras_fit"),
}
EPOCHS = {"mlp": 7, "cnn": 4}
BATCHES: dict[str, int | None] = {"mlp": None, "cnn": 40}
"""Updates per epoch: all 430, or fewer for the network that takes a minute per epoch."""


def child(command: list[str]) -> str:
    """Run a command with a terminal for its progress; returns its standard output."""
    master, slave = pty.openpty()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=slave, text=True, cwd=ROOT, env=ENVIRONMENT)
    os.close(slave)
    seen: list[bytes] = []

    def drain() -> None:
        try:
            while block := os.read(master, 65536):
                seen.append(block)
        except OSError:  # the other end is closed
            pass

    reader = threading.Thread(target=drain)
    reader.start()
    output, _ = process.communicate()
    reader.join()
    os.close(master)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{b''.join(seen).decode(errors='replace')}")
    return output


def dlrun(backend: str, model: str, epochs: int, batches: int | None) -> float:
    """Samples per second of ``dlrun train`` with everything on, from the ends of its epochs."""
    with tempfile.TemporaryDirectory() as folder:
        words = [f"recipe={RECIPES[model]}", f"backend={backend}", f"train.epochs={epochs}", f"output.root={folder}"]
        words += [f"train.limit_batches={batches}"] if batches else []
        result = json.loads(child([sys.executable, "-m", "dlrun", "train", *words, "--json"]))
        lines = (Path(result["directory"]) / "metrics.jsonl").read_text().splitlines()
        environment = json.loads((Path(result["directory"]) / "environment.json").read_text())
    assert environment["sessions"][-1]["backend"] == backend
    ends = {r["epoch"]: r["elapsed"] for r in map(json.loads, lines) if r["kind"] == "epoch"}
    samples = batches * BATCH if batches else 55_000
    return (epochs - WARM) * samples / (ends[epochs] - ends[WARM])


def rival(script: str, model: str, epochs: int, batches: int | None) -> float:
    """Samples per second of a baseline."""
    words = [sys.executable, str(HERE / "baselines" / f"{script}.py"), model, "--epochs", str(epochs)]
    words += ["--batches", str(batches)] if batches else []
    return float(json.loads(child(words).strip().splitlines()[-1])["samples_per_s"])


def summary(values: list[float]) -> dict[str, float]:
    """Median and spread."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def compare(
    backend: str, model: str, rivals: tuple[str, ...], pairs: int, epochs: int, batches: int | None
) -> list[dict[str, Any]]:
    """Run dlrun and its rivals in turn, ``pairs`` times; ratios are taken within a turn."""
    names = ("dlrun", *rivals)
    rates: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(pairs):
        for name in names if turn % 2 == 0 else reversed(names):
            one = dlrun(backend, model, epochs, batches) if name == "dlrun" else rival(name, model, epochs, batches)
            rates[name].append(one)
            print(f"  {turn + 1}/{pairs} {backend} {model} {name}: {one:,.0f} samples/s", file=sys.stderr, flush=True)
    rows = []
    for name in names[1:]:
        ratios = [a / b for a, b in zip(rates["dlrun"], rates[name], strict=True)]
        rows.append(
            {
                "backend": backend,
                "model": model,
                "rival": name,
                "pairs": pairs,
                "dlrun": summary(rates["dlrun"]),
                "rival_rate": summary(rates[name]),
                "ratio": summary(ratios),
            }
        )
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as aligned text."""
    lines = [f"{'backend':<11}{'model':<6}{'against':<16}{'dlrun/s':>10}{'rival/s':>10}{'ratio':>7}  (low-high)"]
    for r in rows:
        ratio = r["ratio"]
        lines.append(
            f"{r['backend']:<11}{r['model']:<6}{r['rival']:<16}{r['dlrun']['median']:>10,.0f}"
            f"{r['rival_rate']['median']:>10,.0f}{ratio['median']:>7.2f}  ({ratio['low']:.2f}-{ratio['high']:.2f})"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short pair of everything")
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--models", nargs="+", choices=EPOCHS, default=list(EPOCHS))
    parser.add_argument("--backends", nargs="+", choices=("torch", "tensorflow"), default=["torch", "tensorflow"])
    parser.add_argument("--loops-only", action="store_true", help="leave Lightning and Keras fit out")
    parser.add_argument("--out", type=Path, default=ROOT / "outputs" / "benchmarks" / "training.json")
    args = parser.parse_args()
    rows: list[dict[str, Any]] = []
    args.out.parent.mkdir(parents=True, exist_ok=True)
    machine = {"processors": os.cpu_count(), "platform": platform.platform(), "python": platform.python_version()}
    for model in args.models:
        for backend in args.backends:
            pairs, epochs, batches = (1, WARM + 1, 10) if args.quick else (args.pairs, EPOCHS[model], BATCHES[model])
            rivals = RIVALS[backend, model][: 1 if args.loops_only else None]
            rows += compare(backend, model, rivals, pairs, epochs, batches)
            args.out.write_text(json.dumps({"machine": machine, "rows": rows}, indent=2) + "\n")
    print(table(rows))
    print(f"\nwritten to {args.out}")


if __name__ == "__main__":
    main()
