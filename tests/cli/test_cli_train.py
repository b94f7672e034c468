"""The verbs that need a framework: train, eval, predict, resume, export, sweeps; on torch, with embedded data."""

from __future__ import annotations

import csv
import json
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dlrun.backends import installed

if not installed("torch"):
    pytest.skip("torch is not installed", allow_module_level=True)

SHORT = ("digits", "backend=torch", "device.threads=1", "tracker=none")
FAST = (*SHORT, "train.epochs=2")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def call(place):
    """Runs a command in the module's folder."""

    def run(*words):
        return subprocess.run([sys.executable, "-m", "dlrun", *words], cwd=place, capture_output=True, text=True)

    return run


@pytest.fixture(scope="module")
def trained(call, place):
    """One finished run, and what ``train --json`` printed."""
    done = call("train", *FAST, "--json")
    assert done.returncode == 0, done.stderr
    return done, json.loads(done.stdout), place


def test_train_json_is_one_object_with_directory_and_metrics(trained):
    done, result, place = trained
    assert (place / result["directory"] / "recipe.yaml").is_file()
    assert result["metrics"]["test_accuracy"] > 0.5
    assert result["reason"] == "finished" and result["exit_code"] == 0
    assert result["monitor"]["name"] == "val_accuracy" and result["monitor"]["better"] == "higher"
    assert result["monitor"]["value"] == pytest.approx(result["metrics"]["val_accuracy"])


def test_train_json_draws_progress_as_plain_lines_on_standard_error(trained):
    done, _, _ = trained
    assert "digits on torch (cpu)" in done.stderr
    assert "epoch 1/2  train_loss" in done.stderr and "epoch 2/2  train_loss" in done.stderr
    assert "\x1b" not in done.stderr and "Next:" not in done.stderr


def test_eval(call, trained):
    _, result, _ = trained
    done = call("eval", result["directory"], "split=test", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0 and found["samples"] == 297 and found["backend"] == "torch"
    assert found["metrics"]["accuracy"] == pytest.approx(result["metrics"]["test_accuracy"])


def test_eval_of_a_checkpoint_as_text(call, trained):
    _, result, place = trained
    checkpoint = sorted((place / result["directory"] / "checkpoints").iterdir())[-1]
    done = call("eval", str(checkpoint), "split=validation")
    assert done.returncode == 0
    assert any(line.startswith("accuracy") for line in done.stdout.splitlines())
    assert checkpoint.name in done.stdout and "`validation`" in done.stdout
    assert f"dlrun predict {checkpoint} image.png" in done.stderr  # not the run, whose best may be another
    assert f"dlrun export {checkpoint} format=onnx" in done.stderr


def test_eval_says_what_limit_batches_left_out(call, trained):
    words = ("eval", trained[1]["directory"], "train.limit_batches=1", "data.eval_batch_size=100")
    assert "100 of 297 samples of `test` (train.limit_batches) on torch" in call(*words).stdout
    found = json.loads(call(*words, "--json").stdout)
    assert (found["samples"], found["of"]) == (100, 297)
    whole = call("eval", trained[1]["directory"])
    assert "297 samples of `test` on torch" in whole.stdout and " of 297" not in whole.stdout


def test_train_says_what_limit_batches_left_out(call):
    capped = ("train.epochs=1", "train.limit_batches=1", "data.eval_batch_size=50")
    done = call("train", *SHORT, *capped, "output.name=capped")
    assert done.returncode == 0, done.stderr
    assert "Evaluated on 50 of 150 samples of `validation` and 50 of 297 samples of `test`" in done.stdout


def test_eval_of_an_unknown_split(call, trained):
    done = call("eval", trained[1]["directory"], "split=tset")
    assert done.returncode == 2 and "unknown-split" in done.stderr and "`test`" in done.stderr


@pytest.fixture(scope="module")
def images(place):
    """Eight by eight grey images in folders, with a name that is not ASCII."""
    import numpy as np
    from PIL import Image

    folder = place / "bilder" / "größe"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ("eins.png", "数.png", "b.jpg"):
        Image.fromarray(rng.integers(0, 255, (8, 8), np.uint8)).save(folder / name)
    (folder / "notes.txt").write_text("not an image")
    return place / "bilder"


def test_predict_writes_csv_in_the_run_by_default(call, trained, images):
    _, result, place = trained
    done = call("predict", result["directory"], "bilder")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((place / result["directory"] / "predictions.csv").open(encoding="utf-8")))
    assert [Path(r["file"]).name for r in rows] == ["b.jpg", "eins.png", "数.png"]
    assert all(r["label"] in "0123456789" and 0 < float(r["score"]) <= 1 for r in rows)
    assert "数.png" in done.stdout and "predictions.csv" in done.stdout


def test_predict_writes_jsonl(call, trained, images):
    _, result, place = trained
    done = call("predict", result["directory"], "bilder/größe/数.png", "--out", "p/labels.jsonl", "--json")
    found = json.loads(done.stdout)
    (line,) = (place / "p" / "labels.jsonl").read_text("utf-8").splitlines()
    assert done.returncode == 0 and json.loads(line) == found["predictions"][0]
    assert found["file"] == "p/labels.jsonl"
    assert found["predictions"][0]["top"][0]["label"] == found["predictions"][0]["label"]


@pytest.mark.parametrize("batch", [100, 1])
def test_predict_goes_on_after_a_broken_image(call, trained, images, batch):
    mixed = images.parent / "mixed"
    shutil.copytree(images, mixed, dirs_exist_ok=True)
    (mixed / "broken.png").write_text("not an image")
    words = ("predict", trained[1]["directory"], "mixed", "--out", "mixed.csv", f"data.eval_batch_size={batch}")
    done = call(*words)
    assert done.returncode == 1
    assert done.stderr.count("unreadable-image") == 1 and "`mixed/broken.png`" in done.stderr
    assert "3 predictions written to mixed.csv; 1 could not be read" in done.stdout
    assert len(list(csv.DictReader((images.parent / "mixed.csv").open(encoding="utf-8")))) == 3
    done = call(*words, "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 1 and len(found["predictions"]) == 3
    (error,) = found["errors"]
    assert (error["file"], error["code"]) == ("mixed/broken.png", "unreadable-image")


def test_predict_tells_of_values_that_training_did_not_know(call, place):
    done = call("train", "tabular", "backend=torch", "device.threads=1", "tracker=none", "train.epochs=1", "--json")
    run = json.loads(done.stdout)["directory"]
    (place / "new.csv").write_text("plan,region,calls,months,fee,age\nvip,south,9,1,9.9,30\ngold,west,0,90,29.9,\n")
    said = "2 values of `plan` are not known from training and count as missing: `vip`, `gold`."
    assert f"note: {said}\n" in call("predict", run, "new.csv").stderr
    assert json.loads(call("predict", run, "new.csv", "--json").stdout)["notes"] == [said]


def test_predict_fails_where_no_image_can_be_read(call, trained, images):
    (images.parent / "alone.png").write_text("not an image")
    done = call("predict", trained[1]["directory"], "alone.png", "--out", "none.csv", "--json")
    assert done.returncode == 2 and json.loads(done.stdout)["errors"][0]["code"] == "unreadable-image"
    assert not (images.parent / "none.csv").exists()


def test_predict_refuses_before_it_loads_anything(call, trained, images):
    run = trained[1]["directory"]
    assert "unknown-format" in call("predict", run, "bilder", "--out", "p.txt").stderr
    assert "no-input" in call("predict", run, "nowhere.png").stderr
    (images.parent / "file").write_text("")
    done = call("predict", run, "bilder", "--out", "file/p.csv")
    assert done.returncode == 1 and done.stderr.startswith("cannot-write: ")


def test_resume_trains_on_and_refuses_another_model(call, trained):
    _, result, place = trained
    copy = place / "outputs" / "digits" / "copy"
    shutil.copytree(place / result["directory"], copy)
    done = call("train", f"resume={copy}", "train.epochs=3")
    assert done.returncode == 0, done.stderr
    assert "epoch 3/3" in done.stderr and "epoch 2/3" not in done.stderr and "schedule" in done.stderr
    assert "test_accuracy" in done.stdout and "dlrun export" in done.stderr
    refused = call("train", "--resume", str(copy), "data.batch_size=5")
    assert refused.returncode == 2 and "resume-changes-run" in refused.stderr


def test_a_run_directory_can_be_shown_and_checked(call, trained):
    run = trained[1]["directory"]
    assert "epochs: 2" in call("show", run).stdout
    assert call("check", run).returncode == 0


def test_export_reports_what_it_compared(call, trained):
    done = call("export", trained[1]["directory"], "format=torch_export", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["format"] == "torch_export" and found["size_bytes"] > 0 and found["checks"]
    assert (trained[2] / found["path"]).is_file()
    beside = json.loads((trained[2] / f"{found['path']}.json").read_text())
    for said in (found, beside):
        assert said["input_range"] == [0, 16] and said["from_8_bit_image"] == "round(v * 16 / 255)"


def test_what_export_leads_on_to_runs_and_it_says_the_range(call, trained):
    place = trained[2]
    (place / "my exports").mkdir()
    done = call("export", trained[1]["directory"], "format=torch_export", 'out=my exports/it\'s a "digit".pt2')
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stderr.split())
    assert "values 0..16, as stored" in said and "round(v * 16 / 255)" in said
    line = next(line for line in done.stderr.splitlines() if "python -c" in line).strip()
    line = line.replace("python", shlex.quote(sys.executable), 1)
    loaded = subprocess.run(line, shell=True, cwd=place, capture_output=True, text=True)
    assert loaded.returncode == 0, loaded.stderr
    assert "ExportedProgram" in loaded.stdout


def test_quiet_says_only_the_result_and_one_framework_is_loaded(place):
    code = (
        "import sys\nfrom dlrun.cli.app import run\n"
        f"assert run(['train', *{FAST!r}, '--smoke', '--quiet']) == 0\n"
        "assert 'torch' in sys.modules and not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "test_accuracy" in done.stdout and "epoch" not in done.stderr and "Next" not in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_says_how_to_go_on(place, number, code):
    words = ["train", *SHORT, "train.epochs=100000", "train.checkpoints.every_epochs=100000", "data.validation=0"]
    job = subprocess.Popen(
        [sys.executable, "-m", "dlrun", *words], cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for line in job.stderr:
        if line.startswith("epoch"):
            break
    job.send_signal(number)
    out, err = job.communicate(timeout=60)
    assert job.returncode == code
    assert "saved" in out and "dlrun train resume=" in err and "Traceback" not in err


def test_a_sweep_runs_each_job_as_its_command_alone(call, trained):
    _, alone, place = trained
    began = time.time()
    done = call("train", "-m", *SHORT, "train.epochs=2,1", "--json")
    assert done.returncode == 0, done.stderr
    sweep = json.loads(done.stdout)
    assert [j["exit_code"] for j in sweep["jobs"]] == [0, 0]
    assert sorted(o for j in sweep["jobs"] for o in j["overrides"] if o.startswith("train.epochs")) == [
        "train.epochs=1",
        "train.epochs=2",
    ]
    same = next(j for j in sweep["jobs"] if "train.epochs=2" in j["overrides"])
    bits = ("train_loss", "val_loss", "val_accuracy", "test_loss", "test_accuracy")
    assert {k: same["metrics"][k] for k in bits} == {k: alone["metrics"][k] for k in bits}
    values = [j["monitor"]["value"] for j in sweep["jobs"]]
    assert values == sorted(values, reverse=True)
    folder = place / sweep["directory"]
    assert json.loads((folder / "sweep.json").read_text())["jobs"] == sweep["jobs"]
    assert all(Path(j["directory"]).is_relative_to(sweep["directory"]) for j in sweep["jobs"])
    assert folder.stat().st_mtime >= began - 1


def test_a_sweep_goes_on_after_a_failed_job_and_exits_with_1(call):
    done = call("train", "-m", *FAST, "--smoke", "optimizer.learning_rate=1e30,1e-3")
    assert done.returncode == 1
    good, bad = (line.split() for line in done.stdout.splitlines() if "optimizer.learning_rate=" in line)
    assert good[:2] == ["1", "optimizer.learning_rate=0.001"] and "done" in good  # the one that worked comes first
    assert bad == ["0", "optimizer.learning_rate=1e+30", "exit", "1"]
    assert "loss-not-finite" in done.stderr


def test_ctrl_c_reaches_the_job_of_a_sweep_which_saves(place):
    words = ["train", "-m", *SHORT, "data.validation=0", "train.checkpoints.every_epochs=100000", "output.root=stopped"]
    sweep = subprocess.Popen(
        [sys.executable, "-m", "dlrun", *words, "train.epochs=1,100000"],
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell starts its background jobs with SIGINT ignored, which these tests would inherit
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    for line in sweep.stderr:
        if line.startswith("[1] epoch"):
            break
    sweep.send_signal(signal.SIGINT)
    out, err = sweep.communicate(timeout=60)
    assert sweep.returncode == 130 and "Traceback" not in err
    (summary,) = (place / "stopped").rglob("sweep.json")
    (ended,) = json.loads(summary.read_text())["jobs"]
    assert ended["job"] == 0 and ended["exit_code"] == 0 and "sweep.json" in out
    runs = sorted(p.parent for p in (place / "stopped").rglob("checkpoints"))
    assert len(runs) == 2 and all(list((run / "checkpoints").glob("step-*")) for run in runs)


@pytest.mark.skipif(not installed("tensorflow"), reason="tensorflow is not installed")
def test_json_is_all_there_is_on_standard_output_with_tensorflow_too(call, trained):
    done = call("eval", trained[1]["directory"], "backend=tensorflow", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0 and found["backend"] == "tensorflow"
    assert found["metrics"]["accuracy"] == pytest.approx(trained[1]["metrics"]["test_accuracy"])


def test_cfg_and_info_print_hydras_views(call):
    assert "batch_size: 64" in call("train", "digits", "--cfg", "job").stdout
    done = call("train", "digits", "--info", "nonsense")
    assert done.returncode == 2 and "`searchpath`" in done.stderr
