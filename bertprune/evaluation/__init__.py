"""Evaluate what pruning costs, on the same inputs before and after."""
