"""Weights from elsewhere: files of other libraries, their names and layouts, and how much of them fits a model.

``load`` brings arrays named as another library names them to canonical names and layout,
``export`` takes canonical weights back. Nothing here imports a framework or executes what it reads.
"""

from dlrun.weights.matching import Account, export, load

__all__ = ["Account", "export", "load"]
