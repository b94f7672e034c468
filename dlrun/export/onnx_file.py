"""What every ONNX file gets, whichever backend wrote it: a check, and a description inside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def finish(path: Path, description: dict[str, Any]) -> int:
    """Describe an ONNX file in its ``metadata_props``, check it, and return its opset.

    Raises:
        Exception: Whatever onnx's checker finds.
    """
    import onnx

    model = onnx.load(str(path))
    model.producer_name, model.producer_version = "dlrun", description["dlrun"]
    onnx.helper.set_model_props(
        model, {k: v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for k, v in description.items()}
    )
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))
    return int(next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx")))
