"""Random changes to training samples: one module per family."""
