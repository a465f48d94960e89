"""What is done to a model in any order: nothing is lost, nothing is invented.

A state machine opens, prunes, trains, bakes, exports and loads tiny models, tied and untied, in an order that
hypothesis chooses, and tries what must be refused. `make fuzz` takes thousands of steps.
"""

import hashlib
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
from tests.tiny_models import make_model

IDS = torch.tensor([[2, 5, 31, 3], [2, 90, 3, 0]])
MODELS = st.sampled_from(
    [
        ("BertForMaskedLM", {}),
        ("BertForMaskedLM", {"tie_word_embeddings": False}),
        ("RobertaForMaskedLM", {}),
        ("DistilBertForMaskedLM", {}),
        ("DistilBertModel", {}),
    ]
)
SELECTIONS = st.sampled_from(
    [
        bp.Selection(types="Linear"),
        bp.Selection(types="Embedding"),
        bp.Selection(roles=["attention.query", "ffn.output"]),
        bp.Selection(include="*word_embeddings"),
        bp.Selection(layers=[1]),
    ]
)
ELEMENTS = st.builds(
    bp.Step,
    method=st.sampled_from(["l1_unstructured", "random_unstructured"]),
    fraction=st.sampled_from([0.1, 0.5, 0.9]),
    select=SELECTIONS,
)
EVERYWHERE = st.builds(
    bp.Step, method=st.just("l1_unstructured"), scope=st.just("global"), count=st.integers(1, 40), select=SELECTIONS
)
ROWS = st.builds(
    bp.Step,
    method=st.sampled_from(["ln_structured", "random_structured"]),
    fraction=st.sampled_from([0.1, 0.5]),
    options=st.sampled_from([{"dim": 0}, {"dim": 1}]),
    select=SELECTIONS,
)
STEPS = ELEMENTS | EVERYWHERE | ROWS
TORCH = st.sampled_from(["l1", "random"])
FORMS = st.sampled_from(["baked", "masked"])
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
            with pytest.raises(bp.BertpruneError) as caught:
                attempt(self.model, self.source)
            assert caught.value.code == code
            assert dict(bp.methods()) == known
        assert state(self.model) == before

    @rule(at=st.integers(0, 50), tied=st.booleans(), amount=st.sampled_from([3, 0.5]), method=TORCH)
    def prune_by_torch(self, at: int, tied: bool, amount: float, method: str) -> None:
        modules = [one for one in self.model.modules() if isinstance(one, nn.Linear | nn.Embedding)]
        if tied and (shared := shared_weights(self.model)):
            modules = [self.model.get_submodule(path) for path in shared]
        with torch.random.fork_rng(devices=[]):
            try:
                getattr(prune, f"{method}_unstructured")(modules[at % len(modules)], "weight", amount)
            except ValueError as error:  # nothing is left to prune
                assert "amount" in str(error)

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


def assert_removed(outcome: Any, step: bp.Step) -> None:
    """Exactly the asked number goes, of what was alive."""
    if step.method.endswith("unstructured"):
        if step.scope == "global":
            assert outcome.removed == step.count
        else:
            assert all(one.removed == round(step.fraction * one.alive_before) for one in outcome.tensors)


def hash_of(folder: Path) -> str:
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        whole.update(path.name.encode() + (path.read_bytes() if path.is_file() else b""))
    return whole.hexdigest()


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(
    max_examples=settings().max_examples // 10,
    stateful_step_count=12,
    deadline=None,
    phases=[Phase.generate],  # a failure is short enough as it is, and making it shorter takes minutes
)
