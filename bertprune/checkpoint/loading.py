"""From stored tensors to a model, by transformers' own loader, which knows every old name and prefix."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from ..errors import CheckpointError, Note, first_names, shortened
from ..parallel import Progress, silent
from ..seeded import IN_PLACE, Seeded, is_meta
from ..undisturbed import undisturbed
from .headers import Facts, TensorFact
from .json_files import first_line
from .weights import Read, Weights

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

building = threading.RLock()
"""Held while transformers builds a model: it replaces torch's init functions for all threads meanwhile."""

MOST_CALLS = 32_000
"""How many torch calls a model may take to lay out; a BERT of 12 layers takes about 4,000."""
HALF = ("float16", "bfloat16")
WIDENED = (*HALF, "float64")
"""Dtypes that loading turns into float32, and an export turns back."""
_PLACED = {"empty", "zeros", "ones", "full", "arange", "empty_like", "zeros_like", "ones_like", "full_like"}


@dataclass(frozen=True)
class Home:
    """Where a parameter of the model comes from: a stored tensor, or a part of it, as transformers cuts it out."""

    fact: TensorFact
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int

    def part_of(self, stored: torch.Tensor) -> torch.Tensor:
        """Return the part of the stored tensor, or of a mask that lies on it; a part has a storage of its own."""
        part = stored.contiguous().as_strided(self.shape, self.stride, self.offset)
        return part if part.numel() == stored.numel() else part.clone()


@dataclass(frozen=True)
class Layout:
    """Describe the model that loading will give, worked out from shapes alone."""

    skeleton: nn.Module
    missing: frozenset[str]
    unexpected: tuple[str, ...]
    homes: dict[str, Home]
    """Where each parameter is stored, by its name in the model; one that is joined from several is not listed."""
    untied: frozenset[str]
    """Names that the config ties and the files hold separately, with different values."""

    def notes(self) -> list[Note]:
        """Return what the user should know about it, except for missing tensors."""
        notes = []
        if self.unexpected:
            names = first_names((name[:100] for name in self.unexpected), most=5)
            notes.append(
                Note(
                    "{count:,} stored tensors are not used by {model}: {names}.",
                    code="note.unexpected_tensors", count=len(self.unexpected), model=type(self.skeleton).__name__,
                    names=names,
                )
            )  # fmt: skip
        if self.untied:
            notes.append(
                Note(
                    "The config ties {names}, but the files contain different values; they are not tied.",
                    code="note.untied", names=first_names(sorted(self.untied), most=5),
                )
            )  # fmt: skip
        return notes


def lay_out(cls: "type[PreTrainedModel]", config: "PreTrainedConfig", weights: Weights, name: str) -> Layout:
    """Build the model on the meta device as loading would build it; raises CheckpointError where it cannot."""
    stored = {fact.name: _StoredTensor(fact, None) for fact in weights.tensors}
    with building, _ShapesOnly():
        model, info = _from_pretrained(cls, config, stored, name, tolerate=True)
    _refuse_mismatches(info["mismatched_keys"], config, name)
    homes = dict(_homes(model, stored.values()))
    untied = _tie(model, homes, weights)
    return Layout(model, frozenset(info["missing_keys"]), tuple(sorted(info["unexpected_keys"])), homes, untied)


def _homes(model: nn.Module, stored: "Iterable[_StoredTensor]") -> Iterator[tuple[str, Home]]:
    used = [item for item in stored if item.given is not None]
    facts = {item.given.untyped_storage()._cdata: item.fact for item in used if item.given is not None}
    named = {item.fact.name: item.fact for item in used}  # tying pads a bias, whose storage is another one then
    for name, value in model.state_dict(keep_vars=True).items():
        if (fact := facts.get(value.untyped_storage()._cdata, named.get(name))) is not None:
            yield name, Home(fact, tuple(value.shape), value.stride(), int(value.storage_offset()))


def build(
    cls: "type[PreTrainedModel]",
    config: "PreTrainedConfig",
    weights: Weights,
    name: str,
    seed: int,
    progress: Progress = silent,
) -> nn.Module:
    """Read every tensor and make the model in float32, eval mode; what is missing is initialised from `seed`."""
    weights.fetch(progress)
    progress(0.0, f"reading {name}")
    with building, weights.reader() as read, Seeded(seed):
        stored = {fact.name: _StoredTensor(fact, read) for fact in weights.tensors}
        model: nn.Module = _from_pretrained(cls, config, stored, name)[0]
    progress(1.0, f"read {name}")
    return model


def rebuild(
    cls: "type[PreTrainedModel]", config: "PreTrainedConfig", kept: dict[str, Any], name: str, seed: int
) -> nn.Module:
    """Make the model around the tensors that are kept, shared as they are; the rest is initialised from `seed`."""
    with building, Seeded(seed):
        model: nn.Module = _from_pretrained(cls, config, kept, name)[0]
    return model


def dtype_as_loaded(facts: Facts, model: "PreTrainedModel") -> torch.dtype:
    """Return the dtype in which plain `from_pretrained` loads a model that is stored like a checkpoint."""
    dtype: torch.dtype = getattr(torch, facts.dtype) if facts.dtype in HALF else model.dtype
    return dtype


def _from_pretrained(
    cls: "type[PreTrainedModel]", config: "PreTrainedConfig", state: dict[str, Any], name: str, tolerate: bool = False
) -> "tuple[PreTrainedModel, dict[str, Any]]":
    """Call transformers' loader; return the model and what was missing, unexpected or of another shape."""
    try:
        with quietly(), undisturbed():
            built: Any = cls.from_pretrained(
                None,
                config=config,
                state_dict=state,
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=tolerate,
            )
            model, info = built
            return model, info
    except CheckpointError:
        raise
    except Exception as error:
        if (key := _unknown(error, config)) is not None:
            raise CheckpointError(
                "{name}: config.json sets {key} to {given}, which {model} does not know",
                code="checkpoint.unknown_value", name=name, key=key, given=shortened(repr(getattr(config, key))),
                model=cls.__name__,
            ) from error  # fmt: skip
        raise CheckpointError(
            "{name}: {model} cannot be built from it: {reason}",
            code="checkpoint.cannot_build", name=name, model=cls.__name__, reason=first_line(error),
        ) from error  # fmt: skip


def _unknown(error: Exception, config: "PreTrainedConfig") -> str | None:
    """Return under which key a config holds the word that was looked up in vain."""
    if not isinstance(error, KeyError):
        return None
    words = {key: value for key, value in vars(config).items() if isinstance(value, str)}
    return next((key for key, value in words.items() if (value,) == error.args), None)


class _StoredTensor:
    """Represent one stored tensor in a state dict, read when transformers asks for it."""

    def __init__(self, fact: TensorFact, read: Read | None) -> None:
        """Remember where to read; without a reader there are shapes and no values."""
        self.fact = fact
        self.read = read
        self.shape = torch.Size(fact.shape)
        self.dtype: torch.dtype = getattr(torch, fact.dtype)
        self.given: torch.Tensor | None = None

    def __getitem__(self, index: Any) -> "_StoredTensor":
        return self

    def to(self, device: Any = None, dtype: Any = None) -> torch.Tensor:
        """Return the whole tensor with a storage of its own; half precision becomes float32, integers stay."""
        wanted = torch.float32 if self.fact.dtype in WIDENED else self.dtype
        if self.read is None:
            self.given = torch.empty(self.shape, dtype=wanted, device="meta")
            return self.given
        value = self.read(self.fact.name)
        if value.shape != self.shape or value.dtype != self.dtype:
            raise CheckpointError(
                "{tensor!r} has changed since the checkpoint was opened; open it again",
                code="checkpoint.file_changed", tensor=shortened(self.fact.name, 80),
            )  # fmt: skip
        return value.to(wanted, copy=True).contiguous()


class _ShapesOnly(TorchFunctionMode):
    """Keep everything in this thread on the meta device: shapes without values, and nothing random."""

    def __init__(self) -> None:
        """Count calls: a config can ask for more modules than can be built in reasonable time."""
        super().__init__()
        self.calls = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call `func` so that it allocates no memory and draws no random number."""
        self.calls += 1
        if self.calls > MOST_CALLS:
            raise CheckpointError(
                "config.json asks for more modules than any encoder has: expected smaller sizes",
                code="checkpoint.too_many_modules",
            )
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name in IN_PLACE and is_meta(args, kwargs):
            return args[0] if args else kwargs["tensor"]
        if name in _PLACED:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


@contextmanager
def quietly() -> Iterator[None]:
    """Keep transformers' load report and this thread's progress bar off the terminal: `Facts` says it instead."""
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


def _refuse_mismatches(mismatched: Any, config: "PreTrainedConfig", name: str) -> None:
    """Refuse tensors that are stored in another shape than the config gives; raises CheckpointError."""
    if not mismatched:
        return
    if getattr(config, "pruned_heads", None):
        raise CheckpointError(
            "{name} lacks the heads that config.json lists as pruned_heads: transformers no longer builds layers with"
            " fewer heads; open the checkpoint as it was before prune_heads, and prune its heads here"
            " (granularity: head)",
            code="checkpoint.pruned_heads", name=name,
        )  # fmt: skip
    key, stored, wanted = sorted(mismatched, key=lambda entry: str(entry[0]))[0]
    first = {"name": name, "tensor": str(key), "stored": tuple(stored), "wanted": tuple(wanted)}
    if len(mismatched) == 1:
        raise CheckpointError(
            "{name}: {tensor!r} is stored as {stored}, but config.json asks for {wanted}",
            code="checkpoint.wrong_shape", **first,
        )  # fmt: skip
    raise CheckpointError(
        "{name}: {tensor!r} is stored as {stored}, but config.json asks for {wanted} ({more} more differ)",
        code="checkpoint.wrong_shapes", more=len(mismatched) - 1, **first,
    )  # fmt: skip


def _tie(model: Any, homes: dict[str, Home], weights: Weights) -> frozenset[str]:
    """Tie what the files hold twice with equal values: transformers cannot compare values on the meta device."""
    untied = set()
    for target, source in dict(model.all_tied_weights_keys).items():
        one, other = homes.get(target), homes.get(source)
        if one is None or other is None or one == other:
            continue
        if weights.same(one.fact.name, other.fact.name):
            parent, _, local = target.rpartition(".")
            setattr(model.get_submodule(parent), local, model.get_parameter(source))
        else:
            untied.add(target)
            model.all_tied_weights_keys.pop(target)
    return frozenset(untied)
