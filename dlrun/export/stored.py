"""What values an artefact wants: samples as stored, which need not be those of an 8-bit image."""

from __future__ import annotations

from typing import Any

from dlrun.data.pictures import Pictures
from dlrun.data.source import Signature
from dlrun.plan import Plan


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


def columns(signature: Signature) -> list[dict[str, Any]] | None:
    """What the entries of a row are, in their order; None where samples are no rows of a table.

    A number is the number, NaN where it is missing. Of a category with a list, the i-th name has the id i, from 1; of
    one with ``buckets`` n, the id is 1 + h mod n, with h the 8-byte BLAKE2b digest of the text, its lowest byte first.
    0 stands for a missing one, and for one that the list does not have.
    """
    found: list[dict[str, Any]] = []
    for column in signature.columns:
        if column.buckets:
            found.append({"name": column.name, "buckets": column.buckets})
        elif column.categories is not None:
            found.append({"name": column.name, "categories": list(column.categories)})
        else:
            found.append({"name": column.name})
    return found or None


def picture(plan: Plan) -> dict[str, Any] | None:
    """How a picture file becomes a sample, step by step; None where the data set has no picture files."""
    source = plan.recipe.data.source
    if not isinstance(source, Pictures):
        return None
    height, width, channels = source.shape
    x = plan.signature.input
    steps = ["turned as its EXIF orientation says", "RGB" if channels == 3 else "grey"]
    steps.append(f"{height} x {width} pixels (height, width), bilinear; of another shape: {source.fit}")
    for augmentation in plan.recipe.data.augment:
        after = augmentation.infer(x)
        if after != x:
            height, width, _ = after.shape
            steps.append(augmentation.in_evaluation.format(height=height, width=width))
        x = after
    return {"size": list(source.shape[:2]), "channels": channels, "fit": source.fit, "steps": steps}
