"""Sources, transforms and batching; framework-free."""
