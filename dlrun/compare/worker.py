"""One side of a comparison, in a process of its own: ``python -m dlrun.compare.worker JOB.json``.

Progress goes to standard output as JSON, one line each. A mistake is kept in ``error.json``, since an
exit code alone could not say what to do about it.
"""

from __future__ import annotations

import contextlib
import gc
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from dlrun.backends import load_backend
from dlrun.compare.job import Job, read_job
from dlrun.compare.recorder import Tell, record
from dlrun.compare.speed import measure, peak_memory
from dlrun.compare.steps import Recording
from dlrun.errors import DlrunError, DlrunErrors


def work(job: Job, tell: Tell) -> None:
    """Do what a job asks for and leave the answer in its folder."""
    from dlrun.config import compose

    folder = Path(job.folder)
    for dtype, steps in job.steps.items():
        composed = compose(job.words(dtype), config_dir=job.config_dir)
        recording = Recording(folder / dtype, job.backend)
        with composed.placing():
            record(composed.plan, recording, steps, job.seeds.get(dtype, 0), _named(tell, dtype))
        gc.collect()  # the model of one precision makes room for the next
    if job.what == "speed":
        plan = compose(job.words(), config_dir=job.config_dir).plan
        load_backend(job.backend)
        (folder / "speed.json").write_text(json.dumps(measure(plan, peak_memory(), tell)))


def _named(tell: Tell, dtype: str) -> Tell:
    return lambda what, done, of: tell(f"{dtype} {what}", done, of)


@contextlib.contextmanager
def _told() -> Iterator[Tell]:
    """A ``Tell`` on standard output, which nothing else may write to."""
    with contextlib.redirect_stdout(sys.stderr):
        out: IO[str] = sys.__stdout__ or sys.stderr

        def tell(what: str, done: int, of: int) -> None:
            out.write(json.dumps([what, done, of]) + "\n")
            out.flush()

        yield tell


def main(path: Path) -> int:
    """The exit code of a job."""
    job = read_job(path)
    try:
        with _told() as tell:
            work(job, tell)
    except DlrunError as error:
        one = error.errors[0] if isinstance(error, DlrunErrors) else error
        said = {**one.as_dict(), "exit_code": error.exit_code, "place": list(one.path)}
        (Path(job.folder) / "error.json").write_text(json.dumps(said))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
