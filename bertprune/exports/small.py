"""The small form: what is wholly masked is taken out of the matrices, and what it gave as a constant is folded in."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ..checkpoint.irregular import ENCODERS, reshaped
from ..checkpoint.sentence_modules import is_sentence_folder
from ..errors import ExportError, SelectionError
from ..model.coupled import Coupled, find_coupled
from ..model.families import encoder, layers
from ..model.family_tables import IRREGULAR
from ..selection import Selection
from .contents import Contents, Smaller, same_bits
from .folded import constants


@dataclass(frozen=True, eq=False)
class _Cut:
    """What stays of one tensor: positions along one dimension; and what is added to it."""

    dim: int = 0
    stay: Tensor | None = None
    add: Tensor | None = None


class _Cutting(Mapping[str, Tensor]):
    """The tensors of the small model, each made when it is asked for, so that no second model stays in memory."""

    def __init__(self, contents: Contents, cuts: Mapping[str, _Cut]) -> None:
        self._contents, self._cuts = contents, cuts

    def __getitem__(self, name: str) -> Tensor:
        """Return a tensor: its masked values made zero, without what went."""
        value, cut = self._contents.baked(name), self._cuts.get(name, _Cut())
        value = value if cut.stay is None else value.index_select(cut.dim, cut.stay)
        return value if cut.add is None else (value.double() + cut.add).to(value.dtype)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._contents.dense)

    def __len__(self) -> int:
        """Count the tensors."""
        return len(self._contents.dense)


def shrink(contents: Contents) -> Contents:
    """Return the contents of the small model; outputs stay, whatever is wholly masked goes.

    A layer that would lose all its neurons or heads keeps one, which gives nothing. Raises ExportError where it is not
    known what goes together.
    """
    model = contents.skeleton
    staying: dict[str, dict[int, list[int]]] = {"neuron": {}, "head": {}}
    cuts: dict[str, _Cut] = {}
    for one in _coupled(model, contents.checkpoint.name):
        stay, add = _decide(one, model, contents)
        staying[one.kind][one.layer] = stay
        if len(stay) < one.number:
            cuts |= _cuts(one, stay, add)
        if len(stay) < one.number and one.kind == "head":
            _check_heads(model, contents.checkpoint.name)
    if not cuts and not contents.cut:
        raise ExportError(
            "no neuron and no head is wholly masked, so nothing can be taken out: prune some (granularity neuron or"
            " head), or export it baked",
            code="exports.nothing_small",
        )  # fmt: skip
    neurons, heads = ([staying[kind][layer] for layer in sorted(staying[kind])] for kind in ("neuron", "head"))
    model_class, config = reshaped(model, [len(stay) for stay in neurons], heads)
    _check_library(contents, str(config.model_type))
    ties = tuple(_ties(contents))
    smaller = Smaller(
        model_class=model_class,
        config=config,
        neurons=tuple(map(len, neurons)),
        heads=tuple(map(len, heads)),
        parameters=_parameters(contents, cuts, ties),
        folded=tuple(name for name, cut in cuts.items() if cut.add is not None),
    )
    return replace(contents, dense=_Cutting(contents, cuts), masks={}, ties=ties, smaller=smaller)


def _coupled(model: nn.Module, name: str) -> tuple[Coupled, ...]:
    """Find the neurons and heads of every layer. Raises ExportError."""
    try:
        found = (*find_coupled(model, "neuron", Selection()), *find_coupled(model, "head", Selection()))
    except SelectionError as error:
        sentence = "{name}: it is not known what goes together, so nothing can be taken out ({error}); export it baked"
        raise ExportError(sentence, code="exports.small_unknown", name=name, error=error) from None
    if len(found) != 2 * len(layers(model)):
        sentence = "{name}: some layers have no neurons or heads of their own to be taken out; export it baked"
        raise ExportError(sentence, code="exports.small_layers", name=name)
    return found


def _decide(one: Coupled, model: nn.Module, contents: Contents) -> tuple[list[int], Tensor | None]:
    """Return which neurons or heads of a layer stay, and what is added to the output bias for those that go."""
    matrix = contents.baked(one.output.name)
    constant = constants(one, model, contents.baked)
    if _bias(one) not in contents.dense:
        constant = torch.where(constant == 0, constant, torch.nan)
    needed = matrix.any(dim=0) & constant.isnan()
    stay = sorted(set(one.columns[needed].tolist())) or [0]
    folded = ~torch.isin(one.columns, torch.tensor(stay)) & matrix.any(dim=0) & (constant != 0)
    if not folded.any():
        return stay, None
    return stay, matrix[:, folded].double() @ constant[folded].double()


def _bias(one: Coupled) -> str:
    return one.output.name.removesuffix("weight") + "bias"


def _cuts(one: Coupled, stay: list[int], add: Tensor | None) -> dict[str, _Cut]:
    """Say what stays of each tensor that the neurons or heads of a layer are part of."""
    kept = torch.tensor(stay)

    def positions(groups: Tensor) -> Tensor:
        return torch.isin(groups, kept).nonzero().flatten()

    cuts = {target.name: _Cut(0, positions(rows)) for target, rows in one.inputs}
    cuts[one.output.name] = _Cut(1, positions(one.columns))
    cuts |= {name: _Cut(0, positions(one.columns)) for name in one.vectors}
    return cuts if add is None else cuts | {_bias(one): _Cut(add=add)}


def _check_heads(model: nn.Module, name: str) -> None:
    """Refuse to take heads out where a module works on all of them at once. Raises ExportError."""
    base, (layer, _) = encoder(model), next(iter(layers(model).values()))
    mixing = f"{layer}.{base.family.mixed_by}" if base else ""
    if mixing in dict(model.named_modules()):
        raise ExportError(
            "{name}: its heads cannot be taken out, since {module} mixes them; export it baked, or prune neurons",
            code="exports.small_mixed_heads", name=name, module=mixing,
        )  # fmt: skip


def _check_library(contents: Contents, kind: str) -> None:
    """Refuse a folder that sentence-transformers would load with a class of its choice. Raises ExportError."""
    folder = contents.checkpoint.folder()
    if kind in {IRREGULAR + one for one in ENCODERS} and folder is not None and is_sentence_folder(folder):
        raise ExportError(
            "{name}: of this family, sentence-transformers loads only models with equal layers and all heads: prune as"
            " many neurons in every layer, and no heads, or export it baked",
            code="exports.small_library", name=contents.checkpoint.name,
        )  # fmt: skip


def _parameters(contents: Contents, cuts: Mapping[str, _Cut], ties: Sequence[tuple[str, ...]]) -> tuple[int, int]:
    """Count the parameters before and after; a tied tensor counts once, until its masks make several of it."""
    before, gone = contents.sparsity.model.size, sum(_gone(contents.dense[name], cut) for name, cut in cuts.items())
    untied = zip(contents.ties, ties, strict=True)
    added = sum((len(group) - len(left)) * contents.dense[left[0]].numel() for group, left in untied)
    return before, before + added - gone


def _gone(value: Tensor, cut: _Cut) -> int:
    if cut.stay is None:
        return 0
    length = value.shape[cut.dim]
    return value.numel() // length * (length - len(cut.stay))


def _ties(contents: Contents) -> Iterator[tuple[str, ...]]:
    """Keep tied what is the same once its masks are baked."""
    for first, *others in contents.ties:
        value = contents.baked(first)
        yield (first, *(name for name in others if same_bits(value, contents.baked(name))))
