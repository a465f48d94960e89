"""The library's verbs from a shell; `bertprune --help` lists them."""

from .entry import main as main
