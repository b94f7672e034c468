"""Plain values as YAML text that reads back as the same values."""

from __future__ import annotations

from typing import Any

import yaml

from dlrun.config.document import Loader


class _Dumper(yaml.SafeDumper):
    """Quotes whatever our loader would not read back as text; short mappings and lists take one line."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.yaml_implicit_resolvers = {key: [*rules] for key, rules in Loader.yaml_implicit_resolvers.items()}
for _key, _rules in yaml.SafeLoader.yaml_implicit_resolvers.items():  # what only other readers take for a number
    _Dumper.yaml_implicit_resolvers.setdefault(_key, []).extend(r for r in _rules if r[0].endswith((":int", ":float")))


class _Line(dict[str, Any]):
    """A mapping written on one line."""


class _Row(list[Any]):
    """A list written on one line."""


def _line(dumper: yaml.SafeDumper, data: _Line) -> yaml.Node:
    return dumper.represent_mapping("tag:yaml.org,2002:map", data.items(), flow_style=True)


def _row(dumper: yaml.SafeDumper, data: _Row) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True)


_Dumper.add_representer(_Line, _line)
_Dumper.add_representer(_Row, _row)


def dump(values: dict[str, Any]) -> str:
    """YAML text of a recipe's values."""
    return yaml.dump(
        _arranged(values), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000, default_flow_style=False
    )


def _arranged(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _arranged(v) for key, v in value.items()}
    if isinstance(value, list):
        if all(not isinstance(v, dict | list) for v in value):
            return _Row(map(_escaped, value))
        return [_item(v) for v in value]
    return _escaped(value)


def _item(value: Any) -> Any:
    """An item such as ``conv2d: {filters: 32}``: its fields on one line unless they hold layers."""
    if isinstance(value, dict) and len(value) == 1:
        (kind, body), *_ = value.items()
        if isinstance(body, dict):
            if not body:
                return kind
            nested = any(isinstance(v, list) and any(isinstance(i, dict) for i in v) for v in body.values())
            return {kind: _arranged(body) if nested else _Line({k: _arranged(v) for k, v in body.items()})}
    return _arranged(value)


def _escaped(value: Any) -> Any:
    # a literal ${ would be read back as a reference
    return value.replace("${", "\\${") if isinstance(value, str) else value
