"""The library's verbs from a shell; `bertprune --help` lists them."""

from .main import main as main
