"""``dlrun doctor``: what is installed, which devices are seen, whether data and disk are in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlrun.cli.arguments import Json

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = """\
dlrun doctor
dlrun doctor --json"""

_PROBE = """\
import json, sys
from importlib.metadata import version
from dlrun.backends import load_backend
backend = load_backend(sys.argv[1])
print(json.dumps({"devices": backend.devices(), "formats": list(backend.export_formats)}))
"""
_PROBE_TIMEOUT_S = 180
_NEEDED = ("typer", "rich", "hydra-core", "omegaconf", "numpy", "safetensors", "pyyaml", "pillow")
_OPTIONAL = {
    "tensorboard": "TensorBoard event files",
    "matplotlib": "learning curves",
    "onnx": "export to ONNX",
    "onnxscript": "export to ONNX from torch",
    "onnxruntime": "checking ONNX files",
    "tf2onnx": "export to ONNX from TensorFlow",
    "hydra-joblib-launcher": "sweeps in parallel",
}


def doctor(json: Json = False) -> None:
    """Report what is installed, seen and missing.

    Says which line installs what is missing. Each framework is imported in a process of its own.
    """
    from dlrun.cli import render

    report = examine()
    if json:
        render.print_json(report)
        return
    render.table(
        ("package", "version", "what for"),
        [(p["name"], p["version"] or "missing", p["use"]) for p in report["packages"]],
    )
    render.line()
    for backend in report["backends"]:
        seen = ", ".join(backend["devices"]) if backend["devices"] else backend["problem"]
        render.facts([(backend["name"], f"{backend['version'] or 'not installed'}: {seen}")])
    render.facts(
        [
            ("data", report["data"]["says"]),
            ("outputs", report["outputs"]["says"]),
            ("disk", f"{report['disk']['free_gb']:.1f} GB free of {report['disk']['total_gb']:.1f} GB"),
        ]
    )
    for problem in report["problems"]:
        render.notes([problem])
    installs = list(dict.fromkeys(report["install"]))
    render.next_steps(
        [*((line, "what is missing") for line in installs), ("dlrun train digits", "a first run, no network needed")]
    )


def examine() -> dict[str, Any]:
    """Everything ``doctor`` looks at, JSON-ready."""
    import platform
    import sys

    from dlrun import __version__

    packages: list[dict[str, Any]] = [{"name": "python", "version": platform.python_version(), "use": sys.executable}]
    packages.append({"name": "dlrun", "version": __version__, "use": ""})
    packages += [{"name": n, "version": _version(n), "use": ""} for n in _NEEDED]
    packages += [{"name": n, "version": _version(n), "use": use} for n, use in _OPTIONAL.items()]
    backends = _backends()
    outputs, data, disk = _outputs(), _data(), _disk()
    install = [b["install"] for b in backends if not b["version"]]
    if any(_version(n) is None for n in ("onnx", "onnxruntime")):
        install.append("pip install 'dlrun[export]'")
    if _version("hydra-joblib-launcher") is None:
        install.append("pip install 'dlrun[launchers]'")
    problems = [f"{b['name']}: {b['problem']}" for b in backends if b["version"] and b["problem"]]
    problems += [] if outputs["writable"] else [outputs["says"]]
    problems += ["less than 1 GB is free here; checkpoints need room"] if disk["free_gb"] < 1 else []
    if not any(b["devices"] for b in backends):
        problems.append("no backend works here; install one of them to train")
    return {
        "packages": packages,
        "backends": backends,
        "data": data,
        "outputs": outputs,
        "disk": disk,
        "problems": problems,
        "install": install,
    }


def _version(name: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _backends() -> list[dict[str, Any]]:
    """Each backend's version, devices and problem; all probes run at once."""
    import subprocess
    import sys

    from dlrun.backends import BACKENDS, install_command, installed

    probes = {
        name: subprocess.Popen(
            [sys.executable, "-c", _PROBE, name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for name in BACKENDS
        if installed(name)
    }
    reports = []
    for name in BACKENDS:
        version = _version(name) or (_version("tensorflow-cpu") if name == "tensorflow" else None)
        report: dict[str, Any] = {
            "name": name,
            "version": version if name in probes else None,
            "devices": [],
            "formats": [],
            "problem": None,
            "install": install_command(name),
        }
        if name in probes:
            report |= _answer(probes[name])
        else:
            report["problem"] = f"install it: {install_command(name)}"
        reports.append(report)
    return reports


def _answer(probe: Any) -> dict[str, Any]:
    import json
    import subprocess

    try:
        out, err = probe.communicate(timeout=_PROBE_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        probe.kill()
        probe.communicate()
        return {"problem": f"importing it took longer than {_PROBE_TIMEOUT_S} s"}
    if probe.returncode != 0:
        last = err.strip().splitlines()[-1:] or ["no message"]
        return {"problem": f"importing it fails: {last[0]}"}
    answer: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
    return answer


def _data() -> dict[str, Any]:
    import os
    from pathlib import Path

    from dlrun.data.published import cache_folder

    named = os.environ.get("DLRUN_DATA")
    if named is None:
        cache = str(cache_folder(""))
        says = f"DLRUN_DATA is not set; data is downloaded to {cache} when needed"
        return {"folder": cache, "found": os.path.isdir(cache), "says": says}
    folder = Path(named)
    if not folder.is_dir():
        return {"folder": named, "found": False, "says": f"DLRUN_DATA={named} is not a folder"}
    names = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
    return {"folder": named, "found": True, "says": f"DLRUN_DATA={named}: {', '.join(names[:8]) or 'empty'}"}


def _outputs() -> dict[str, Any]:
    from pathlib import Path

    folder = Path("outputs")
    reason = _unwritable(folder if folder.exists() else Path())
    says = f"{folder.resolve()}: " + (f"not writable: {reason}" if reason else "writable")
    return {"folder": str(folder.resolve()), "writable": reason is None, "says": says}


def _unwritable(folder: Path) -> str | None:
    """Why nothing can be written there, found out by writing."""
    import tempfile

    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".dlrun-doctor-") as file:
            file.write(b"0" * 4096)
            file.flush()
    except OSError as error:
        return error.strerror or str(error)
    return None


def _disk() -> dict[str, float]:
    import shutil

    usage = shutil.disk_usage(".")
    return {"free_gb": usage.free / 1e9, "total_gb": usage.total / 1e9}
