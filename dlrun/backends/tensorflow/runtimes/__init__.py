"""Scripts that run an artefact with its own runtime and numpy alone; copy them beside yours."""
