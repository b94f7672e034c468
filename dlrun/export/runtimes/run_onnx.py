"""Run an ONNX model: python run_onnx.py MODEL.onnx INPUTS.npz OUTPUTS.npz

INPUTS.npz holds stored samples (N, *shape) under any names; OUTPUTS.npz gets the outputs (N, *)
under the same names. Needs numpy and onnxruntime only.
"""

import sys

import numpy as np
import onnxruntime


def main(model: str, inputs: str, outputs: str) -> None:
    """Answer every array of ``inputs``."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    with np.load(inputs) as samples:
        answers = {name: session.run(["output"], {"input": samples[name]})[0] for name in samples.files}
    np.savez(outputs, **answers)


if __name__ == "__main__":
    main(*sys.argv[1:])
