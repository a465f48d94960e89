"""The page's handlers as the plain functions that they are."""

import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bertprune as bp
from app.handlers import cost, model, recipe, results, take
from app.handlers.recipe import Form, OptionField
from app.plan import Plan
from app.presets import preset
from app.session import Done, Shelf, Source
from app.settings import Settings
from app.tree import tree_value
from app.views.model import status

KEY = "bert.encoder.layer.0.attention.self.key"


@pytest.fixture
def shelf() -> Shelf:
    return Shelf(Settings())


@pytest.fixture
def source(tiny_folder: Callable[..., Path]) -> Source:
    return Source(str(tiny_folder()), shown="tiny")


@pytest.fixture
def done(shelf: Shelf, source: Source) -> Done:
    return results.prune("en", shelf, source, Plan(preset("random")), 0)


def opened(shelf: Shelf, **wanted: Any) -> Source:
    return model.open_source("en", shelf, model.Wanted(**wanted), Source())


def test_a_folder_of_this_machine_is_opened_locally_and_never_when_hosted(source: Source) -> None:
    assert opened(Shelf(Settings()), kind="folder", path=source.given).given == source.given
    with pytest.raises(bp.BertpruneError, match="Open a checkpoint first"):
        opened(Shelf(Settings.for_strangers()), kind="folder", path=source.given)


@pytest.mark.parametrize("given", ["/etc", "../x", "a/b/c", "~/x", "org/na me", "org/..", "weights.bin", "http://x/y"])
def test_a_hub_id_is_never_a_path(shelf: Shelf, given: str) -> None:
    with pytest.raises(bp.BertpruneError, match="is not the id of a model"):
        opened(shelf, kind="hub", hub_id=given)


def test_a_folder_beside_the_server_is_no_hub_id(shelf: Shelf, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(source.given)
    monkeypatch.chdir(folder.parent.parent)
    with pytest.raises(bp.BertpruneError, match="is not the id of a model"):
        opened(shelf, kind="hub", hub_id=f"{folder.parent.name}/{folder.name}")


def test_an_upload_is_opened_from_a_folder_of_its_own_and_replaces_the_last(
    shelf: Shelf, tiny_zip: Callable[..., Path]
) -> None:
    first = opened(shelf, kind="upload", files=[str(tiny_zip("one"))])
    assert first.shown == "one-upload"
    assert Path(first.folder or "").is_dir()
    second = model.open_source("en", shelf, model.Wanted("upload", files=[str(tiny_zip("two"))]), first)
    assert not Path(first.folder or "").exists()
    assert shelf.checkpoint(second).facts.architecture == "BertForSequenceClassification"


def test_a_refused_upload_leaves_nothing_behind(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    homes: list[Path] = []

    def home() -> Path:
        homes.append(tmp_path / f"home{len(homes)}")
        homes[-1].mkdir()
        return homes[-1]

    monkeypatch.setattr(model, "new_folder", home)
    bad = tmp_path / "bad.zip"
    with zipfile.ZipFile(bad, "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.safetensors", "no header")
    for files in ([str(bad)], [str(tmp_path / "bad.zip"), str(bad)]):
        with pytest.raises(bp.BertpruneError):
            opened(shelf, kind="upload", files=files)
    assert len(homes) == 2
    assert not [path for path in homes if path.exists()]


def test_what_can_be_chosen_comes_from_the_tree(shelf: Shelf, source: Source) -> None:
    there = model.choices_of(shelf.tree(source))
    assert there.roles[:3] == ("attention.query", "attention.key", "attention.value")
    assert set(there.roles) >= {"pooler", "head", "embeddings.word"}
    assert there.layers == (0, 1)
    assert dict(there.types)["Linear"] == 14
    assert there.first == KEY


def test_the_tree_folds_alike_layers_and_carries_sparsity(shelf: Shelf, source: Source, done: Done) -> None:
    value = tree_value("en", "tiny", shelf.tree(source), KEY, shelf.run(done).report)
    layers = find(value["nodes"], lambda node: node.get("g"))
    assert (layers["n"], layers["t"], len(layers["k"])) == ("0–1", "2 × BertLayer", 2)
    key = find(value["nodes"], lambda node: node["p"] == KEY)
    assert key["m"] == pytest.approx(307 / (1024 + 32))
    assert 0 < layers["m"] < key["m"]
    untouched = tree_value("en", "tiny", shelf.tree(source), KEY)
    assert find(untouched["nodes"], lambda node: node["p"] == KEY)["m"] is None


def find(nodes: list[dict[str, Any]], wanted: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    stack = list(nodes)
    while stack:
        node = stack.pop(0)
        if wanted(node):
            return node
        stack = node["k"] + stack
    raise AssertionError("no such node")


def test_a_step_is_made_of_the_fields() -> None:
    form = Form(roles=["attention.key"], layers=[0], method="ln_structured", options={"dim": 0, "n": None}, percent=30)
    step = recipe.make_step("en", form)
    assert step == bp.Step(
        method="ln_structured",
        fraction=0.3,
        options={"dim": 0},
        select=bp.Selection(roles=["attention.key"], layers=[0]),
    )
    counted = recipe.make_step("en", Form(roles=["pooler"], amount="count", count=7.0, tensor="bias"))
    assert (counted.count, counted.select.tensor) == (7, "bias")
    within = recipe.make_step("en", Form(where="module", module="encoder.layer.0"))
    assert within.select.include == ("encoder.layer.0", "encoder.layer.0.*")
    patterns = recipe.make_step("en", Form(where="pattern", include="a.{b,c}.*\n  d", exclude="*.x"))
    assert (patterns.select.include, patterns.select.exclude) == (("a.{b,c}.*", "d"), ("*.x",))


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (Form(), "at least one role"),
        (Form(where="types"), "at least one type"),
        (Form(where="pattern", include="  "), "at least one pattern"),
        (Form(roles=["pooler"], percent=0), "more than 0"),
        (Form(roles=["pooler"], percent=None), "more than 0"),
        (Form(roles=["pooler"], amount="count", count=1.5), "whole number"),
        (Form(roles=["pooler"], amount="count", count=None), "whole number"),
    ],
)
def test_fields_that_make_no_step_are_refused(form: Form, said: str) -> None:
    with pytest.raises(bp.BertpruneError, match=said):
        recipe.make_step("en", form)


def test_the_preview_counts_after_the_steps_before_it(shelf: Shelf, source: Source) -> None:
    form = Form(roles=["attention.key"], layers=[0], percent=50)
    first = recipe.look_ahead("en", shelf, source, Plan(), form)
    assert "<strong>512</strong> would go (50.00%)" in first
    plan = recipe.add_step("en", shelf, source, Plan(), form)
    assert "<strong>256</strong> would go" in recipe.look_ahead("en", shelf, source, plan, form)
    assert "would go: 512" in recipe.show_steps("en", shelf, source, plan)
    refused = recipe.look_ahead("en", shelf, source, Plan(), Form(where="pattern", include="no.<b>such</b>"))
    assert "bp-refused" in refused
    assert "<b>" not in refused


def test_a_step_that_does_not_fit_is_not_added(shelf: Shelf, source: Source) -> None:
    with pytest.raises(bp.BertpruneError, match="nothing"):
        recipe.add_step("en", shelf, source, Plan(), Form(where="pattern", include="nothing.*"))
    with pytest.raises(bp.BertpruneError, match="at most 1 steps"):
        recipe.add_step("en", Shelf(Settings(max_steps=1)), source, Plan(preset("random")), Form(roles=["pooler"]))


def test_yaml_replaces_the_steps(shelf: Shelf) -> None:
    plan = recipe.read_yaml("en", shelf, Plan(preset("random")), preset("global").to_yaml())
    assert plan.recipe == preset("global")
    assert plan.undo().recipe == preset("random")
    with pytest.raises(bp.BertpruneError, match="no YAML"):
        recipe.read_yaml("en", shelf, Plan(), " ")
    with pytest.raises(bp.BertpruneError, match="not valid YAML"):
        recipe.read_yaml("en", shelf, Plan(), "a: [")


def test_options_become_fields_of_their_types() -> None:
    fields = {field.name: field for field in recipe.option_fields(bp.methods()["ln_structured"])}
    assert fields["dim"].kind == "integer"
    assert fields["n"].kind == "text"  # a number, inf, or the name of a norm
    assert recipe.option_value(fields["n"], "inf") == float("inf")
    assert recipe.option_value(fields["n"], "2") == 2
    assert recipe.option_value(fields["n"], "fro") == "fro"
    assert recipe.option_value(fields["dim"], 1.0) == 1
    assert recipe.option_value(fields["dim"], None) is None
    assert recipe.option_value(OptionField("power", "number", 2.0), 3) == 3.0
    assert recipe.option_value(OptionField("flip", "boolean", False), True) is True


def test_a_method_of_ones_own_brings_its_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    from bertprune.pruning.methods import registry

    monkeypatch.setattr(registry, "_REGISTER", dict(registry._REGISTER))

    @bp.method("fields_of_mine")
    def mine(weight: Any, *, power: float = 2.0, centred: bool = False) -> Any:
        """Score by a power."""
        return weight.abs() ** power

    fields = recipe.option_fields(bp.methods()["fields_of_mine"])
    assert [(field.name, field.kind, field.default) for field in fields] == [
        ("power", "number", 2.0),
        ("centred", "boolean", False),
    ]


def test_a_run_is_what_the_library_makes(shelf: Shelf, source: Source, done: Done) -> None:
    ours = bp.prune(source.given, preset("random"), seed=0)
    assert results.report_of(shelf, done).to_dict() == ours.report.to_dict()
    assert results.code(shelf, done) == ours.as_python()
    assert source.given not in results.code(shelf, done)


@pytest.mark.parametrize("seed", [None, -1, 0.5, 2**70])
def test_a_seed_that_is_none_is_refused(shelf: Shelf, source: Source, seed: Any) -> None:
    with pytest.raises(bp.BertpruneError, match="seed"):
        results.prune("en", shelf, source, Plan(preset("random")), seed)


def test_the_module_is_shown_for_what_torch_made_of_it(shelf: Shelf, source: Source, done: Done) -> None:
    before = results.show_module("en", shelf, source, KEY)
    assert "weight_orig" not in before
    after = results.show_changes("en", shelf, done, KEY, baked=True)
    for word in ("weight_orig", "weight_mask", "MulBackward0", "RandomUnstructured", "Baked"):
        assert word in after
    assert after.count("weight_mask") == 3  # the story, the buffer, the state_dict
    assert "no tensors of its own" in results.show_changes("en", shelf, done, "bert.encoder")


def test_pictures_are_drawn_for_pruned_modules_only(shelf: Shelf, done: Done) -> None:
    assert all(figure is not None for figure in results.pictures("ko", shelf, done, KEY))
    assert results.pictures("en", shelf, done, "bert.pooler.dense") == [None, None]
    assert results.heatmap("en", shelf, done) is not None
    assert results.heatmap("en", shelf, None) is None


def test_showing_it_baked_leaves_the_run_as_it_is(shelf: Shelf, done: Done) -> None:
    results.show_changes("en", shelf, done, KEY, baked=True)
    assert "weight_mask" in dict(shelf.run(done).model.get_submodule(KEY).named_buffers())


def test_it_is_measured_and_the_first_figure_is_always_in_sight(shelf: Shelf, done: Done, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("text,label\nthe film was good,1\nbad plot,0\n")
    report = cost.measure("en", shelf, done, "file", str(table))
    view = cost.show_quality("en", report)
    assert "2 texts of t.csv" in view
    headline = cost.headline("ko", report)
    assert headline is not None
    assert re.fullmatch(r"정확도 [01]\.\d{3} → [01]\.\d{3}", headline)
    line = status("en", "tiny", shelf.checkpoint(done.source), shelf.run(done).report, headline)
    assert headline in line
    with pytest.raises(bp.BertpruneError, match="Choose a file"):
        cost.measure("en", shelf, done, "file", None)


@pytest.mark.parametrize("form", ["baked", "masked"])
def test_the_parcel_comes_back_the_same_and_is_the_same_each_time(
    shelf: Shelf, done: Done, tmp_path: Path, form: str
) -> None:
    told: list[float] = []
    parcel = take.build("en", shelf, done, form, lambda share, words: told.append(share))
    again = take.build("en", shelf, done, form)
    assert parcel.zip.read_bytes() == again.zip.read_bytes()
    assert parcel.zip.name == f"tiny-{form}.zip"
    assert told == sorted(told)
    with zipfile.ZipFile(parcel.zip) as opened:
        assert {entry.date_time[0] for entry in opened.infolist()} == {1980}  # no clock in it
        opened.extractall(tmp_path / "home")
    folder = tmp_path / "home" / f"tiny-{form}"
    assert {path.name: path.stat().st_size for path in folder.iterdir()} == parcel.files
    back = bp.load(folder) if form == "masked" else bp.Checkpoint.open(folder).model()
    report = bp.sparsity(back)
    assert report.model.masked + report.model.zero >= 307
    take.throw_away(parcel)
    assert not parcel.zip.parent.exists()


def test_a_failing_build_leaves_nothing_behind(
    shelf: Shelf, done: Done, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(share: float, words: str) -> None:
        if share > 0.3:
            raise KeyboardInterrupt

    (tmp_path / "home").mkdir()
    monkeypatch.setattr(take, "new_folder", lambda: tmp_path / "home")
    with pytest.raises(KeyboardInterrupt):
        take.build("en", shelf, done, "baked", stop)
    assert not (tmp_path / "home").exists()


def test_sizes_are_honest(shelf: Shelf, done: Done) -> None:
    stored = shelf.checkpoint(done.source).facts.bytes
    baked = take.show_estimate("en", shelf, done, "baked")
    assert baked.count(f"{stored / 1000:.1f} kB") == 2
    assert "Zeros do not make a dense file smaller" in baked
    assert take.show_estimate("en", shelf, done, "masked") != baked


def test_names_from_outside_are_text_and_not_markup(shelf: Shelf, source: Source) -> None:
    named = Source(source.given, shown="<script>alert(1)</script>")
    line = status("en", model.name_of(shelf, named), shelf.checkpoint(named))
    assert "<script>" not in line
    assert "&lt;script&gt;" in line


def test_what_the_browser_kept_is_taken_up_or_forgotten() -> None:
    assert recipe.kept_plan({"recipe": preset("global").to_yaml()}).recipe == preset("global")
    for kept in (None, {}, {"recipe": ""}, {"recipe": "a: ["}, {"recipe": 7}, "nonsense"):
        assert recipe.kept_plan(kept) == Plan()


def test_the_report_is_the_librarys_in_the_visitors_words(shelf: Shelf, done: Done) -> None:
    assert results.report_text("en", shelf, done) == shelf.run(done).report.to_text()
    assert "모델 전체" in results.report_text("ko", shelf, done)
    figures = bp.figures.LABELS
    assert results.words("en", "draw_").items() <= figures.items()
    assert results.words("ko", "draw_").keys() == figures.keys()


def test_the_grid_selects_modules_and_sums_up(shelf: Shelf, source: Source) -> None:
    done = results.prune("en", shelf, source, Plan(preset("global")), 0)
    written = results.show_grid("en", shelf, done)
    report = shelf.run(done).report
    assert written.count("data-module") == 6
    assert f'data-module="{KEY}"' in written
    assert written.count(f"{report.total.sparsity:.2%}") >= 1
    for count in report.by("role").values():
        assert f"{count.sparsity:.2%}" in written
