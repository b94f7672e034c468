"""``dlrun recipes``: what there is to train."""

from __future__ import annotations

from dlrun.cli.arguments import ConfigDir, Json, carried

EXAMPLES = """\
dlrun recipes
dlrun recipes --config-dir my_lab
dlrun recipes --json"""


def recipes(config_dir: ConfigDir = None, json: Json = False) -> None:
    """List the recipes found, and what each one does.

    Yours come first: those in `--config-dir`, then in ./recipes, then the ones dlrun brings.
    """
    import shlex

    from dlrun.cli import render
    from dlrun.config import recipes as found
    from dlrun.config import task_said

    listed = [
        {"name": name, "task": task_said(path, config_dir), "description": description, "path": _shown(path)}
        for name, path, description, _ in found(config_dir=config_dir)
    ]
    if json:
        render.print_json({"recipes": listed})
        return
    render.table(
        ("name", "task", "what it does", "where"),
        [(r["name"], r["task"], r["description"], r["path"]) for r in listed],
        wrapped={"what it does": 72},
    )
    first = str(listed[0]["name"]) if listed else "digits"
    again = shlex.join([first, *carried(config_dir)])
    render.next_steps(
        [
            (f"dlrun check {again}", "its layers, parameters and FLOPs"),
            (f"dlrun train {again}", "train it"),
            (f"dlrun new my_recipe --from {again}", "a copy to edit"),
        ]
    )


def _shown(path: object) -> str:
    import os

    relative = os.path.relpath(str(path))
    return relative if not relative.startswith("..") else str(path)
