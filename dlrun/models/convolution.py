"""What the convolutional architectures repeat: a convolution with its normalisation, and their rounding of widths."""

from __future__ import annotations

from typing import Any

from dlrun.models.start import HE_FAN_OUT


def conv_norm(
    sub: Any,
    x: str,
    filters: int,
    kernel: int | tuple[int, int],
    *,
    suffix: str = "",
    stride: int = 1,
    padding: Any = None,
    activation: str | None = "relu",
    initializer: Any = HE_FAN_OUT,
    norm: dict[str, Any] | None = None,
) -> str:
    """A convolution without bias, batch normalisation and an activation.

    Args:
        sub: What the architecture expands through.
        x: Name of the input.
        filters: Output channels.
        kernel: Window.
        suffix: Ends the names: ``conv<suffix>`` and ``norm<suffix>``.
        stride: Step between windows.
        padding: Half the window on every side when left out.
        activation: Element-wise layer, or none.
        initializer: How the kernel starts.
        norm: Further fields of the normalisation.
    """
    x = sub.add(
        "conv2d",
        x,
        name=f"conv{suffix}",
        filters=filters,
        kernel=kernel,
        stride=stride,
        padding=around(kernel) if padding is None else padding,
        bias=False,
        kernel_initializer=initializer,
    )
    x = sub.add("batch_norm", x, name=f"norm{suffix}", **norm or {})
    return sub.activate(x, activation) if activation else x


def around(kernel: int | tuple[int, int]) -> tuple[int, int]:
    """Half of an odd window on every side: published networks pad so also where they take steps of two."""
    height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
    return height // 2, width // 2


def divisible(width: float, by: int = 8) -> int:
    """The multiple nearest to ``width``, at least ``by`` and not below nine tenths of it."""
    rounded = max(by, int(width + by / 2) // by * by)
    return rounded + by if rounded < 0.9 * width else rounded
