"""TensorFlow operations that tf2onnx does not know, said with ONNX's; importing this registers them."""

from __future__ import annotations

from typing import Any

import numpy as np
from tf2onnx.graph import Graph, Node
from tf2onnx.handler import tf_op
from tf2onnx.utils import make_name, map_onnx_to_numpy_type


@tf_op("Expm1")
class Expm1:
    """exp(x) - 1, as rounded by the subtraction: wrong by at most an ulp of 1."""

    @classmethod
    def version_1(cls, ctx: Graph, node: Node, **_: Any) -> None:
        """Replace the node, from opset 1 on."""
        kind = ctx.get_dtype(node.output[0])
        outputs, shapes = node.output, node.output_shapes
        power = ctx.make_node("Exp", node.input, op_name_scope=node.name)
        one = ctx.make_const(make_name("one"), np.array(1, map_onnx_to_numpy_type(kind)))
        ctx.remove_node(node.name)
        ctx.make_node(
            "Sub", [power.output[0], one.output[0]], name=node.name, outputs=outputs, shapes=shapes, dtypes=[kind]
        )
