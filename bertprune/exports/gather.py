"""Gather what an export consists of: from a run, a model that the user holds, or a checkpoint that is pruned already.

One way for all: the values and masks as they are now, beside what the checkpoint and the recipe give.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..checkpoint import Checkpoint
from ..errors import ExportError
from ..model.cuts import found_cut, stored_names, without
from ..model.hooks import MaskDtype
from ..model.state import State, as_bool, state_of
from ..model.targets import every_target
from ..reports.sparsity import SparsityReport, sparsity
from ..runs.run import PruningRun
from .contents import Contents, same_bits, same_mask
from .likeness import changed_config, check_like, refuse_other_vocabulary
from .numbering import as_stored
from .origin import Making, Origin, lineage
from .record import Listed, history_now, record_of_hooks, record_of_run

Exportable = PruningRun | nn.Module | Checkpoint | str | Path
"""What can be exported: a run, a model with the checkpoint that it is like, or a pruned checkpoint."""


def checkpoint_of(source: Exportable, like: Checkpoint | str | Path | None) -> Checkpoint:
    """Return the checkpoint that gives an export its config, tokenizer and dtypes. Raises ExportError."""
    if isinstance(source, nn.Module):
        if like is None:
            raise ExportError(
                "a model does not know its config, tokenizer and dtypes: give the checkpoint that it came from, as in"
                " bp.export(model, out, like=checkpoint)",
                code="exports.no_like",
            )
        return Checkpoint.open(like)
    if like is not None:
        raise ExportError(
            "like= is for a model (a torch.nn.Module), not for a {kind}: a run and a checkpoint need none, and a state"
            " dict is to be loaded into its model first (load_state_dict)",
            code="exports.like", kind=type(source).__name__,
        )  # fmt: skip
    if isinstance(source, PruningRun):
        return source.checkpoint
    if isinstance(source, Checkpoint | str | Path):
        return Checkpoint.open(source)
    raise ExportError(
        "a {kind} cannot be exported: expected a run (bp.prune), a model with like=checkpoint, or a pruned checkpoint",
        code="exports.wrong_type", kind=type(source).__name__,
    )  # fmt: skip


def gather(source: Exportable, checkpoint: Checkpoint, plain: bool = False) -> Contents:
    """Gather what an export holds; `plain` takes a checkpoint without masks. Raises ExportError, CheckpointError."""
    if isinstance(source, PruningRun):
        return as_stored(_of_run(source))
    return (
        as_stored(_of_model(source, checkpoint)) if isinstance(source, nn.Module) else _of_checkpoint(checkpoint, plain)
    )


def _of_run(run: PruningRun) -> Contents:
    """Gather the contents of a run: as it was computed, or its model as it is now if that was changed since.

    Raises ExportError where the changed model cannot be written.
    """
    source = without(run.checkpoint.model(run.seed), run.cut)
    dense, masks = state_of(source).dense | _run_values(run, source), _run_masks(run, source)
    computed = Contents(
        checkpoint=run.checkpoint,
        dense=dense,
        masks=masks,
        ties=_ties(source),
        origin=Origin.of(run.checkpoint),
        sparsity=run.report,
        record=record_of_run(run),
        recipe=run.recipe,
        seed=run.seed,
        cut=run.cut,
        stored=stored_names(source),
        earlier=lineage(run.checkpoint),
    )
    model = run.built()
    return computed if model is None else _as_it_is_now(computed, model)


def _of_model(model: nn.Module, like: Checkpoint) -> Contents:
    """Gather the contents of a model that the user holds. Raises ExportError where it is not like the checkpoint."""
    refuse_other_vocabulary(model, like)
    made, cut = Making.of(like), found_cut(model, like.model())
    original = without(like.model(), cut)
    now, counted = _state_now(model, original, like.name), sparsity(model)
    source = state_of(original)
    mask_dtype: MaskDtype = "float" if any(m.dtype != torch.bool for m in state_of(model).masks.values()) else "bool"
    known = made.record["history"] if made else {}
    record = record_of_hooks(counted, mask_dtype, known, _hooks_of(sparsity(original)) if known else {})
    contents = Contents(
        checkpoint=like,
        dense=now.dense,
        masks=now.masks,
        ties=_ties(model),
        origin=Origin.of(like),
        sparsity=counted,
        record={**record, "history": _by_stored_name(record["history"], model, now.masks)},
        changed=_changed(source.dense, _as_bool(source.masks, like.name), now),
        config=changed_config(model, original, like.name),
        cut=cut,
        stored=stored_names(model),
    )
    return _going_on(contents, made) if made else contents


def _hooks_of(counted: SparsityReport) -> dict[str, tuple[str, ...]]:
    """Return the classes of the hooks on each tensor that has a mask."""
    return {tensor.name: tensor.history for tensor in counted.targets}


def _of_checkpoint(checkpoint: Checkpoint, plain: bool) -> Contents:
    """Gather the contents of a checkpoint, as those of the run that made it. Raises CheckpointError."""
    pruning = checkpoint.pruning
    if pruning is None and not plain:
        sentence = "{name} has no masks to export in another form; prune it first"
        raise ExportError(sentence, code="exports.not_masked", name=checkpoint.name)
    made, model = Making.of(checkpoint), checkpoint.model()
    # the sparsity is counted again: what the report says may not be what the file holds
    state, counted = state_of(model), sparsity(model)
    known = made.record["history"] if made else {}
    contents = Contents(
        checkpoint=checkpoint,
        dense=state.dense,
        masks=_as_bool(state.masks, checkpoint.name),
        ties=_ties(model),
        origin=Origin.of(checkpoint),
        sparsity=counted,
        record=record_of_hooks(counted, pruning.mask_dtype if pruning else "bool", known, _hooks_of(counted)),
    )
    return _going_on(contents, made) if made else contents


def _going_on(contents: Contents, made: Making) -> Contents:
    """Take over how an earlier export was made: what was done since is no recipe, if anything was done at all."""
    return replace(
        contents,
        origin=made.origin,
        record={**made.record, **{key: contents.record[key] for key in ("history", "mask_dtype")}},
        recipe=made.recipe,
        seed=made.seed,
        changed=tuple(dict.fromkeys([*(name for name in made.changed if name in contents.dense), *contents.changed])),
        earlier=made.earlier,
    )


def _as_it_is_now(computed: Contents, model: nn.Module) -> Contents:
    """Return what was computed, or what the model holds now where that is something else."""
    checkpoint = computed.checkpoint
    original = without(checkpoint.model(computed.seed or 0), computed.cut)
    now = _state_now(model, original, checkpoint.name)
    computed = replace(computed, config=changed_config(model, original, checkpoint.name))
    changed = _changed(computed.dense, computed.masks, now)
    if not changed:
        return computed
    counted, record = sparsity(model), computed.record
    history = history_now(counted, record["history"], _hooks_of(computed.sparsity))
    return replace(
        computed,
        dense=now.dense,
        masks=now.masks,
        ties=_ties(model),
        sparsity=counted,
        record={**record, "history": _by_stored_name(history, model, now.masks)},
        changed=changed,
    )


def _run_values(run: PruningRun, source: nn.Module) -> dict[str, Tensor]:
    """Return the values of the tensors that were reconstructed, by every name of theirs."""
    values: dict[str, Tensor] = {}
    for target in every_target(source, shared_modules=True):
        if target.name in run.values:
            values |= dict.fromkeys((target.name, *target.aliases), run.values[target.name])
    return values


def _run_masks(run: PruningRun, source: nn.Module) -> dict[str, Tensor]:
    """Return the masks by every name of their tensors, those that the checkpoint came with too."""
    masks: dict[str, Tensor] = {}
    for target in every_target(source, shared_modules=True):
        mask = run.masks.get(target.name, target.mask)
        if mask is not None:
            kept = mask if mask.dtype == torch.bool else mask != 0
            masks |= dict.fromkeys((target.name, *target.aliases), kept)
    return masks


def _state_now(model: nn.Module, original: nn.Module, name: str) -> State:
    """Return the state of a model as an export holds it: float32, on the CPU, masks of bool. Raises ExportError."""
    check_like(model, original, name)
    state = state_of(model)
    dense = {name: _plain(name, value) for name, value in state.dense.items()}
    return State(dense, _as_bool(state.masks, type(model).__name__))


def _plain(name: str, value: Tensor) -> Tensor:
    if value.is_meta:
        raise ExportError("{tensor} is on the meta device and has no values", code="exports.meta", tensor=name)
    value = value.detach().cpu()
    if not value.is_floating_point() or value.dtype == torch.float32:
        return value
    plain = value.to(torch.float32)
    if value.dtype == torch.float64 and not same_bits(plain.to(torch.float64), value):
        raise ExportError(
            "{tensor} holds float64 values that float32 cannot hold; call model.float() first, and measure that",
            code="exports.float64", tensor=name,
        )  # fmt: skip
    return plain


def _as_bool(masks: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Return masks as bool, one for all names of a tied tensor. Raises ExportError for other values than 0 and 1."""
    ready: dict[int, Tensor] = {}
    for tensor, mask in masks.items():
        if id(mask) not in ready:
            kept = as_bool(mask.detach().cpu())
            if kept is None:
                raise ExportError(
                    "{name}: the mask of {tensor} holds other values than 0 and 1",
                    code="exports.mask_values", name=name, tensor=tensor,
                )  # fmt: skip
            ready[id(mask)] = kept
    return {tensor: ready[id(mask)] for tensor, mask in masks.items()}


def _changed(dense: Mapping[str, Tensor], masks: Mapping[str, Tensor], now: State) -> tuple[str, ...]:
    """Name the tensors whose values or masks are others now. Raises ExportError where they became NaN or infinite."""

    def differs(name: str) -> bool:
        return not (same_mask(masks.get(name), now.masks.get(name)) and same_bits(dense[name], now.dense[name]))

    changed = tuple(name for name in now.dense if differs(name))
    for name in changed:
        if not bool(now.dense[name].isfinite().all()):
            raise ExportError(
                "{tensor} holds NaN or infinite values, as after a training that diverged; its model is not exported",
                code="exports.not_finite", tensor=name,
            )  # fmt: skip
    return changed


def _by_stored_name(history: Listed, model: nn.Module, masks: Mapping[str, Tensor]) -> Listed:
    """List what made each mask under every name that loading does not tie again, as where a user has tied tensors."""
    listed: Listed = {}
    for target in every_target(model, shared_modules=True):
        _, *more = _stored(_known_ties(model), [target.name, *target.aliases])
        names = [name for name in (target.name, *more) if name in masks and target.name in history]
        listed |= dict.fromkeys(names, history.get(target.name, []))
    return listed


def _ties(model: nn.Module) -> tuple[tuple[str, ...], ...]:
    """Group the names of each tied tensor, first the one that is stored, then those that transformers ties again."""
    known = _known_ties(model)
    return tuple(_grouped(known, [target.name, *target.aliases]) for target in every_target(model, shared_modules=True))


def _known_ties(model: nn.Module) -> Mapping[str, Any]:
    """Return the names that transformers ties when it loads a model."""
    return getattr(model, "all_tied_weights_keys", None) or {}


def _stored(known: Mapping[str, Any], names: list[str]) -> list[str]:
    return [name for name in names if name not in known] or names[:1]


def _grouped(known: Mapping[str, Any], names: list[str]) -> tuple[str, ...]:
    stored = _stored(known, names)
    return (stored[0], *(name for name in names if name not in stored))
