"""Run a Keras model: python run_keras.py MODEL.keras INPUTS.npz OUTPUTS.npz

INPUTS.npz holds stored samples (N, *shape) under any names; OUTPUTS.npz gets the outputs (N, *)
under the same names. Needs numpy and keras (with tensorflow) only.
"""

import sys

import keras
import numpy as np


def main(model: str, inputs: str, outputs: str) -> None:
    """Answer every array of ``inputs``."""
    loaded = keras.saving.load_model(model, compile=False, safe_mode=True)
    with np.load(inputs) as samples:
        answers = {name: np.asarray(loaded(samples[name], training=False)) for name in samples.files}
    np.savez(outputs, **answers)


if __name__ == "__main__":
    main(*sys.argv[1:])
