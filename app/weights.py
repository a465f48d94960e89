"""The weights and masks of a run, tensor by tensor, read from the model that its checkpoint's visitors share."""

from typing import Any


def weight_after(run: Any, model: Any, tensor: Any) -> Any:
    """Return the values of a counted tensor without its mask: those that a run adjusted, or those that it came with."""
    if tensor.name in run.values:
        return run.values[tensor.name]
    module = model.get_submodule(tensor.module)
    return getattr(module, f"{tensor.tensor}_orig", getattr(module, tensor.tensor)).detach()


def mask_before(model: Any, tensor: Any) -> Any:
    """Return the mask with which a tensor came, as bool; None for one that came without."""
    mask = getattr(model.get_submodule(tensor.module), f"{tensor.tensor}_mask", None)
    return None if mask is None else mask.bool()


def mask_after(run: Any, model: Any, tensor: Any) -> Any:
    """Return the mask that a run leaves on a tensor: its own, or the one with which the tensor came."""
    return run.masks[tensor.name] if tensor.name in run.masks else mask_before(model, tensor)
