"""What values an artefact wants: samples as stored, which need not be those of an 8-bit image."""

from __future__ import annotations

from dlrun.data.source import Signature


def input_range(signature: Signature) -> tuple[float, float] | None:
    """Lowest and highest stored value; None for ids, and for numbers whose range the data does not tell."""
    if signature.input.dtype == "int" or signature.scale == 1:  # 1 also stands for a scale nobody named
        return None
    top = 1 / signature.scale
    return 0, round(top) if abs(top - round(top)) < 1e-6 * top else top


def from_8_bit(signature: Signature) -> str | None:
    """How the values v of an 8-bit image become stored ones; None where they are, or where that is unknown."""
    known, shape = input_range(signature), signature.input.shape
    if known is None or known[1] == 255 or len(shape) != 3 or shape[-1] not in (1, 3):
        return None
    text = f"v * {known[1]:g} / 255"
    return f"round({text})" if signature.stored_dtype == "uint8" else text
