"""One YAML recipe, native PyTorch or native TensorFlow, the same training run."""

__version__ = "0.1.0"
