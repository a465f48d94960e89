"""Write a run as a short Python script: in plain torch and transformers where they can do it, else in ours."""

import math
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from ..checkpoint import EMBEDDED, Checkpoint
from ..model.hooks import TORCH_METHODS
from ..pruning.steps import MatchedStep, match_steps
from ..recipe import Recipe

_LAYER = re.compile(r"^(.*?\.)(\d+)(\..+)$")

_TIES = "# Of entries or slices that score the same at the cut, torch may take others.\n"

_HEAD = """\
import torch
from torch.nn.utils import prune
from transformers import {architecture}

CHECKPOINT = {checkpoint!r}  # a folder or a Hub id that from_pretrained loads

model = {architecture}.from_pretrained(CHECKPOINT, {revision}dtype=torch.float32).eval()
torch.manual_seed({seed})
"""

_OURS = """\
import bertprune as bp

CHECKPOINT = {checkpoint!r}  # a name, a folder or a Hub id

recipe = bp.Recipe.from_yaml('''
{recipe}''')
run = bp.prune(CHECKPOINT, recipe, seed={seed})
model = run.model
"""


def script(checkpoint: Checkpoint, recipe: Recipe, seed: int, ours: bool = False) -> str:
    """Return a script that leaves the pruned model in `model`. No path of this machine is in it.

    In plain torch where torch can do it, else in bertprune, saying why; with `ours` in bertprune always.
    torch breaks ties between equal scores in its own way, so at the cut another of two equal weights may go.
    Pure. Raises RecipeError.
    """
    plans = match_steps(checkpoint.skeleton(), recipe, checkpoint.missing)
    why = next((reason for made in plans if (reason := _beyond_torch(made))), None)
    if why or ours:
        reason = "" if ours else f"# In bertprune rather than plain torch: {why}.\n"
        return reason + _OURS.format(checkpoint=_our_place(checkpoint), recipe=recipe.to_yaml(), seed=seed)
    ties = _TIES if any(not made.method.draws for made in plans) else ""
    return "\n".join([_head(checkpoint, seed) + ties, *(_step(number, made) for number, made in enumerate(plans, 1))])


def _our_place(checkpoint: Checkpoint) -> str:
    if checkpoint.hub_id:
        return checkpoint.hub_id + (f"@{checkpoint.revision}" if checkpoint.revision else "")
    return checkpoint.name if checkpoint.name in EMBEDDED else f"path/to/{checkpoint.name}"


def _head(checkpoint: Checkpoint, seed: int) -> str:
    folder = checkpoint.name.removesuffix(".safetensors")  # from_pretrained takes no file
    return _HEAD.format(
        architecture=checkpoint.facts.architecture,
        checkpoint=checkpoint.hub_id or f"path/to/{folder}",
        revision=f"revision={checkpoint.revision!r}, " if checkpoint.revision else "",
        seed=seed,
    )


def _beyond_torch(made: MatchedStep) -> str | None:
    """Say why plain torch cannot do a step, if it cannot."""
    if made.method.name not in TORCH_METHODS:
        return f"{made.method.name} is a method of one's own, to be registered first"
    if made.step.scope == "global" and made.method.removes == "slice":
        return "torch does not rank slices of several tensors together"
    tied = next((target for target in made.targets if target.aliases), None)
    return f"torch would untie {tied.name} from {tied.aliases[0]}" if tied else None


def _step(number: int, made: MatchedStep) -> str:
    tensor = made.step.select.tensor
    arguments = "".join(f", {key}={_literal(value)}" for key, value in made.options.items())
    amount = made.step.count if made.step.count is not None else made.step.fraction
    lines = [f"# Step {number}: {made.step.method}", *_names([target.owners[0].path for target in made.targets])]
    if made.step.scope == "global":
        hook = TORCH_METHODS[made.method.name].__name__
        lines += [
            f'targets = [(model.get_submodule(name), "{tensor}") for name in names]',
            f"prune.global_unstructured(targets, pruning_method=prune.{hook}, amount={amount!r})",
        ]
    else:
        call = f'prune.{made.method.name}(model.get_submodule(name), "{tensor}", amount={amount!r}{arguments})'
        lines += ["for name in names:", f"    {call}"]
    return "\n".join(lines) + "\n"


def _literal(value: Any) -> str:
    infinite = isinstance(value, float) and math.isinf(value)
    return f'float("{value}")' if infinite else repr(value)


def _names(paths: Sequence[str]) -> Iterator[str]:
    """Write module paths as a list, in order, with layers that repeat as one line."""
    yield "names = ["
    for stem, layers, parts in _runs(paths):
        if len(layers) == 1 or not stem:
            yield from (f'    "{stem}{layer}{part}",' for layer in layers for part in parts)
            continue
        numbers = f"{layers[0]}, {layers[-1] + 1}" if layers[0] else f"{layers[-1] + 1}"
        yield "    *("
        yield f'        f"{stem}{{i}}.{{part}}"'
        yield f"        for i in range({numbers})"
        yield "        for part in ("
        yield from (f'            "{part[1:]}",' for part in parts)
        yield "        )"
        yield "    ),"
    yield "]"


def _runs(paths: Sequence[str]) -> Iterator[tuple[str, list[Any], list[str]]]:
    """Group consecutive layers in which the same parts follow each other; other paths stand alone."""
    layers = [
        (stem, number, [part for _, _, part in same])
        for (stem, number), same in groupby(map(_split, paths), key=lambda split: split[:2])
    ]
    while layers:
        stem, number, parts = layers[0]
        length = 1
        while isinstance(number, int) and length < len(layers) and layers[length] == (stem, number + length, parts):
            length += 1
        yield stem, [layer for _, layer, _ in layers[:length]], parts
        del layers[:length]


def _split(path: str) -> tuple[str, Any, str]:
    match = _LAYER.match(path)
    return (match[1], int(match[2]), match[3]) if match else ("", path, "")
