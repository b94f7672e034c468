"""Run a torch.export program: python run_torch_export.py MODEL.pt2 INPUTS.npz OUTPUTS.npz

INPUTS.npz holds stored samples (N, *shape) under any names; OUTPUTS.npz gets the outputs (N, *)
under the same names. Needs numpy and torch only.
"""

import sys

import numpy as np
import torch


def main(model: str, inputs: str, outputs: str) -> None:
    """Answer every array of ``inputs``."""
    module = torch.export.load(model).module()
    with np.load(inputs) as samples, torch.no_grad():
        answers = {name: module(torch.from_numpy(samples[name])).numpy() for name in samples.files}
    np.savez(outputs, **answers)


if __name__ == "__main__":
    main(*sys.argv[1:])
