"""Data, labels, options and outputs that cannot be evaluated, or only with a note."""

import copy
from typing import Any

import pytest
import torch

import bertprune as bp
from bertprune.errors import DataError

DATA = [("the film was good", 1), ("bad plot and boring music", 0), ("fine acting", 1), ("awful", 0)]


def test_a_model_of_peft_is_named_with_what_to_do(tiny_classifier, tiny_tokenizer):
    wrapped = type("PeftModel", (torch.nn.Sequential,), {"__module__": "peft.peft_model"})(tiny_classifier)
    for call in (bp.evaluate, bp.try_text):
        with pytest.raises(DataError, match=r"merge_and_unload\(\)") as caught:
            call(wrapped, "good" if call is bp.try_text else ["good"], tokenizer=tiny_tokenizer)
        assert caught.value.code == "selection.adapter"


def test_outputs_that_are_not_finite_are_refused(tiny_classifier: Any, tiny_tokenizer: Any) -> None:
    broken = copy.deepcopy(tiny_classifier)
    with torch.no_grad():
        broken.classifier.bias.fill_(float("nan"))
    with pytest.raises(DataError, match="returns NaN or infinite outputs for 4 of 4 texts: check its weights"):
        bp.evaluate(broken, DATA, baseline=tiny_classifier, tokenizer=tiny_tokenizer)


OUT_OF_RANGE = [
    ({"batch_size": 0}, r"batch_size=0: expected an integer, 1 or more"),
    ({"batch_size": True}, "batch_size=True"),
    ({"max_length": 2}, r"max_length=2: expected an integer from 3 to 32"),
    ({"max_length": 33}, r"max_length=33"),
    ({"seed": -1}, "seed=-1: expected an integer, 0 or more"),
    ({"seed": 1.5}, "seed=1.5"),
]


def test_options_out_of_range_are_named(tiny_classifier: Any, tiny_tokenizer: Any, subtests: pytest.Subtests) -> None:
    for options, message in OUT_OF_RANGE:
        with subtests.test(str(options)), pytest.raises(DataError, match=message):
            bp.evaluate(tiny_classifier, DATA, tokenizer=tiny_tokenizer, **options)


def test_a_correlation_needs_scores_that_differ(tiny_bert: Any, tiny_tokenizer: Any, subtests: pytest.Subtests) -> None:
    for scores in [[1.0, 1.0, 1.0], [1.0, 2.0]]:
        with subtests.test(str(scores)):
            data = [("good", "bad", score) for score in scores]
            with pytest.raises(
                DataError, match=r"a correlation needs at least 3 examples whose scores are not all equal"
            ):
                bp.evaluate(tiny_bert, data, tokenizer=tiny_tokenizer)


def test_constant_outputs_have_no_correlation(tiny_bert: Any, tiny_tokenizer: Any) -> None:
    report = bp.evaluate(tiny_bert, [("good", "bad", score) for score in range(4)], tokenizer=tiny_tokenizer)
    assert report.notes[-1] == "a model's output is the same for every example, so no correlation can be computed"
    assert report.to_dict()["scores"]["spearman"]["after"]["value"] is None


def test_texts_without_any_known_token_have_nothing_to_mask(tiny_mlm: Any, tiny_tokenizer: Any) -> None:
    with pytest.raises(DataError, match="nothing to mask"):
        bp.evaluate(tiny_mlm, ["한국어"], tokenizer=tiny_tokenizer)
    tiny_tokenizer.mask_token = None
    with pytest.raises(DataError, match="the tokenizer has no mask token"):
        bp.evaluate(tiny_mlm, ["good"], tokenizer=tiny_tokenizer)


def test_labels_of_one_class_are_noted(tiny_classifier: Any, tiny_tokenizer: Any) -> None:
    report = bp.evaluate(tiny_classifier, [("good", 1), ("bad", 1)], tokenizer=tiny_tokenizer)
    assert report.notes == ("every label is 'LABEL_1': accuracy and macro-F1 are not meaningful",)
    with pytest.raises(DataError, match="changed='all': expected an integer, 0 or more"):
        report.to_text("all")  # type: ignore[arg-type]


def test_labels_under_an_unusual_name_are_asked_for(tiny_classifier: Any, tiny_tokenizer: Any) -> None:
    rows = [{"text": text, "평점": label} for text, label in DATA]
    report = bp.evaluate(tiny_classifier, rows, baseline=tiny_classifier, tokenizer=tiny_tokenizer)
    assert [note.code for note in report.notes] == ["note.unused_columns", "note.same_object"]
    assert "if they are in '평점', name it with label= (--label)" in report.notes[0]
    with pytest.raises(DataError, match=r"\(its columns: 'text', '평점'\): name their column with label= \(--label\)"):
        bp.evaluate(tiny_classifier, rows, tokenizer=tiny_tokenizer)
    assert bp.evaluate(tiny_classifier, rows, label="평점", tokenizer=tiny_tokenizer).notes == ()
