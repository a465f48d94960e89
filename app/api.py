"""The page's public API for `gradio_client`: every call names its checkpoint, recipe and seed; nothing is kept.

A `source` is the name of an embedded checkpoint or a Hub id (`org/name`, or `org/name@revision`); a `recipe`
is YAML or JSON text; `texts`, one a line, are for steps that read calibration texts, and the embedded checkpoints bring
some; a run is a pure function of these and the seed.
"""

import functools
import inspect
from typing import Any

import gradio as gr

import bertprune as bp

from .errors import PageError, error_text, showing_errors
from .exporting import export
from .opening import check_texts, open_given, open_hub, take_lines
from .runs import EMBEDDED, Given, RunKey, Source
from .store import Store
from .tabs import cost, search

_ARGS = {
    "source": "An embedded name (demo, demo-mlm, kobert-shape) or a Hub id, also org/name@revision.",
    "recipe": "Steps as YAML or JSON.",
    "module": "The path of a module, such as bert.encoder.layer.0.attention.self.key.",
    "seed": "A whole number from which the random choices are made.",
    "macs": "The share of the multiply-accumulates that may stay, above 0 and below 1.",
    "form": "`baked`, `small`, `masked` or `onnx`.",
    "precision": "`float16` or `bfloat16`, or `int8` for ONNX; empty for the numbers of the source.",
    "texts": "Calibration texts, one a line; empty for those that an embedded checkpoint brings.",
}
"""What each argument is; agents read it in the docstrings."""


VERBS = ("load", "preview", "inspect", "prune", "report", "evaluate", "plan", "export")


def _in_turn(verb: Any) -> Any:
    """Have a method wait for its turn, as work on the page does."""

    @functools.wraps(verb)
    def waiting(self: "Api", *values: Any, **named: Any) -> Any:
        with self.store.gate.work():
            return verb(self, *values, **named)

    return waiting


class Api:
    """The functions of the library, as programs elsewhere call them."""

    def __init__(self, store: Store) -> None:
        """Work on what all visitors share."""
        self.store = store

    def load(self, source: str = "demo") -> dict[str, Any]:
        """Open a checkpoint by its headers: architecture, parameters, dtype, bytes, tensors, notes, module paths."""
        given = self._source(source)
        known = self.store.checkpoint(given).facts
        return {
            "architecture": known.architecture,
            "parameters": known.parameters,
            "dtype": known.dtype,
            "bytes": known.bytes,
            "tensors": [[tensor.name, list(tensor.shape), tensor.dtype] for tensor in known.tensors],
            "notes": list(known.notes),
            "modules": [node.path for node in self.store.tree(given).walk()],
        }

    def preview(self, source: str = "demo", recipe: str = "") -> dict[str, Any]:
        """Preview what each step of a recipe matches and how much it would prune; no weight is read."""
        return bp.preview(self.store.checkpoint(self._source(source)), self._recipe(recipe)).to_dict()

    @_in_turn
    def prune(self, source: str = "demo", recipe: str = "", seed: int = 0, texts: str = "") -> dict[str, Any]:
        """Prune; return the report as data: every target with its size, masked, zero and alive entries; and notes."""
        run = self.store.run(self._key(source, recipe, seed, texts))
        return {**run.report.to_dict(), "notes": list(run.notes)}

    def inspect(
        self, source: str = "demo", module: str = "", recipe: str = "", seed: int = 0, texts: str = ""
    ) -> dict[str, Any]:
        """Show one module before, and with a recipe also after pruning: tensors, hooks, state_dict keys."""
        before = self.store.before(self._source(source)).module(str(module)).to_dict()
        if not str(recipe).strip():
            return {"before": before}
        after = self.store.run(self._key(source, recipe, seed, texts)).after
        return {"before": before, "after": after.module(str(module)).to_dict()}

    @_in_turn
    def report(self, source: str = "demo", recipe: str = "", seed: int = 0, texts: str = "") -> str:
        """Prune; return the report as text."""
        return self.store.run(self._key(source, recipe, seed, texts)).report.to_text()

    @_in_turn
    def evaluate(self, source: str = "demo", recipe: str = "", seed: int = 0, texts: str = "") -> dict[str, Any]:
        """Prune, and measure quality before and after on the labelled samples of the demo."""
        key = self._key(source, recipe, seed, texts)
        return dict(cost.evaluated(self.store, key, "samples", "").to_dict())

    def plan(self, source: str = "demo", macs: float = 0.5, texts: str = "") -> str:
        """Turn a budget into a recipe, as YAML: how much goes of each part, and by which score."""
        opened = self._source(source)
        given = _given(texts).all_of(opened)
        return search.planned(self.store, opened, macs, given, self.store.timed()).to_yaml()

    @_in_turn
    def export(
        self,
        source: str = "demo",
        recipe: str = "",
        seed: int = 0,
        form: str = "baked",
        precision: str = "",
        texts: str = "",
    ) -> str:
        """Prune and export the checkpoint as a zip, after it was read back and compared."""
        return str(export(self.store, self._key(source, recipe, seed, texts), form, str(precision)).zip)

    def _source(self, given: str) -> Source:
        name, _, revision = str(given).strip().partition("@")
        return open_given(self.store, name) if name in EMBEDDED else open_hub(self.store, name, revision)

    def _recipe(self, text: str) -> bp.Recipe:
        if not str(text).strip():
            raise PageError("api_no_recipe")
        return self.store.admitted(bp.Recipe.from_yaml(str(text)))  # JSON is YAML too

    def _key(self, source: str, recipe: str, seed: int, lines: str) -> RunKey:
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
            raise PageError("api_seed", given=repr(seed)[:60])
        opened, steps = self._source(source), self._recipe(recipe)
        texts = _given(lines).chosen(opened, steps)
        check_texts(texts)
        return RunKey(opened, steps, seed, texts)


def _given(lines: str) -> Given:
    """Return the texts of a call; without any, those that a checkpoint brings."""
    return Given(take_lines(lines), "file") if str(lines).strip() else Given()


def publish(store: Store) -> None:
    """Publish the endpoints; errors are the library's one line."""
    api, heavy = Api(store), {"concurrency_id": "heavy", "concurrency_limit": 1}
    for verb in (api.load, api.preview, api.inspect):
        gr.api(with_plain_errors(verb), api_name=verb.__name__, concurrency_limit=4)
    for verb in (api.prune, api.report, api.evaluate):
        gr.api(with_plain_errors(verb), api_name=verb.__name__, **heavy)
    gr.api(with_plain_errors(api.plan), api_name="plan", concurrency_id="search", concurrency_limit=1)
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
    """Answer with the library's line where it raises an error, with a general one for anything else; document it."""

    @functools.wraps(verb)
    def called(*values: Any, **named: Any) -> Any:
        with showing_errors(verb, functools.partial(error_text, "en")):
            return verb(*values, **named)

    given = [f"    {name}: {_ARGS[name]}" for name in inspect.signature(verb).parameters]
    called.__doc__ = "\n".join([inspect.getdoc(verb) or "", "", "Args:", *given])
    return called
