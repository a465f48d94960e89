"""Write a run as a short Python script: in plain torch and transformers where possible, else in bertprune."""

import math
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from ..checkpoint import EMBEDDED, Checkpoint
from ..checkpoint.irregular import is_irregular
from ..model.hooks import TORCH_METHODS
from ..pruning.steps import MatchedStep, match_steps
from ..recipe import Recipe

_LAYER = re.compile(r"^(.*?\.)(\d+)(\..+)$")

_TIES = "# Where entries or slices score the same at the cut, torch may break ties differently.\n"

_HEAD = """\
import torch
from torch.nn.utils import prune
from transformers import {architecture}

CHECKPOINT = {checkpoint!r}  # a folder or a Hub id that from_pretrained loads

model = {architecture}.from_pretrained(CHECKPOINT, {where}dtype=torch.float32).eval()
torch.manual_seed({seed})
"""

_OURS = """\
import bertprune as bp

CHECKPOINT = {checkpoint!r}  # a name, a folder or a Hub id
{texts}
recipe = bp.Recipe.from_yaml('''
{recipe}''')
run = bp.prune(CHECKPOINT, recipe, seed={seed}{calibration})
model = run.model
"""

_TEXTS = """\
texts = bp.Calibration('path/to/texts.csv', count={count}, max_length={max_length})  # the calibration texts
"""


def script(checkpoint: Checkpoint, recipe: Recipe, seed: int, ours: bool = False, texts_given: bool = False) -> str:
    """Return a script that leaves the pruned model in `model`; it contains no path of this machine.

    It is in plain torch where that is possible, else in bertprune, with the reason; with `ours` always in bertprune.
    `texts_given` says whether the calibration texts were the user's. Raises RecipeError.
    """
    steps = match_steps(checkpoint.skeleton(), recipe, checkpoint.missing)
    reason = _why_not_transformers(checkpoint) or next(filter(None, map(_why_not_torch, steps)), None)
    if ours or reason:
        comment = "" if ours else f"# In bertprune rather than plain torch: {reason}.\n"
        texts = recipe.calibration if texts_given else None
        return comment + _OURS.format(
            checkpoint=_our_name(checkpoint),
            recipe=recipe.to_yaml(),
            seed=seed,
            texts="" if texts is None else _TEXTS.format(count=texts.count, max_length=texts.max_length),
            calibration="" if texts is None else ", calibration=texts",
        )
    ties = "" if all(step.method.draws for step in steps) else _TIES
    return "\n".join([_head(checkpoint, seed) + ties, *(_torch_step(at, step) for at, step in enumerate(steps, 1))])


def _our_name(checkpoint: Checkpoint) -> str:
    if checkpoint.hub_id:
        return checkpoint.hub_id + (f"@{checkpoint.revision}" if checkpoint.revision else "")
    return checkpoint.name if checkpoint.name in EMBEDDED else f"path/to/{checkpoint.name}"


def _head(checkpoint: Checkpoint, seed: int) -> str:
    folder = checkpoint.name.removesuffix(".safetensors")  # from_pretrained needs a folder
    where = {"revision": checkpoint.revision, "subfolder": checkpoint.subfolder}
    return _HEAD.format(
        architecture=checkpoint.facts.architecture,
        checkpoint=checkpoint.hub_id or f"path/to/{folder}",
        where="".join(f"{key}={value!r}, " for key, value in where.items() if value),
        seed=seed,
    )


_TORCH_SCOPES = {"element": ("local", "global"), "slice": ("local",)}
"""The scopes of torch's own functions, by what they remove."""


def _why_not_transformers(checkpoint: Checkpoint) -> str | None:
    """Return why transformers alone does not load a checkpoint, or None where it does."""
    if checkpoint.pruning:
        return "the checkpoint holds a pruned model, which from_pretrained does not load"
    if is_irregular(checkpoint.skeleton().config):
        return "the checkpoint's layers have unequal shapes, which transformers has no class for"
    return None


def _why_not_torch(matched: MatchedStep) -> str | None:
    """Return why plain torch cannot do a step, or None where it can."""
    if not matched.method.built_in:
        return f"{matched.method.name} is a method of your own, which a script must register first"
    if matched.step.reconstruct:
        return "torch does not adjust what stays to calibration texts"
    if matched.cuts:
        return f"torch does not take {matched.kind}s out of a model"
    if matched.needs_texts:
        return f"{matched.method.name} reads calibration texts, and torch's methods see weights only"
    if matched.method.name not in TORCH_METHODS:
        return f"torch has no method {matched.method.name}"
    if matched.step.scope not in _TORCH_SCOPES.get(matched.method.removes, ()):
        return f"torch does not rank {matched.method.removes}s in scope {matched.step.scope}"
    if any(target.role for target in matched.targets):
        return "torch does not prune a part of a tensor"
    tied = next((target for target in matched.targets if target.aliases), None)
    return f"torch would untie {tied.name} from {tied.aliases[0]}" if tied else None


def _torch_step(number: int, matched: MatchedStep) -> str:
    step, name = matched.step, matched.method.name
    amount = step.count if step.count is not None else step.fraction
    lines = [f"# Step {number}: {name}", *_names([target.owners[0].path for target in matched.targets])]
    if step.scope == "global":
        hook = "".join(part.capitalize() for part in name.split("_"))
        lines += [
            f'targets = [(model.get_submodule(name), "{step.select.tensor}") for name in names]',
            f"prune.global_unstructured(targets, pruning_method=prune.{hook}, amount={amount!r})",
        ]
    else:
        options = "".join(f", {key}={_literal(value)}" for key, value in matched.options.items())
        call = f'prune.{name}(model.get_submodule(name), "{step.select.tensor}", amount={amount!r}{options})'
        lines += ["for name in names:", f"    {call}"]
    return "\n".join(lines) + "\n"


def _literal(value: Any) -> str:
    infinite = isinstance(value, float) and math.isinf(value)
    return f'float("{value}")' if infinite else repr(value)


def _names(paths: Sequence[str]) -> Iterator[str]:
    """Write module paths as a list, in order; layers with the same parts become one comprehension."""
    yield "names = ["
    for stem, layers, parts in _repeated(paths):
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


def _repeated(paths: Sequence[str]) -> Iterator[tuple[str, list[Any], list[str]]]:
    """Group consecutive layers that have the same parts; every other path is a group by itself."""
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
