"""Which models are compared, and how they are run: unchanged, reproducibly, and with progress."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import bertprune as bp
from bertprune.errors import DataError

DATA = [("the film was good", 1), ("bad plot and boring music", 0), ("fine acting", 1), ("awful", 0)]


@pytest.fixture
def run(tiny_folder: Callable[..., Path]) -> Any:
    """Give a run that prunes half of the encoder's weights."""
    return bp.prune(tiny_folder(), bp.Step(method="l1_unstructured", fraction=0.5, select="encoder.*"))


def test_a_run_is_compared_with_its_own_checkpoint(run: Any) -> None:
    report = bp.evaluate(run, DATA)
    assert (report.before_name, report.after_name) == (run.checkpoint.name, f"{run.checkpoint.name}, pruned")
    by_hand = bp.evaluate(
        run.model, DATA, baseline=run.checkpoint.model(run.seed), tokenizer=run.checkpoint.tokenizer()
    )
    assert dict(by_hand.scores) == dict(report.scores)
    assert dict(by_hand.fidelity) == dict(report.fidelity)


def test_the_shared_model_of_the_checkpoint_is_not_changed(run: Any) -> None:
    shared = run.checkpoint.model(run.seed)
    before = {name: value.clone() for name, value in shared.state_dict().items()}
    hooks = [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in shared.modules()]
    bp.evaluate(run, [text for text, _ in DATA])
    assert all(torch.equal(value, before[name]) for name, value in shared.state_dict().items())
    assert [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in shared.modules()] == hooks


def test_runs_folders_and_checkpoints_can_be_compared(run: Any, tiny_folder: Callable[..., Path]) -> None:
    other = tiny_folder(seed=1)
    names = {"before_name": other.name, "after_name": f"{run.checkpoint.name}, pruned"}
    for baseline in (other, str(other), bp.Checkpoint.open(other)):
        report = bp.evaluate(run, DATA, baseline=baseline)
        assert {name: getattr(report, name) for name in names} == names
    turned = bp.evaluate(other, DATA, baseline=run)
    assert (turned.before_name, turned.after_name) == (names["after_name"], names["before_name"])
    assert turned["accuracy"].difference.value == -report["accuracy"].difference.value


def test_a_model_passed_as_an_object_uses_the_tokenizer_of_its_baseline(run: Any) -> None:
    for baseline in (run, run.checkpoint):
        assert bp.evaluate(run.model, DATA, baseline=baseline).examples == len(DATA)


def test_another_tokenizer_can_be_given_by_folder_or_object(
    tiny_folder: Callable[..., Path], tiny_tokenizer: Any, tiny_classifier: Any
) -> None:
    bare, full = tiny_folder(tokenizer=False), tiny_folder()
    with pytest.raises(DataError, match=rf"{bare.name} has no tokenizer"):
        bp.evaluate(bare, DATA)
    plain = bp.evaluate(bare, DATA, tokenizer=full)
    assert dict(plain.scores) == dict(bp.evaluate(bare, DATA, tokenizer=tiny_tokenizer).scores)
    assert dict(plain.scores) == dict(bp.evaluate(bare, DATA, tokenizer=str(full)).scores)
    assert bp.evaluate(tiny_classifier, DATA, tokenizer=full).examples == len(DATA)


def test_a_tokenizer_alone_in_a_folder_is_enough(tmp_path: Path, tiny_tokenizer: Any, tiny_classifier: Any) -> None:
    tiny_tokenizer.save_pretrained(tmp_path / "words")
    assert bp.evaluate(tiny_classifier, DATA, tokenizer=tmp_path / "words").examples == len(DATA)


def test_a_model_passed_as_an_object_needs_a_tokenizer(tiny_classifier: Any) -> None:
    with pytest.raises(DataError, match=r"^a model that is passed as an object has no tokenizer: pass tokenizer=$"):
        bp.evaluate(tiny_classifier, DATA)
    with pytest.raises(DataError, match="tokenizer is of type int: expected a tokenizer, a folder or a name"):
        bp.evaluate(tiny_classifier, DATA, tokenizer=3)


def test_only_transformers_models_with_weights_are_evaluated(tiny_classifier: Any, tiny_tokenizer: Any) -> None:
    for model in (torch.nn.Linear(2, 2), None):
        with pytest.raises(DataError, match=rf"model is of type {type(model).__name__}: expected a transformers model"):
            bp.evaluate(model, DATA, tokenizer=tiny_tokenizer)
    with pytest.raises(DataError, match="baseline is of type Linear"):
        bp.evaluate(tiny_classifier, DATA, baseline=torch.nn.Linear(2, 2), tokenizer=tiny_tokenizer)
    with pytest.raises(DataError, match="on the meta device: load its weights first"):
        bp.evaluate(tiny_classifier.to("meta"), DATA, tokenizer=tiny_tokenizer)


def test_models_with_different_heads_or_classes_are_not_compared(
    tiny_classifier: Any, tiny_mlm: Any, tiny_tokenizer: Any
) -> None:
    message = "baseline is a BertForMaskedLM, model a BertForSequenceClassification: expected the same head"
    with pytest.raises(DataError, match=message):
        bp.evaluate(tiny_classifier, DATA, baseline=tiny_mlm, tokenizer=tiny_tokenizer)
    other = copy.deepcopy(tiny_classifier)
    other.config.id2label = {0: "bad", 1: "good"}
    with pytest.raises(DataError, match="the same classes"):
        bp.evaluate(tiny_classifier, DATA, baseline=other, tokenizer=tiny_tokenizer)


def test_a_classifier_of_several_labels_per_text_is_refused(tiny_classifier: Any, tiny_tokenizer: Any) -> None:
    tiny_classifier.config.problem_type = "multi_label_classification"
    with pytest.raises(DataError, match="assigns several labels to a text"):
        bp.evaluate(tiny_classifier, DATA, tokenizer=tiny_tokenizer)


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(
    make_tiny: Callable[..., Any], tiny_tokenizer: Any
) -> None:
    small = make_tiny("BertForSequenceClassification", vocab_size=60)
    with pytest.raises(
        DataError, match=r"token id \d+, but BertForSequenceClassification has only 60 token embeddings"
    ):
        bp.evaluate(small, DATA, tokenizer=tiny_tokenizer)


def test_the_global_random_state_is_neither_read_nor_changed(
    tiny_mlm: Any, prune_half: Callable[[Any], Any], tiny_tokenizer: Any, texts: list[str]
) -> None:
    def state() -> tuple[bytes, bytes]:
        return torch.get_rng_state().numpy().tobytes(), np.random.get_state()[1].tobytes()

    def run() -> Any:
        figures = bp.evaluate(pruned, texts[:40], baseline=tiny_mlm, tokenizer=tiny_tokenizer).to_dict()
        return figures | {"seconds": None}

    pruned = prune_half(tiny_mlm)
    before, first = state(), run()
    assert state() == before
    torch.rand(3)
    assert run() == first


def test_progress_rises_from_zero_to_one(tiny_mlm: Any, tiny_tokenizer: Any, texts: list[str]) -> None:
    calls: list[tuple[float, str]] = []
    bp.evaluate(tiny_mlm, texts, baseline=tiny_mlm, tokenizer=tiny_tokenizer, progress=lambda *one: calls.append(one))
    shares = [share for share, _ in calls]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert calls[0][1] == "tokenising 120 texts"


def test_long_texts_are_cut_to_what_the_model_reads_and_counted(
    make_tiny: Callable[..., Any], tiny_tokenizer: Any
) -> None:
    model = make_tiny("RobertaModel")  # 32 positions, of which one is used for padding
    data = [("good " * words, "bad", float(words)) for words in (1, 2, 28, 29, 30, 90)]
    report = bp.evaluate(model, data, tokenizer=tiny_tokenizer)
    assert report.max_length == 31
    assert report.notes[0] == "2 of 12 texts were truncated to 31 tokens"
    shorter = bp.evaluate(model, data, tokenizer=tiny_tokenizer, max_length=10)
    assert shorter.max_length == 10
    assert shorter.notes[0] == "4 of 12 texts were truncated to 10 tokens"


def test_a_model_with_one_segment_reads_pairs(make_tiny: Callable[..., Any], tiny_tokenizer: Any) -> None:
    model = make_tiny("RobertaForSequenceClassification", type_vocab_size=1)
    data = [{"premise": "good film", "hypothesis": "bad film", "label": 0}]
    assert bp.evaluate(model, data, tokenizer=tiny_tokenizer).examples == 1


def test_a_wrapped_model_is_to_be_unwrapped(tiny: Callable[..., Any], tiny_tokenizer: Any) -> None:
    model = tiny("BertForSequenceClassification")
    for wrapped, inner in ((torch.nn.DataParallel(model), "module"), (torch.compile(model), "_orig_mod")):
        for measure in (bp.evaluate, bp.try_text):
            with pytest.raises(
                DataError, match=rf"model is wrapped in {type(wrapped).__name__}: unwrap it, pass its \.{inner}$"
            ):
                measure(wrapped, "samples" if measure is bp.evaluate else "good", tokenizer=tiny_tokenizer)
