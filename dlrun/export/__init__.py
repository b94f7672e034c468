"""Artefacts that run without dlrun: written, tried in their own runtime, compared, then kept."""

from dlrun.export.artefact import ExportResult, export_plan
from dlrun.export.formats import FORMATS
from dlrun.export.trained import export

__all__ = ["FORMATS", "ExportResult", "export", "export_plan"]
