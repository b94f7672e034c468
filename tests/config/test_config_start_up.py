"""What is imported when, and that recipes and groups are found however dlrun was installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(code: str, *, path: Path | None = None, cwd: Path | None = None) -> str:
    env = None
    if path is not None:
        import os

        env = {**os.environ, "PYTHONPATH": str(path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=cwd, env=env, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_configuration_imports_no_library():
    heavy = "('hydra', 'omegaconf', 'yaml', 'numpy', 'torch', 'tensorflow')"
    assert run(f"import sys, dlrun.config; print([m for m in {heavy} if m in sys.modules])") == "[]"


def test_composing_imports_no_framework():
    code = (
        "import sys; from dlrun.config import compose; compose(['recipe=mnist'], check_installed=False)\n"
        "print([m for m in ('torch', 'tensorflow', 'keras', 'typer', 'rich', 'PIL', 'matplotlib') if m in sys.modules])"
    )
    assert run(code) == "[]"


LAYOUT = (
    "import dlrun; from dlrun.config import compose, recipes\n"
    "c = compose(['recipe=mnist', 'optimizer=sgd'], check_installed=False)\n"
    "print(dlrun.__file__); print(c.file); print(c.origins['optimizer.name']); print(c.origins['backend.name'])\n"
    "print([r[0] for r in recipes()])"
)


def test_a_copy_of_the_repository(tmp_path):
    """As in a clone and in an editable install: conf/ and recipes/ lie beside the package."""
    clone, elsewhere = tmp_path / "clone", tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("dlrun", "conf", "recipes"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    package, file, _, backend, names = run(LAYOUT, path=clone, cwd=elsewhere).splitlines()
    assert package.startswith(str(clone))
    assert Path(file) == clone / "recipes" / "mnist.yaml"
    assert backend.startswith(str(clone / "conf"))
    assert "digits" in names


def test_a_wheel(tmp_path):
    source, dist, site = tmp_path / "source", tmp_path / "dist", tmp_path / "site"
    for name in ("dlrun", "conf", "recipes"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(dist)]
    subprocess.run(build, cwd=source, check=True, capture_output=True, timeout=120)
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    shutil.rmtree(source)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    package, file, _, backend, names = run(LAYOUT, path=site, cwd=elsewhere).splitlines()
    assert package.startswith(str(site))
    assert Path(file) == site / "dlrun" / "_resources" / "recipes" / "mnist.yaml"
    assert backend.startswith(str(site / "dlrun" / "_resources" / "conf"))
    assert "mnist_mlp" in names
    assert (site / "dlrun" / "_resources" / "conf" / "recipe.schema.json").is_file()
