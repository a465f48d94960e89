"""The ways to prune: scoring functions, torch's own and those that users register."""

from . import torch_methods
from .call import make_hook, make_mask, score, score_pieces
from .method import Method
from .registry import find_method, load_file, method, methods

__all__ = [
    "Method",
    "find_method",
    "load_file",
    "make_hook",
    "make_mask",
    "method",
    "methods",
    "score",
    "score_pieces",
    "torch_methods",
]
