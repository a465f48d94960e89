"""Do something as soon as a module of another package has been imported, without importing it."""

import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def when_imported(module: str, act: Callable[[], Any]) -> None:
    """Call `act` once the module has been imported: at once where it is there, else at the end of its import."""
    if module in sys.modules:
        act()
    else:
        sys.meta_path.insert(0, _Finder(module, act))


class _Finder(MetaPathFinder):
    """Find one module as the other finders do, and have it loaded by a loader that acts afterwards."""

    def __init__(self, module: str, act: Callable[[], Any]) -> None:
        self._module, self._act = module, act

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return the spec of the module; None for any other module."""
        others = [finder for finder in sys.meta_path if finder is not self] if name == self._module else []
        specs = (finder.find_spec(name, path, target) for finder in others)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self.act)
        return spec

    def act(self) -> None:
        """Act, once."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
            self._act()


class _Loader(Loader):
    """Load a module as its own loader does, then act."""

    def __init__(self, loader: Loader, act: Callable[[], Any]) -> None:
        self._loader, self._act = loader, act

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Create the module as its own loader does."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module with its own loader in place, and act where that succeeds."""
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._act()
