"""The ways to prune: scoring functions, torch's own and those that users register."""

from . import torch_methods
from .method import Method
from .registry import find_method, load_entry_points, load_file, method, methods

__all__ = ["Method", "find_method", "load_entry_points", "load_file", "method", "methods", "torch_methods"]
