"""Number the layers anew, without gaps, in what an export says of its tensors."""

from dataclasses import replace

from ..reports.counting import TensorSparsity
from ..reports.sparsity import SparsityReport
from .contents import Contents


def as_stored(contents: Contents) -> Contents:
    """Return the contents with counts and history under the names that the tensors have in a file; say what is cut."""
    if not contents.cut:
        return contents
    stored, tensors = contents.stored, contents.sparsity.tensors
    there = sorted({tensor.layer for tensor in tensors if tensor.layer is not None})

    def numbered(tensor: TensorSparsity) -> TensorSparsity:
        return replace(
            tensor,
            name=stored(tensor.name),
            module=stored(tensor.module),
            layer=None if tensor.layer is None else there.index(tensor.layer),
            aliases=tuple(map(stored, tensor.aliases)),
        )

    return replace(
        contents,
        sparsity=SparsityReport(tuple(map(numbered, tensors))),
        record={
            **contents.record,
            "history": {
                stored(name): made for name, made in contents.record["history"].items() if name in contents.masks
            },
            "removed": {"layers": list(contents.cut.layers), "tokens": _tokens(contents)},
        },
    )


def _tokens(contents: Contents) -> int:
    kept = contents.cut.kept
    return 0 if kept is None else int(contents.checkpoint.config.vocab_size) - len(kept)
