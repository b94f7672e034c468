"""Sweeps: which jobs there are, what each gets, and what stops a sweep before its first job."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dlrun.config import compose, multirun, show_hydra
from dlrun.errors import DlrunErrors


def job(number: int, overrides: list[str], folder: Path) -> tuple[int, list[str], str]:
    """Stands for a training run."""
    return number, overrides, str(folder)


def overrides_of(words: list[str], **options: object) -> list[list[str]]:
    return [overrides for _, overrides, _ in multirun(words, job, **options)]


def test_every_combination_runs_once_in_order(recipe):
    jobs = overrides_of([recipe(), "optimizer.learning_rate=1e-3,3e-4", "seed=1,2", "train.epochs=3"])
    assert jobs == [
        ["recipe=./small.yaml", f"optimizer.learning_rate={rate}", f"seed={seed}", "train.epochs=3"]
        for rate in (0.001, 0.0003)
        for seed in (1, 2)
    ]
    assert compose(jobs[3]).recipe.optimizer.learning_rate == 3e-4


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["seed=range(1,4)"], ["seed=1", "seed=2", "seed=3"]),
        (["seed=choice(4,7)"], ["seed=4", "seed=7"]),
        (["optimizer=sgd,adam"], ["optimizer=sgd", "optimizer=adam"]),
        (["device=cpu,cuda:1"], ["device=cpu", "device=cuda\\:1"]),
        (["loss.label_smoothing=0,0.1"], ["loss.label_smoothing=0", "loss.label_smoothing=0.1"]),
        (["train.clip_norm=null,1"], ["train.clip_norm=null", "train.clip_norm=1"]),
        (["optimizer.betas=[0.9,0.99],[0.8,0.9]"], ["optimizer.betas=[0.9,0.99]", "optimizer.betas=[0.8,0.9]"]),
        (["model.layers.hidden.units=8,16"], ["model.layers.hidden.units=8", "model.layers.hidden.units=16"]),
        (["model.layers[4].units=8,16"], ["model.layers.4.units=8", "model.layers.4.units=16"]),
        (["model.layers.5=relu,{dropout:{rate:0.1}}"], ["model.layers.5=relu", "model.layers.5={dropout:{rate:0.1}}"]),
        (["backend=torch,tensorflow"], ["backend=torch", "backend=tensorflow"]),
        (["+train.ema=0.9,0.99"], ["+train.ema=0.9", "+train.ema=0.99"]),
        (["seed=${train.epochs}", "train.epochs=1,2"], ["train.epochs=1", "train.epochs=2"]),
    ],
)
def test_what_can_be_swept_over(recipe, words, expected):
    jobs = overrides_of([recipe(), *words], check_installed=False)
    assert [one[-1] for one in jobs] == expected
    for one in jobs:
        compose(one, check_installed=False)


def test_recipes_can_be_swept_over(recipe, folder):
    recipe(name="recipes/first.yaml")
    recipe(name="recipes/second.yaml")
    recipe(name="elsewhere/third one.yaml")
    assert overrides_of(["recipe=first,second"]) == [["recipe=first"], ["recipe=second"]]
    assert overrides_of(["recipe=glob(*irst)"]) == [["recipe=first"]]
    assert overrides_of(["recipe=./recipes/first.yaml,./recipes/second.yaml"])[1] == ["recipe=./recipes/second.yaml"]
    (one,) = overrides_of(["recipe=./elsewhere/third one.yaml"])
    assert compose(one).recipe.name == "third one"


def test_the_folder_of_a_sweep(recipe, folder):
    places = {
        words: multirun([*words], job)[0][2] for words in [("recipe=digits", "seed=1,2"), ("recipe=digits,mnist",)]
    }
    assert [Path(p).relative_to(folder).parts[:2] for p in places.values()] == [
        ("outputs", "digits"),
        ("outputs", "sweep"),
    ]
    assert all(Path(p).name.startswith("multirun-20") for p in places.values())
    assert multirun([recipe(), "seed=1", "hydra.sweep.dir=mine"], job)[0][2] == str(folder / "mine")
    assert Path(multirun([recipe(), "seed=1", "output.root=other"], job)[0][2]).parts[-3:-1] == ("other", "small")


def test_two_sweeps_in_the_same_second_have_folders_of_their_own(folder):
    from dlrun.config.sweep import folder_of

    found = []
    for _ in range(3):
        found.append(folder_of("outputs/sweep/multirun-2026-01-02_03-04-05", ()))
        found[-1].mkdir(parents=True)
    assert [str(p) for p in found] == [
        f"outputs/digits/multirun-2026-01-02_03-04-05{ending}" for ending in ("", "-2", "-3")
    ]


def test_hydra_leaves_the_process_and_the_folder_as_they_were(recipe, folder, capfd):
    before = (os.getcwd(), list(logging.getLogger().handlers), logging.getLogger().level)
    (_, _, place), _ = multirun([recipe(), "seed=1,2"], job)
    assert (os.getcwd(), logging.getLogger().handlers, logging.getLogger().level) == before
    assert [p.name for p in Path(place).iterdir()] == ["multirun.yaml"]
    assert not list(folder.rglob(".hydra"))
    assert capfd.readouterr() == ("", "")


def test_settings_of_hydra_can_refer_to_the_recipe(recipe, folder):
    (_, _, place), *_ = multirun([recipe(), "seed=5,6", "hydra.sweep.dir=swept/${name}/${train.epochs}"], job)
    assert Path(place) == folder / "swept" / "small" / "2"


def test_a_recipe_can_bring_its_own_sweep(recipe):
    text = "data: {source: digits}\nmodel: {layers: [flatten, dense]}\n"
    text += "hydra: {sweeper: {params: {optimizer.learning_rate: '0.1,0.2', model.layers.0: 'flatten'}}}\n"
    jobs = overrides_of([recipe(text)])
    assert [one[:2] for one in jobs] == [[f"optimizer.learning_rate={r}", "model.layers.0=flatten"] for r in (0.1, 0.2)]
    assert compose([recipe(text)]).recipe.name == "small"


def test_every_mistake_of_every_job_is_found_before_the_first_runs(recipe, folder):
    ran = []
    with pytest.raises(DlrunErrors) as caught:
        multirun(
            [recipe(), "train.epochs=1,0,-1", "optimizer.learning_rate=0.1,fast"],
            lambda *args: ran.append(args),
        )
    assert sorted(str(e.where) for e in caught.value.errors) == [
        "command line `optimizer.learning_rate=fast`",
        "command line `train.epochs=-1`",
        "command line `train.epochs=0`",
    ]
    assert ran == [] and not list(folder.rglob("multirun*"))


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["recipe=digits,mnits"], "unknown-recipe", ["`mnits`", "`mnist`"]),
        (["recipe=digts", "seed=1,2"], "unknown-recipe", ["`digts`"]),
        (["optimizer=sgd,agd"], "unknown-optimizer", ["`agd`", "`sgd`"]),
        (["optimizer=agd", "seed=1,2"], "unknown-optimizer", ["`agd`"]),
        (["train.epoch=1,2"], "unknown-key", ["`epochs`?"]),
        (["seed=interval(1,2)"], "sweep-failed", ["`interval(…)`", "range"]),
        (["seed=1,2", "hydra/launcher=jobli"], "unknown-launcher", ["`jobli`", "`joblib`"]),
        (["seed=1,2", "hydra/lancher=joblib"], "unknown-group", ["`hydra/lancher`"]),
        (["seed=1,2", "hydra.sweep.folder=x"], "sweep-failed", ["`hydra.sweep.folder=x`", "no such setting"]),
        (["hydra.sweep.dir=a,b"], "override-syntax", ["cannot be swept over"]),
        (["seed=1,2,[3"], "override-syntax", ["A bracket is not closed"]),
        (["seed=1,2", "seed=3"], "contradiction", ["`seed=3`"]),
        (["seed=1,2", "output.name=x"], "contradiction", ["`x`", "one run directory", "`output.name=x`"]),
        (["seed=1,2", "output.name=x,y"], "contradiction", ["`x`", "`y`"]),
        (["seed=1,2", "hydra.sweep.dir=/proc/x"], "cannot-write", ["/proc/x"]),
        (["seed=1,2", "hydra.sweeper=null"], "sweep-failed", ["`hydra.sweeper=null`"]),
        (["seed=1,2", "hydra=null"], "sweep-failed", ["`hydra=null`"]),
        (["hydra.sweeper.params={seed: '1,2'}"], "sweep-failed", ["`hydra.sweeper.params="]),
        (["+hydra.sweeper.params.seed='1,2'"], "sweep-failed", ["`+hydra.sweeper.params.seed="]),
    ],
)
def test_mistakes_of_a_sweep(mistakes_of_sweep, words, code, told):
    errors = mistakes_of_sweep(words)
    assert code in [e.code for e in errors]
    for word in told:
        assert any(word in str(e) for e in errors), [str(e) for e in errors]


@pytest.fixture
def mistakes_of_sweep():
    def find(words):
        with pytest.raises(DlrunErrors) as caught:
            multirun(words, job)
        return caught.value.errors

    return find


def test_jobs_of_two_recipes_may_share_a_name(recipe):
    assert len(overrides_of(["recipe=digits,mnist", "output.name=x"])) == 2
    assert len(overrides_of([recipe(), "seed=1", "output.name=x"])) == 1


@pytest.mark.parametrize("error", [ValueError("own"), OSError("own"), AttributeError("own")])
def test_what_a_job_raises_stays_its_own(recipe, error):
    def fail(number, overrides, folder):
        raise error

    with pytest.raises(type(error), match="own"):
        multirun([recipe(), "seed=1,2"], fail)


def test_text_beyond_ascii_can_be_swept_over(recipe):
    recipe(name="recipes/é.yaml")
    jobs = overrides_of(["recipe=é,digits", "data.root=größe 1"])
    assert [compose(one).recipe.name for one in jobs] == ["é", "digits"]
    assert {compose(one).recipe.data.root for one in jobs} == {"größe 1"}
    assert compose(overrides_of(["recipe=é", "seed=1"])[0]).recipe.name == "é"


def test_a_launcher_in_other_processes(recipe, folder):
    recipe()
    script = folder / "script.py"
    script.write_text(
        "import os\n"
        "from dlrun.config import multirun\n"
        "def job(number, overrides, folder):\n"
        "    from dlrun.config import compose\n"
        "    return number, compose(overrides).recipe.model.layers[4].units, os.getpid()\n"
        "if __name__ == '__main__':\n"
        "    words = ['recipe=./small.yaml', 'model.layers.hidden.units=3,4', 'hydra/launcher=joblib']\n"
        "    jobs = multirun(words, job)\n"
        "    assert os.getpid() not in {pid for _, _, pid in jobs}\n"
        "    print([one[:2] for one in jobs])\n",
        encoding="utf-8",
    )
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=folder, timeout=120)
    assert done.stdout.strip() == "[(0, 3), (1, 4)]", done.stderr


def test_what_hydra_shows(recipe):
    shown = show_hydra([recipe(), "optimizer=sgd", "train.epochs=4"], cfg="job")
    assert "epochs: 4" in shown and "name: sgd" in shown and "hydra:" not in shown
    assert "launcher:" in show_hydra([recipe(), "hydra.verbose=true"], cfg="hydra")
    both = show_hydra([recipe()], cfg="all")
    assert "hydra:" in both and "batch_size: 64" in both
    defaults = show_hydra([recipe(), "optimizer=sgd"], info="defaults")
    assert "optimizer/sgd" in defaults and "recipe/" in defaults
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    for topic in ("config", "defaults-tree", "plugins", "searchpath", "all"):
        assert show_hydra([recipe()], info=topic).strip()
    assert (root.handlers, root.level) == before


def test_what_hydra_shows_of_a_mistake(recipe, mistakes_of_sweep):
    with pytest.raises(DlrunErrors) as caught:
        show_hydra([recipe(), "train.epoch=4"], cfg="job")
    assert caught.value.code == "unknown-key"
    with pytest.raises(DlrunErrors) as caught:
        show_hydra([recipe()], info="default")
    assert caught.value.code == "unknown-info" and "`defaults`" in str(caught.value)
