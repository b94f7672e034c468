"""Native TensorFlow: a Keras functional model of own layers, trained by graphs of TensorFlow operations."""

import contextlib
import os
from collections.abc import Iterator

from dlrun.backends.processor import prefer_onednn

os.environ["KERAS_BACKEND"] = "tensorflow"  # Keras reads it once, on import
prefer_onednn(os.environ)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Drop what TensorFlow's C++ part writes to standard error on import, before any setting can stop it."""
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ and int(os.environ["TF_CPP_MIN_LOG_LEVEL"] or 0) < 2:
        yield  # the user asks for messages
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with open(os.devnull, "wb") as nowhere:
        kept = os.dup(2)
        try:
            os.dup2(nowhere.fileno(), 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


with _quiet():
    import tensorflow as tf  # noqa: F401

    from dlrun.backends.tensorflow.backend import TensorFlow

BACKEND = TensorFlow()

__all__ = ["BACKEND"]
