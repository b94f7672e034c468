"""Data sets, one file each. Each module registers its source on import."""
