"""Import gradio without the stubs that it writes beside its own files, which take almost half of the time."""

import inspect
from typing import Any
from unittest.mock import patch

_getfile = inspect.getfile


def _without_components(thing: Any) -> str:
    """Say of gradio's own classes what is true of classes made in a shell: they have no file."""
    if isinstance(thing, type) and thing.__module__.startswith("gradio."):
        raise OSError(f"{thing} needs no stub")
    return _getfile(thing)


with patch("inspect.getfile", _without_components):
    import gradio  # noqa: F401
