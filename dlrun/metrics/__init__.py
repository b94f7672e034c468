"""Metrics: framework-free, float64, one definition for every backend."""
