"""Nucleus over HTTP: calls, repetitions, jobs."""
