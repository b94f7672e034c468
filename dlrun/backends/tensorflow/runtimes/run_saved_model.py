"""Run a SavedModel: python run_saved_model.py FOLDER INPUTS.npz OUTPUTS.npz

INPUTS.npz holds stored samples (N, *shape) under any names; OUTPUTS.npz gets the outputs (N, *)
under the same names. Needs numpy and tensorflow only.
"""

import sys

import numpy as np
import tensorflow as tf


def main(folder: str, inputs: str, outputs: str) -> None:
    """Answer every array of ``inputs``."""
    loaded = tf.saved_model.load(folder)  # kept: the function below does not own its variables
    serve = loaded.signatures["serving_default"]
    with np.load(inputs) as samples:
        answers = {name: serve(input=tf.constant(samples[name]))["output"].numpy() for name in samples.files}
    np.savez(outputs, **answers)


if __name__ == "__main__":
    main(*sys.argv[1:])
