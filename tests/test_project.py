"""What the documents and the project files say is true: recipes compose, verbs exist, versions are pinned."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = {name: (ROOT / name).read_text("utf-8") for name in ("README.md", "docs/recipes.md", "CONTRIBUTING.md")}
INSTALL = "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e '.[all,dev]' && .venv/bin/pytest"


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a page."""
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", PAGES[page], re.MULTILINE | re.DOTALL)
    return [text for found, text in fences if found == language]


RECIPES = [(page, i) for page in PAGES for i, _ in enumerate(blocks(page, "yaml"))]


@pytest.mark.parametrize(("page", "index"), RECIPES)
def test_a_recipe_in_the_documents_composes(
    page: str, index: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts of a recipe are completed with embedded data; MNIST is replaced by it, too: nothing is fetched."""
    from dlrun.config import compose

    monkeypatch.chdir(tmp_path)
    for name in ("train", "test"):
        np.savez(f"{name}.npz", x=np.ones((200, 5), int), y=np.arange(200) % 10)
    text = blocks(page, "yaml")[index].replace("source: mnist", "source: digits").replace("5000", "150")
    if "data:" not in text:
        text += "data: {source: digits}\n"
    file = tmp_path / "example.yaml"
    file.write_text(text)
    assert compose([f"recipe={file}"]).plan.graph.output.shape == (10,)


def test_commands_in_the_documents_use_verbs_that_exist() -> None:
    verbs = {p.stem for p in (ROOT / "dlrun" / "cli").glob("*.py")}
    used = set()
    for page in PAGES:
        for block in blocks(page, ""):
            used |= set(re.findall(r"(?:^|\s|/)dlrun ([a-z]+)", block))
    assert {"train", "check", "eval"} <= used <= verbs


def test_the_everyday_commands_work_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that need no data as they stand; trainings are checked."""
    from dlrun.cli import app

    monkeypatch.chdir(tmp_path)
    every_day = PAGES["README.md"].partition("## Every day")[2].partition("```\n")[2].partition("```")[0]
    done = []
    for line in every_day.splitlines():
        verb, *words = shlex.split(line, comments=True)[1:]
        if verb in ("recipes", "new", "check", "show") or verb == "train" and "-m" not in words and "RUN" not in line:
            assert app.run(["check" if verb == "train" else verb, *words]) == 0, line
            done.append(verb)
    assert done == ["recipes", "new", "check", "show", "train", "train"]


def test_the_test_command_is_the_same_everywhere() -> None:
    assert INSTALL in PAGES["README.md"] and INSTALL in PAGES["CONTRIBUTING.md"]
    script = (ROOT / ".ci" / "run").read_text()
    assert "-c constraints.txt -e '.[all,dev]'" in script
    assert script.rstrip().endswith(".venv/bin/pytest")


def test_every_requirement_is_pinned_without_an_address() -> None:
    lines = [ln for ln in (ROOT / "constraints.txt").read_text().splitlines() if ln and not ln.startswith("#")]
    assert lines[0].startswith("torch==")
    assert all(re.fullmatch(r"[a-z0-9.-]+==[\w.]+", ln) for ln in lines)
    pinned = {ln.partition("==")[0] for ln in lines}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(r for group in project["optional-dependencies"].values() for r in group)]
    names = {re.split(r"[\[<>=!~ ]", r)[0].lower().replace("_", "-") for r in wanted} - {"dlrun"}
    assert names <= pinned


def test_pages_link_to_files_that_exist() -> None:
    for page, text in PAGES.items():
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            assert target.startswith("http") or (ROOT / page).parent.joinpath(target).exists(), f"{page}: {target}"
