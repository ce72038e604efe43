"""Ratios to the official SDK doing the same work against the same server; never part of the tests."""
