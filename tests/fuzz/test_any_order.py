"""What is done to a model in any order: nothing is lost, nothing is invented.

A state machine opens, prunes, trains, bakes, exports and loads tiny models, tied and untied, in an order that
hypothesis chooses, and tries what must be refused. `make fuzz` takes thousands of steps.
"""

import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from torch import nn
from torch.nn.utils import prune

import bertprune as bp
from tests.fuzz.drawn import FORMS, MODELS, STEPS, TORCH
from tests.fuzz.model_state import (
    has_uneven_ties,
    has_uneven_values,
    hash_of,
    masked_weights,
    masks,
    nonzero,
    outputs,
    revived,
    shared_weights,
    state,
    ties,
    zero_weights,
)  # fmt: skip
from tests.tiny_models import make_model

COMPANIONS = {
    "generation_config.json": {"max_length": 7},
    "modules.json": [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ],
    "1_Pooling/config.json": {"word_embedding_dimension": 32, "pooling_mode_cls_token": True},
    "sentence_bert_config.json": {"max_seq_length": 12, "do_lower_case": False},
}
"""The files of an embedding folder, which go along with every export."""


def writes(weight: torch.Tensor) -> torch.Tensor:
    """Write into the weight, by mistake."""
    return weight.mul_(2).abs_()


def fails(weight: torch.Tensor) -> torch.Tensor:
    """Fail, as a method may."""
    raise IndexError(weight.shape)


def half(method: str, **select: Any) -> bp.Step:
    return bp.Step(method=method, fraction=0.5, select=bp.Selection(types="Linear", **select))


REFUSED: dict[str, Callable[[Any, Path], Any]] = {
    "selection.unmatched_glob": lambda model, _: bp.apply(model, half("l1_unstructured", exclude="zzz.*")),
    "method.writes": lambda model, _: bp.apply(model, [half("random_unstructured"), half("writes")]),
    "method.failed_on": lambda _, source: bp.prune(source, half("fails")),
    "method.needed_option": lambda *_: bp.method("l1_unstructured", removes="slice", replace=True)(fails),
    "method.taken": lambda *_: bp.method("l1_unstructured")(writes),
}
"""What is refused, whatever happened before, by the code of its error."""


@pytest.fixture(autouse=True)
def methods(temporary_methods: Any) -> None:
    """Register two methods that must not be written."""
    bp.method("writes")(writes)
    bp.method("fails")(fails)


class AnyOrder(RuleBasedStateMachine):
    """One model, the folder that it came from, and everything that may happen to them."""

    @initialize(kind=MODELS, seed=st.integers(0, 3), step=st.none() | STEPS)
    def open(self, kind: tuple[str, dict[str, Any]], seed: int, step: bp.Step | None) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.folders = 0
        name, changes = kind
        self.adopt(self.new_folder())
        make_model(name, seed, **changes).save_pretrained(self.source)
        for file, content in COMPANIONS.items():
            (self.source / file).parent.mkdir(exist_ok=True)
            (self.source / file).write_text(json.dumps(content))
        self.bytes = hash_of(self.source)
        self.model = bp.load(self.source)
        self.random = torch.get_rng_state()
        if step is not None:
            self.prune_the_checkpoint(step, seed)

    def teardown(self) -> None:
        if hasattr(self, "root"):
            shutil.rmtree(self.root)

    @rule(step=STEPS, seed=st.integers(0, 2))
    def prune_the_checkpoint(self, step: bp.Step, seed: int) -> None:
        with quiet():
            run = bp.prune(self.source, step, seed)
        self.model, self.run = run.model, run
        counted = bp.sparsity(run.model)
        assert counted.to_dict() == run.report.to_dict()
        assert_removed(run.steps[0], step)

    @rule(step=STEPS)
    def prune_the_model(self, step: bp.Step) -> None:
        before, alive, kept = state(self.model), nonzero(self.model), masks(self.model)
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", bp.NoEffectWarning)
                (outcome,) = bp.apply(self.model, step)
        except bp.BertpruneError:
            assert state(self.model) == before  # all or nothing
        else:
            assert_removed(outcome, step)
            assert bool(caught) == (nonzero(self.model) == alive)
        assert not any(map(revived, kept.values(), map(masks(self.model).get, kept)))

    @rule()
    def try_what_is_refused(self) -> None:
        before, known = state(self.model), dict(bp.methods())
        for code, attempt in REFUSED.items():
            with pytest.raises(bp.BertpruneError) as caught, warnings.catch_warnings():
                warnings.simplefilter("ignore", bp.NoEffectWarning)  # the first of two steps may find only zeros
                attempt(self.model, self.source)
            assert caught.value.code == code
            assert dict(bp.methods()) == known
        assert state(self.model) == before

    @rule(at=st.integers(0, 50), tied=st.booleans(), amount=st.sampled_from([3, 0.5]), method=TORCH)
    def prune_by_torch(self, at: int, tied: bool, amount: float, method: str) -> None:
        modules = [one for one in self.model.modules() if isinstance(one, nn.Linear | nn.Embedding)]
        if tied and (shared := shared_weights(self.model)):
            modules = [self.model.get_submodule(path) for path in shared]
        module = modules[at % len(modules)]
        hooks = dict(module._forward_pre_hooks)
        with torch.random.fork_rng(devices=[]):
            try:
                getattr(prune, f"{method}_unstructured")(module, "weight", amount)
            except ValueError as error:  # nothing is left to prune
                assert "amount" in str(error)
                module._forward_pre_hooks.update(hooks)  # torch takes them off before it fails

    @rule()
    def train(self) -> None:
        self.model.zero_grad()
        outputs(self.model).square().mean().backward()
        with torch.no_grad():
            for parameter in self.model.parameters():
                if parameter.grad is not None:
                    parameter -= 0.1 * parameter.grad
        self.model.zero_grad()

    @rule()
    def bake(self) -> None:
        before, tied, uneven = outputs(self.model), ties(self.model), has_uneven_values(self.model)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            bp.bake(self.model)
        assert torch.equal(outputs(self.model), before)
        assert not any(one._forward_pre_hooks for one in self.model.modules())
        assert bool(caught) == uneven
        assert uneven or ties(self.model) == tied

    @rule(form=FORMS, go_on=st.booleans())
    def export(self, form: str, go_on: bool) -> None:
        out, held = self.new_folder(), state(self.model)
        source, like = (self.model, self.source) if self.run is None else (self.run, None)
        if form == "masked" and has_uneven_ties(self.model):
            with pytest.raises(bp.BertpruneError, match="export it baked"):
                bp.export(source, out, form, like=like)
            assert not out.exists()
            return
        bp.export(source, out, form, like=like)
        assert state(self.model) == held  # writing changes nothing
        self.check_what_was_written(out, form)
        if go_on:
            self.adopt(out)
            self.model = bp.load(out)

    @rule(go_on=st.booleans())
    def export_small(self, go_on: bool) -> None:
        out, held = self.new_folder(), state(self.model)
        source, like = (self.model, self.source) if self.run is None else (self.run, None)
        try:
            result = bp.export(source, out, "small", like=like)
        except bp.BertpruneError as error:
            assert error.code in ("exports.nothing_small", "exports.not_masked")
            assert not out.exists()
            return
        assert state(self.model) == held
        back = bp.load(out)
        plain = type(back).from_pretrained(out).eval()
        for one in (back, plain):
            torch.testing.assert_close(outputs(one), outputs(self.model), rtol=1e-4, atol=1e-5)
        assert (result.loads == "plain") == type(back).__module__.startswith("transformers.")
        counted = json.loads((out / "report.json").read_text())["small"]["parameters"]
        assert counted[1] == sum(p.numel() for p in back.parameters())
        assert has_uneven_ties(self.model) or counted[1] < counted[0]
        if go_on:
            self.adopt(out)
            self.model = bp.load(out)

    def check_what_was_written(self, out: Path, form: str) -> None:
        before, back = outputs(self.model), bp.load(out)
        assert torch.equal(outputs(back), before)
        assert has_uneven_ties(self.model) or ties(back) == ties(self.model)
        if form == "baked":
            assert torch.equal(outputs(type(back).from_pretrained(out).eval()), before)
        else:
            assert masks(back) == masks(self.model)
        for file, content in COMPANIONS.items():
            assert json.loads((out / file).read_text()) == content

    @precondition(lambda self: not ties(self.model))
    @rule()
    def save_by_transformers(self) -> None:
        before, out = outputs(self.model), self.new_folder()
        self.model.save_pretrained(out)
        back = bp.load(out)
        assert torch.equal(outputs(back), before)
        assert masks(back) == masks(self.model)

    @invariant()
    def counts_add_up(self) -> None:
        if not hasattr(self, "model"):
            return
        report = bp.sparsity(self.model)
        for one in report.targets:
            assert one.count.size == one.count.masked + one.count.zero + one.count.alive
        assert report.total.masked == masked_weights(self.model)
        assert sum(one.count.zero for one in report.tensors) == zero_weights(self.model)

    @invariant()
    def nothing_else_changed(self) -> None:
        if not hasattr(self, "model"):
            return
        assert hash_of(self.source) == self.bytes
        assert torch.equal(torch.get_rng_state(), self.random)

    def new_folder(self) -> Path:
        self.folders += 1
        return self.root / str(self.folders)

    def adopt(self, folder: Path) -> None:
        self.source, self.run = folder, None
        self.bytes = hash_of(folder) if folder.exists() else ""


@contextmanager
def quiet() -> Iterator[None]:
    """Let steps prune nothing, or zeros only, which is warned of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.NoEffectWarning)
        yield


def assert_removed(outcome: Any, step: bp.Step) -> None:
    """Exactly the asked number goes, of what was alive."""
    if step.method.endswith("unstructured"):
        if step.scope == "global":
            assert outcome.removed == step.count
        else:
            assert all(one.removed == round(step.fraction * one.alive_before) for one in outcome.tensors)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(
    max_examples=settings().max_examples // 6,
    stateful_step_count=20,
    deadline=None,
    phases=[Phase.generate],  # a failure is short enough as it is, and making it shorter takes minutes
)
