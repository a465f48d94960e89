"""From stored tensors to a model, by transformers' own loader, which knows every old name and prefix."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ..errors import CheckpointError
from ..parallel import Progress, silent
from ..seeded import Seeded
from .facts import TensorFact
from .reading import reason
from .shapes import Shapes
from .weights import Read, Weights

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

building = threading.RLock()
"""Held while transformers builds a model: it swaps torch's init functions for all threads meanwhile."""

_WIDENED = {"float16", "bfloat16", "float64"}


class Stored:
    """Stand for one stored tensor in a state dict, read when transformers asks for it."""

    def __init__(self, fact: TensorFact, read: Read | None) -> None:
        """Remember where to read; without a reader there are shapes and no values."""
        self.fact = fact
        self.read = read
        self.shape = torch.Size(fact.shape)
        self.dtype: torch.dtype = getattr(torch, fact.dtype)
        self.given: torch.Tensor | None = None

    def __getitem__(self, index: Any) -> "Stored":
        return self

    def to(self, device: Any = None, dtype: Any = None) -> torch.Tensor:
        """Return the whole tensor with a storage of its own; half precision becomes float32, integers stay."""
        wanted = torch.float32 if self.fact.dtype in _WIDENED else self.dtype
        if self.read is None:
            self.given = torch.empty(self.shape, dtype=wanted, device="meta")
            return self.given
        value = self.read(self.fact.name)
        if value.shape != self.shape or value.dtype != self.dtype:
            raise CheckpointError(
                f"{self.fact.name!r} is not what it was when the checkpoint was opened; open it again"
            )
        return value.to(wanted, copy=True).contiguous()


@dataclass(frozen=True)
class Plan:
    """Say what loading will do, worked out from shapes alone."""

    skeleton: nn.Module
    missing: frozenset[str]
    unexpected: tuple[str, ...]
    stored_as: dict[str, str]
    """The dtype in the file, by the parameter's name in the model."""
    untied: frozenset[str]
    """Names that the config ties and the files hold apart, with other values."""


def plan(cls: "type[PreTrainedModel]", config: "PreTrainedConfig", weights: Weights, name: str) -> Plan:
    """Build the model on the meta device as loading would build it; raises CheckpointError where it cannot."""
    stored = {fact.name: Stored(fact, None) for fact in weights.tensors}
    with building, Shapes():
        model, told = _build(cls, config, stored, name, tolerate=True)
    _refuse_mismatches(told["mismatched_keys"], name)
    homes = {item.given.untyped_storage()._cdata: key for key, item in stored.items() if item.given is not None}
    names = {key: homes.get(tensor.untyped_storage()._cdata) for key, tensor in _own(model)}
    untied = _tie(model, names, weights)
    stored_as = {key: stored[home].fact.dtype for key, home in names.items() if home is not None}
    return Plan(model, frozenset(told["missing_keys"]), tuple(sorted(told["unexpected_keys"])), stored_as, untied)


def build(
    cls: "type[PreTrainedModel]",
    config: "PreTrainedConfig",
    weights: Weights,
    name: str,
    seed: int,
    progress: Progress = silent,
) -> nn.Module:
    """Read every tensor and make the model in float32, eval mode; what is missing is initialised from `seed`."""
    progress(0.0, f"reading {name}")
    with building, weights.reader() as read, Seeded(seed):
        stored = {fact.name: Stored(fact, read) for fact in weights.tensors}
        model: nn.Module = _build(cls, config, stored, name, tolerate=False)[0]
    progress(1.0, f"read {name}")
    return model


def rebuild(
    cls: "type[PreTrainedModel]", config: "PreTrainedConfig", kept: dict[str, Any], name: str, seed: int
) -> nn.Module:
    """Make the model from tensors that are there, shared as they are; the others are initialised from `seed`."""
    with building, Seeded(seed):
        model: nn.Module = _build(cls, config, kept, name, tolerate=False)[0]
    return model


def _build(
    cls: "type[PreTrainedModel]", config: "PreTrainedConfig", state: dict[str, Any], name: str, *, tolerate: bool
) -> "tuple[PreTrainedModel, dict[str, Any]]":
    try:
        with quietly():
            built: Any = cls.from_pretrained(
                None,
                config=config,
                state_dict=state,
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=tolerate,
            )
            model, told = built
            return model, told
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(f"{name}: {cls.__name__} cannot be built from it: {reason(error)}") from error


@contextmanager
def quietly() -> Iterator[None]:
    """Keep transformers' load report and progress bar of this thread off the terminal: facts say it in our words."""
    import transformers

    their_logging: Any = transformers.logging

    thread = threading.get_ident()
    logger = logging.getLogger("transformers.modeling_utils")
    bars = their_logging.is_progress_bar_enabled()

    def elsewhere(record: logging.LogRecord) -> bool:
        return record.thread != thread

    logger.addFilter(elsewhere)
    their_logging.disable_progress_bar()
    try:
        yield
    finally:
        logger.removeFilter(elsewhere)
        if bars:
            their_logging.enable_progress_bar()


def _own(model: nn.Module) -> list[tuple[str, torch.Tensor]]:
    return list(model.state_dict(keep_vars=True).items())


def _refuse_mismatches(mismatched: Any, name: str) -> None:
    if not mismatched:
        return
    key, stored, expected = sorted(mismatched, key=lambda entry: str(entry[0]))[0]
    more = f" ({len(mismatched) - 1} more like it)" if len(mismatched) > 1 else ""
    raise CheckpointError(
        f"{name}: {key!r} is stored as {tuple(stored)}, and config.json asks for {tuple(expected)}{more}"
    )


def _tie(model: Any, names: dict[str, str | None], weights: Weights) -> frozenset[str]:
    """Tie what the files hold twice with equal values: transformers cannot compare values on the meta device."""
    untied = set()
    for target, source in dict(model.all_tied_weights_keys).items():
        one, other = names.get(target), names.get(source)
        if one is None or other is None or one == other:
            continue
        if weights.same(one, other):
            parent, _, local = target.rpartition(".")
            setattr(model.get_submodule(parent), local, model.get_parameter(source))
        else:
            untied.add(target)
            model.all_tied_weights_keys.pop(target)
    return frozenset(untied)
