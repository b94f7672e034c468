"""Hydra's loader with our own overrides: it composes what is Hydra's, we compose the recipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra._internal.defaults_list import DefaultsList
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from dlrun.config.catalog import Catalog
from dlrun.config.composition import Composed, compose
from dlrun.config.overrides import Override, decoded, grammar_text, parse
from dlrun.errors import DlrunErrors


class Loader(ConfigLoaderImpl):
    """Gives Hydra the ``hydra.*`` overrides and the groups; values never pass through it.

    So every field can be swept over, by every sweeper and launcher, and a mistake gets our own
    message with its place.
    """

    def __init__(self, search_path: ConfigSearchPath, catalog: Catalog, smoke: bool, check_installed: bool) -> None:
        super().__init__(search_path)
        self.catalog = catalog
        self.smoke = smoke
        self.check_installed = check_installed
        self._composed: dict[tuple[str, ...], Composed | DlrunErrors] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_composed": {}}

    def composed(self, overrides: Sequence[str]) -> Composed:
        """The recipe of one job.

        Raises:
            DlrunErrors: As ``compose``.
        """
        key = tuple(overrides)
        if key not in self._composed:
            folder = str(self.catalog.config_dir) if self.catalog.config_dir is not None else None
            try:
                self._composed[key] = compose(
                    key, config_dir=folder, smoke=self.smoke, check_installed=self.check_installed
                )
            except DlrunErrors as errors:
                self._composed[key] = errors
        found = self._composed[key]
        if isinstance(found, DlrunErrors):
            raise found
        return found

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        parsed = parse(overrides, self.catalog)
        config = super().load_configuration(
            config_name, self._for_hydra(parsed), run_mode, from_shell, validate_sweep_overrides
        )
        task = [o for o in parsed if not o.hydra]
        self._fill(config, [o.text for o in task if not o.sweep])
        config.hydra.overrides.task = [grammar_text(o.text) for o in task]
        naming = config.hydra.job.config.override_dirname
        config.hydra.job.override_dirname = decoded(
            get_overrides_dirname(
                OverridesParser.create().parse_overrides([grammar_text(o.text) for o in task]),
                exclude_keys=naming.exclude_keys,
                item_sep=naming.item_sep,
                kv_sep=naming.kv_sep,
            )
        )
        return config

    def compute_defaults_list(self, config_name: str | None, overrides: list[str], run_mode: RunMode) -> DefaultsList:
        parsed = parse(overrides, self.catalog)
        return super().compute_defaults_list(config_name, self._for_hydra(parsed), run_mode)

    def _for_hydra(self, parsed: Sequence[Override]) -> list[str]:
        own = [grammar_text(o.text) for o in parsed if o.hydra]
        groups = [
            grammar_text(o.text)
            for o in parsed
            if o.group and not o.hydra and not o.sweep and (o.delete or self._exists(o))
        ]
        return [*own, *groups]

    def _exists(self, o: Override) -> bool:
        return isinstance(o.value, str) and self.catalog.find(f"{o.key}/{o.value}") is not None

    def _fill(self, config: DictConfig, task: list[str]) -> None:
        """Put the recipe's values beside Hydra's own, so that settings can refer to them."""
        try:
            values = self.composed(task).values
        except DlrunErrors:
            return  # reported by whoever runs the job; a sweep may yet set what is wrong here
        with open_dict(config):
            for key in [k for k in config if k != "hydra"]:
                del config[key]
            for key, value in values.items():
                config[key] = OmegaConf.create({"value": value}).value
