"""The modules of a model as a tree of plain data: paths, types, parameter counts, places."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches

from torch import nn
from torch.nn.parameter import is_lazy

from ..errors import SelectionError
from ..text import aligned
from .families import Place, base_prefix, places

_Row = tuple[str, str, str]


@dataclass(frozen=True)
class ModuleNode:
    """One module: its path in the model, what it is, and how many parameters it and all below it hold."""

    path: str
    name: str
    type: str
    extra: str
    """What torch prints between the brackets, such as `in_features=768, out_features=768, bias=True`."""
    own_parameters: int
    parameters: int
    """Own and below, in numbers (not bytes); a tensor tied within the subtree is counted once."""
    share: float
    """`parameters` over those of the whole model, also where the tree starts further down."""
    place: Place | None
    children: tuple["ModuleNode", ...]
    prefix: str = field(default="", repr=False)
    """What stands before the base model's paths, such as "bert."; `find` accepts paths without it."""

    def walk(self) -> Iterator["ModuleNode"]:
        """Yield this node and all below it, in the order of `named_modules`."""
        yield self
        for child in self.children:
            yield from child.walk()

    def find(self, path: str) -> "ModuleNode":
        """Return the node at a path, given from the model's root, with or without the base-model prefix.

        Raises SelectionError with the nearest paths where there is none.
        """
        nodes = {node.path: node for node in self.walk()}
        return nodes[resolve(path, nodes, self.prefix)]

    def groups(self) -> tuple[tuple["ModuleNode", ...], ...]:
        """Split the children into runs of identical numbered siblings, which `render` folds into one line."""
        runs: list[list[ModuleNode]] = []
        for child in self.children:
            if runs and child.name.isdecimal() and _alike(runs[-1][0], child):
                runs[-1].append(child)
            else:
                runs.append([child])
        return tuple(map(tuple, runs))

    def render(self, fold: bool = True, depth: int | None = None) -> str:
        """Write the tree as aligned plain text, identical layers folded as torch folds them.

        Below a folded line stand the parts of one of its modules. `depth` limits the levels below this node.
        """
        rows = [("module", "parameters", "share"), *_lines((self,), self.type, 0, fold, depth)]
        return aligned(rows, right=(1, 2))


def tree(model: nn.Module, path: str = "") -> ModuleNode:
    """Read a model's modules into a tree that starts at `path` (with or without the base-model prefix).

    Reads names and shapes only: a model on the meta device will do. Of a tensor under pruning, `…_orig` is
    the parameter that counts. Pure; raises SelectionError with the nearest paths where there is none such.
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    prefix = base_prefix(model)
    path = resolve(path, modules, prefix)
    build = _Builder(places(model), prefix, sum(_sizes(model).values()))
    return build.node(modules[path], path)


def resolve(path: str, known: Collection[str], prefix: str) -> str:
    """Find a path among the known ones, with or without the base-model prefix. Raises SelectionError."""
    for candidate in (path, prefix + path):
        if candidate in known:
            return candidate
    short = {name.removeprefix(prefix): name for name in known}
    near = get_close_matches(path, [*known, *short], n=3, cutoff=0.5)
    near += [name for name in known if path and name.endswith("." + path)][:3]
    hint = ", ".join(dict.fromkeys(short.get(name, name) for name in near))
    raise SelectionError(f"no module is named {path!r}" + (f"; the nearest are {hint}" if hint else ""))


@dataclass(frozen=True)
class _Builder:
    places: dict[str, Place]
    prefix: str
    whole: int

    def node(self, module: nn.Module, path: str) -> ModuleNode:
        total = sum(_sizes(module).values())
        named = [(name, child) for name, child in module._modules.items() if child is not None]
        return ModuleNode(
            path=path,
            name=path.rpartition(".")[2],
            type=type(module).__name__,
            extra=module.extra_repr(),
            own_parameters=sum(_sizes(module, recurse=False).values()),
            parameters=total,
            share=total / self.whole if self.whole else 0.0,
            place=self.places.get(path),
            children=tuple(self.node(child, f"{path}.{name}" if path else name) for name, child in named),
            prefix=self.prefix,
        )


def _sizes(module: nn.Module, recurse: bool = True) -> dict[int, int]:
    """Size every parameter, each tensor once however many modules share it."""
    return {id(p): 0 if is_lazy(p) else p.numel() for p in module.parameters(recurse)}


def _alike(one: ModuleNode, other: ModuleNode) -> bool:
    return _shape(one) == _shape(other)


def _shape(node: ModuleNode) -> tuple[object, ...]:
    """All that a reader sees of a node below its own number."""
    below = tuple((child.name, _shape(child)) for child in node.children)
    return (node.type, node.extra, node.own_parameters, node.parameters, below)


def _lines(run: tuple[ModuleNode, ...], label: str, level: int, fold: bool, depth: int | None) -> Iterator[_Row]:
    node = run[0]
    total, share = sum(one.parameters for one in run), sum(one.share for one in run)
    extra = f"({node.extra})" if node.extra and "\n" not in node.extra else ""
    each = f", {node.parameters:,} each" if len(run) > 1 and total else ""
    text = "  " * level + label + extra + each
    yield (text, f"{total:,}", f"{share:.1%}") if total else (text, "", "")
    if depth is not None and level >= depth:
        return
    for below in node.groups() if fold else [(child,) for child in node.children]:
        yield from _lines(below, _label(below), level + 1, fold, depth)


def _label(run: tuple[ModuleNode, ...]) -> str:
    first = run[0]
    if len(run) == 1:
        return f"({first.name}): {first.type}"
    return f"({first.name}-{run[-1].name}): {len(run)} x {first.type}"
