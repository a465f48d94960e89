"""The page's small public API for `gradio_client`: every call names its checkpoint, recipe and seed, and keeps nothing.

A `source` is the name of an embedded checkpoint or an id of the Hub (`org/name`, or `org/name@revision`); a `recipe`
is YAML or JSON text; a run is a pure function of the two and the seed.
"""

import functools
from typing import Any

import gradio as gr

import bertprune as bp

from .handlers import cost, model, take
from .session import Done, Shelf, Source
from .trouble import PageError, reason, told


class Api:
    """The verbs of the library, as a program calls them from elsewhere."""

    def __init__(self, shelf: Shelf) -> None:
        """Work on the shared shelf."""
        self.shelf = shelf

    def load(self, source: str = "demo") -> dict[str, Any]:
        """Open a checkpoint by its headers: architecture, parameters, dtype, bytes, tensors, notes, module paths."""
        given = self._source(source)
        known = self.shelf.checkpoint(given).facts
        return {
            "architecture": known.architecture,
            "parameters": known.parameters,
            "dtype": known.dtype,
            "bytes": known.bytes,
            "tensors": [[tensor.name, list(tensor.shape), tensor.dtype] for tensor in known.tensors],
            "notes": list(known.notes),
            "modules": [node.path for node in self.shelf.tree(given).walk()],
        }

    def preview(self, source: str = "demo", recipe: str = "") -> dict[str, Any]:
        """Say what a recipe matches and how much would go, step by step; no weight is read."""
        return bp.preview(self.shelf.checkpoint(self._source(source)), self._recipe(recipe)).to_dict()

    def prune(self, source: str = "demo", recipe: str = "", seed: int = 0) -> dict[str, Any]:
        """Prune; give the report as data: every target with its size, masked, zero and alive entries."""
        return self.shelf.run(self._done(source, recipe, seed)).report.to_dict()

    def inspect(self, source: str = "demo", module: str = "", recipe: str = "", seed: int = 0) -> dict[str, Any]:
        """Show one module before, and with a recipe also after: tensors, hooks, state_dict keys."""
        before = self.shelf.before(self._source(source)).module(str(module)).to_dict()
        if not str(recipe).strip():
            return {"before": before}
        after = self.shelf.run(self._done(source, recipe, seed)).after
        return {"before": before, "after": after.module(str(module)).to_dict()}

    def report(self, source: str = "demo", recipe: str = "", seed: int = 0) -> str:
        """Prune; give the report as text."""
        return self.shelf.run(self._done(source, recipe, seed)).report.to_text()

    def evaluate(self, source: str = "demo", recipe: str = "", seed: int = 0) -> dict[str, Any]:
        """Prune, and measure quality before and after on the labelled samples of the demo."""
        return cost.measure("en", self.shelf, self._done(source, recipe, seed), "samples", None).to_dict()

    def export(self, source: str = "demo", recipe: str = "", seed: int = 0, form: str = "baked") -> str:
        """Prune, write the checkpoint (`baked` or `masked`), read it back and compare it, and give it as a zip."""
        return str(take.build("en", self.shelf, self._done(source, recipe, seed), form).zip)

    def _source(self, given: str) -> Source:
        name, _, revision = str(given).strip().partition("@")
        kind = name if name in model.EMBEDDED else "hub"
        return model.open_source("en", self.shelf, model.Wanted(kind, hub_id=name, revision=revision), Source())

    def _recipe(self, text: str) -> bp.Recipe:
        if not str(text).strip():
            raise PageError("the recipe is empty; give it as YAML or JSON text")
        return self.shelf.admitted(bp.Recipe.from_yaml(str(text)))  # JSON is YAML too

    def _done(self, source: str, recipe: str, seed: int) -> Done:
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
            raise PageError(f"the seed must be a whole number, 0 or more, not {repr(seed)[:60]}")
        return Done(self._source(source), self._recipe(recipe), seed)


def publish(shelf: Shelf) -> None:
    """Open the endpoints; errors are the library's one line."""
    api, heavy = Api(shelf), {"concurrency_id": "heavy", "concurrency_limit": 1}
    for verb in (api.load, api.preview, api.inspect):
        gr.api(plainly(verb), api_name=verb.__name__, concurrency_limit=4)
    for verb in (api.prune, api.report, api.evaluate):
        gr.api(plainly(verb), api_name=verb.__name__, **heavy)
    fields = [
        gr.Textbox("demo", label="source", visible=False),
        gr.Textbox("", label="recipe", visible=False),
        gr.Number(0, label="seed", precision=0, visible=False),
        gr.Textbox("baked", label="form", visible=False),
    ]
    file = gr.File(label="zip", visible=False)
    gr.Button(visible=False).click(plainly(api.export), fields, file, api_name="export", **heavy)


def plainly(verb: Any) -> Any:
    """Give a program the library's line as it is, and of anything else only that it happened."""

    @functools.wraps(verb)
    def called(*values: Any, **named: Any) -> Any:
        with told(verb, functools.partial(reason, "en")):
            return verb(*values, **named)

    return called
