"""Run the steps that read calibration texts: measure, choose, and adjust what stays, layer by layer."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat

import torch
from torch import Tensor, nn

from ..data.held_back import Batches
from ..data.outputs import Output
from ..data.vocabulary import Reading
from ..model.cuts import Cut, cut_model
from ..model.families import places
from ..model.targets import Target
from ..parallel import Progress
from ..scores import score
from ..scores.obs import damped
from ..scores.statistics import Inputs
from .choose import Decision, Statistics, groups_of, keep_by_scores
from .gradients import detail_of, gradients
from .granularity import Groups, Unit
from .layer_inputs import LayerInputs
from .outcomes import Reconstruction
from .rank import count_true
from .reconstruct import FEW_REFINEMENTS, REFINEMENTS, solve_rows
from .steps import MatchedStep, linear_owner
from .surgeon import keep_by_surgeon, works_by_surgeon
from .walk import Walk
from .working_copy import narrowed, plain_copy, put

_Layer = int | None


class Calibrator:
    """A copy of the model that is pruned along, and what the texts tell of it."""

    def __init__(self, model: nn.Module, batches: Batches, output: Output) -> None:
        """Copy the model, and run it once. Raises SelectionError for a model that cannot be walked through."""
        self._model, self._output = plain_copy(model), output
        self._batches = batches.to(next(self._model.parameters()).device)
        self._layers = {path: place.layer for path, place in places(model).items()}
        self._walk = Walk(self._model, self._batches, output)

    def run(
        self, matched: MatchedStep, decision: Decision, generator: torch.Generator, progress: Progress
    ) -> tuple[bool, list[tuple[int, int]], tuple[Reconstruction, ...]]:
        """Run one step, and put its masks and new values into the decision.

        Return whether that removes a value that is not zero; by tensor, how many groups were alive and are removed; and
        how each layer's reconstruction fared.
        """
        with narrowed(self._model, {target.name for unit in matched.units for target in unit.targets}):
            return self._run(matched, decision, generator, progress)

    def _run(
        self, matched: MatchedStep, decision: Decision, generator: torch.Generator, progress: Progress
    ) -> tuple[bool, list[tuple[int, int]], tuple[Reconstruction, ...]]:
        units = [decision.now(unit) for unit in matched.units]
        groups = groups_of(matched, units, decision)
        stages = self._stages(units)
        kept: list[Tensor | None] = [None] * len(units)
        if not _is_judged_on_the_way(matched):
            kept[:] = keep_by_scores(
                matched, units, groups, generator, self._statistics(matched, units, stages, generator)
            )
        swept: dict[str, Tensor] = {}
        useful, reconstructions = False, []
        for done, (layer, numbers) in enumerate(stages.items()):
            progress(done / len(stages), _words(matched, layer))
            here, those = [units[number] for number in numbers], [groups[number] for number in numbers]
            inputs = (
                self._inputs(layer, here, matched) if matched.step.reconstruct or kept[numbers[0]] is None else None
            )
            if inputs is not None and kept[numbers[0]] is None:
                every = (self._of(inputs[0], unit) for unit in here)
                for number, (keep, values) in zip(numbers, _keep(matched, here, those, every, generator), strict=True):
                    kept[number] = keep
                    swept |= {} if values is None else {units[number].targets[0].name: values}
            old = {target.name: _living(target, decision) for unit in here for target in unit.targets}
            for number in numbers:
                masks = groups[number].masks(_known(kept[number]))
                for target, mask in zip(units[number].targets, masks, strict=True):
                    useful |= decision.put(target, mask, useful)
            if inputs is not None and matched.step.reconstruct:
                reconstructions.append(self._reconstruct(layer, here, old, inputs, decision, swept))
                swept.clear()
            self._put(here, decision)
        counts = [
            (group.alive, group.alive - count_true(_known(keep))) for group, keep in zip(groups, kept, strict=True)
        ]
        slices = [count for unit, count in zip(units, counts, strict=True) for _ in unit.targets]
        return useful, slices, tuple(reconstructions)

    def means(self, matched: MatchedStep, generator: torch.Generator, progress: Progress) -> dict[int, float]:
        """Score every layer by what it makes of the hidden states."""

        def score_tokens(layer: int, before: Tensor, after: Tensor) -> Tensor:
            offered = {"after": after, "generator": generator}
            return score(matched.method, f"layer {layer}", before, (len(before),), matched.options, **offered)

        return self._walk.means(score_tokens, progress)

    def remove(self, cut: Cut, reading: Reading | None) -> None:
        """Take layers and tokens out of the copy; how far its answers drift is still measured from those at first.

        With another tokenizer the model reads other tokens, and drift is measured from what it answers then.
        """
        cut_model(self._model, cut)
        if cut.tokens and reading is not None:
            self._batches = reading.batches(reading.tokenizer, self._model)
            self._walk = Walk(self._model, self._batches, self._output)
        else:
            self._walk.begin()

    def follow(self, matched: MatchedStep, decision: Decision) -> None:
        """Prune the copy as a step without texts has pruned the model."""
        self._put([decision.now(unit) for unit in matched.units], decision)

    def _stages(self, units: Sequence[Unit]) -> dict[_Layer, list[int]]:
        """Group the numbers of units by their layer, from the bottom to the top; what is outside comes last."""
        found: dict[_Layer, list[int]] = {}
        for number, unit in enumerate(units):
            found.setdefault(self._layers.get(unit.targets[0].owners[0].path), []).append(number)
        return dict(sorted(found.items(), key=lambda pair: (pair[0] is None, pair[0] or 0)))

    def _statistics(
        self, matched: MatchedStep, units: Sequence[Unit], stages: dict[_Layer, list[int]], generator: torch.Generator
    ) -> Iterable[Statistics]:
        """Return what a method asks for, unit by unit, with the model as it is now."""
        if "gradients" in matched.method.parameters:
            detail = detail_of(matched)
            modules = [self._module(unit) for unit in units]
            walk = None if None in stages else self._walk  # what is outside may be below all layers
            if walk is not None:
                walk.go_to(min(layer for layer in stages if layer is not None))
            found = gradients(self._model, self._batches, self._output, modules, detail, generator, walk)
            return [{"gradients": found[module]} for module in modules]
        if "inputs" in matched.method.parameters:
            return self._inputs_of_all(matched, units, stages)
        return repeat({})

    def _inputs_of_all(
        self, matched: MatchedStep, units: Sequence[Unit], stages: dict[_Layer, list[int]]
    ) -> Iterator[Statistics]:
        """Yield the inputs of each unit, whose products would be too large together."""
        layer_of = {number: layer for layer, numbers in stages.items() for number in numbers}
        ready: dict[int, LayerInputs] = {}
        for number, unit in enumerate(units):
            if number not in ready:
                numbers = stages[layer_of[number]]
                every, _ = self._inputs(layer_of[number], [units[one] for one in numbers], matched)
                ready |= dict.fromkeys(numbers, every)
            yield {"inputs": self._of(ready.pop(number), unit)}

    def _inputs(self, layer: _Layer, units: Sequence[Unit], matched: MatchedStep) -> tuple[LayerInputs, LayerInputs]:
        """Return the inputs of a layer's units: on all texts, and on those that are not held back."""
        products = matched.method.needs_products or matched.step.reconstruct
        return self._walk.inputs(layer, [self._module(unit) for unit in units], products)

    def _of(self, inputs: LayerInputs, unit: Unit) -> Inputs:
        """Return the inputs of one unit. Raises RecipeError where it has none."""
        return inputs.known(self._module(unit), unit.targets[0].label)

    def _module(self, unit: Unit) -> nn.Linear:
        """Return the copy's linear layer that a unit is measured by."""
        owner = linear_owner(unit.targets[0])
        assert owner is not None
        module = self._model.get_submodule(owner.path)
        assert isinstance(module, nn.Linear)
        return module

    def _reconstruct(
        self,
        layer: _Layer,
        units: Sequence[Unit],
        old: dict[str, Tensor],
        inputs: tuple[LayerInputs, LayerInputs],
        decision: Decision,
        swept: dict[str, Tensor],
    ) -> Reconstruction:
        """Adjust what stays, on the texts that are not held back; where that helps the others, do it again on all.

        `swept` are weights that were adjusted to all texts already while they were chosen: a start for the latter.
        """
        self._put(units, decision)
        every, part = inputs
        without = self._walk.drift()
        fitted = [
            _adjusted(unit.targets[0], old, _second_derivatives(self._of(part, unit)), decision, rounds=FEW_REFINEMENTS)
            for unit in units
        ]
        for unit, values in zip(units, fitted, strict=True):
            self._set(unit.targets[0], values)
        drift = self._walk.drift()
        if kept := drift < without:
            for unit, start in zip(units, fitted, strict=True):
                target = unit.targets[0]
                mask, values = decision.masks[target.name], target.parameter.detach()
                hessian = _second_derivatives(self._of(every, unit))
                new = _adjusted(target, old, hessian, decision, swept.get(target.name, start))
                decision.values[target.name] = torch.where(mask, new.to(values.dtype), values)
        return Reconstruction(layer, kept, without, drift)

    def _put(self, units: Sequence[Unit], decision: Decision) -> None:
        """Give the copy the values that the tensors of units have by now."""
        for target in [target for unit in units for target in decision.now(unit).targets]:
            self._set(target, _living(target, decision))

    def _set(self, target: Target, values: Tensor) -> None:
        """Give the copy new values of a tensor, and forget what that makes invalid."""
        put(self._model, target, values)
        for layer in {self._layers.get(owner.path) for owner in target.owners}:
            self._walk.changed(layer)


def _is_judged_on_the_way(matched: MatchedStep) -> bool:
    """Return whether each layer is judged by what the pruned layers below it give."""
    return "inputs" in matched.method.parameters and matched.step.scope != "global"


def _keep(
    matched: MatchedStep,
    units: Sequence[Unit],
    groups: Sequence[Groups],
    inputs: Iterable[Inputs],
    generator: torch.Generator,
) -> list[tuple[Tensor, Tensor | None]]:
    """Choose what stays of a layer's units, by their inputs on all texts; some choices adjust the weights as well."""
    if works_by_surgeon(matched):
        return keep_by_surgeon(matched, units, groups, map(_second_derivatives, inputs))
    kept = keep_by_scores(matched, units, groups, generator, ({"inputs": one} for one in inputs))
    return [(keep, None) for keep in kept]


def _second_derivatives(inputs: Inputs) -> Tensor:
    return damped(inputs.gram)


def _living(target: Target, decision: Decision) -> Tensor:
    """Return the values of a tensor with those that are masked set to zero."""
    values, mask = target.parameter.detach(), decision.masks.get(target.name)
    return values if mask is None else values * mask


def _adjusted(
    target: Target,
    old: dict[str, Tensor],
    hessian: Tensor,
    decision: Decision,
    start: Tensor | None = None,
    rounds: int = REFINEMENTS,
) -> Tensor:
    """Solve a matrix for its mask, from a start."""
    rows = target.row_mask()
    mask, marked = decision.masks[target.name], None if rows is None else rows.flatten()
    return solve_rows(old[target.name].float(), hessian, mask, marked, start, rounds)


def _known(keep: Tensor | None) -> Tensor:
    assert keep is not None
    return keep


def _words(matched: MatchedStep, layer: _Layer) -> str:
    return f"{matched.method.name}: {'the rest' if layer is None else f'layer {layer}'}"
