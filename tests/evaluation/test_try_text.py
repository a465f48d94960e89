"""One text on both models gives the numbers of transformers, or one clear error."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

import bertprune as bp
from bertprune.errors import DataError

STEP = bp.Step(method="l1_unstructured", fraction=0.6, select="encoder.*")


def logits(model: Any, tokenizer: Any, *texts: str) -> torch.Tensor:
    with torch.no_grad():
        return model(**tokenizer(*texts, return_tensors="pt")).logits[0]


def test_a_classifier_gives_every_class_before_and_after(
    classifier: Any, prune_half: Callable[..., Any], tiny_tokenizer: Any
) -> None:
    pruned, text = prune_half(classifier), "the film was good"
    report = bp.try_text(pruned, text, baseline=classifier, tokenizer=tiny_tokenizer)
    (answers,) = report.answers
    for guesses, model in ((answers.before, classifier), (answers.after, pruned)):
        expected = logits(model, tiny_tokenizer, text).softmax(dim=-1)
        found = {guess.name: guess.probability for guess in guesses or ()}
        assert found == pytest.approx({name: float(expected[at]) for at, name in model.config.id2label.items()})
    before = [guess.probability for guess in answers.before or ()]
    assert before == sorted(before, reverse=True)
    assert [one.name for one in answers.before or ()] == [one.name for one in answers.after]
    assert report.task == "classification"
    assert "before" in str(report)
    assert report.to_dict()["answers"][0]["after"][0]["name"] == answers.after[0].name


def test_every_blank_gets_the_best_candidates_of_each_model(
    tiny_mlm: Any, prune_half: Callable[..., Any], tiny_tokenizer: Any
) -> None:
    pruned, text = prune_half(tiny_mlm), "the [MASK] was very [MASK]"
    report = bp.try_text(pruned, text, baseline=tiny_mlm, tokenizer=tiny_tokenizer, top=3)
    ids = tiny_tokenizer(text)["input_ids"]
    positions = [at for at, one in enumerate(ids) if one == tiny_tokenizer.mask_token_id]
    assert len(report.answers) == len(positions) == 2
    for answers, at in zip(report.answers, positions, strict=True):
        for guesses, model in ((answers.before, tiny_mlm), (answers.after, pruned)):
            best = logits(model, tiny_tokenizer, text)[at].softmax(dim=-1).topk(3)
            assert [one.name for one in guesses or ()] == [tiny_tokenizer.decode([one]) for one in best.indices]
            assert [one.probability for one in guesses or ()] == pytest.approx(best.values.tolist())
    assert "blank 2" in report.to_text()


def test_a_model_without_a_head_is_compared_by_its_embeddings(
    tiny_bert: Any, prune_half: Callable[..., Any], tiny_tokenizer: Any
) -> None:
    pruned = prune_half(tiny_bert)
    options = {"baseline": tiny_bert, "tokenizer": tiny_tokenizer}
    report = bp.try_text(pruned, "the film was good", text_pair="the plot is bad", **options)
    found = {figure.name: figure for figure in report.figures}

    def embedded(model: Any, text: str) -> torch.Tensor:
        with torch.no_grad():
            return model(**tiny_tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(dim=0)

    pairs = [[embedded(model, text) for text in (report.text, report.text_pair)] for model in (tiny_bert, pruned)]
    similarities = [float(torch.cosine_similarity(*pair, dim=0)) for pair in pairs]
    assert [found["similarity"].before, found["similarity"].after] == pytest.approx(similarities, abs=1e-5)
    kept = [float(torch.cosine_similarity(*both, dim=0)) for both in zip(*pairs, strict=True)]
    assert found["embedding_cosine"].after == pytest.approx(sum(kept) / 2, abs=1e-5)
    assert report.answers == ()
    assert "embedding cosine" in str(report)
    alone = bp.try_text(pruned, "the film was good", **options)
    assert [figure.name for figure in alone.figures] == ["embedding_cosine"]
    with pytest.raises(DataError, match="text_pair= or baseline="):
        bp.try_text(pruned, "the film", tokenizer=tiny_tokenizer)


def test_one_output_is_a_score(make_tiny: Callable[..., Any], tiny_tokenizer: Any) -> None:
    model = make_tiny("BertForSequenceClassification", num_labels=1)
    report = bp.try_text(model, "the film", tokenizer=tiny_tokenizer)
    assert [(one.name, one.before) for one in report.figures] == [("score", None)]
    assert report.figures[0].after == pytest.approx(float(logits(model, tiny_tokenizer, "the film")[0]), abs=1e-6)


def test_a_pair_reaches_a_classifier_as_a_pair(classifier: Any, tiny_tokenizer: Any) -> None:
    report = bp.try_text(classifier, "the film", text_pair="was bad", tokenizer=tiny_tokenizer)
    expected = logits(classifier, tiny_tokenizer, "the film", "was bad").softmax(dim=-1).max()
    assert report.answers[0].after[0].probability == pytest.approx(float(expected))
    assert report.answers[0].before is None


def test_a_run_is_compared_with_its_own_checkpoint_and_left_as_it_was(tiny_folder: Callable[..., Any]) -> None:
    run = bp.prune(tiny_folder(), STEP)
    state = copy.deepcopy(run.model.state_dict())
    first, again = bp.try_text(run, "the film was good"), bp.try_text(run, "the film was good")
    assert first == again
    assert first.before_name is not None
    assert first.answers[0].before != first.answers[0].after
    assert all(torch.equal(value, state[name]) for name, value in run.model.state_dict().items())


def test_a_text_that_is_too_long_is_cut_and_reported(classifier: Any, tiny_tokenizer: Any) -> None:
    report = bp.try_text(classifier, "good " * 100, tokenizer=tiny_tokenizer)
    assert report.cut
    assert report.tokens == report.max_length == 32
    assert "cut to 32 tokens" in str(report)
    assert not bp.try_text(classifier, "good", tokenizer=tiny_tokenizer).cut


def test_every_family_compares_two_texts(family: Any, tiny_tokenizer: Any) -> None:
    report = bp.try_text(family, "the film", text_pair="the plot", tokenizer=tiny_tokenizer)
    assert [figure.name for figure in report.figures] == ["similarity"]


WRONG = [
    (" \n\t ", {}, "text is empty"),
    (7, {}, "text is of type int: expected a text"),
    ("x" * 1_000_001, {}, "1,000,001 characters"),
    ("\ud800", {}, "broken character"),
    ("good", {"text_pair": " "}, "text_pair is empty"),
    ("good", {"top": 0}, "top=0"),
    ("good", {"top": True}, "top=True"),
]


def test_wrong_texts_and_options_are_named(classifier: Any, tiny_tokenizer: Any, subtests: pytest.Subtests) -> None:
    for text, more, message in WRONG:
        with subtests.test(message), pytest.raises(DataError, match=message):
            bp.try_text(classifier, text, tokenizer=tiny_tokenizer, **more)


def test_a_masked_language_model_needs_a_blank(tiny_mlm: Any, tiny_tokenizer: Any) -> None:
    with pytest.raises(DataError, match=r"the text has no \[MASK\]: put it where a word is to be filled in"):
        bp.try_text(tiny_mlm, "the film was good", tokenizer=tiny_tokenizer)
    with pytest.raises(DataError, match=r"\[MASK\] comes after the 32 tokens"):
        bp.try_text(tiny_mlm, "good " * 100 + "[MASK]", tokenizer=tiny_tokenizer)
    tiny_tokenizer.mask_token = None
    with pytest.raises(DataError, match="no mask token"):
        bp.try_text(tiny_mlm, "the film", tokenizer=tiny_tokenizer)


def test_a_checkpoint_without_tokenizer_is_an_error(tiny_folder: Callable[..., Any]) -> None:
    with pytest.raises(DataError, match="has no tokenizer"):
        bp.try_text(bp.prune(tiny_folder(tokenizer=False), STEP), "the film")
