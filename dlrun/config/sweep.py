"""Sweeps with Hydra's own sweepers and launchers, and Hydra's own views of a composition."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.config.catalog import RECIPE, Catalog, catalog_of
from dlrun.config.overrides import Override, contradiction, parse, quoted, readable
from dlrun.errors import DlrunError, DlrunErrors, Where, did_you_mean

if TYPE_CHECKING:
    from dlrun.config.composition import Composed

RunJob = Callable[[int, list[str], Path], Any]
"""Called for each job with its number, its overrides and the sweep's folder."""
INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")


def multirun(
    overrides: Sequence[str],
    run_job: RunJob,
    *,
    config_dir: str | None = None,
    smoke: bool = False,
    check_installed: bool = True,
) -> list[Any]:
    """Run every combination of the values that ``overrides`` sweep over.

    Args:
        overrides: As for ``compose``, several values allowed (``seed=1,2``), ``hydra.*`` too.
        run_job: Runs one job; picklable, since a launcher may call it in another process.
        config_dir: The user's own folder of groups and recipes.
        smoke: Whether jobs are composed as dry runs.
        check_installed: Whether a backend that is not installed is a mistake.

    Returns:
        What ``run_job`` returned, in the order of the jobs; empty if the sweeper keeps no results.

    Raises:
        DlrunErrors: Every mistake of every job of a batch, before any of them runs.
    """
    catalog = catalog_of(config_dir)
    parsed = parse(overrides, catalog)
    _check(parsed, catalog)
    begun: list[bool] = []  # from then on other exceptions may be those of a job
    with _hydra(catalog, smoke, check_installed) as hydra, _own_words(parsed, begun):
        from hydra._internal.callbacks import Callbacks
        from hydra.core.plugins import Plugins
        from hydra.types import HydraContext, RunMode
        from omegaconf import OmegaConf

        _check_hydra(parsed, hydra.config_loader)
        words = list(overrides)
        config = hydra.compose_config(config_name="config", overrides=words, run_mode=RunMode.MULTIRUN)
        folder = folder_of(str(config.hydra.sweep.dir), parsed)
        if folder is not None:
            config.hydra.sweep.dir = str(folder)
            config.hydra.overrides.hydra.append(f"hydra.sweep.dir={quoted(str(folder))}")  # each job composes anew
        callbacks = Callbacks(config)
        callbacks.on_multirun_start(config=config, config_name="config")
        sweeper: Any = Plugins.instance().instantiate_sweeper(
            config=config,
            hydra_context=HydraContext(config_loader=hydra.config_loader, callbacks=callbacks),
            task_function=_Job(run_job),
        )
        sweeper.launcher = _Checked(sweeper.launcher, hydra.config_loader, begun)
        task = OmegaConf.to_container(config.hydra.overrides.task, resolve=False)
        try:
            returned = sweeper.sweep(arguments=task)
        finally:
            if not begun:
                _forget(Path(config.hydra.sweep.dir))
        callbacks.on_multirun_end(config=config, config_name="config")
        return _results(returned)


def show_hydra(
    overrides: Sequence[str], *, cfg: str | None = None, info: str | None = None, config_dir: str | None = None
) -> str:
    """What Hydra's ``--cfg`` (job, hydra, all) or ``--info`` prints.

    Raises:
        DlrunErrors: ``unknown-info`` and mistakes of the composition.
    """
    if info is not None and info not in INFO:
        raise DlrunErrors([DlrunError("unknown-info", f"`--info {info}` is not known.", hint=did_you_mean(info, INFO))])
    catalog = catalog_of(config_dir)
    parsed = parse(overrides, catalog)
    from dlrun.config.composition import compose

    compose([o.text for o in parsed if not o.hydra], config_dir=config_dir, check_installed=False)
    printed = io.StringIO()
    with _hydra(catalog, False, False) as hydra, _own_words(parsed), contextlib.redirect_stdout(printed), _logging():
        if info is not None:
            hydra.show_info(info, "config", list(overrides))
        else:
            hydra.show_cfg("config", list(overrides), cfg or "job", None)
    return printed.getvalue()


@dataclass
class _Job:
    """Hydra's task function: hands a job's own overrides to ``run_job``."""

    run_job: RunJob

    def __call__(self, config: Any) -> Any:
        from hydra.core.hydra_config import HydraConfig

        del config
        job = HydraConfig.get()
        folder = Path(job.sweep.dir).absolute()
        try:
            return self.run_job(int(job.job.num), [readable(str(o)) for o in job.overrides.task], folder)
        finally:
            with contextlib.suppress(OSError):
                os.rmdir(job.runtime.output_dir)  # Hydra's folder of the job, if the job left it empty


class _Checked:
    """A launcher that composes every job of a batch before it starts the first."""

    def __init__(self, launcher: Any, loader: Any, begun: list[bool]) -> None:
        self.launcher = launcher
        self.loader = loader
        self.begun = begun
        self.folders: set[tuple[str, str, str]] = set()

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Any:
        """Check all, then launch."""
        errors: dict[tuple[str, str, str], DlrunError] = {}
        for overrides in job_overrides:
            try:
                self._claim(self.loader.composed(overrides))
            except DlrunErrors as several:
                for error in several.errors:
                    errors.setdefault((error.code, error.message, str(error.where)), error)
        if errors:
            raise DlrunErrors(list(errors.values()))
        self.begun.append(True)
        return self.launcher.launch(job_overrides, initial_job_idx=initial_job_idx)

    def _claim(self, composed: Composed) -> None:
        """Raise for a job whose run directory is another's."""
        recipe = composed.recipe
        folder = (recipe.output.root, recipe.name, recipe.output.name or "")
        if recipe.output.name is not None and folder in self.folders:
            origin = composed.origins.get("output.name", "")
            override = origin.removeprefix("command line `").removesuffix("`")
            error = DlrunError(
                "contradiction",
                f"several jobs have the `output.name` `{recipe.output.name}`, and so one run directory.",
                path=("output", "name"),
                where=Where(override=override) if override != origin else Where(composed.file),
                hint="Leave it out: each job gets a name of its own.",
            )
            raise DlrunErrors([error])
        self.folders.add(folder)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.launcher, name)


@contextlib.contextmanager
def _hydra(catalog: Catalog, smoke: bool, check_installed: bool) -> Iterator[Any]:
    from hydra import version
    from hydra._internal.hydra import Hydra
    from hydra._internal.sources_registry import SourcesRegistry
    from hydra._internal.utils import create_config_search_path
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.plugins import Plugins

    from dlrun.config.hydra_loader import Loader
    from dlrun.config.hydra_source import CatalogSource

    version.setbase("1.3")
    Plugins.instance()
    SourcesRegistry.instance().register(CatalogSource)
    path = create_config_search_path(f"{CatalogSource.scheme()}://{catalog.config_dir or ''}")
    hydra = Hydra(task_name="dlrun", config_loader=Loader(path, catalog, smoke, check_installed))
    GlobalHydra.instance().clear()
    GlobalHydra.instance().initialize(hydra)
    try:
        yield hydra
    finally:
        GlobalHydra.instance().clear()


@contextlib.contextmanager
def _own_words(parsed: Sequence[Override], begun: Sequence[bool] = ()) -> Iterator[None]:
    """Turn what Hydra and OmegaConf raise into our own errors.

    They answer odd settings with exceptions of every kind; but once jobs have begun, those are the jobs' own.
    """
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (HydraException, OmegaConfBaseException) as error:
        raise DlrunErrors([_sweep_error(error, parsed)]) from None
    except (OSError, ValueError, RuntimeError, AttributeError, AssertionError, TypeError) as error:
        if begun:
            raise
        raise DlrunErrors([_sweep_error(error, parsed)]) from None


def _sweep_error(error: Exception, parsed: Sequence[Override]) -> DlrunError:
    text = str(error)
    if isinstance(error, OSError):
        return DlrunError(
            "cannot-write",
            f"`{error.filename}` cannot be written: {error.strerror}.",
            hint="Choose another folder: hydra.sweep.dir=…",
        )
    if "interval" in text.lower() or "does not support sweep type" in text:
        return DlrunError(
            "sweep-failed",
            "the sweeper cannot enumerate an `interval(…)`.",
            hint="Use `choice(…)`, `range(…)` or a list of values.",
        )
    if "Sweeping over Hydra" in text:
        return DlrunError(
            "sweep-failed", "a setting of Hydra itself cannot be swept over.", hint="Give `hydra.*` one value."
        )
    for o in parsed:
        if o.hydra and o.key in text:
            return DlrunError(
                "sweep-failed",
                f"Hydra cannot take `{o.text}`: there is no such setting, or it has another type.",
                where=o.where,
                hint="See its settings: dlrun train --cfg hydra",
            )
    settings = [o for o in parsed if o.hydra]
    if len(settings) == 1:
        text = f"the sweep could not be set up with `{settings[0].text}`."
        hint = "See its settings: dlrun train --cfg hydra"
        return DlrunError("sweep-failed", text, where=settings[0].where, hint=hint)
    return DlrunError("sweep-failed", "the sweep could not be set up.", hint="See: dlrun train --info all")


def _check_hydra(parsed: Sequence[Override], loader: Any) -> None:
    errors = []
    for o in parsed:
        if not o.hydra or "/" not in o.key or o.delete:
            continue
        options = loader.get_group_options(o.key)
        if o.value not in options:
            role = o.key.rpartition("/")[2]
            hint = did_you_mean(o.value, options, "Valid: " + ", ".join(f"`{n}`" for n in options) + ".")
            if not options:
                role, hint = "group of Hydra's", "See: dlrun train --info plugins"
            errors.append(
                DlrunError(
                    f"unknown-{role.split()[0]}",
                    f"`{o.value if options else o.key}` is not a {role} that is installed.",
                    where=o.where,
                    hint=hint,
                )
            )
    if errors:
        raise DlrunErrors(errors)


def _forget(folder: Path) -> None:
    """Remove a sweep's folder in which no job ran."""
    with contextlib.suppress(OSError):
        (folder / "multirun.yaml").unlink(missing_ok=True)
        folder.rmdir()
        folder.parent.rmdir()


def _check(parsed: Sequence[Override], catalog: Catalog) -> None:
    from dlrun.config import files

    errors = []
    first: dict[str, Override] = {}
    for o in parsed:
        same = first.setdefault(o.key, o)
        if same.text != o.text:  # a sweeper would let the last one win
            errors.append(contradiction(o, same))
        if o.hydra and o.sweep:
            errors.append(
                DlrunError(
                    "override-syntax",
                    f"`{o.key}` is a setting of Hydra's and cannot be swept over.",
                    where=o.where,
                    hint="Give it one value.",
                )
            )
        elif not o.sweep and o.group and not o.delete and not o.hydra and isinstance(o.value, str):
            name = o.value.partition(":")[0] if o.key == "device" else o.value
            if catalog.find(f"{o.key}/{name}") is None:
                errors.append(files.unknown_option(o.key, o.value, catalog, o.where))
    if errors:
        raise DlrunErrors(errors)


def folder_of(configured: str, parsed: Sequence[Override]) -> Path | None:
    """The sweep's folder: below the recipe's own when there is one recipe; None to leave it as configured."""
    head, _, stamp = configured.partition("/sweep/")
    if head != "outputs" or not stamp.startswith("multirun-") or any(o.key == "hydra.sweep.dir" for o in parsed):
        return None
    single = {o.key: str(o.value) for o in parsed if not o.sweep and o.value is not None}
    swept = {o.key for o in parsed if o.sweep}
    name = "sweep" if RECIPE in swept else Path(single.get(RECIPE, "digits")).stem
    folder = Path(single.get("output.root", "outputs")) / name / stamp
    number = 1
    while folder.exists():
        number += 1
        folder = folder.with_name(f"{stamp}-{number}")
    return folder


def _results(returned: Any) -> list[Any]:
    if not isinstance(returned, list):
        return []
    jobs = [job for batch in returned for job in (batch if isinstance(batch, list | tuple) else [batch])]
    return [job.return_value for job in jobs if hasattr(job, "return_value")]


@contextlib.contextmanager
def _logging() -> Iterator[None]:
    """Undo what Hydra's views do to the root logger."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
