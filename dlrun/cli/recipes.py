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

    listed = [recipe_entry(*entry[:3]) for entry in found(config_dir=config_dir)]
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


def recipe_entry(name: str, path: object, description: str) -> dict[str, object]:
    """A recipe as the list shows it; the task is read from the file's own line."""
    import os
    import re
    from pathlib import Path

    task = re.search(r"^task:\s*([\w-]+)", Path(str(path)).read_text("utf-8", errors="replace"), re.MULTILINE)
    relative = os.path.relpath(str(path))
    shown = relative if not relative.startswith("..") else str(path)
    return {"name": name, "task": task.group(1) if task else None, "description": description, "path": shown}
