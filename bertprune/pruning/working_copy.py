"""A copy of a model in which matrices may be replaced: it shares its weights, and has neither hooks nor gradients."""

import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn

from ..errors import SelectionError
from ..model.bake import bake
from ..model.copies import copied, twin
from ..model.coupled import Coupled, find_coupled
from ..model.names import pruned_names
from ..model.targets import Target
from ..selection import Selection
from ..undisturbed import differentiable


def plain_copy(model: nn.Module) -> nn.Module:
    """Copy a model; weights are shared, without gradients, and masked ones are zeros without hooks."""
    if any(pruned_names(module) for module in model.modules()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a tied tensor with different masks is two here
            copy = bake(copied(model))
    else:
        copy = twin(model)
    frozen: dict[int, nn.Parameter] = {}
    for module in copy.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                if id(parameter) not in frozen:
                    frozen[id(parameter)] = nn.Parameter(differentiable(parameter.detach()), requires_grad=False)
                module._parameters[name] = frozen[id(parameter)]
        module._buffers |= {
            name: value if value is None else differentiable(value) for name, value in module._buffers.items()
        }
        module.training = False
    return copy


def put(model: nn.Module, target: Target, values: Tensor) -> None:
    """Give a copy other values of a tensor, at each of its owners; the model that it was made from keeps its own."""
    _place(model, target, nn.Parameter(values.to(target.parameter.dtype), requires_grad=False))


def put_neurons(model: nn.Module, one: Coupled, values: Tensor) -> None:
    """Give a copy the columns of a layer's neurons; those whose output weights are zero are no longer computed."""
    alive = values.any(dim=0)
    if not alive.any():  # a layer needs one
        alive[:] = True
    put(model, one.output, values[:, alive])
    for target, rows in one.inputs:
        put(model, target, target.parameter[alive[rows.to(alive.device)]])


@contextmanager
def narrowed(model: nn.Module, needed: Collection[str]) -> Iterator[None]:
    """Drop neurons whose output weights are zero from a copy, to compute faster; not in layers with a needed tensor."""
    narrow = [one for one in _dead(model) if not any(each.name in needed for each in one.targets)]
    for one in narrow:
        put_neurons(model, one, one.output.parameter)
    try:
        yield
    finally:
        for target in [target for one in narrow for target in one.targets]:
            _place(model, target, target.parameter)


def _dead(model: nn.Module) -> Iterator[Coupled]:
    """Yield the layers in which some neurons, but not all, have output weights of zero."""
    for one in neurons_of(model):
        alive = one.output.parameter.any(dim=0)
        if alive.any() and not alive.all():
            yield one


def neurons_of(model: nn.Module) -> Sequence[Coupled]:
    """Return the neurons of all layers; none for a model of an unknown family."""
    try:
        return find_coupled(model, "neuron", Selection())
    except SelectionError:
        return ()


def _place(model: nn.Module, target: Target, parameter: nn.Parameter) -> None:
    for owner in target.owners:
        model.get_submodule(owner.path)._parameters[owner.tensor] = parameter
