"""The ways to prune: scoring functions, torch's own and those that users register."""

from . import fisher, layer_change, obs, plain, token_count, torch_methods, wanda
from .call import make_hook, make_mask, score, score_groups, score_pieces
from .method import Method
from .registry import find_method, load_file, method, methods

__all__ = [
    "Method",
    "find_method",
    "fisher",
    "layer_change",
    "load_file",
    "make_hook",
    "make_mask",
    "method",
    "methods",
    "obs",
    "plain",
    "score",
    "score_groups",
    "score_pieces",
    "token_count",
    "torch_methods",
    "wanda",
]
