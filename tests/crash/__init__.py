"""Kills an apply at every point where something becomes durable or leaves the process."""
