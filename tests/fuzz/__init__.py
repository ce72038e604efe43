"""Readers and the spec loader on bytes that nobody would write."""
