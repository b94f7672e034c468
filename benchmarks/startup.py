"""How long the commands that load no framework take: median of warm runs, beside a bare import and compose.

python benchmarks/startup.py
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


def plain_groups(folder: Path) -> Path:
    """The groups and recipes as Hydra alone can compose them."""
    for group in (ROOT / "conf").iterdir():
        if group.is_dir():
            shutil.copytree(group, folder / group.name)
    (folder / "recipe").mkdir()
    for recipe in (ROOT / "recipes").glob("*.yaml"):
        (folder / "recipe" / recipe.name).write_text(f"# @package _global_\n{recipe.read_text()}")
    config = (ROOT / "conf" / "config.yaml").read_text()
    (folder / "config.yaml").write_text("\n".join(ln for ln in config.splitlines() if "hydra/" not in ln) + "\n")
    return folder


def seconds(command: list[str]) -> float:
    """Wall time of one run, which must succeed. Both programs run from bytecode, as anyone's second run does."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    quiet = subprocess.DEVNULL
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=quiet, stderr=quiet, cwd=ROOT, env=env)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--out", type=Path, default=ROOT / "outputs" / "benchmarks" / "startup.json")
    args = parser.parse_args()
    program = shutil.which("dlrun", path=str(Path(sys.executable).parent))
    assert program, "dlrun is not installed beside this Python"
    with tempfile.TemporaryDirectory() as folder:
        bare = [sys.executable, str(HERE / "baselines" / "bare_compose.py"), str(plain_groups(Path(folder)))]
        commands = {
            "dlrun --help": [program, "--help"],
            "dlrun check recipe=mnist": [program, "check", "recipe=mnist"],
            "bare import and compose": bare,
        }
        took: dict[str, list[float]] = {name: [] for name in commands}
        for turn in range(args.runs + 1):  # the first turn writes the bytecode and warms the disk cache
            for name, command in commands.items():
                one = seconds(command)
                if turn:
                    took[name].append(one)
    medians = {name: statistics.median(times) for name, times in took.items()}
    for name, times in took.items():
        print(f"{name:<26}{medians[name]:7.3f} s  ({min(times):.3f}-{max(times):.3f})")
    ratio = medians["dlrun check recipe=mnist"] / medians["bare import and compose"]
    print(f"check / bare: {ratio:.2f}")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"runs": args.runs, "seconds": took, "medians": medians, "ratio": ratio}, indent=2))


if __name__ == "__main__":
    main()
