"""A copy of a model in which matrices may be replaced: it shares its weights, and has neither hooks nor gradients."""

import warnings

from torch import Tensor, nn

from ..model.bake import bake
from ..model.copies import copied, twin
from ..model.names import pruned_names
from ..model.targets import Target
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
    parameter = nn.Parameter(values.to(target.parameter.dtype), requires_grad=False)
    for owner in target.owners:
        model.get_submodule(owner.path)._parameters[owner.tensor] = parameter
