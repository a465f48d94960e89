"""Decide which weights go, and change a model accordingly."""
