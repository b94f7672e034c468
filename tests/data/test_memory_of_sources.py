"""Sources that read samples when they are taken keep little of a data set in memory."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SMALL, LARGE = 400, 4000
ALLOWED_MB = 12
"""What ten times the samples may take more: their names and labels, and what the allocator has not given back."""

SCRIPT = """\
import resource, sys
import numpy as np
from dlrun.data.source import Place, sources
kind, train = sys.argv[1:]
source = sources.get(kind)(train=train, test=None, size=64)
reader = source.open("train", Place())
for start in range(0, len(reader), 64):
    reader.take(np.arange(start, min(start + 64, len(reader))))
print(len(reader), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], str]:
    """The same pictures a few times and ten times as often, in a folder and in shards."""
    root, rng = tmp_path_factory.mktemp("memory"), np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(root / "one.jpg", quality=90)
    found = {}
    for count in (SMALL, LARGE):
        folder = root / str(count)
        for name in ("a", "b"):
            (folder / name).mkdir(parents=True)
        for number in range(count):
            shutil.copy(root / "one.jpg", folder / "ab"[number % 2] / f"{number:05}.jpg")
        found["image_folder", count] = str(folder)
        with tarfile.open(root / f"{count}.tar", "w") as shard:
            (root / "label.cls").write_text("1")
            for number in range(count):
                shard.add(root / "one.jpg", f"{number:05}.jpg")
                shard.add(root / "label.cls", f"{number:05}.cls")
        found["tar_shards", count] = str(root / f"{count}.tar")
    return found


@pytest.mark.parametrize("kind", ["image_folder", "tar_shards"])
def test_ten_times_the_samples_take_no_more_memory(kind: str, places: dict[tuple[str, int], str]) -> None:
    used = {}
    for count in (SMALL, LARGE):
        words = [sys.executable, "-c", SCRIPT, kind, places[kind, count]]
        done = subprocess.run(words, capture_output=True, text=True, cwd=Path(places[kind, count]).parent)
        assert done.returncode == 0, done.stderr
        samples, peak = done.stdout.split()
        assert int(samples) == count
        used[count] = float(peak)
    held = (LARGE - SMALL) * 64 * 64 * 3 / 2**20
    assert used[LARGE] - used[SMALL] < ALLOWED_MB < held / 3, used
