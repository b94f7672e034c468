"""The vocabulary of layers, one file per family. Each module registers its layers on import."""
