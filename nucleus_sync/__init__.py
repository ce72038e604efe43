"""Declarative, crash-safe sync of vision data to Scale Nucleus."""

__version__ = "0.1.0"
