"""The ways to prune: torch's own, and those that users register."""

from . import structured, unstructured
from .registry import Method, load_entry_points, load_file, method, methods, named

__all__ = ["Method", "load_entry_points", "load_file", "method", "methods", "named", "structured", "unstructured"]
