"""The model card: what the folder is, how it was made, and how to load it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from huggingface_hub import ModelCardData

from ..checkpoint.loading import HALF
from ..reports.counting import Count
from ..text import as_code, fenced, markdown
from .card_making import making, named
from .contents import WEIGHT_FILES, Contents, Form, Smaller
from .drift import Drift
from .origin import removed_layers, removed_tokens
from .precision import Precision

NOT_TIMED = "How fast it is was not measured here: `bertprune speed path/to/this/folder --against SOURCE` does that."
"""What a card says of its speed until a report of that stands beside it."""


@dataclass(frozen=True)
class Details:
    """What card and report say of the written files, beside their contents."""

    precision: Precision = Precision()
    drift: Drift | None = None
    lines: str = ""
    """The lines of Python that run an ONNX model."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What `speed` reads of an ONNX model in the report."""


def card(
    contents: Contents, form: Form, size: int, library_class: str | None = None, details: Details | None = None
) -> str:
    """Write the model card as Markdown with front matter; `size` is that of the weight file in bytes.

    `library_class` is the class of sentence-transformers that loads the folder, if it is one of that library.
    """
    origin, details = contents.origin, details or Details()
    library = "sentence-transformers" if library_class else "transformers"
    parts = [
        _front_matter(contents, "onnx" if form == "onnx" else library),
        f"# {as_code(origin.name)}, pruned",
        _summary(contents),
        f"## How to load it\n\n{_load(contents, form, library_class, details)}",
        f"## How it was made\n\n{making(contents)}",
        f"## Sparsity\n\n{_sparsity(contents)}",
        f"## Size and speed\n\n{_size(contents, form, size)}\n\n{NOT_TIMED}",
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(contents: Contents, library: str) -> str:
    origin = contents.origin
    ids = (one.hub_id for one in (origin, *(made.origin for made in reversed(contents.earlier))))
    tags = ["bertprune", "pruning", origin.model_type]
    data = ModelCardData(base_model=next(filter(None, ids), None), library_name=library, tags=tags)
    return f"---\n{data.to_yaml()}\n---"


def _summary(contents: Contents) -> str:
    origin, total = contents.origin, contents.sparsity.total
    removed = _removed(contents.record)
    said = [
        f"A {as_code(origin.architecture)} made from {named(origin)} with bertprune.",
        *removed,
        f"{total.masked:,} of {total.size:,} weights ({total.sparsity:.2%}) in the pruned tensors were pruned; that is"
        f" {total.masked:,} of the model's {contents.sparsity.model.size:,} parameters."
        if total.size
        else f"The model has {contents.sparsity.model.size:,} parameters.",
    ]
    return " ".join(said)


def _removed(record: Mapping[str, Any]) -> list[str]:
    """Say which of the source's layers, and how many of its tokens, the folder lacks."""
    layers, tokens, said = [str(layer) for layer in removed_layers(record)], removed_tokens(record), []
    if layers:
        names = f"layers {', '.join(layers)} were" if len(layers) > 1 else f"layer {layers[0]} was"
        said.append(f"The source's {names} taken out, and the others are numbered anew.")
    if tokens:
        said.append(f"{tokens:,} tokens were taken out of its vocabulary, and so of the tokenizer in this folder.")
    return said


def _load(contents: Contents, form: Form, library_class: str | None, details: Details) -> str:
    return "\n\n".join([_how(contents, form, library_class, details), *_precision(contents, form, details)])


def _precision(contents: Contents, form: Form, details: Details) -> Iterator[str]:
    """Say in which numbers the weights are, and what that changes."""
    dtype = contents.dtype
    if dtype in HALF and form != "masked":
        yield (
            f"The weights are stored in {dtype}, and plain `from_pretrained` loads and computes in {dtype}, which many "
            f'CPUs do more slowly; `from_pretrained("path/to/this/folder", dtype="float32")` computes in float32.'
        )
    elif dtype in HALF:
        yield f"The weights are stored in {dtype}; `bp.load` computes in float32."
    if details.precision.quantize:
        yield "Multiplications and embeddings are quantised to 8-bit integers, channel by channel."
    if details.drift is not None:
        yield f"Its answers differ from those of the pruned model in float32 by {details.drift}."


def _how(contents: Contents, form: Form, library_class: str | None, details: Details) -> str:
    if form == "masked":
        return _load_masked()
    if form == "onnx":
        return _load_onnx(details, library_class)
    return _load_baked(contents, library_class) if contents.loads(form) == "plain" else _load_irregular(library_class)


def _load_onnx(details: Details, library_class: str | None) -> str:
    text = (
        "onnxruntime runs `onnx/model.onnx` anywhere; these lines need transformers for the tokenizer, and no torch. "
        "The model cannot be pruned further or trained: that takes the checkpoint that it was made from."
    )
    if library_class:
        text += (
            " They pool the tokens as the modules of this folder do: sentence-transformers' own ONNX backend needs "
            "optimum-onnx, which cannot be installed beside transformers 5 today."
        )
    return f"{text}\n\n{fenced(details.lines, 'python')}"


def _load_irregular(library_class: str | None) -> str:
    text = (
        "transformers is needed, with bertprune installed beside it: the layers have unequal shapes, which no config "
        "of transformers describes. Any of transformers' auto classes loads the folder after `import bertprune`."
    )
    code = 'import bertprune as bp\n\nmodel = bp.load("path/to/this/folder")'
    if library_class:
        code = f"import bertprune\nfrom sentence_transformers import {library_class}\n\n"
        code += f'model = {library_class}("path/to/this/folder")'
    return f"{text}\n\n{fenced(code, 'python')}"


def _load_baked(contents: Contents, library_class: str | None) -> str:
    if library_class:
        code = f'from sentence_transformers import {library_class}\n\nmodel = {library_class}("path/to/this/folder")'
        text = (
            "Only sentence-transformers is needed, and transformers' auto classes load it too; pruned weights that are "
            "still there are plain zeros."
        )
        return f"{text}\n\n{fenced(code, 'python')}"
    origin = contents.origin
    stored = contents.checkpoint.facts.dtype
    half = stored in HALF and not contents.is_wider and contents.dtype is None
    dtype = ', dtype="float32"' if half else ""
    code = (
        f"from transformers import {origin.architecture}\n\n"
        f'model = {origin.architecture}.from_pretrained("path/to/this/folder"{dtype})'
    )
    text = "Only transformers is needed; pruned weights that are still there are plain zeros."
    if half:
        text += (
            f" The weights are stored in {stored}, as in the source; they were pruned in float32, and the model "
            "computes in float32 when it is loaded like this."
        )
    return f"{text}\n\n{fenced(code, 'python')}"


def _load_masked() -> str:
    text = (
        "The tensors are in `masked.safetensors`, each with its mask where it was pruned, so that training "
        "can continue. Plain `from_pretrained` fails here on purpose; `bertprune export FOLDER OUT` writes a folder "
        "that it loads."
    )
    code = 'import bertprune as bp\n\nmodel = bp.load("path/to/this/folder")'
    return f"{text}\n\n{fenced(code, 'python')}"


def _sparsity(contents: Contents) -> str:
    shown = [one for one in contents.sparsity.rows if one.masks or one.is_zeroed]
    if not shown:
        return "No weight is masked."
    rows = [(as_code(one.name), " → ".join(one.history), *_cells(one.count)) for one in shown]
    tensors = markdown(("tensor", "methods", "weights", "pruned", "share", "other zeros"), rows, right=(2, 3, 4, 5))
    return "\n\n".join([_grouped("layer", contents), _grouped("role", contents), f"By tensor:\n\n{tensors}"])


def _grouped(key: Literal["layer", "role"], contents: Contents) -> str:
    counts = {"none" if name is None else str(name): count for name, count in contents.sparsity.by(key).items()}
    counts["all"] = contents.sparsity.total
    rows = [(name, *_cells(count)) for name, count in counts.items()]
    return f"By {key}:\n\n{markdown((key, 'weights', 'pruned', 'share', 'other zeros'), rows, right=(1, 2, 3, 4))}"


def _cells(count: Count) -> tuple[str, ...]:
    return f"{count.size:,}", f"{count.masked:,}", f"{count.sparsity:.2%}", f"{count.zero:,}"


def _size(contents: Contents, form: Form, size: int) -> str:
    if contents.smaller:
        return _smaller(contents, contents.smaller, size)
    if not contents.sparsity.total.size:
        return f"`{WEIGHT_FILES[form]}` has {size:,} bytes."
    if form == "onnx":
        return f"`{WEIGHT_FILES[form]}` has {size:,} bytes. No neuron or head was taken out of the matrices."
    stored = "zeros" if form == "baked" else "pruned weights and masks"
    return (
        f"`{WEIGHT_FILES[form]}` has {size:,} bytes. A dense file stores {stored} like any other numbers: "
        "pruning by masks does not make it smaller"
    ) + (", taking out layers or tokens does." if _removed(contents.record) else ".")


def _smaller(contents: Contents, smaller: Smaller, size: int) -> str:
    before, after = smaller.parameters
    stored = contents.checkpoint.facts.bytes
    rows = [
        ("parameters", f"{before:,}", f"{after:,}"),
        ("bytes of the weights", f"{stored:,}" if stored else "", f"{size:,}"),
    ]
    listed = (
        f"Neurons in each layer: {', '.join(map(str, smaller.neurons))}. "
        f"Heads in each layer: {', '.join(map(str, smaller.heads))}."
    )
    table = markdown(("", "before", "after"), rows, right=(1, 2))
    return f"What was wholly masked is taken out of the matrices.\n\n{table}\n\n{listed}"
