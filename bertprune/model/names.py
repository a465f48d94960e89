"""Names in a model: full names of tensors, module paths that users type, tensors that pruning has split."""

from collections.abc import Collection, Iterator
from difflib import get_close_matches

from torch import nn

from ..errors import SelectionError, kind_of, shortened


def full_name(path: str, local: str) -> str:
    """Return the name of a tensor in the model, from its module's path and its name in the module."""
    return f"{path}.{local}" if path else local


def find_path(path: str, known: Collection[str], prefix: str) -> str:
    """Find a module path among the known ones, with or without the base-model prefix. Raises SelectionError."""
    if not isinstance(path, str):
        raise SelectionError("a module's path must be text, not {kind}", code="model.path_type", kind=kind_of(path))
    for candidate in (path, prefix + path):
        if candidate in known:
            return candidate
    near = _nearest(path[:200], known, prefix)
    if not near:
        raise SelectionError("no module is named {path!r}", code="model.unknown_module", path=shortened(path))
    raise SelectionError(
        "no module is named {path!r}; the nearest are {near}",
        code="model.unknown_module_near",
        path=shortened(path),
        near=", ".join(near),
    )


def pruned_names(module: nn.Module) -> Iterator[str]:
    """Yield the names of a module's tensors that torch's pruning has split into `…_orig` and `…_mask`."""
    for name in module._parameters:
        local = name.removesuffix("_orig")
        if local != name and module._buffers.get(f"{local}_mask") is not None:
            yield local


def _nearest(path: str, known: Collection[str], prefix: str) -> list[str]:
    """List similar paths, and those that end in the one given."""
    short = {name.removeprefix(prefix): name for name in known}
    similar = get_close_matches(path, [*known, *short], n=3, cutoff=0.5)
    similar += [name for name in known if path and name.endswith("." + path)][:3]
    return list(dict.fromkeys(short.get(name, name) for name in similar))
