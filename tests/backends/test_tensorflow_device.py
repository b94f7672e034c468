"""Devices, threads and messages of the TensorFlow backend; settings of a process are tested in processes."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys

import pytest

pytest.importorskip("tensorflow")

from dlrun.backends.tensorflow import BACKEND, device  # noqa: E402
from dlrun.errors import DlrunError  # noqa: E402
from dlrun.recipe import Device  # noqa: E402

COMPILE = """
import json, sys
from dlrun.backends.tensorflow import BACKEND
from dlrun.backends.tensorflow import device
from dlrun.recipe import Device
import tensorflow as tf
notes = device.configure(Device(threads=int(sys.argv[1]), deterministic=sys.argv[2] == "yes"), "cpu")
tf.constant(1.0) + 1
late = device.configure(Device(threads=5), "cpu")
inter = tf.config.threading.get_inter_op_parallelism_threads()
print(json.dumps([notes, device.threads(), device.deterministic(), late, inter]))
"""


def configured(threads: int, deterministic: str) -> tuple[list[object], str]:
    """What a process of its own reports, and what it wrote to standard error."""
    env = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE, str(threads), deterministic],
        capture_output=True,
        text=True,
        env=env,
        check=True,
    )
    return json.loads(done.stdout), done.stderr


def test_threads_are_set_before_tensorflow_starts_and_noted_after() -> None:
    (notes, threads, deterministic, late, inter), stderr = configured(1, "yes")
    assert (notes, threads, deterministic, inter) == ([], 1, True, 1)
    assert len(late) == 1 and "1 threads" in late[0]
    assert stderr == ""  # TensorFlow's start-up messages are not the user's


def test_reproducible_kernels_can_be_left_out() -> None:
    (_, threads, deterministic, _, _), _ = configured(2, "no")
    assert threads == 2
    assert deterministic is True  # the second model of that process asked for them


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="elsewhere TensorFlow decides")
@pytest.mark.parametrize(("own", "used"), [(None, True), ("0", False)])
def test_kernels_of_onednn_are_used_on_every_x86_processor_unless_the_user_says_no(own: str | None, used: bool) -> None:
    env = {k: v for k, v in os.environ.items() if k != "TF_ENABLE_ONEDNN_OPTS"}
    code = (
        "import dlrun.backends.tensorflow\n"
        "from tensorflow.python.framework.test_util import IsMklEnabled\n"
        "print(IsMklEnabled())"
    )
    chosen = {} if own is None else {"TF_ENABLE_ONEDNN_OPTS": own}
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, env=env | chosen, timeout=300, check=True)
    assert done.stdout.split()[-1] == str(used)


def test_devices() -> None:
    assert BACKEND.devices()[0] == "cpu"
    assert device.select(Device(name="cpu")) == "cpu"
    assert device.select(Device(name="auto")) in BACKEND.devices()
    assert device.scope("cpu") == "/CPU:0" and device.scope("cuda:1") == "/GPU:1"


@pytest.mark.parametrize(
    ("choice", "code", "named"),
    [
        (Device(name="mps"), "device-not-available", "mps"),
        (Device(name="cuda", index=63), "device-not-available", "cuda:63"),
        (Device(name="cpu", index=1), "device-not-available", "cpu:1"),
        (Device(name="tpu"), "device-not-supported", "tpu"),
    ],
)
def test_absent_devices_are_named_beside_those_seen(choice: Device, code: str, named: str) -> None:
    with pytest.raises(DlrunError) as caught:
        device.select(choice)
    assert caught.value.code == code and f"`{named}`" in caught.value.message
    if code == "device-not-available":
        assert "`cpu`" in caught.value.message
    assert caught.value.hint and caught.value.path[0] == "device"
