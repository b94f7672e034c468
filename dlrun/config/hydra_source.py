"""The catalog as Hydra sees it: one source of groups, with recipes as the group ``recipe``."""

from __future__ import annotations

from pathlib import Path

from hydra._internal.config_repository import ConfigRepository
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.default_element import GroupDefault
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from omegaconf import OmegaConf

from dlrun.config.catalog import Catalog
from dlrun.config.document import read
from dlrun.config.files import header_package


class CatalogSource(ConfigSource):
    """Serves what ``Catalog`` finds; the path is the user's config folder, or empty.

    Of a file Hydra gets what is its own: the defaults list and the ``hydra`` section. Values are
    merged by ``dlrun.config`` itself, which keeps the place of each.
    """

    def __init__(self, provider: str, path: str) -> None:
        super().__init__(provider=provider, path=path)
        self.catalog = Catalog(Path(self.path) if self.path else None)

    @staticmethod
    def scheme() -> str:
        return "dlrun"

    def load_config(self, config_path: str) -> ConfigResult:
        file = self.catalog.find(config_path)
        if file is None:
            raise ConfigLoadError(f"no config {config_path}")
        content = read(file).plain()
        if not config_path.startswith("hydra/"):
            content = {k: v for k, v in content.items() if k in ("defaults", "hydra")}
        return ConfigResult(
            provider=self.provider,
            path=f"{self.scheme()}://{file}",
            config=OmegaConf.create(content),
            header={"package": header_package(file, config_path)},
        )

    def available(self) -> bool:
        return True

    def is_group(self, config_path: str) -> bool:
        return config_path == "" or self.catalog.is_group(config_path)

    def is_config(self, config_path: str) -> bool:
        return self.catalog.find(config_path) is not None

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        names: list[str] = []
        if results_filter in (None, ObjectType.GROUP):
            names += self.catalog.groups(config_path)
        if results_filter in (None, ObjectType.CONFIG):
            names += self.catalog.options(config_path) if config_path else ["config"]
        return sorted(set(names))


class Repository(ConfigRepository):
    """The catalog alone, without Hydra's own configuration: enough to compute a defaults list."""

    def __init__(self, catalog: Catalog) -> None:
        self.sources = [CatalogSource("dlrun", f"dlrun://{catalog.config_dir or ''}")]
        self._loaded: dict[str, ConfigResult | None] = {}

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        """There is nothing to search beside the catalog."""

    def load_config(self, config_path: str) -> ConfigResult | None:
        if config_path not in self._loaded:
            result = super().load_config(config_path)
            if result is not None and result.defaults_list:
                result.defaults_list = [d for d in result.defaults_list if not _of_hydra(d)]
            self._loaded[config_path] = result
        return self._loaded[config_path]


def _of_hydra(default: object) -> bool:
    return isinstance(default, GroupDefault) and (default.group or "").lstrip("/").startswith("hydra")
