"""Calibration texts: read as people have them, drawn by the seed, known by their hash, and batched without padding."""

from dataclasses import replace

import pandas as pd
import pytest
import torch

import bertprune as bp
from bertprune.data.calibration import batches_of
from bertprune.data.embedding import MEAN, Embedding
from bertprune.data.held_back import given_batches
from bertprune.errors import DataError
from tests.tiny_models import make_model

TEXTS = ["good film", "bad", "the acting was awful and the plot was boring", "great music", "fine", "it was not bad"]


def batched(calibration, tokenizer, model=None, seed=0, embedding=MEAN):
    model = make_model("BertModel") if model is None else model
    return batches_of(bp.Calibration.of(calibration), seed, tokenizer, model, embedding, "tiny")


def test_texts_are_read_as_people_have_them(tmp_path, subtests):
    frame = pd.DataFrame({"id": range(len(TEXTS)), "text": TEXTS, "label": [1, None, 0, 1, 1, 0]})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame[["text"]].to_csv(tmp_path / "a.txt", index=False)
    frame.to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    files = {kind: tmp_path / f"a.{kind}" for kind in ("csv", "txt", "jsonl")}
    for form, given in {"list": TEXTS, "frame": frame, "generator": iter(TEXTS), **files}.items():
        with subtests.test(form):
            read = bp.Calibration(given)
            assert read.examples.texts == TEXTS
            assert read.labels is None


def test_lines_of_a_text_file_are_known_by_its_name_and_their_numbers(tmp_path):
    (tmp_path / "reviews.txt").write_text("\n".join(["", *TEXTS]))
    table = bp.Calibration(tmp_path / "reviews.txt").examples.table
    assert table.name == "reviews.txt"
    assert str(table.place(0)) == "reviews.txt, line 2"


def test_a_seed_draws_as_many_as_are_asked_for(tiny_tokenizer):
    drawn = bp.Calibration(TEXTS, count=4)
    assert drawn.draw(1) == drawn.draw(1) != drawn.draw(2)
    assert len(set(drawn.draw(1))) == 4
    assert sorted(bp.Calibration(TEXTS).draw(0)) == list(range(len(TEXTS)))
    records = [batched(drawn, tiny_tokenizer, seed=seed).record for seed in (1, 1, 2)]
    assert records[0] == records[1] != records[2]
    assert records[0].count == 4
    other = batched([*TEXTS[:-1], "it was bad"], tiny_tokenizer).record
    assert other.sha256 != batched(TEXTS, tiny_tokenizer).record.sha256


def test_pairs_are_two_texts_for_encoders_and_joined_for_classifiers(tiny_tokenizer):
    pairs = list(zip(TEXTS[:3], TEXTS[3:], strict=True))
    assert batched(pairs, tiny_tokenizer).texts == 6
    joined = batched(pairs, tiny_tokenizer, make_model("BertForSequenceClassification"))
    assert joined.texts == 3
    assert all((batch["token_type_ids"] == 1).any() for batch in joined.used)


def test_one_text_in_five_is_held_back_and_padding_is_no_token(tiny_tokenizer):
    batches = batched(TEXTS * 5, tiny_tokenizer)
    held = sum(len(batch["input_ids"]) for batch, back in zip(batches.used, batches.held_back, strict=True) if back)
    assert (held, batches.texts) == (6, 30)
    lengths = [len(tiny_tokenizer(text)["input_ids"]) for text in TEXTS]
    assert batches.tokens == 5 * sum(lengths)


def test_the_prompt_of_a_folder_stands_before_each_text_and_is_said(tiny_tokenizer):
    embedding = Embedding(prompt="the ", source="e5")
    plain, prompted = batched(TEXTS, tiny_tokenizer), batched(TEXTS, tiny_tokenizer, embedding=embedding)
    assert prompted.tokens == plain.tokens + len(TEXTS)
    assert any("the prompt 'the '" in str(note) for note in prompted.notes)


def test_labels_for_a_model_that_does_not_classify_are_refused(tiny_tokenizer):
    rows = [{"text": text, "grade": "a"} for text in TEXTS]
    with pytest.raises(DataError) as caught:
        batched(bp.Calibration(rows, label="grade"), tiny_tokenizer, make_model("BertModel"))
    assert caught.value.code == "calibration.labels" and "'grade'" in str(caught.value)


def test_named_labels_become_class_numbers(tiny_tokenizer):
    rows = [{"text": text, "grade": number % 2} for number, text in enumerate(TEXTS)]
    model = make_model("BertForSequenceClassification")
    batches = batched(bp.Calibration(rows, label="grade"), tiny_tokenizer, model)
    assert sorted(torch.cat(list(batches.labels)).tolist()) == [0, 0, 0, 1, 1, 1]


def test_batches_that_are_given_are_split_text_by_text():
    ids = torch.arange(24).view(12, 2)
    batches = given_batches([{"input_ids": ids[:7]}, {"input_ids": ids[7:]}])
    held = torch.cat([b["input_ids"] for b, back in zip(batches.used, batches.held_back, strict=True) if back])
    assert held[:, 0].tolist() == [8, 18]
    assert batches.texts == 12


MASKED = ("input_ids", "attention_mask")


def rows_of(batches):
    return torch.cat([batch["input_ids"][:, 0] for batch in batches.used]).tolist()


def test_texts_can_be_told_apart_again_and_thinned():
    ids = torch.arange(24).view(12, 2)
    batches = given_batches([{"input_ids": ids[:7]}, {"input_ids": ids[7:]}])
    rest, held = batches.only(held_back=False), batches.only(held_back=True)
    assert sorted(rows_of(rest) + rows_of(held)) == list(range(0, 24, 2)) and all(held.held_back)
    again = rest.split()
    assert rows_of(again.only(held_back=True)) == [10, 22] and again.texts == rest.texts == 10
    assert rows_of(rest.thinned(5)) == [0, 4, 10, 14, 20] and rest.thinned(100).texts == 10
    with_labels = replace(batches, labels=[torch.arange(len(batch["input_ids"])) for batch in batches.used])
    for part in (with_labels.split(), with_labels.thinned(6), with_labels.only(held_back=True)):
        assert [len(one) for one in part.labels] == [len(batch["input_ids"]) for batch in part.used]


def test_smaller_batches_have_the_same_texts_with_less_padding(tiny_tokenizer):
    batches = batched(TEXTS * 10, tiny_tokenizer).only(held_back=True)
    with_labels = replace(batches, labels=[torch.arange(len(batch["input_ids"])) for batch in batches.used])
    trimmed = with_labels.trimmed()

    def texts_of(found):
        return [
            ids[mask.bool()].tolist() for one in found.used for ids, mask in zip(*map(one.get, MASKED), strict=True)
        ]

    assert texts_of(trimmed) == texts_of(batches)
    assert torch.cat(list(trimmed.labels)).tolist() == torch.cat(list(with_labels.labels)).tolist()
    assert all(len(one["input_ids"]) <= 8 and bool(one["attention_mask"][:, -1].any()) for one in trimmed.used)
    assert sum(one["input_ids"].numel() for one in trimmed.used) < sum(one["input_ids"].numel() for one in batches.used)


NO_CALIBRATION = [
    (lambda: bp.Calibration([]), "data.empty"),
    (lambda: bp.Calibration(TEXTS, count=0), "calibration.not_whole"),
    (lambda: bp.Calibration(TEXTS, max_length=True), "calibration.not_whole"),
    (lambda: bp.Calibration.of(3), "calibration.kind"),
    (lambda: bp.Calibration.of({"text": TEXTS}), "calibration.kind"),
    (lambda: given_batches([]), "calibration.no_batches"),
    (lambda: given_batches(TEXTS), "calibration.batch"),
    (lambda: bp.Calibration(TEXTS, label="grade"), "data.unknown_column"),
]


def test_what_is_no_calibration_is_refused_in_one_line(subtests):
    for make, code in NO_CALIBRATION:
        with subtests.test(code):
            with pytest.raises(DataError) as caught:
                make()
            assert caught.value.code == code
            assert "\n" not in str(caught.value)


def test_a_file_without_texts_is_refused_by_its_name(tmp_path, subtests):
    for content in [b"", b"\n  \n", b"\xff\xfe\x00\xd8"]:
        with subtests.test(str(content)):
            file = tmp_path / "mine.txt"
            file.write_bytes(content)
            with pytest.raises(DataError, match=r"mine\.txt"):
                bp.Calibration(file)
