"""What each part bears: a cell is what the step gives, done cells are kept, other scans are refused."""

import json
from itertools import product

import pytest
import torch

import bertprune as bp
from bertprune.data.calibration import Calibration, batches_of
from bertprune.data.embedding import MEAN
from bertprune.data.outputs import output_of
from bertprune.errors import BertpruneError
from tests.calibration_texts import TEXTS

LEVELS = [0.25, 0.5, 1.0]


def drift_of(folder, step):
    """Prune by one step in place, and compare the answers to the texts held back with those before."""
    checkpoint = bp.Checkpoint.open(folder)
    model = checkpoint.load()
    batches = batches_of(Calibration(TEXTS), 0, checkpoint.tokenizer(), model, MEAN, "tiny")
    held, output = batches.only(held_back=True), output_of(model)
    with torch.no_grad():
        before = torch.cat([output.rows(model, batch) for batch in held.used])
        run = bp.prune(checkpoint, step, calibration=TEXTS)
        after = torch.cat([output.rows(run.model, batch) for batch in held.used])
    return output.drift(before, after), run


def find(scan, layer, part, level):
    (cell,) = [cell for cell in scan.cells if (cell.layer, cell.part, cell.level) == (layer, part, level)]
    return cell


def test_a_cell_is_what_its_step_alone_gives(tiny_folder, subtests):
    folder, kinds = tiny_folder(), ["neuron", "head", "element"]
    scans = {
        method: bp.scan(folder, TEXTS, granularity=kinds, method=method, reconstruct=False, levels=LEVELS)
        for method in ("fisher", "obs", "magnitude")
    }
    places = [("neuron", bp.Selection(layers=[1])), ("head", bp.Selection(layers=[0]))]
    places += [("ffn.output", bp.Selection(roles="ffn.output", layers=[0]))]
    for (method, scan), (part, select) in product(scans.items(), places):
        with subtests.test(f"{method}, {part}"):
            assert len(scan.cells) == 2 * (2 + 6) * 3
            granularity = part if part in ("neuron", "head") else "element"
            step = bp.Step(method=method, granularity=granularity, fraction=0.5, select=select)
            cell = find(scan, select.layers[0], part, 0.5)
            drift, run = drift_of(folder, step)
            assert cell.drift.value == pytest.approx(drift, rel=1e-4, abs=1e-9)
            assert cell.drift.low <= cell.drift.value <= cell.drift.high
            gone = run.steps[0].tensors[0].slices_removed or run.steps[0].tensors[0].removed
            assert cell.count == gone


def test_a_reconstructed_cell_is_what_its_step_measures(tiny_folder, subtests):
    folder = tiny_folder()
    for part, granularity in (("neuron", "neuron"), ("attention.output", "element")):
        with subtests.test(part):
            scan = bp.scan(folder, TEXTS, granularity=granularity, levels=[0.5])
            select = bp.Selection(layers=[1]) if granularity == "neuron" else bp.Selection(roles=part, layers=[1])
            step = bp.Step(method="obs", granularity=granularity, fraction=0.5, reconstruct=True, select=select)
            (done,) = bp.prune(folder, step, calibration=TEXTS).steps[0].reconstructions
            assert find(scan, 1, part, 0.5).drift.value == pytest.approx(done.drift_with, rel=1e-4, abs=1e-9)


def test_labels_give_the_accuracy_beside_the_drift(tiny_folder):
    rows = [{"text": text, "label": number % 2} for number, text in enumerate(TEXTS)]
    texts = bp.Calibration(rows, label="label")
    scan = bp.scan(tiny_folder(), texts, method="magnitude", reconstruct=False, levels=[1.0])
    assert scan.score is not None and 0 <= scan.score.low <= scan.score.value <= scan.score.high <= 1
    assert all(cell.score is not None for cell in scan.cells)
    assert {"score", "score_low", "score_high"} < set(scan.to_frame().columns)
    without = bp.scan(tiny_folder(), TEXTS, method="magnitude", reconstruct=False, levels=[1.0])
    assert without.score is None and without.cells[0].score is None


class Killed(Exception):
    pass


def test_a_scan_that_was_killed_goes_on_where_it_was(tiny_folder, tmp_path, subtests):
    for method in ("fisher", "obs", "random"):
        with subtests.test(method):
            (here := tmp_path / method).mkdir()
            folder, options = tiny_folder(), {"method": method, "reconstruct": method == "obs", "levels": LEVELS}
            whole = bp.scan(folder, TEXTS, **options)
            file, words = here / "scan.json", []

            def kill(share, text):
                words.append(text)
                if text.startswith("layer 1, neuron"):
                    raise Killed

            with pytest.raises(Killed):
                bp.scan(folder, TEXTS, **options, file=file, progress=kill)
            half = bp.Scan.of(file)
            assert {(cell.layer, cell.part) for cell in half.cells} == {(0, "neuron"), (0, "head")}
            words.clear()
            resumed = bp.scan(folder, TEXTS, **options, file=file, progress=lambda share, text: words.append(text))
            assert resumed == whole == bp.Scan.of(file)
            assert [text for text in words if text.startswith("layer")] == ["layer 1, neuron", "layer 1, head"]
            assert list(here.glob(".*")) == []


def test_a_file_of_another_scan_is_refused_by_what_differs(tiny_folder, tmp_path, subtests):
    folder, file = tiny_folder(), tmp_path / "scan.json"
    same = {"texts": TEXTS, "method": "magnitude", "reconstruct": False, "levels": [0.5], "seed": 0}
    bp.scan(folder, file=file, **same)
    before = file.read_text()
    others = {
        "of another checkpoint": (tiny_folder(seed=3), {}),
        "on other texts": (folder, {"texts": TEXTS[10:]}),
        "by another method": (folder, {"method": "random"}),
        "at other levels": (folder, {"levels": [0.25]}),
        "of other parts": (folder, {"granularity": "head"}),
        "with another seed": (folder, {"seed": 1}),
    }
    for words, (source, changes) in others.items():
        with subtests.test(words):
            with pytest.raises(BertpruneError, match=f"holds a scan {words}") as caught:
                bp.scan(source, file=file, **{**same, **changes})
            assert caught.value.code == "scan.other"
    assert file.read_text() == before
    file.write_text(before.replace('"part": "head"', '"part": "tail"'))
    with pytest.raises(BertpruneError, match="holds a scan of other parts"):
        bp.scan(folder, file=file, **same)


def test_damaged_and_foreign_files_are_one_clear_error(tmp_path, tiny_folder, subtests):
    file = tmp_path / "scan.json"
    good = bp.scan(tiny_folder(), TEXTS, method="magnitude", reconstruct=False, levels=[0.5]).to_json()
    plain = json.loads(good)
    cases = {
        "cut": good[:200],
        "empty": "",
        "list": "[]",
        "recipe": bp.Recipe().to_json(),
        "nan": good.replace('"drift": {', '"drift": {"x": NaN, '),
        "hash": json.dumps(plain | {"sha256": "0"}),
        "deep": "[" * 100_000,
        "part twice": json.dumps(plain | {"cells": [*plain["cells"], plain["cells"][0]]}),
        "level": json.dumps(plain | {"cells": [plain["cells"][0] | {"level": 0.3}]}),
        "version": json.dumps(plain | {"version": 2}),
    }
    for name, text in cases.items():
        file.write_text(text)
        with subtests.test(name), pytest.raises(BertpruneError, match=r"^scan\.json is not a scan: ") as caught:
            bp.Scan.of(file)
        assert caught.value.code == "scan.file"
    with pytest.raises(BertpruneError, match="cannot be read"):
        bp.Scan.of(tmp_path / "none.json")
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(BertpruneError, match="is not UTF-8 text"):
        bp.Scan.of(file)


def test_what_cannot_be_scanned_is_refused(tiny_folder, subtests):
    folder = tiny_folder()
    cases = {
        "calibration.none_to_measure": {"texts": None},
        "calibration.none_held_back": {"texts": TEXTS[:4]},
        "scan.levels": {"levels": [0.0, 0.5]},
        "scan.levels ": {"levels": []},
        "scan.granularity": {"granularity": "layer"},
        "method.unknown": {"method": "gradient descent"},
        "recipe.seed": {"seed": -1},
        "progress.kind": {"progress": 3},
    }
    for code, changes in cases.items():
        with subtests.test(code):
            with pytest.raises(BertpruneError) as caught:
                bp.scan(folder, **{"texts": TEXTS, **changes})
            assert caught.value.code == code.strip()


def test_the_figure_shows_each_layer_and_part(tiny_folder):
    scan = bp.scan(tiny_folder(), TEXTS, method="magnitude", reconstruct=False, levels=LEVELS)
    drawn = scan.figure()
    assert [axes.get_title(loc="center") or axes.get_title() for axes in drawn.axes] == ["neurons", "heads"]
    assert all(len(axes.get_lines()) == 2 for axes in drawn.axes)
    heat = scan.figure(0.5, labels={"neuron": "뉴런", "layer": "레이어"})
    assert len(heat.axes[0].texts) == 4
    assert [label.get_text() for label in heat.axes[0].get_xticklabels()] == ["뉴런", "heads"]
    assert bp.figures.png(heat)[:4] == b"\x89PNG"
    with pytest.raises(BertpruneError, match=r"no cells at level 0\.3"):
        scan.figure(0.3)
