"""Who is compared with whom, and what cannot be."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import bertprune as bp
from bertprune.errors import DataError

DATA = [("the film was good", 1), ("bad plot and boring music", 0), ("fine acting", 1), ("awful", 0)]


@pytest.fixture
def run(tiny_folder: Callable[..., Path]) -> Any:
    """Give a run that takes half of the encoder's weights away."""
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


def test_two_runs_and_folders_and_checkpoints_may_be_compared(run: Any, tiny_folder: Callable[..., Path]) -> None:
    other = tiny_folder(seed=1)
    names = {"before_name": other.name, "after_name": f"{run.checkpoint.name}, pruned"}
    for baseline in (other, str(other), bp.Checkpoint.open(other)):
        report = bp.evaluate(run, DATA, baseline=baseline)
        assert {name: getattr(report, name) for name in names} == names
    turned = bp.evaluate(other, DATA, baseline=run)
    assert (turned.before_name, turned.after_name) == (names["after_name"], names["before_name"])
    assert turned["accuracy"].difference.value == -report["accuracy"].difference.value


def test_the_baseline_lends_its_tokenizer_to_a_model_that_is_held(run: Any) -> None:
    for baseline in (run, run.checkpoint):
        assert bp.evaluate(run.model, DATA, baseline=baseline).examples == len(DATA)


def test_another_tokenizer_may_be_given_by_folder_or_object(
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


def test_a_model_of_ones_own_needs_a_tokenizer(tiny_classifier: Any) -> None:
    with pytest.raises(DataError, match=r"^a model of one's own comes without its tokenizer: pass tokenizer=$"):
        bp.evaluate(tiny_classifier, DATA)
    with pytest.raises(DataError, match="tokenizer is a int: expected a tokenizer, a folder or a name"):
        bp.evaluate(tiny_classifier, DATA, tokenizer=3)


def test_what_is_no_transformers_model_is_refused(tiny_classifier: Any, tiny_tokenizer: Any) -> None:
    for model in (torch.nn.Linear(2, 2), 7, None):
        with pytest.raises(DataError, match=rf"model is a {type(model).__name__}: expected a transformers model"):
            bp.evaluate(model, DATA, tokenizer=tiny_tokenizer)
    with pytest.raises(DataError, match="baseline is a Linear"):
        bp.evaluate(tiny_classifier, DATA, baseline=torch.nn.Linear(2, 2), tokenizer=tiny_tokenizer)
    with pytest.raises(DataError, match="on the meta device: load its weights first"):
        bp.evaluate(tiny_classifier.to("meta"), DATA, tokenizer=tiny_tokenizer)


def test_different_heads_and_classes_are_not_compared(tiny_classifier: Any, tiny_mlm: Any, tiny_tokenizer: Any) -> None:
    message = "baseline is a BertForMaskedLM, model a BertForSequenceClassification: expected the same head"
    with pytest.raises(DataError, match=message):
        bp.evaluate(tiny_classifier, DATA, baseline=tiny_mlm, tokenizer=tiny_tokenizer)
    other = copy.deepcopy(tiny_classifier)
    other.config.id2label = {0: "bad", 1: "good"}
    with pytest.raises(DataError, match="the same classes"):
        bp.evaluate(tiny_classifier, DATA, baseline=other, tokenizer=tiny_tokenizer)


def test_several_labels_a_text_are_refused(tiny_classifier: Any, tiny_tokenizer: Any) -> None:
    tiny_classifier.config.problem_type = "multi_label_classification"
    with pytest.raises(DataError, match="gives several labels a text"):
        bp.evaluate(tiny_classifier, DATA, tokenizer=tiny_tokenizer)


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(
    make_tiny: Callable[..., Any], tiny_tokenizer: Any
) -> None:
    small = make_tiny("BertForSequenceClassification", vocab_size=60)
    with pytest.raises(DataError, match=r"gives token \d+, but the model knows 60: pass the tokenizer of its training"):
        bp.evaluate(small, DATA, tokenizer=tiny_tokenizer)


def test_labels_that_the_model_does_not_know_are_named(tiny_classifier: Any, tiny_tokenizer: Any) -> None:
    with pytest.raises(DataError, match=r"item 2: unknown label 'meh'; the model knows LABEL_0 \(0\), LABEL_1 \(1\)"):
        bp.evaluate(tiny_classifier, [("good", "LABEL_1"), ("bad", "meh")], tokenizer=tiny_tokenizer)


def test_outputs_that_are_no_numbers_are_named(tiny_classifier: Any, tiny_tokenizer: Any) -> None:
    broken = copy.deepcopy(tiny_classifier)
    with torch.no_grad():
        broken.classifier.bias.fill_(float("nan"))
    with pytest.raises(DataError, match="gives NaN or infinite outputs for 4 of 4 texts: look at its weights"):
        bp.evaluate(broken, DATA, baseline=tiny_classifier, tokenizer=tiny_tokenizer)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, r"batch_size=0: must be a whole number, 1 or more"),
        ({"batch_size": True}, "batch_size=True"),
        ({"max_length": 2}, r"max_length=2: must be a whole number of tokens from 3 to 32"),
        ({"max_length": 33}, r"max_length=33"),
        ({"limit": 0}, "limit=0"),
        ({"seed": -1}, "seed=-1: must be a whole number, 0 or more"),
        ({"seed": 1.5}, "seed=1.5"),
        ({"label": "mood"}, "has no column 'mood'"),
    ],
)
def test_options_out_of_range_are_named(
    tiny_classifier: Any, tiny_tokenizer: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        bp.evaluate(tiny_classifier, DATA, tokenizer=tiny_tokenizer, **options)


@pytest.mark.parametrize("scores", [[1.0, 1.0, 1.0], [1.0, 2.0]])
def test_a_correlation_needs_scores_that_differ(tiny_bert: Any, tiny_tokenizer: Any, scores: list[float]) -> None:
    data = [("good", "bad", score) for score in scores]
    with pytest.raises(DataError, match=r"a correlation needs at least 3 examples whose scores are not all equal"):
        bp.evaluate(tiny_bert, data, tokenizer=tiny_tokenizer)


def test_a_model_that_answers_always_alike_has_no_correlation(tiny_bert: Any, tiny_tokenizer: Any) -> None:
    report = bp.evaluate(tiny_bert, [("good", "bad", score) for score in range(4)], tokenizer=tiny_tokenizer)
    assert report.notes == ("a model gives every example the same number: there is nothing to correlate",)
    assert report.to_dict()["scores"]["spearman"]["after"]["value"] is None


def test_texts_without_any_known_token_have_nothing_to_mask(tiny_mlm: Any, tiny_tokenizer: Any) -> None:
    with pytest.raises(DataError, match="nothing to mask"):
        bp.evaluate(tiny_mlm, ["한국어"], tokenizer=tiny_tokenizer)
    tiny_tokenizer.mask_token = None
    with pytest.raises(DataError, match="the tokenizer has no mask token"):
        bp.evaluate(tiny_mlm, ["good"], tokenizer=tiny_tokenizer)


def test_labels_of_one_class_are_remarked_upon(tiny_classifier: Any, tiny_tokenizer: Any) -> None:
    report = bp.evaluate(tiny_classifier, [("good", 1), ("bad", 1)], tokenizer=tiny_tokenizer)
    assert report.notes == ("every label is 'LABEL_1': accuracy says little, macro-F1 nothing",)
