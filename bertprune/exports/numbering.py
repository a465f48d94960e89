"""Number the layers anew, without gaps, in what an export says of its tensors."""

from dataclasses import replace

from ..reports.counting import TensorSparsity
from ..reports.sparsity import SparsityReport
from .contents import Contents
from .origin import removed_layers, removed_tokens


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
            "removed": {"layers": _layers(contents), "tokens": _tokens(contents)},
        },
    )


def _layers(contents: Contents) -> list[int]:
    """Number the layers that went as the first source does: an earlier export may lack some of its layers already."""
    before = removed_layers(contents.record)
    there = [layer for layer in range(len(before) + 1 + max(contents.cut.layers, default=0)) if layer not in before]
    return sorted([*before, *(there[layer] for layer in contents.cut.layers)])


def _tokens(contents: Contents) -> int:
    kept, before = contents.cut.kept, removed_tokens(contents.record)
    return before if kept is None else before + int(contents.checkpoint.config.vocab_size) - len(kept)
