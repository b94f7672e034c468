"""What an artefact is tried with: real samples and the edges of the stored range."""

from __future__ import annotations

import numpy as np

from dlrun.data.source import Signature

BATCH_SIZES = (1, 3, 128)
REAL = "real"
"""Name of the real samples among the probes."""


def probes(signature: Signature, sample: tuple[int, ...], samples: np.ndarray) -> dict[str, np.ndarray]:
    """Stored inputs by ``<kind>-<batch size>``.

    Args:
        signature: Of the data set.
        sample: Shape of one input.
        samples: Real stored samples, at least one; repeated where there are fewer than a batch.
    """
    largest = max(BATCH_SIZES)
    shape = (largest, *sample)
    top = 255 if signature.stored_dtype == "uint8" else 1 / signature.scale
    parity = sum(np.indices(shape, sparse=True)) % 2
    kinds = {
        REAL: np.resize(samples[:largest], shape),
        "zeros": np.zeros(shape),
        "maximum": np.full(shape, top),
        "alternating": np.where(parity, top, 0),
    }
    return {
        f"{kind}-{size}": np.ascontiguousarray(x[:size], signature.stored_dtype)
        for kind, x in kinds.items()
        for size in BATCH_SIZES
    }
