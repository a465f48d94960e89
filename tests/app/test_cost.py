"""The cost of pruning, measured on many texts and tried on one sentence, without a browser."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import bertprune as bp
from app.errors import error_text
from app.events import Events
from app.opening import take_table
from app.runs import Run, RunKey, Source
from app.settings import Settings
from app.store import Store
from app.tabs import cost
from app.tabs.cost_html import quality_view, speed_view, text_view
from app.tabs.model import opened
from app.tabs.result import headline
from app.visit import Visit, note_run
from app.visitors import Visitor
from tests.app.conftest import nothing, pruned

RECIPE = bp.Recipe(steps=[bp.Step(method="l1_unstructured", fraction=0.7, select="*layer*")])
STORE = Store()


@pytest.fixture
def done(tiny_folder: Callable[..., Path]) -> RunKey:
    return RunKey(Source(str(tiny_folder())), RECIPE)


def of(model_cls: str, tiny_folder: Callable[..., Path], **options: Any) -> RunKey:
    return RunKey(Source(str(tiny_folder(model_cls, **options))), RECIPE)


def test_the_first_figure_stands_in_the_runs_sentence(done: RunKey, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("text,label\nthe film was good,1\nbad plot,0\n")
    quality = cost.evaluated(STORE, done, str(table), "")
    assert "2 texts of t.csv" in quality_view("en", quality)
    assert re.fullmatch(r"정확도 [01]\.\d{3} → [01]\.\d{3} ± 0\.\d{3}", headline("ko", quality))


def test_without_a_measurement_no_figure_is_shown(store: Store, ran: Visit) -> None:
    assert "Nothing is measured yet" in cost.show_cost(store, ran)
    assert "There are no texts for this model yet" in cost.show_cost(store, ran)  # and not Korean reviews by default
    assert "<table" not in cost.show_ask(store, ran)


def test_a_model_of_ones_own_is_measured_once_there_are_texts(store: Store, ran: Visit, tmp_path: Path) -> None:
    visitor = Visitor(ran)
    assert cost.measure_first(store, visitor) is None
    table = tmp_path / "mine.csv"
    table.write_text("text,label\nthe film was good,1\nbad plot,0\n")
    visitor.put(replace(ran, data=take_table(str(table))))
    change = cost.measure_first(store, visitor)
    assert change is not None
    measured = change(visitor.visit)
    assert measured.shown is not None and measured.shown.quality.data_name == "mine.csv"
    assert cost.unmeasured(measured) is None
    gone = replace(visitor.visit, runs=visitor.visit.runs[:1])
    assert change(gone) == gone  # the run was deleted meanwhile


def test_the_first_measurement_draws_from_a_sorted_file_alike_for_every_run(
    store: Store, ran: Visit, tmp_path: Path
) -> None:
    table = tmp_path / "sorted.csv"
    rows = [f"the film was good {number},{int(number < 400)}" for number in range(1000)]
    table.write_text("\n".join(["text,label", *rows]))
    again = pruned(store, ran, RECIPE, seed=5)
    reports = []
    for visit in (ran, replace(again, runs=tuple(replace(run, tried=None) for run in again.runs))):
        visit = replace(visit, data=take_table(str(table)))
        change = cost.measure_first(store, Visitor(visit))
        assert change is not None
        reports.append(change(visit).shown.quality)
    one, other = reports
    assert one.scores["accuracy"].before == other.scores["accuracy"].before  # the same texts
    assert 0.3 < one.scores["accuracy"].before.value < 0.7  # and not the first ones alone, which are all of one class
    assert "These 400 were drawn at random from 1,000 rows" in quality_view("en", one)
    assert "1,000행 가운데 무작위로 뽑은 400행" in quality_view("ko", one)


def test_a_run_that_came_while_another_was_measured_is_measured_next(
    store: Store, ran: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("text,label\nthe film was good,1\nbad plot,0\n")
    first = cost.measure_first

    def measure_while_others_come(store: Store, visitor: Visitor) -> Any:
        change = first(store, visitor)
        assert change is not None
        visitor.put(pruned(store, change(visitor.visit), RECIPE))  # it was measured on request, and another was made
        return change

    monkeypatch.setattr(cost, "measure_first", measure_while_others_come)
    store.visitors.begin("tab", replace(ran, data=take_table(str(table))))
    state, *parts = Events(store).measure(SimpleNamespace(session_hash="tab", headers={}))  # type: ignore[arg-type]
    assert state["measure"] and not any(isinstance(part, str) for part in parts)


def test_a_run_of_which_nothing_is_known_any_more_is_counted_and_measured(
    store: Store, ran: Visit, tmp_path: Path
) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("text,label\nthe film was good,1\nbad plot,0\n")
    known = ran.shown
    restored = note_run(ran, known.key, count=None, masked=None, macs=None)
    for visit, has_quality in ((restored, False), (replace(restored, data=take_table(str(table))), True)):
        change = cost.measure_first(store, Visitor(visit))
        assert change is not None
        found = change(visit)
        assert (found.shown.count, found.shown.masked, found.shown.macs) == (known.count, known.masked, known.macs)
        assert (found.shown.quality is not None) is has_quality
        assert cost.unmeasured(found) is None


def test_what_cannot_be_measured_is_tried_once_and_again_on_other_texts(
    store: Store, ran: Visit, tmp_path: Path
) -> None:
    for name in ("bad", "worse"):
        (tmp_path / f"{name}.csv").write_text(f"{name},columns\n1,2\n")
    visit = replace(ran, data=take_table(str(tmp_path / "bad.csv")))
    change = cost.measure_first(store, Visitor(visit))
    assert change is not None
    failed = change(visit)
    assert failed.shown.quality is None and cost.unmeasured(failed) is None
    assert cost.unmeasured(replace(failed, data=take_table(str(tmp_path / "worse.csv")))) is not None


def test_what_is_measured_belongs_to_its_run_whatever_is_open_by_then(
    store: Store, ran: Visit, tmp_path: Path, tiny_folder: Callable[..., Path]
) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("text,label\nthe film was good,1\nbad plot,0\n")
    visitor = Visitor(replace(ran, data=take_table(str(table))))
    change = cost.measure(store, visitor, {}, nothing)
    other = opened(store, visitor.visit, Source(str(tiny_folder("DistilBertForSequenceClassification")), shown="other"))
    landed = change(pruned(store, other, RECIPE))
    assert [run.quality is not None for run in landed.runs] == [False, True, False, False]
    assert landed.shown is not None and landed.shown.name == "other"


def shown(language: str, report: Any) -> str:
    return str(text_view(language, report))


def test_a_sentence_shows_each_class_before_and_after(done: RunKey) -> None:
    report = cost.answers_of(STORE, done, "the film <b>was</b> good", "", "")
    assert report == bp.try_text(STORE.run(done), "the film <b>was</b> good")
    view = shown("en", report)
    for guesses in (report.answers[0].before, report.answers[0].after):
        for guess in guesses:
            assert guess.name in view
            assert f"{guess.probability:.2%}" in view
    assert "모델" in shown("ko", report)


def test_a_blank_shows_the_candidates_of_both_models(tiny_folder: Callable[..., Path]) -> None:
    report = cost.answers_of(STORE, of("BertForMaskedLM", tiny_folder), "the [MASK] was [MASK]", "", "")
    view = shown("en", report)
    assert view.count("<caption>") == 2
    assert "blank 2" in view
    fresh = {one.name for one in report.answers[0].after} - {one.name for one in report.answers[0].before}
    assert 'class="bp-new"' in view or not fresh


def test_models_without_a_head_show_cosines(tiny_folder: Callable[..., Path]) -> None:
    report = cost.answers_of(STORE, of("BertModel", tiny_folder), "the film", "the plot", "")
    view = shown("ko", report)
    assert "유사도" in view
    assert "임베딩" in view
    assert "평균 풀링을 썼습니다" in view


def test_embedding_models_and_heads_of_other_tasks_are_named(
    sentence_folder: Callable[..., Path], tiny_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = sentence_folder("cls", settings={"prompts": {"query": "query: "}})
    found = cost.evaluated(STORE, RunKey(Source(str(folder)), RECIPE), "samples", "")
    assert "모듈로 임베딩했습니다: cls pooling" in quality_view("ko", found)
    assert "프롬프트 &#39;query: &#39;을(를) 붙였습니다" in quality_view("ko", found)
    with pytest.raises(bp.BertpruneError) as refused:
        cost.evaluated(STORE, of("BertForTokenClassification", tiny_folder), "samples", "")
    assert "BertForTokenClassification의 답은 토큰별 레이블입니다" in error_text("ko", refused.value)


def test_speed_is_shown_in_the_visitors_language(done: RunKey) -> None:
    report = bp.speed(STORE.run(done), rounds=2)
    view = speed_view("ko", report)
    last = report.timings[-1]
    assert f"{last.ratio.value:.2f}× ({last.ratio.low:.2f} … {last.ratio.high:.2f})" in view
    assert f"{1000 * last.after.value:.2f} ms" in view and f"{report.after.parameters:,}" in view
    names = re.findall(r"<tr><td[^>]*>(.*?)</td>", view)
    assert len(names) == 4 + len({one.tokens for one in report.timings}) + 2 * len(report.timings)
    assert all(re.search("[가-힣]", one) for one in (*names, *re.findall(r'class="bp-note">(.*?)</p>', view)))


def test_a_text_that_was_cut_is_reported(done: RunKey) -> None:
    assert "only its first 32 tokens" in shown("en", cost.answers_of(STORE, done, "good " * 60, "", ""))


def test_a_sentence_that_cannot_be_tried_is_refused(done: RunKey, tiny_folder: Callable[..., Path]) -> None:
    with pytest.raises(bp.BertpruneError, match=r"\[MASK\]"):
        cost.answers_of(STORE, of("BertForMaskedLM", tiny_folder), "good", "", "")
    bare = of("BertModel", tiny_folder, tokenizer=False)
    with pytest.raises(bp.BertpruneError, match="has no tokenizer") as lacking:
        cost.answers_of(STORE, bare, "good", "", "")
    assert "“다른 토크나이저” 칸에" in error_text("ko", lacking.value)
    assert cost.answers_of(STORE, done, "good", "", str(tiny_folder())).task == "classification"


def test_figures_come_with_texts_seconds_and_notes_in_korean(done: RunKey, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("text,label\nthe film was good,1\n ,0\nbad plot,1\nmore,0\n" + f"{'long ' * 90},1\n" * 3)
    found = cost.evaluated(Store(Settings(max_rows=5)), done, str(table), "")
    view = quality_view("ko", found)
    assert re.search(r"t\.csv의 문장 4개를 두 모델에 입력해 \d+\.\d초", view)
    assert "데이터가 더 있지만 앞의 5행만 읽었습니다" in view
    assert "5행 가운데 1행이며, 처음은 t.csv 3번째 줄입니다" in view
    assert "the first 5 rows were read" in quality_view("en", found)
    assert len(found.notes) == 3
    notes = re.findall(r'class="bp-note">(.*?)</p>', view)
    assert len(notes) >= 4
    assert all(re.search("[가-힣]", one) for one in notes)


def test_after_a_refused_file_the_page_says_whose_figures_it_shows(done: RunKey, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text("text,label\nthe film was good,1\nbad plot,0\n")
    bad.write_text("a,b\n1,2\n")
    quality = cost.evaluated(STORE, done, str(good), "")
    with pytest.raises(bp.BertpruneError) as caught:
        cost.evaluated(STORE, done, str(bad), "")
    assert "rename yours in the file, or put a line such as" in error_text("en", caught.value)
    for earlier, said in ((quality, True), (None, False)):
        with pytest.raises(bp.BertpruneError) as caught, cost.still_there(Run(1, "tiny", done, quality=earlier)):
            cost.evaluated(STORE, done, str(bad), "")
        assert ("아래 수치는 여전히 good.csv의 것입니다" in error_text("ko", caught.value)) == said
        assert "이 파일로는 측정할 수 없습니다" in error_text("ko", caught.value)
