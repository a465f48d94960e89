"""Sweeps: many recipes on one checkpoint, each pruned and measured, and what is best at each size."""
