"""The part of a card that says how a model was made: by which recipe, on which texts, and from what."""

from collections.abc import Iterator
from typing import Any

from ..errors import Note
from ..text import as_code, fenced
from .contents import Contents
from .origin import Origin

_UNKNOWN = "No recipe is known: the model was pruned elsewhere. The table below names the hooks on its tensors."
_AS_THERE = "Nothing more was pruned: these are the weights of its source, whose own card says how they were made."


def making(contents: Contents) -> str:
    """Say in paragraphs how a model was made."""
    parts = [*_recipe(contents), *_changed(contents), *_earlier(contents), *_unused(contents)]
    if contents.set_in_config:
        parts += [f"These values of `config.json` were set in the model: {', '.join(contents.set_in_config)}."]
    return "\n\n".join(parts)


def named(origin: Origin) -> str:
    """Write what a checkpoint is called, and at which revision it was."""
    revision = f" at revision {as_code(origin.revision)}" if origin.revision else ""
    return as_code(origin.hub_id or origin.name) + revision


def _recipe(contents: Contents) -> Iterator[str]:
    if contents.recipe is not None:
        yield f"Seed {contents.seed}, and this recipe (`recipe.yaml`):"
        yield fenced(contents.recipe.to_yaml(), "yaml")
        yield from _own_methods(contents.record.get("methods"))
        yield from _calibration(contents)
    elif contents.sparsity.total.size:
        yield _UNKNOWN
    elif not contents.changed:
        yield _AS_THERE


def _changed(contents: Contents) -> Iterator[str]:
    """Say how many tensors are other than source and recipe give."""
    if count := len(contents.changed):
        tensors = f"{count:,} tensors" if count > 1 else "1 tensor"
        after = " after that" if contents.recipe is not None else ""
        yield f"The values or masks of {tensors} were changed{after}, by training or by hand."


def _earlier(contents: Contents) -> Iterator[str]:
    """Say how the source was made, where that is an export of ours, and the source of that, and so on."""
    origin = contents.origin
    for made in reversed(contents.earlier):
        given = f"{named(origin)} was itself made from {named(made.origin)}"
        if made.recipe is None:
            yield f"{given}; no recipe of that is known."
        else:
            yield f"{given}, with seed {made.seed} and this recipe:"
            yield fenced(made.recipe.to_yaml(), "yaml")
        origin = made.origin


def _unused(contents: Contents) -> list[str]:
    """Name the tensors that the source stores, and that the model has no place for."""
    notes = (note for note in contents.checkpoint.facts.notes if isinstance(note, Note))
    unused = (note.values for note in notes if note.code == "note.unexpected_tensors")
    model = contents.origin.architecture
    return [f"Not in this folder, since {model} does not use them: {as_code(str(one['names']))}." for one in unused]


def _calibration(contents: Contents) -> list[str]:
    """Say on which texts the scores were measured, and where what stays was adjusted to them."""
    texts = contents.recipe.calibration if contents.recipe else None
    if texts is None:
        return []
    said = (
        f"Calibrated on {texts.count:,} examples, cut after {texts.max_length} tokens. They are not in this folder; the"
        f" recipe holds their hash."
    )
    kept = list(_reconstructed(contents.record.get("steps")))
    if kept:
        said += (
            f" What stays was adjusted to them throughout in {sum(kept):,} of {len(kept):,} layers: where that lowers"
            " the drift of the model's output on the fifth of them that was held back."
        )
    return [said]


def _reconstructed(steps: Any) -> Iterator[bool]:
    """Yield of each layer whether its reconstructions are kept; the record of a folder may hold anything."""
    layers: dict[str, bool] = {}
    for step in steps if isinstance(steps, list) else ():
        listed = step.get("reconstructions") if isinstance(step, dict) else None
        for one in listed if isinstance(listed, list) else ():
            layer, kept = (one.get("layer"), one.get("kept") is True) if isinstance(one, dict) else (None, False)
            layers[str(layer)] = layers.get(str(layer), True) and kept
    yield from layers.values()


def _own_methods(methods: Any) -> list[str]:
    """Say where methods are defined that do not come with bertprune; the record of a folder may hold anything."""
    lines = []
    for name, method in methods.items() if isinstance(methods, dict) else ():
        place, replaced = (method.get(key) if isinstance(method, dict) else None for key in ("defined_in", "replaces"))
        if isinstance(place, str) and not place.startswith("bertprune."):
            instead = f", and replaces the one of {as_code(replaced)}" if isinstance(replaced, str) else ""
            lines.append(f"The method {as_code(str(name))} is defined in {as_code(place)}{instead}.")
    return lines
