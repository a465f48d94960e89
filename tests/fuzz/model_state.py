"""What a model holds, looked at without any function of ours: values, masks, ties, counts."""

import hashlib
from pathlib import Path

import torch
from torch import nn

IDS = torch.tensor([[2, 5, 31, 3], [2, 90, 3, 0]])


def outputs(model: nn.Module) -> torch.Tensor:
    return model(IDS, output_hidden_states=True).hidden_states[-1] if not is_mlm(model) else model(IDS).logits


def is_mlm(model: nn.Module) -> bool:
    return type(model).__name__.endswith("MaskedLM")


def state(model: nn.Module) -> dict[str, bytes]:
    """Everything that a state dict holds, by value."""
    return {name: value.detach().numpy().tobytes() for name, value in model.state_dict().items()}


def masks(model: nn.Module) -> dict[str, bytes]:
    """What is alive, by the mask's name."""
    return {name: (value != 0).numpy().tobytes() for name, value in model.named_buffers() if name.endswith("_mask")}


def revived(before: bytes, after: bytes) -> bool:
    return any(now > then for then, now in zip(before, after, strict=True))


def ties(model: nn.Module) -> set[frozenset[str]]:
    """The names that share one parameter."""
    names: dict[int, set[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), set()).add(name.removesuffix("_orig"))
    return {frozenset(shared) for shared in names.values() if len(shared) > 1}


def shared_weights(model: nn.Module) -> list[str]:
    """The modules that share a weight."""
    names = (name for shared in ties(model) for name in shared)
    return sorted(name.removesuffix(".weight") for name in names if name.endswith(".weight"))


def owners(model: nn.Module) -> dict[int, list[torch.Tensor]]:
    """What is alive of each parameter, at each module that has it."""
    found: dict[int, list[torch.Tensor]] = {}
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            mask = module._buffers.get(f"{name.removesuffix('_orig')}_mask")
            alive = torch.ones_like(parameter, dtype=torch.bool) if mask is None else mask != 0
            found.setdefault(id(parameter), []).append(alive)
    return found


def has_uneven_ties(model: nn.Module) -> bool:
    """Whether the modules that share a tensor have different masks, as plain torch can leave them."""
    return any(not torch.equal(one, alive[0]) for alive in owners(model).values() for one in alive)


def has_uneven_values(model: nn.Module) -> bool:
    """Whether such masks leave different values, more than zeros that were zero already."""
    parameters = {id(one): one for one in model.parameters()}
    left = {key: [parameters[key] * one for one in alive] for key, alive in owners(model).items()}
    return any(not torch.equal(one, values[0]) for values in left.values() for one in values)


def masked_weights(model: nn.Module) -> int:
    """Count what no module uses any more, a tied tensor once."""
    return sum(int((~torch.stack(alive).any(dim=0)).sum()) for alive in owners(model).values())


def zero_weights(model: nn.Module) -> int:
    """Count what is zero without a mask, a tied tensor once."""
    alive = {key: torch.stack(found).any(dim=0) for key, found in owners(model).items()}
    return sum(int(((one == 0) & alive[id(one)]).sum()) for one in model.parameters())


def nonzero(model: nn.Module) -> int:
    return sum(one.numel() for one in model.parameters()) - masked_weights(model) - zero_weights(model)


def hash_of(folder: Path) -> str:
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        whole.update(path.name.encode() + (path.read_bytes() if path.is_file() else b""))
    return whole.hexdigest()
