"""The page's public API for `gradio_client`: every call names its checkpoint, recipe and seed; nothing is kept.

A `source` is the name of an embedded checkpoint or a Hub id (`org/name`, or `org/name@revision`); a `recipe`
is YAML or JSON text; `texts`, one a line, are for steps that read calibration texts, and the embedded checkpoints bring
some; a run is a pure function of these and the seed.
"""

import functools
from typing import Any

import gradio as gr

import bertprune as bp

from .handlers import cost, model, take, texts
from .session import Done, Shelf, Source
from .trouble import PageError, error_text, showing_errors


class Api:
    """The functions of the library, as programs elsewhere call them."""

    def __init__(self, shelf: Shelf) -> None:
        """Work on what all visitors share."""
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
        """Preview what each step of a recipe matches and how much it would prune; no weight is read."""
        return bp.preview(self.shelf.checkpoint(self._source(source)), self._recipe(recipe)).to_dict()

    def prune(self, source: str = "demo", recipe: str = "", seed: int = 0, texts: str = "") -> dict[str, Any]:
        """Prune; return the report as data: every target with its size, masked, zero and alive entries; and notes."""
        run = self.shelf.run(self._done(source, recipe, seed, texts))
        return {**run.report.to_dict(), "notes": list(run.notes)}

    def inspect(
        self, source: str = "demo", module: str = "", recipe: str = "", seed: int = 0, texts: str = ""
    ) -> dict[str, Any]:
        """Show one module before, and with a recipe also after pruning: tensors, hooks, state_dict keys."""
        before = self.shelf.before(self._source(source)).module(str(module)).to_dict()
        if not str(recipe).strip():
            return {"before": before}
        after = self.shelf.run(self._done(source, recipe, seed, texts)).after
        return {"before": before, "after": after.module(str(module)).to_dict()}

    def report(self, source: str = "demo", recipe: str = "", seed: int = 0, texts: str = "") -> str:
        """Prune; return the report as text."""
        return self.shelf.run(self._done(source, recipe, seed, texts)).report.to_text()

    def evaluate(self, source: str = "demo", recipe: str = "", seed: int = 0, texts: str = "") -> dict[str, Any]:
        """Prune, and measure quality before and after on the labelled samples of the demo."""
        return cost.measure(self.shelf, self._done(source, recipe, seed, texts), "samples", None).to_dict()

    def export(
        self,
        source: str = "demo",
        recipe: str = "",
        seed: int = 0,
        form: str = "baked",
        precision: str = "",
        texts: str = "",
    ) -> str:
        """Prune and export the checkpoint as a zip, after it was read back and compared.

        Args:
            source: An embedded name or a Hub id.
            recipe: YAML or JSON.
            seed: From which the random choices are made.
            form: `baked`, `small`, `masked` or `onnx`.
            precision: `float16` or `bfloat16`, or `int8` for ONNX; empty for the numbers of the source.
            texts: Calibration texts, one a line; empty for those that an embedded checkpoint brings.
        """
        return str(take.build("en", self.shelf, self._done(source, recipe, seed, texts), form, str(precision)).zip)

    def _source(self, given: str) -> Source:
        name, _, revision = str(given).strip().partition("@")
        kind = name if name in model.EMBEDDED else "hub"
        return model.open_source(self.shelf, model.Wanted(kind, hub_id=name, revision=revision), Source())

    def _recipe(self, text: str) -> bp.Recipe:
        if not str(text).strip():
            raise PageError("api_no_recipe")
        return self.shelf.admitted(bp.Recipe.from_yaml(str(text)))  # JSON is YAML too

    def _done(self, source: str, recipe: str, seed: int, lines: str) -> Done:
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
            raise PageError("api_seed", given=repr(seed)[:60])
        opened, steps = self._source(source), self._recipe(recipe)
        given = texts.Given(texts.take_lines(lines), "file") if str(lines).strip() else texts.Given()
        return Done(opened, steps, seed, given.chosen(opened, steps))


def publish(shelf: Shelf) -> None:
    """Publish the endpoints; errors are the library's one line."""
    api, heavy = Api(shelf), {"concurrency_id": "heavy", "concurrency_limit": 1}
    for verb in (api.load, api.preview, api.inspect):
        gr.api(with_plain_errors(verb), api_name=verb.__name__, concurrency_limit=4)
    for verb in (api.prune, api.report, api.evaluate):
        gr.api(with_plain_errors(verb), api_name=verb.__name__, **heavy)
    fields = [
        gr.Textbox("demo", label="source", visible=False),
        gr.Textbox("", label="recipe", visible=False),
        gr.Number(0, label="seed", precision=0, visible=False),
        gr.Textbox("baked", label="form", visible=False),
        gr.Textbox("", label="precision", visible=False),
        gr.Textbox("", label="texts", visible=False),
    ]
    file = gr.File(label="zip", visible=False)
    gr.Button(visible=False).click(with_plain_errors(api.export), fields, file, api_name="export", **heavy)


def with_plain_errors(verb: Any) -> Any:
    """Answer with the library's line where it raises an error, and with a general one for anything else."""

    @functools.wraps(verb)
    def called(*values: Any, **named: Any) -> Any:
        with showing_errors(verb, functools.partial(error_text, "en")):
            return verb(*values, **named)

    return called
