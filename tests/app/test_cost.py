"""The cost of pruning, measured on many texts and tried on one sentence, without a browser."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bertprune as bp
from app.handlers import cost
from app.session import Done, Shelf, Source
from app.settings import Settings
from app.trouble import error_text
from app.views.model import status

RECIPE = bp.Recipe(steps=[bp.Step(method="l1_unstructured", fraction=0.7, select="*layer*")])
SHELF = Shelf()


@pytest.fixture
def done(tiny_folder: Callable[..., Path]) -> Done:
    return Done(Source(str(tiny_folder())), RECIPE)


def of(model_cls: str, tiny_folder: Callable[..., Path], **options: Any) -> Done:
    return Done(Source(str(tiny_folder(model_cls, **options))), RECIPE)


def test_the_first_figure_is_shown_in_the_status_line(done: Done, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("text,label\nthe film was good,1\nbad plot,0\n")
    found = cost.Found(quality=cost.measure(SHELF, done, "file", str(table)))
    assert "2 texts of t.csv" in cost.show_quality("en", found)
    headline = cost.headline("ko", found)
    assert headline is not None
    assert re.fullmatch(r"정확도 [01]\.\d{3} → [01]\.\d{3}", headline)
    assert headline in status("en", "tiny", SHELF.checkpoint(done.source), SHELF.run(done).report, headline)


def test_without_a_measurement_no_figure_is_shown() -> None:
    for nothing in (None, cost.Found()):
        assert "Nothing is measured yet" in cost.show_quality("en", nothing)
        assert cost.headline("en", nothing) is None
        assert cost.show_answers("en", nothing) == ""


def shown(language: str, report: Any) -> str:
    return str(cost.show_answers(language, cost.Found(answers=report)))


def test_a_sentence_shows_each_class_before_and_after(done: Done) -> None:
    report = cost.ask(SHELF, done, "the film <b>was</b> good", "", "")
    assert report == bp.try_text(SHELF.run(done), "the film <b>was</b> good")
    view = shown("en", report)
    for guesses in (report.answers[0].before, report.answers[0].after):
        for guess in guesses:
            assert guess.name in view
            assert f"{guess.probability:.2%}" in view
    assert "모델" in shown("ko", report)


def test_a_blank_shows_the_candidates_of_both_models(tiny_folder: Callable[..., Path]) -> None:
    report = cost.ask(SHELF, of("BertForMaskedLM", tiny_folder), "the [MASK] was [MASK]", None, None)
    view = shown("en", report)
    assert view.count("<caption>") == 2
    assert "blank 2" in view
    fresh = {one.name for one in report.answers[0].after} - {one.name for one in report.answers[0].before}
    assert 'class="bp-new"' in view or not fresh


def test_models_without_a_head_show_cosines(tiny_folder: Callable[..., Path]) -> None:
    report = cost.ask(SHELF, of("BertModel", tiny_folder), "the film", "the plot", "")
    view = shown("ko", report)
    assert "유사도" in view
    assert "임베딩" in view
    assert "평균 풀링을 썼습니다" in view


def test_embedding_models_and_heads_of_other_tasks_are_named(
    sentence_folder: Callable[..., Path], tiny_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = sentence_folder("cls", settings={"prompts": {"query": "query: "}})
    found = cost.Found(quality=cost.measure(SHELF, Done(Source(str(folder)), RECIPE), "samples", None))
    assert "모듈로 임베딩했습니다: cls pooling" in cost.show_quality("ko", found)
    assert "프롬프트 &#39;query: &#39;을(를) 붙였습니다" in cost.show_quality("ko", found)
    with pytest.raises(bp.BertpruneError) as refused:
        cost.measure(SHELF, of("BertForTokenClassification", tiny_folder), "samples", None)
    assert "BertForTokenClassification의 답은 토큰별 레이블입니다" in error_text("ko", refused.value)


def test_a_text_that_was_cut_is_reported(done: Done) -> None:
    assert "only its first 32 tokens" in shown("en", cost.ask(SHELF, done, "good " * 60, "", ""))


def test_a_sentence_that_cannot_be_tried_is_refused(done: Done, tiny_folder: Callable[..., Path]) -> None:
    with pytest.raises(bp.BertpruneError, match="Nothing is pruned yet"):
        cost.ask(SHELF, None, "good", "", "")
    with pytest.raises(bp.BertpruneError, match=r"\[MASK\]"):
        cost.ask(SHELF, of("BertForMaskedLM", tiny_folder), "good", "", "")
    bare = of("BertModel", tiny_folder, tokenizer=False)
    with pytest.raises(bp.BertpruneError, match="has no tokenizer") as lacking:
        cost.ask(SHELF, bare, "good", "", "")
    assert "“다른 토크나이저” 칸에" in error_text("ko", lacking.value)
    assert cost.ask(SHELF, done, "good", "", str(tiny_folder())).task == "classification"


def test_figures_come_with_texts_seconds_and_notes_in_korean(done: Done, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("text,label\nthe film was good,1\n ,0\nbad plot,1\nmore,0\n" + f"{'long ' * 90},1\n" * 3)
    shelf = Shelf(Settings(max_rows=5))
    found = cost.Found(quality=cost.measure(shelf, done, "file", str(table)))
    view = cost.show_quality("ko", found)
    assert re.search(r"t\.csv의 문장 4개를 두 모델에 입력해 \d+\.\d초", view)
    assert "데이터가 더 있지만 앞의 5행만 읽었습니다" in view
    assert "5행 가운데 1행이며, 처음은 t.csv 3번째 줄입니다" in view
    assert "the first 5 rows were read" in cost.show_quality("en", found)
    assert len(found.quality.notes) == 3
    notes = re.findall(r'class="bp-note">(.*?)</p>', view)
    assert len(notes) >= 4
    assert all(re.search("[가-힣]", one) for one in notes)


def test_after_a_refused_file_the_page_says_whose_figures_it_shows(done: Done, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text("text,label\nthe film was good,1\nbad plot,0\n")
    bad.write_text("a,b\n1,2\n")
    found = cost.Found(quality=cost.measure(SHELF, done, "file", str(good)))
    with pytest.raises(bp.BertpruneError) as caught:
        cost.measure(SHELF, done, "file", str(bad))
    assert "rename yours in the file, or put a line such as" in error_text("en", caught.value)
    for earlier, said in ((found, True), (None, False)):
        with pytest.raises(bp.BertpruneError) as caught, cost.still_there(earlier):
            cost.measure(SHELF, done, "file", str(bad))
        assert ("아래 수치는 여전히 good.csv의 것입니다" in error_text("ko", caught.value)) == said
        assert "이 파일로는 측정할 수 없습니다" in error_text("ko", caught.value)
