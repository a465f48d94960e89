"""Methods of a user's own: what their results depend on, and their way to the processes that prune by them."""

import hashlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cloudpickle

from ..recipe import Recipe
from ..scores import Method, method, methods


def own_methods(recipe: Recipe) -> dict[str, str]:
    """Return the hash of the source of each method in a recipe that does not come with bertprune, by name."""
    known = methods()
    used = (known[step.method] for step in recipe.steps if step.method in known)
    return {one.name: _source_hash(one) for one in used if not one.built_in}


def packed(names: Mapping[str, str]) -> bytes:
    """Pack methods for a process that may not know them."""
    return bytes(cloudpickle.dumps([_fields(methods()[name]) for name in names])) if names else b""


def adopt(names: Mapping[str, str], content: bytes) -> None:
    """Register packed methods where this process does not have them, or has others by their names."""
    known = methods()
    if all(name in known and _source_hash(known[name]) == source for name, source in names.items()):
        return
    for rule, name, fields in cloudpickle.loads(content):
        method(name, replace=True, **fields)(rule)


def _fields(one: Method) -> tuple[Any, str, dict[str, Any]]:
    names = ("removes", "scopes", "granularities", "title", "paper", "elementwise")
    return one.rule, one.name, {name: getattr(one, name) for name in names}


def _source_hash(one: Method) -> str:
    """Hash the file that defines a method, since its function may call others there; of a notebook, the function."""
    return hashlib.sha256(_source(one).encode("utf-8", "surrogatepass")).hexdigest()


def _source(one: Method) -> str:
    try:
        file = Path(inspect.getsourcefile(one.rule) or "")
        return file.read_text(encoding="utf-8") if file.is_file() else inspect.getsource(one.rule)
    except (OSError, TypeError, ValueError):
        return one.place
