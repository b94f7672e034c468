"""The model as a graph: tensor types, layers, shape inference, weights. Framework-free."""

from dlrun.graph.architecture import LayerList, Model, models
from dlrun.graph.build import UnusedLayers, build_graph, build_model, draft_mistakes
from dlrun.graph.graph import INPUT, Graph, Node
from dlrun.graph.layer import Composite, Example, Layer, Layers, Weight, layers
from dlrun.graph.tensor import TensorType

__all__ = [
    "INPUT",
    "Composite",
    "Example",
    "Graph",
    "Layer",
    "LayerList",
    "Layers",
    "Model",
    "Node",
    "TensorType",
    "UnusedLayers",
    "Weight",
    "build_graph",
    "build_model",
    "draft_mistakes",
    "layers",
    "models",
]
