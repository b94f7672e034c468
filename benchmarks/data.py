"""Samples per second of reading JPEGs, cropping, mirroring, normalising and batching, side by side.

python benchmarks/data.py            # 9 rounds of fresh processes
python benchmarks/data.py --quick    # 1 short round: does it run?

Needs DLRUN_DATA. Each side prepares the same files in random order with two cores and may use them as it likes best:
dlrun two worker processes, torch a DataLoader with two workers that do the same per sample, TensorFlow tf.data with
parallel maps and prefetching. dlrun and torch decode with simplejpeg, tf.data with its own binding of the same library
(libjpeg-turbo), the accurate transform in all of them. Nothing is cached: every sample is read and decoded each time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from turns import ROOT, serve, spread, take_turns

WORK = ROOT / "outputs" / "benchmarks" / "data"
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
# A turn's batches are many more than what a side may have prepared while the others took theirs.
CASES: dict[str, dict[str, Any]] = {
    "32x32": {"size": (32, 32), "crop": (32, 32), "padding": 4, "batch": 128, "batches": 150},
    "480x360": {"size": (360, 480), "crop": (320, 320), "padding": 0, "batch": 32, "batches": 96},
}
SIDES = ("dlrun", "torch", "tensorflow")


def folder(case: str) -> Path:
    """A folder for each class of the case's pictures, made on the first call."""
    data = Path(os.environ["DLRUN_DATA"])
    place = WORK / case
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        made = place.with_name(f"{case}-making")
        if case == "32x32":
            with tarfile.open(data / "cifar10-images.tar.gz") as archive:
                archive.extractall(made, filter="data")
            (made / "cifar10-images").rename(place)
        else:
            (made / "train").mkdir(parents=True)
            for split in ("train", "val", "test"):
                (made / "train" / split).symlink_to(data / "camvid" / split / "images")
            made.rename(place)
    return place / "train"


def listed(case: str) -> tuple[list[str], np.ndarray]:
    """Path and class of every picture."""
    classes = sorted(p for p in folder(case).iterdir())
    found = [(str(p), y) for y, c in enumerate(classes) for p in sorted(c.glob("*.jpg"))]
    return [p for p, _ in found], np.array([y for _, y in found], np.int64)


def endless(batches: Callable[[int], Iterator[Any]]) -> Callable[[int], None]:
    """A function that takes so many batches, epoch after epoch."""

    def stream() -> Iterator[Any]:
        epoch = 0
        while True:
            yield from batches(epoch)
            epoch += 1

    source = stream()

    def run(count: int) -> None:
        for _ in range(count):
            x, y = next(source)
            assert len(x) == len(y)

    return run


def dlrun_side(case: str) -> Callable[[int], None]:
    """dlrun's own feed."""
    from dlrun.config import compose
    from dlrun.data.feed import Feed

    c = CASES[case]
    WORK.mkdir(parents=True, exist_ok=True)
    recipe = WORK / f"{case}.yaml"
    height, width = c["crop"]
    recipe.write_text(
        "task: image_classification\n"
        f"data:\n  source: {{name: image_folder, train: '{folder(case)}', test: null, size: {list(c['size'])}}}\n"
        f"  batch_size: {c['batch']}\n  last_batch: drop\n  memory_mb: 1\n  workers: 2\n"
        f"  augment: [{{random_crop: {{size: [{height}, {width}], padding: {c['padding']}}}}}, random_flip]\n"
        f"  preprocess: [{{normalize: {{mean: {list(MEAN)}, std: {list(STD)}}}}}]\n"
        "model: {layers: [global_avg_pool2d, dense]}\n"
    )
    feed = Feed(compose([f"recipe={recipe}"]).plan)
    return endless(feed.batches)


def torch_side(case: str) -> Callable[[int], None]:
    """A torch DataLoader with two worker processes."""
    import simplejpeg
    import torch
    from torch.utils.data import DataLoader, Dataset

    c = CASES[case]
    paths, labels = listed(case)
    (height, width), pad = c["crop"], c["padding"]
    scale = (1 / (255 * np.array(STD))).astype(np.float32)
    shift = (-np.array(MEAN) / np.array(STD)).astype(np.float32)

    class Pictures(Dataset[tuple[torch.Tensor, int]]):
        def __len__(self) -> int:
            return len(paths)

        def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
            with open(paths[index], "rb") as file:
                x = simplejpeg.decode_jpeg(file.read())
            if pad:
                x = np.pad(x, ((pad, pad), (pad, pad), (0, 0)))
            top, left = (int(torch.randint(0, n, ())) for n in (x.shape[0] - height + 1, x.shape[1] - width + 1))
            x = x[top : top + height, left : left + width]
            if torch.rand(()) < 0.5:
                x = x[:, ::-1]
            return torch.from_numpy(x * scale + shift), int(labels[index])

    loader = DataLoader(
        Pictures(), c["batch"], shuffle=True, num_workers=2, persistent_workers=True, prefetch_factor=4, drop_last=True
    )
    return endless(lambda epoch: iter(loader))


def tensorflow_side(case: str) -> Callable[[int], None]:
    """tf.data with parallel maps and prefetching."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf

    c = CASES[case]
    paths, labels = listed(case)
    (height, width), pad = c["crop"], c["padding"]
    scale, shift = 1 / (255 * np.array(STD, np.float32)), -np.array(MEAN, np.float32) / np.array(STD, np.float32)

    def one(path: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        x = tf.io.decode_jpeg(tf.io.read_file(path), 3, dct_method="INTEGER_ACCURATE")
        if pad:
            x = tf.pad(x, [[pad, pad], [pad, pad], [0, 0]])
        x = tf.image.random_flip_left_right(tf.image.random_crop(x, (height, width, 3)))
        return tf.cast(x, tf.float32) * scale + shift, label

    found = tf.data.Dataset.from_tensor_slices((paths, labels)).shuffle(len(paths), reshuffle_each_iteration=True)
    found = found.map(one, tf.data.AUTOTUNE, deterministic=False).batch(c["batch"], True).prefetch(tf.data.AUTOTUNE)
    return endless(lambda epoch: iter(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round, one turn")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--turns", type=int, default=3, help="turns of each side in a round")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--side", nargs=2, metavar=("SIDE", "CASE"), help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=ROOT / "outputs" / "benchmarks" / "data.json")
    args = parser.parse_args()
    if args.side:
        side, case = args.side
        made = {"dlrun": dlrun_side, "torch": torch_side, "tensorflow": tensorflow_side}[side](case)
        serve(made, warm=(4, 8))
        return
    rounds, turns = (1, 1) if args.quick else (args.rounds, args.turns)
    rows = []
    print(f"{'pictures':<10}" + "".join(f"{side + '/s':>14}" for side in SIDES) + "   dlrun / torch, dlrun / tf.data")
    for case in args.cases:
        folder(case)
        commands = {side: [sys.executable, __file__, "--side", side, case] for side in SIDES}
        amount = CASES[case]["batches"]
        speed: dict[str, list[float]] = {side: [] for side in SIDES}
        for number in range(rounds):
            for side, seconds in take_turns(commands, amount, turns, reverse=number % 2 == 1).items():
                speed[side].append(amount * CASES[case]["batch"] / seconds)
        ratios = {s: [a / b for a, b in zip(speed["dlrun"], speed[s], strict=True)] for s in SIDES[1:]}
        rows.append({"case": case, "rounds": rounds, "turns": turns, "samples_per_s": speed, "ratios": ratios})
        shown = "".join(f"{statistics.median(speed[side]):>14,.0f}" for side in SIDES)
        print(f"{case:<10}{shown}   " + ", ".join(map(spread, ratios.values())), flush=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(rows, indent=2) + "\n")
    print(f"\nwritten to {args.out}")


if __name__ == "__main__":
    main()
