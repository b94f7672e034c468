"""The model as a graph: tensor types, layers, shape inference, weights. Framework-free."""

from dlrun.graph.build import build_graph
from dlrun.graph.graph import INPUT, Graph, Node
from dlrun.graph.layer import Composite, Example, Layer, Layers, Weight, layers
from dlrun.graph.tensor import TensorType

__all__ = [
    "INPUT",
    "Composite",
    "Example",
    "Graph",
    "Layer",
    "Layers",
    "Node",
    "TensorType",
    "Weight",
    "build_graph",
    "layers",
]
