"""Named architectures, as graphs of the layers every recipe can use."""
