"""The command line: one thin file per verb; the only place that imports typer and rich."""
