"""The modules of a model as a tree of plain data: paths, types, parameter counts, places."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from torch import nn
from torch.nn.parameter import is_lazy

from ..text import aligned
from .families import Place, base_prefix, places
from .given import given_model
from .names import find_path

_Row = tuple[str, str, str]


@dataclass(frozen=True)
class ModuleNode:
    """Describe one module: its path in the model, its type, and how many parameters it and its children hold."""

    path: str
    name: str
    type: str
    extra: str
    """What torch prints in parentheses, such as `in_features=768, out_features=768, bias=True`."""
    own_parameters: int
    """Parameters of this module alone, without its children."""
    parameters: int
    """Parameters of this module and all below it, as a count of values; a tensor tied within it counts once."""
    share: float
    """`parameters` over those of the whole model, also if the tree starts further down."""
    place: Place | None
    """Family, layer and role; None for the root and in models of unknown families."""
    children: tuple["ModuleNode", ...]
    prefix: str = field(default="", repr=False)
    """The prefix of the base model's paths, such as "bert."; `find` accepts paths without it."""

    def walk(self) -> Iterator["ModuleNode"]:
        """Yield this node and all nodes below it, in the order of `named_modules`.

        Returns:
            An iterator of `ModuleNode`.

        Example:
            >>> import bertprune as bp, torch
            >>> [node.path for node in bp.tree(torch.nn.Sequential(torch.nn.Linear(2, 2))).walk()]
            ['', '0']
        """
        yield self
        for child in self.children:
            yield from child.walk()

    def find(self, path: str) -> "ModuleNode":
        """Find a node below this one by its path.

        Args:
            path: A string, the path from the model's root, with or without the base-model prefix ("bert.").

        Returns:
            The `ModuleNode` at that path.

        Raises:
            SelectionError: No node has this path; the message lists the nearest ones.

        Example:
            >>> import bertprune as bp, torch
            >>> bp.tree(torch.nn.Sequential(torch.nn.Linear(2, 3))).find("0").parameters
            9
        """
        nodes = {node.path: node for node in self.walk()}
        return nodes[find_path(path, nodes, self.prefix)]

    def groups(self) -> tuple[tuple["ModuleNode", ...], ...]:
        """Group the children into runs of identical numbered siblings, which `render` folds into one line.

        Returns:
            A tuple of runs in the order of the children; a child without identical siblings is a run of one.

        Example:
            >>> import bertprune as bp, torch
            >>> model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2), torch.nn.Tanh())
            >>> [[node.name for node in run] for run in bp.tree(model).groups()]
            [['0', '1'], ['2']]
        """
        runs: list[list[ModuleNode]] = []
        for child in self.children:
            if runs and _is_next(runs[-1][-1].name, child.name) and _shape(runs[-1][0]) == _shape(child):
                runs[-1].append(child)
            else:
                runs.append([child])
        return tuple(map(tuple, runs))

    def render(self, fold: bool = True, depth: int | None = None) -> str:
        """Write the tree as an aligned text table.

        Args:
            fold: A bool, whether identical numbered siblings become one line, as torch prints them; default True.
            depth: An integer, how many levels below this node to show; default None, all of them.

        Returns:
            A string of several lines: module, number of parameters, share of the whole model.

        Example:
            >>> import bertprune as bp, torch
            >>> print(bp.tree(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Tanh())).render())
            module                                                   parameters   share
            Sequential                                                        6  100.0%
              (0): Linear(in_features=2, out_features=2, bias=True)           6  100.0%
              (1): Tanh
        """
        rows = [("module", "parameters", "share"), *_lines((self,), self.type, 0, fold, depth)]
        return aligned(rows, right=(1, 2))


def tree(model: nn.Module, path: str = "") -> ModuleNode:
    """Read the modules of a model into a tree of plain data.

    Only names and shapes are read, so a model on the meta device works; the model is not changed. Of a pruned
    tensor, `weight_orig` is the parameter that counts.

    Args:
        model: A `torch.nn.Module`.
        path: A string, the module to start from, with or without the base-model prefix; default "", the root.

    Returns:
        The `ModuleNode` of that module, with its children.

    Raises:
        SelectionError: No module has this path; the message lists the nearest ones.
        BertpruneError: `model` is not a model.

    Example:
        >>> import bertprune as bp
        >>> skeleton = bp.Checkpoint.open("demo").skeleton()
        >>> key = bp.tree(skeleton, "encoder.layer.0.attention.self.key")
        >>> key.path, key.parameters, key.place.role
        ('bert.encoder.layer.0.attention.self.key', 37056, 'attention.key')
    """
    model = given_model(model, "bp.tree")
    modules = dict(model.named_modules(remove_duplicate=False))
    prefix = base_prefix(model)
    path = find_path(path, modules, prefix)
    return _Reader(places(model), prefix, _count(model)).read(modules[path], path)


@dataclass(frozen=True)
class _Reader:
    places: dict[str, Place]
    prefix: str
    whole: int

    def read(self, module: nn.Module, path: str) -> ModuleNode:
        parameters = _count(module)
        named = [(name, child) for name, child in module._modules.items() if child is not None]
        return ModuleNode(
            path=path,
            name=path.rpartition(".")[2],
            type=type(module).__name__,
            extra=module.extra_repr(),
            own_parameters=_count(module, recurse=False),
            parameters=parameters,
            share=parameters / self.whole if self.whole else 0.0,
            place=self.places.get(path),
            children=tuple(self.read(child, f"{path}.{name}" if path else name) for name, child in named),
            prefix=self.prefix,
        )


def _count(module: nn.Module, recurse: bool = True) -> int:
    """Count parameter values; `parameters` yields a tied tensor once."""
    return sum(parameter.numel() for parameter in module.parameters(recurse) if not is_lazy(parameter))


def _is_next(one: str, other: str) -> bool:
    """Return whether two names are numbers that follow one another; between others a layer was removed."""
    return one.isdecimal() and other.isdecimal() and int(other) == int(one) + 1


def _shape(node: ModuleNode) -> tuple[object, ...]:
    """Return everything that is printed of a node but its number."""
    below = tuple((child.name, _shape(child)) for child in node.children)
    return (node.type, node.extra, node.own_parameters, node.parameters, below)


def _lines(run: tuple[ModuleNode, ...], label: str, level: int, fold: bool, depth: int | None) -> Iterator[_Row]:
    node = run[0]
    total, share = sum(one.parameters for one in run), sum(one.share for one in run)
    extra = f"({node.extra})" if node.extra and "\n" not in node.extra else ""
    each = f", {node.parameters:,} each" if len(run) > 1 and total else ""
    text = "  " * level + label + extra + each + _shared(node)
    yield (text, f"{total:,}", f"{share:.1%}") if total else (text, "", "")
    if depth is not None and level >= depth:
        return
    for below in node.groups() if fold else [(child,) for child in node.children]:
        yield from _lines(below, _label(below), level + 1, fold, depth)


def _shared(node: ModuleNode) -> str:
    """Say at a layer, such as ALBERT's, that several layers of a forward pass share it."""
    is_shared_layer = node.place is not None and node.place.uses > 1 and node.name.isdecimal()
    return f", shared by {node.place.uses} layers" if node.place and is_shared_layer else ""


def _label(run: tuple[ModuleNode, ...]) -> str:
    first = run[0]
    if len(run) == 1:
        return f"({first.name}): {first.type}"
    return f"({first.name}-{run[-1].name}): {len(run)} x {first.type}"
