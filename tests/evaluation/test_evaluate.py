"""Each figure equals that of scikit-learn or scipy on plain transformers outputs, one text at a time."""

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score
from torch.nn.functional import cosine_similarity

import bertprune as bp
from bertprune.data.batches import encode
from bertprune.evaluation.masked_lm import mask_tokens
from tests.tiny_models import make_tokenizer


def plain_logits(model: Any, tokenizer: Any, texts: list[str]) -> torch.Tensor:
    """Return the logits of one text at a time."""
    with torch.no_grad():
        return torch.cat([model(**tokenizer(text, return_tensors="pt")).logits for text in texts])


def plain_embeddings(model: Any, tokenizer: Any, texts: list[str]) -> torch.Tensor:
    """Return the mean of the last hidden states, one text at a time."""
    inputs = [tokenizer(text, return_tensors="pt") for text in texts]
    with torch.no_grad():
        return torch.stack([model.base_model(one.input_ids).last_hidden_state[0].mean(dim=0) for one in inputs])


@pytest.fixture(scope="module")
def labels(classifier: Any, texts: list[str]) -> list[int]:
    """Give labels that the classifier gets right in nine cases of ten."""
    right = plain_logits(classifier, make_tokenizer(), texts).argmax(dim=1).tolist()
    return [1 - label if row % 10 == 0 else label for row, label in enumerate(right)]


@pytest.fixture(scope="module")
def report(classifier: Any, pruned: Any, texts: list[str], labels: list[int]) -> Any:
    """Give the report on the labelled texts."""
    data = list(zip(texts, labels, strict=True))
    return bp.evaluate(pruned, data, baseline=classifier, tokenizer=make_tokenizer(), batch_size=16)


def test_classification_scores_equal_those_of_scikit_learn(
    report: Any, classifier: Any, pruned: Any, tiny_tokenizer: Any, texts: list[str], labels: list[int]
) -> None:
    before, after = (plain_logits(model, tiny_tokenizer, texts).argmax(dim=1) for model in (classifier, pruned))
    assert 0 < (before != after).sum() < len(texts)  # otherwise this test shows nothing
    for name, figure in (("accuracy", accuracy_score), ("macro_f1", lambda y, p: f1_score(y, p, average="macro"))):
        score = report[name]
        assert score.before.value == pytest.approx(figure(labels, before))
        assert score.after.value == pytest.approx(figure(labels, after))
        assert score.difference.value == pytest.approx(score.after.value - score.before.value)
        assert score.difference.low <= score.difference.value <= score.difference.high
        assert score.difference.low < score.difference.high
    assert report["agreement"].value == pytest.approx((before == after).double().mean().item())
    right = (before == torch.tensor(labels)).sum().item()
    interval = stats.binomtest(right, len(texts)).proportion_ci(method="wilson")
    assert (report["accuracy"].before.low, report["accuracy"].before.high) == pytest.approx(tuple(interval))
    lost = ((before == torch.tensor(labels)) & (after != torch.tensor(labels))).sum().item()
    assert report["accuracy"].p_value == pytest.approx(stats.binomtest(lost, len(report.changed)).pvalue)


def test_changed_examples_are_those_whose_class_changed(
    report: Any, classifier: Any, pruned: Any, tiny_tokenizer: Any, texts: list[str], labels: list[int]
) -> None:
    before, after = (plain_logits(model, tiny_tokenizer, texts).softmax(dim=1) for model in (classifier, pruned))
    rows = (before.argmax(dim=1) != after.argmax(dim=1)).nonzero().flatten().tolist()
    assert [one.number for one in report.changed] == [row + 1 for row in rows]
    for row, one in zip(rows, report.changed, strict=True):
        assert (one.text, one.label) == (texts[row], f"LABEL_{labels[row]}")
        assert (one.before, one.after) == (f"LABEL_{before[row].argmax()}", f"LABEL_{after[row].argmax()}")
        assert one.before_probability == pytest.approx(before[row].max().item(), abs=1e-5)
        assert one.after_probability == pytest.approx(after[row].max().item(), abs=1e-5)


def test_the_report_names_task_data_and_times(report: Any) -> None:
    assert (report.task, report.examples, report.data_name) == ("classification", 120, "the list")
    assert report.max_length == 32
    assert 0 < report.seconds["before"] < report.seconds["total"]
    assert 0 < report.seconds["after"] < report.seconds["total"]
    with pytest.raises(KeyError, match="this report has accuracy, macro_f1, agreement"):
        report["spearman"]


def test_the_report_as_data_and_tables(report: Any) -> None:
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert plain["scores"]["accuracy"]["after"]["value"] == report["accuracy"].after.value
    assert plain["confidence"] == 0.95
    assert len(plain["changed"]) == len(report.changed)
    frame = report.to_frame()
    assert frame.loc["accuracy", "difference_low"] == report["accuracy"].difference.low
    assert list(frame.index) == ["accuracy", "macro_f1", "agreement"]
    assert report.changed_frame()["text"].tolist() == [one.text for one in report.changed]


def test_the_report_as_text(report: Any) -> None:
    lines = report.to_text(changed=2).splitlines()
    score = report["accuracy"]
    assert lines[0].startswith("BertForSequenceClassification -> ")
    expected = [f"{score.before.value:.4f}", f"{score.after.value:.4f}", f"{score.difference.value:+.4f}"]
    assert next(line for line in lines if line.startswith("accuracy")).split()[1:4] == expected
    assert f"changed predictions: {len(report.changed)} of 120" in lines
    surest = max(report.changed, key=lambda one: one.after_probability)
    assert surest.text[:40] in lines[-2]
    assert len(lines) == lines.index(f"changed predictions: {len(report.changed)} of 120") + 3


def test_without_labels_agreement_and_embeddings_are_compared(
    classifier: Any, pruned: Any, tiny_tokenizer: Any, texts: list[str]
) -> None:
    report = bp.evaluate(pruned, texts, baseline=classifier, tokenizer=tiny_tokenizer)
    one, other = (plain_embeddings(model, tiny_tokenizer, texts) for model in (classifier, pruned))
    assert dict(report.scores) == {}
    assert report["embedding_cosine"].value == pytest.approx(cosine_similarity(one, other).mean().item(), abs=1e-5)
    assert 0 < report["agreement"].value < 1
    assert len(report.changed) == round((1 - report["agreement"].value) * len(texts))
    assert report.changed[0].label is None


def test_a_sample_is_measured_as_its_rows_alone(classifier: Any, tiny_tokenizer: Any, texts: list[str]) -> None:
    rows = [(text, at % 2) for at, text in enumerate(texts * 3)]
    report = bp.evaluate(classifier, rows, tokenizer=tiny_tokenizer, sample=9, seed=4)
    chosen = sorted(np.random.default_rng(4).permutation(len(rows))[:9])
    alone = bp.evaluate(classifier, [rows[at] for at in chosen], tokenizer=tiny_tokenizer, seed=4)
    assert report.scores == alone.scores and report.examples == 9
    assert f"9 of {len(rows)} rows were drawn by the seed" in report.notes


def test_blank_rows_change_no_figure_and_are_noted(
    report: Any, classifier: Any, pruned: Any, tiny_tokenizer: Any, texts: list[str], labels: list[int]
) -> None:
    rows = list(zip(texts, labels, strict=True))
    data = [*rows[:3], (" ", 1), *rows[3:], ("", 0)]
    with_blanks = bp.evaluate(pruned, data, baseline=classifier, tokenizer=tiny_tokenizer, batch_size=16)
    assert (dict(with_blanks.scores), with_blanks.examples) == (dict(report.scores), 120)
    assert [one.number for one in with_blanks.changed] == [one.number + (one.number > 3) for one in report.changed]
    note = "rows without text left out: 2 of 122, the first at the list, item 4"
    assert with_blanks.notes == (note,)
    assert f"note: {note}" in str(with_blanks).splitlines()


def test_a_model_without_baseline_is_scored_with_its_interval(
    classifier: Any, tiny_tokenizer: Any, texts: list[str], labels: list[int]
) -> None:
    report = bp.evaluate(classifier, zip(texts, labels, strict=True), tokenizer=tiny_tokenizer)
    score = report["accuracy"]
    assert (score.before, score.difference, score.p_value) == (None, None, None)
    assert score.after.value == pytest.approx(0.9)
    assert score.after.low < 0.9 < score.after.high
    assert (dict(report.fidelity), report.changed, report.before_name) == ({}, (), None)
    assert "BertForSequenceClassification: classification" in str(report)
    assert report.to_frame()["before"].isna().all()
    with pytest.raises(bp.BertpruneError, match=r"the list has no labels .* pass baseline= \(--baseline\)"):
        bp.evaluate(classifier.base_model, texts, tokenizer=tiny_tokenizer)


def test_sentence_pairs_are_correlated_with_their_scores(
    family: Any, prune_half: Callable[[Any], Any], tiny_tokenizer: Any, texts: list[str]
) -> None:
    pruned, texts = prune_half(family, 0.9), texts[:50]
    generator = np.random.default_rng(0)
    pairs = [(one, two, float(generator.integers(0, 6))) for one, two in pairwise(texts)]
    report = bp.evaluate(pruned, pairs, baseline=family, tokenizer=tiny_tokenizer, batch_size=7)
    assert (report.task, report.examples) == ("similarity", len(pairs))
    for side, model in (("before", family), ("after", pruned)):
        rows = plain_embeddings(model, tiny_tokenizer, texts)
        cosines, scores = cosine_similarity(rows[:-1], rows[1:]).numpy(), [pair[2] for pair in pairs]
        found = {name: getattr(report[name], side).value for name in ("spearman", "pearson")}
        assert found["pearson"] == pytest.approx(stats.pearsonr(cosines, scores).statistic, abs=1e-3)
        assert found["spearman"] == pytest.approx(stats.spearmanr(cosines, scores).statistic, abs=1e-2)
    assert report["embedding_cosine"].value < 1 - 1e-6


def test_a_pair_is_one_unit_of_the_interval_not_two(
    tiny_bert: Any, prune_half: Callable[[Any], Any], tiny_tokenizer: Any, texts: list[str]
) -> None:
    options = {"baseline": tiny_bert, "tokenizer": tiny_tokenizer}
    twice = [{"sentence1": text, "sentence2": text} for text in texts]
    pairs = bp.evaluate(prune_half(tiny_bert, 0.95), twice, **options)["embedding_cosine"]
    single = bp.evaluate(prune_half(tiny_bert, 0.95), texts, **options)["embedding_cosine"]
    assert pairs.value == pytest.approx(single.value, abs=1e-6)
    assert pairs.high - pairs.low == pytest.approx(single.high - single.low, rel=0.1)


def test_equal_sentences_are_the_most_similar(tiny_bert: Any, tiny_tokenizer: Any, texts: list[str]) -> None:
    pairs = [(text, text, 5.0) for text in texts[:20]] + [(text, "bad", 0.0) for text in texts[:20]]
    score = bp.evaluate(tiny_bert, pairs, tokenizer=tiny_tokenizer)["spearman"]
    assert score.after.value > 0.8


def test_masked_language_loss_is_that_of_transformers(
    tiny_mlm: Any, prune_half: Callable[[Any], Any], tiny_tokenizer: Any, texts: list[str]
) -> None:
    pruned = prune_half(tiny_mlm, 0.9)
    report = bp.evaluate(pruned, texts, baseline=tiny_mlm, tokenizer=tiny_tokenizer, batch_size=13)
    masked = mask_tokens(encode(tiny_tokenizer, texts, None, 32), tiny_tokenizer, seed=0).features
    for side, model in (("before", tiny_mlm), ("after", pruned)):
        total, count = 0.0, 0
        for ids, targets in zip(masked["input_ids"], masked["targets"], strict=True):
            scored = sum(target != -100 for target in targets)
            with torch.no_grad():
                total += model(torch.tensor([ids]), labels=torch.tensor([targets])).loss.item() * scored
            count += scored
        assert getattr(report["masked_lm_loss"], side).value == pytest.approx(total / count, abs=1e-4)
    assert report["masked_lm_loss"].better == "lower"
    assert report.task == "language"
    assert report["embedding_cosine"].value < 1 - 1e-6


def test_fifteen_percent_of_ordinary_tokens_are_masked_by_text_and_seed_alone(tiny_tokenizer: Any) -> None:
    def positions(text: str, *others: str, seed: int = 0) -> list[int]:
        encoded = encode(tiny_tokenizer, [*others, text], None, 200)
        masked = mask_tokens(encoded, tiny_tokenizer, seed).features
        ids, inputs, targets = encoded.features["input_ids"][-1], masked["input_ids"][-1], masked["targets"][-1]
        chosen = [at for at, target in enumerate(targets) if target != -100]
        assert all((targets[at], inputs[at]) == (ids[at], tiny_tokenizer.mask_token_id) for at in chosen)
        assert all(inputs[at] == ids[at] for at in range(len(ids)) if at not in chosen)
        return chosen

    text = "good bad " * 50
    assert len(positions(text)) == 15
    assert not {0, 101} & set(positions(text))  # [CLS] and [SEP]
    assert positions(text) == positions(text, "other", "texts")
    assert positions(text) != positions(text, seed=1)
    assert positions(text) != positions("bad good " * 50)
    assert len(positions("good")) == 1
    assert positions("한") == []  # [UNK] is special


def test_masked_language_loss_depends_on_neither_order_nor_batches(
    tiny_mlm: Any, tiny_tokenizer: Any, texts: list[str]
) -> None:
    plain = bp.evaluate(tiny_mlm, texts, tokenizer=tiny_tokenizer)["masked_lm_loss"].after.value
    moved = bp.evaluate(tiny_mlm, texts[::-1], tokenizer=tiny_tokenizer, batch_size=5)["masked_lm_loss"].after.value
    assert moved == pytest.approx(plain, abs=1e-5)


def test_a_regression_head_is_correlated_by_its_output(
    make_tiny: Callable[..., Any], tiny_tokenizer: Any, texts: list[str]
) -> None:
    model = make_tiny("BertForSequenceClassification", num_labels=1)
    scores = np.random.default_rng(0).normal(size=len(texts))
    report = bp.evaluate(model, zip(texts, scores, strict=True), tokenizer=tiny_tokenizer)
    outputs = plain_logits(model, tiny_tokenizer, texts)[:, 0].numpy()
    assert report.task == "regression"
    assert report["pearson"].after.value == pytest.approx(stats.pearsonr(outputs, scores).statistic, abs=1e-3)


def test_labels_that_a_model_cannot_use_are_noted(tiny_mlm: Any, tiny_tokenizer: Any, texts: list[str]) -> None:
    report = bp.evaluate(tiny_mlm, [(text, "good") for text in texts[:9]], tokenizer=tiny_tokenizer)
    assert report.notes == ("BertForMaskedLM is not a classifier; column 'label' is ignored",)
    assert report.notes[0] in str(report)


@settings(max_examples=4)
@given(order=st.permutations(range(12)), size=st.integers(1, 20))
def test_neither_order_nor_batches_change_the_figures(
    order: list[int], size: int, classifier: Any, pruned: Any, tiny_tokenizer: Any, texts: list[str]
) -> None:
    data = [(text, row % 2) for row, text in enumerate(texts[:12])]
    options = {"baseline": classifier, "tokenizer": tiny_tokenizer}
    plain = bp.evaluate(pruned, data, **options)
    moved = bp.evaluate(pruned, [data[row] for row in order], batch_size=size, **options)
    assert dict(moved.scores) == dict(plain.scores)
    assert dict(moved.fidelity) == dict(plain.fidelity)
    assert sorted(one.text for one in moved.changed) == sorted(one.text for one in plain.changed)


@settings(max_examples=4)
@given(labels=st.lists(st.integers(0, 1), min_size=1, max_size=20), seed=st.integers(0, 2**32))
def test_a_model_agrees_with_itself(
    labels: list[int], seed: int, classifier: Any, tiny_tokenizer: Any, texts: list[str]
) -> None:
    data = list(zip(texts, labels, strict=False))
    report = bp.evaluate(classifier, data, baseline=classifier, tokenizer=tiny_tokenizer, seed=seed)
    assert report["agreement"].value == 1.0
    assert report.changed == ()
    assert report["accuracy"].p_value == 1.0
    for score in report.scores.values():
        assert score.difference.value == 0.0
        assert score.difference.low <= 0.0 <= score.difference.high
    assert any(note.code == "note.same_object" for note in report.notes)
