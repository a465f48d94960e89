"""Decide which weights to prune (granularity, scope, rank), preview it, and apply it to a model."""
