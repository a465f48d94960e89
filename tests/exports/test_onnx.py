"""The ONNX form: onnxruntime gives what torch gives, for any number of texts and tokens."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
import torch
from transformers import AutoTokenizer
from transformers.exporters import OnnxExporter, OnnxRuntimeQuantizer

import bertprune as bp
from bertprune.exports import onnx_file, onnx_form
from tests.calibration_texts import TEXTS
from tests.tiny_models import make_model, make_tokenizer

from .conftest import NEURONS, Made, given_by_torch

ROWS = [(text, number % 2) for number, text in enumerate(TEXTS)]


@pytest.fixture(scope="module")
def quantised(classifier: Made) -> Any:
    """Give the classifier in int8."""
    run, exported = classifier
    return bp.export(run, exported.path.parent / "int8", form="onnx", quantize="int8", texts=TEXTS)


def given_by_onnxruntime(folder: Path, texts: list[str]) -> torch.Tensor:
    session = onnxruntime.InferenceSession(folder / "onnx" / "model.onnx")
    batch = AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="np")
    return torch.from_numpy(session.run(["logits"], {one.name: batch[one.name] for one in session.get_inputs()})[0])


def test_outputs_are_those_of_torch(classifier: Made, unequal: Made, subtests: pytest.Subtests) -> None:
    for texts in [TEXTS[:1], TEXTS[3:10], ["good " * 25]]:
        with subtests.test(str(texts)):
            for run, exported in (classifier, unequal):
                expected, found = given_by_torch(run, texts), given_by_onnxruntime(exported.path, texts)
                kept = torch.from_numpy(run.tokenizer(texts, padding=True, return_tensors="np")["attention_mask"]) != 0
                if expected.dim() == 3:  # what is given for padding is never read
                    expected, found = expected[kept], found[kept]
                assert torch.allclose(found, expected, atol=1e-4)


def test_what_was_masked_is_taken_out(classifier: Made, unequal: Made) -> None:
    for run, exported in (classifier, unequal):
        report = json.loads((exported.path / "report.json").read_text())
        assert report["onnx"]["parameters"] == report["small"]["parameters"][1] < run.report.model.size
        assert exported.loads == report["loads"] == "anywhere"
    assert json.loads((unequal[1].path / "report.json").read_text())["small"]["neurons"] == [64, 55]


def test_the_config_is_known_without_bertprune(unequal: Made) -> None:
    config = json.loads((unequal[1].path / "config.json").read_text())
    assert (config["model_type"], config["architectures"]) == ("roberta", ["RobertaForMaskedLM"])
    assert config["vocab_size"] == 90 and "kept_heads" not in config


def test_the_folder_holds_what_runs_it_and_nothing_of_this_machine(classifier: Made) -> None:
    _, exported = classifier
    assert set(exported.files) == {
        *("README.md", "config.json", "onnx/model.onnx", "recipe.yaml", "report.json"),
        *("tokenizer.json", "tokenizer_config.json"),
    }
    content = (exported.path / "onnx" / "model.onnx").read_bytes()
    assert b"site-packages" not in content and b".py" not in content and str(Path.home()).encode() not in content


def test_onnxruntime_computes_layer_norms_without_its_slow_step(classifier: Made, tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    onnxruntime.InferenceSession(classifier[1].path / "onnx" / "model.onnx", options)
    kinds = {node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node}
    assert "LayerNormalization" in kinds and "SkipLayerNormalization" not in kinds


def test_int8_is_smaller_and_tells_its_drift(classifier: Made, quantised: Any) -> None:
    _, exported = classifier
    assert quantised.files["onnx/model.onnx"] < 0.6 * exported.files["onnx/model.onnx"]
    drift = quantised.drift
    assert 0 < drift.value < 1 and (drift.measure, drift.texts, drift.data_name) == ("divergence", 45, "the list")
    report = json.loads((quantised.path / "report.json").read_text())
    assert report["drift"]["value"] == drift.value and report["onnx"]["quantize"] == "int8"
    assert str(drift) in (quantised.path / "README.md").read_text()
    assert exported.drift is None and "drift" not in json.loads((exported.path / "report.json").read_text())


def test_an_onnx_folder_is_evaluated_like_any_other(classifier: Made, quantised: Any) -> None:
    run, exported = classifier
    as_torch, as_onnx = bp.evaluate(run, ROWS), bp.evaluate(exported.path, ROWS, baseline=run.checkpoint)
    assert as_onnx["accuracy"] == as_torch["accuracy"] and as_onnx.after_name == "out (ONNX)"
    assert bp.evaluate(quantised.path, ROWS).after_name == "int8 (ONNX, int8)"
    unlabelled = bp.evaluate(str(quantised.path), TEXTS, baseline=exported.path)
    assert "agreement" in unlabelled.fidelity and "embedding_cosine" not in unlabelled.fidelity
    assert any("no cosine" in note for note in unlabelled.notes)
    assert bp.try_text(exported.path, "the film was good").task == "classification"


def test_a_masked_language_model_is_scored(unequal: Made) -> None:
    run, exported = unequal
    found = bp.evaluate(exported.path, TEXTS, baseline=run)["masked_lm_loss"]
    assert found.before.value == pytest.approx(found.after.value, abs=1e-5)


def test_an_onnx_folder_is_timed(classifier: Made, quantised: Any) -> None:
    run, _ = classifier
    report = bp.speed(quantised.path, against=run.checkpoint, texts=TEXTS, rounds=2)
    recorded = json.loads((quantised.path / "report.json").read_text())["onnx"]
    assert report.before is not None and report.before.runtime.startswith("torch")
    assert report.after.runtime.startswith("onnxruntime") and report.after.dtype == "int8"
    assert report.after.parameters == recorded["parameters"]
    assert report.after.disk == quantised.files["onnx/model.onnx"]
    before, after = report.timings[0].macs
    assert before is not None and after is not None and after < before


def test_an_onnx_model_is_not_loaded_or_pruned(classifier: Made, tmp_path: Path, subtests: pytest.Subtests) -> None:
    uses = (bp.load, bp.Checkpoint.open, lambda it: bp.prune(it, NEURONS), lambda it: bp.export(it, tmp_path / "x"))
    for path in (classifier[1].path, classifier[1].path / "onnx" / "model.onnx"):
        with subtests.test(path.name):
            for use in uses:
                with pytest.raises(bp.BertpruneError, match="is an ONNX model, which can be evaluated and") as caught:
                    use(path)
                assert caught.value.code == "checkpoint.is_onnx"
            assert bp.evaluate(path, ROWS[:4]).task == "classification"


def test_a_checkpoint_without_masks_may_leave_as_onnx(tmp_path: Path) -> None:
    make_model("DistilBertModel", n_layers=1).save_pretrained(tmp_path / "plain")
    exported = bp.export(tmp_path / "plain", tmp_path / "out", form="onnx", dtype="float16")
    assert exported.drift is not None and exported.drift.data_name is None and exported.drift.value < 1e-4
    text = (exported.path / "README.md").read_text()
    assert "Nothing more was pruned" in text and "0 of 0" not in text and "made-up token ids" in text
    assert "path/to/its/tokenizer" in text


def stored(file: Path) -> bytes:
    """Read a model with the weights beside it, wherever they are stored."""
    model = onnx.load(file)
    for tensor in model.graph.initializer:
        tensor.ClearField("data_location")
    return bytes(model.SerializeToString(deterministic=True))


def test_the_same_is_written_each_time_and_what_one_file_cannot_hold_beside_it(
    classifier: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build, built = onnx_form.model_of, []
    monkeypatch.setattr(onnx_form, "model_of", lambda contents: built.append(contents) or build(contents))
    monkeypatch.setattr(onnx_file, "MOST_IN_ONE", 1000)
    files = bp.export(classifier[0], tmp_path / "out", form="onnx").files
    size = files["onnx/model.onnx"] + files["onnx/model.onnx.data"]
    assert len(built) == 1  # to be written, compared and described
    assert stored(tmp_path / "out" / "onnx" / "model.onnx") == stored(classifier[1].path / "onnx" / "model.onnx")
    assert f"| {size:,} |" in (tmp_path / "out" / "README.md").read_text()
    assert bp.speed(tmp_path / "out", rounds=2).after.disk == size
    assert bp.evaluate(tmp_path / "out", ROWS)["accuracy"] == bp.evaluate(classifier[1].path, ROWS)["accuracy"]


def test_what_differs_in_onnxruntime_is_not_kept(
    classifier: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, exported = classifier

    def other(model: Any, file: Path, *rest: Any) -> None:
        file.parent.mkdir()
        file.write_bytes((exported.path / "onnx" / "model.onnx").read_bytes())

    monkeypatch.setattr(onnx_form, "convert", other)
    changed = bp.prune(run.checkpoint, [NEURONS, bp.Step(method="l1_unstructured", fraction=0.5, select="*.query")])
    with pytest.raises(bp.BertpruneError, match=r"verification failed \(its outputs are off by .* of the largest\)"):
        bp.export(changed, tmp_path / "out", form="onnx")
    assert list(tmp_path.iterdir()) == []


def test_missing_packages_are_named_in_one_line(
    classifier: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    for package in ("onnx_ir", "onnxruntime", "transformers.exporters"):
        with subtests.test(package), monkeypatch.context() as patched:
            patched.setitem(sys.modules, package, None)
            with pytest.raises(bp.BertpruneError, match=r'pip install "bertprune\[onnx\]"') as caught:
                bp.export(classifier[0], tmp_path / "out", form="onnx")
            assert caught.value.code == "onnx.not_installed" and list(tmp_path.iterdir()) == []


def test_a_full_folder_for_temporary_files_is_one_line(
    classifier: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    room = shutil.disk_usage(tmp_path)
    no_space, corrupt = OSError(28, "No space left on device"), RuntimeError("Wire format was corrupt")
    full = r"\(the disk is full\)"
    for exporter, failing, error, free, words in (
        (OnnxRuntimeQuantizer, "quantize", no_space, room.free, rf"files {full}: free some there, or set TMPDIR"),
        (OnnxExporter, "export", corrupt, 1000, rf"int8 needs up to [\d,]+ bytes in .*, .*{full}"),
        (OnnxExporter, "export", corrupt, 2**40, "as ONNX: Wire format was corrupt"),
    ):
        with subtests.test(words), monkeypatch.context() as patched:

            def fail(*given: Any, error: Exception = error) -> None:
                raise error

            patched.setattr(exporter, failing, fail)
            patched.setattr(shutil, "disk_usage", lambda path, free=free: room._replace(free=free))
            with pytest.raises(bp.BertpruneError, match=words):
                bp.export(classifier[0], tmp_path / "out", form="onnx", quantize="int8")
            assert list(tmp_path.iterdir()) == []


def test_a_damaged_onnx_file_is_one_line(classifier: Made, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((classifier[1].path / "config.json").read_bytes())
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(bp.BertpruneError) as caught:
        bp.evaluate(tmp_path, ROWS, tokenizer=make_tokenizer())
    assert caught.value.code == "onnx.unreadable" and str(tmp_path) not in str(caught.value)


def test_its_threads_do_not_slow_what_is_timed_beside_it(classifier: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    began, given = onnxruntime.InferenceSession, []

    def begin(file: str, options: Any, **more: Any) -> Any:
        given.append(options.get_session_config_entry("session.force_spinning_stop"))
        return began(file, options, **more)

    monkeypatch.setattr(onnxruntime, "InferenceSession", begin)
    assert bp.speed(classifier[1].path, texts=TEXTS[:2], rounds=2).timings
    assert given == ["1"]
