"""Going on with a run: which checkpoint a path means, what may change, and when nothing is left to do."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dlrun.config import compose
from dlrun.errors import DlrunError, DlrunErrors, RunError
from dlrun.files import recover_folders
from dlrun.run import checkpoint
from dlrun.run.directory import RunDirectory, chosen_checkpoint, open_run
from dlrun.run.evaluate import evaluate
from dlrun.run.events import CheckpointSaved, EpochEnded, Event, RunStarted
from dlrun.run.train import train
from dlrun.run.trainer import TrainResult

STOP = "train.early_stopping={patience: 2, min_delta: 0.9}"


@pytest.fixture(autouse=True)
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def trained(*overrides: str, listeners=()) -> TrainResult:
    return train(compose(["recipe=digits", "device.threads=2", "tracker=none", *overrides]), listeners)


def resumed(run: Path, *overrides: str, of: Path | None = None, listeners=()) -> TrainResult:
    return train(compose([f"recipe={of or run}/recipe.yaml", *overrides]), listeners, resume=run)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def result_of(run: Path) -> dict:
    return json.loads((run / "result.json").read_text())


def fake_run(path: Path, *steps: int) -> RunDirectory:
    """A run directory as far as finding things in it goes."""
    path.mkdir(parents=True)
    (path / "recipe.yaml").write_text("")
    (path / "checkpoints").mkdir()
    for step in steps:
        (path / "checkpoints" / f"step-{step:08d}").mkdir()
    return RunDirectory(path)


# -- which run and which checkpoint ---------------------------------------------------------


def test_a_path_means_the_run_its_checkpoints_or_one_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    run = fake_run(Path("outputs/r"), 4, 8)
    step = run.checkpoint_folder / "step-00000004"
    for given in (run.path, run.checkpoint_folder, step):
        assert open_run(given).path == run.path
    assert chosen_checkpoint(run.path) is None and chosen_checkpoint(run.checkpoint_folder) is None
    assert chosen_checkpoint(step) == step
    whole = step.absolute()
    monkeypatch.chdir(step)
    assert open_run(".").path == whole.parent.parent and chosen_checkpoint(".") == whole
    assert chosen_checkpoint("../step-00000008") == whole.with_name("step-00000008")


@pytest.mark.parametrize(
    ("below", "code", "says"),
    [
        ("checkpoints/step-8", "no-checkpoint", "Did you mean `outputs/r/checkpoints/step-00000008`?"),
        ("checkpoints/step-99999999", "no-checkpoint", "`outputs/r/checkpoints` has `step-00000004`, `step-00000008`."),
        ("checkpoints/best", "no-checkpoint", "`step-00000004`, `step-00000008`"),
        ("typo", "not-a-run", "The run is `outputs/r`. `outputs/r/checkpoints` has `step-00000004`"),
        ("step-00000008", "not-a-run", "Did you mean `outputs/r/checkpoints/step-00000008`?"),
        ("checkpoints/step-00000008/state.json", "not-a-run", "The run is `outputs/r`."),
        ("metrics.jsonl", "not-a-run", "The run is `outputs/r`."),
    ],
)
def test_a_mistyped_path_below_a_run_is_never_the_run(below: str, code: str, says: str) -> None:
    run = fake_run(Path("outputs/r"), 4, 8)
    (run.path / "metrics.jsonl").write_text("")
    with pytest.raises(DlrunError) as caught:
        open_run(run.path / below)
    assert caught.value.code == code and caught.value.exit_code == 2
    assert f"`outputs/r/{below}`" in caught.value.message and says in (caught.value.hint or "")


def test_no_verb_goes_on_with_a_checkpoint_that_is_not_there() -> None:
    run = trained("train.epochs=1").directory
    before = files(run)
    for name in ("checkpoints/step-22", "checkpoints/nope", "checkpoints/step-99999999"):
        for verb in (
            lambda path: resumed(path, "train.epochs=3", of=run),
            lambda path: evaluate(path),
        ):
            with pytest.raises(DlrunError) as caught:
                verb(run / name)
            assert caught.value.code == "no-checkpoint"
    assert files(run) == before


def test_a_second_process_leaves_what_the_first_is_writing() -> None:
    run = trained("train.epochs=1").directory
    half = run / "checkpoints/.step-00000099.tmp"
    half.mkdir()
    holder = (
        "import sys; from dlrun.run.directory import open_run\n"
        "with open_run(sys.argv[1]).lock(): print(flush=True); input()"
    )
    command = [sys.executable, "-c", holder, str(run)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(RunError) as caught:
            resumed(run, "train.epochs=2")
        assert caught.value.code == "run-locked"
        assert half.is_dir()
        last = open_run(run).checkpoints()[-1]
        last.rename(last.with_name(f".{last.name}.old"))
        assert open_run(run).checkpoints() == []  # the other one is in the middle of replacing it
        other.communicate("\n")
    assert open_run(run).checkpoints() == [last]
    half.mkdir(exist_ok=True)
    resumed(run, "train.epochs=2")
    assert not half.exists()


def test_a_checkpoint_half_replaced_is_found_by_every_verb() -> None:
    run = trained("train.epochs=1").directory
    last = open_run(run).checkpoints()[-1]
    last.rename(last.with_name(f".{last.name}.old"))  # killed between two renames
    assert evaluate(last).checkpoint == last
    last.rename(last.with_name(f".{last.name}.old"))
    assert evaluate(run).checkpoint == last
    recover_folders(run / "checkpoints")
    assert last.is_dir()


# -- nothing left to do ---------------------------------------------------------------------


def test_a_run_out_of_patience_says_what_trains_it_further() -> None:
    first = trained("train.epochs=20", STOP)
    assert first.reason == "early_stopping" and first.longer == ("train.early_stopping.patience=4",)
    before = files(first.directory)
    for words in ((), ("train.epochs=60",)):
        with pytest.raises(DlrunError) as caught:
            resumed(first.directory, *words)
        assert caught.value.code == "already-finished" and "`train.early_stopping.patience` is 2" in str(caught.value)
        assert (caught.value.hint or "").endswith(f"resume={first.directory} train.early_stopping.patience=4")
    assert {k: v for k, v in files(first.directory).items() if k != ".lock"} == {
        k: v for k, v in before.items() if k != ".lock"
    }
    more = resumed(first.directory, *first.longer)
    assert more.reason == "early_stopping" and more.step == first.step // 3 * 5


def test_the_last_epoch_may_also_be_the_end_of_patience() -> None:
    first = trained("train.epochs=3", STOP)
    assert first.reason == "finished"
    assert first.longer == ("train.epochs=6", "train.early_stopping.patience=4")
    assert resumed(first.directory, *first.longer).step == first.step // 3 * 5


def test_what_is_printed_after_early_stopping_can_be_run() -> None:
    command = [sys.executable, "-m", "dlrun", "train"]
    words = ["digits", "tracker=none", "train.epochs=9", STOP]
    done = subprocess.run([*command, *words], capture_output=True, text=True)
    assert "early stopping at step 66" in done.stdout, done.stderr
    (line,) = (x for x in done.stderr.splitlines() if "dlrun train resume=" in x)
    again = subprocess.run([*command, *line.split("#")[0].split()[2:]], capture_output=True, text=True)
    assert again.returncode == 0 and "at step 110" in again.stdout, again.stderr


def test_a_run_killed_before_its_result_still_gets_it() -> None:
    for words in (("train.epochs=2",), ("train.epochs=20", STOP)):
        first = trained(*words)
        whole = result_of(first.directory)
        (first.directory / "result.json").unlink()
        again = resumed(first.directory)
        assert again.step == first.step and again.reason == first.reason
        assert {**result_of(first.directory), "seconds": 0} == {**whole, "seconds": 0}
        with pytest.raises(DlrunError, match=r"completed|stopped early"):
            resumed(first.directory)


def test_fewer_epochs_than_done_are_refused() -> None:
    def stop(event: Event) -> None:
        if isinstance(event, EpochEnded) and event.epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)

    first = trained("train.epochs=5", listeners=[stop])
    assert first.reason == "interrupted"
    with pytest.raises(DlrunError) as caught:
        resumed(first.directory, "train.epochs=1")
    assert caught.value.code == "already-finished"
    assert "has completed 2 epochs, more than the 1 asked for" in caught.value.message


@pytest.mark.parametrize("moment", [EpochEnded, CheckpointSaved])
def test_asked_to_stop_when_training_is_over(moment: type) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, moment) and event.step == 44:
            os.kill(os.getpid(), signal.SIGINT)

    result = trained("train.epochs=2", listeners=[stop])
    assert result.reason == "finished" and result.exit_code == 0
    assert "test_accuracy" in result_of(result.directory)["metrics"]


def test_asked_to_stop_after_an_epoch_that_is_not_the_last() -> None:
    def stop(event: Event) -> None:
        if isinstance(event, EpochEnded) and event.epoch == 1:
            os.kill(os.getpid(), signal.SIGINT)

    result = trained("train.epochs=2", listeners=[stop])
    assert result.reason == "interrupted" and result.exit_code == 130
    assert resumed(result.directory).reason == "finished"


# -- a new directory ------------------------------------------------------------------------


def test_a_branch_has_the_best_checkpoint_it_names() -> None:
    stop = "train.early_stopping={patience: 9, min_delta: 0.9}"  # so that the first epoch stays the best one
    first = trained("train.epochs=5", "train.checkpoints.keep=9", stop)
    older = open_run(first.directory).checkpoints()[2]
    before = files(first.directory / "checkpoints")
    branch = resumed(older, "train.checkpoints.keep=1", of=first.directory)
    best = open_run(branch.directory).best()
    assert best is not None and best["step"] == 22
    assert [p.name for p in open_run(branch.directory).checkpoints()] == ["step-00000022", "step-00000110"]
    assert evaluate(branch.directory).checkpoint.name == "step-00000022"
    assert branch.metrics["test_accuracy"] == first.metrics["test_accuracy"]
    assert files(first.directory / "checkpoints") == before
    copied = branch.directory / "checkpoints/step-00000022"
    assert checkpoint.is_good(copied) and files(copied) == files(first.directory / "checkpoints/step-00000022")


def test_a_branch_whose_best_checkpoint_is_gone_chooses_anew() -> None:
    import shutil

    stop = "train.early_stopping={patience: 9, min_delta: 0.9}"
    first = trained("train.epochs=4", "train.checkpoints.keep=9", stop)
    shutil.rmtree(first.directory / "checkpoints/step-00000022")
    events: list[Event] = []
    branch = resumed(first.directory / "checkpoints/step-00000066", of=first.directory, listeners=[events.append])
    best = open_run(branch.directory).best()
    assert best is not None and best["step"] == 88 == result_of(branch.directory)["best"]["step"]
    assert isinstance(events[0], RunStarted)
    assert any("`step-00000022`, is gone" in note for note in events[0].notes)


def test_output_cannot_change_where_a_run_goes_on_in_place() -> None:
    run = trained("train.epochs=1").directory
    before = files(run)
    with pytest.raises(DlrunErrors) as caught:
        resumed(run, "train.epochs=2", "output.name=foo", "output.root=zz")
    assert [e.code for e in caught.value.errors] == ["resume-changes-run"] * 2
    assert "`output.root`" in str(caught.value) and f"goes on in `{run}`" in str(caught.value)
    assert files(run) == before and not Path("zz").exists()


def test_output_places_a_branch() -> None:
    run = trained("train.epochs=2", "train.checkpoints.keep=9").directory
    older = open_run(run).checkpoints()[0]
    named = resumed(older, "output.name=foo", "output.root=zz", of=run).directory
    assert named == Path("zz/digits/foo")
    kept = resumed(older, of=run).directory
    assert kept.parent == run.parent and kept != run
    assert compose([f"recipe={named}/recipe.yaml"]).recipe.output.name == "foo"
    assert compose([f"recipe={kept}/recipe.yaml"]).recipe.output.name is None
