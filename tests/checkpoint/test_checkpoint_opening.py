"""What is known when a checkpoint is open, for every kind of source."""

import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
import transformers
from checkpoint_files import alike, configure, contents, store, stored

import bertprune as bp
from bertprune.checkpoint import DEFAULT, EMBEDDED
from bertprune.checkpoint import source as sources
from bertprune.errors import CheckpointError, MissingTensorsWarning
from bertprune.seeded import Seeded

CLASSES = [
    "BertModel",
    "BertForMaskedLM",
    "BertForPreTraining",
    "BertForSequenceClassification",
    "BertForTokenClassification",
    "RobertaModel",
    "RobertaForMaskedLM",
    "XLMRobertaForSequenceClassification",
    "DistilBertForMaskedLM",
    "ElectraForPreTraining",
    "ElectraForMaskedLM",
]


def names_and_ties(model: torch.nn.Module) -> list[tuple[str, tuple[int, ...], int]]:
    first: dict[int, int] = {}
    tensors = model.state_dict(keep_vars=True).items()
    return [(name, tuple(value.shape), first.setdefault(id(value), len(first))) for name, value in tensors]


@pytest.mark.parametrize("model_cls", CLASSES)
def test_each_class_is_built_as_transformers_builds_it(tiny_folder, model_cls):
    folder = tiny_folder(model_cls)
    theirs = getattr(transformers, model_cls).from_pretrained(folder)
    checkpoint = bp.Checkpoint.open(folder)
    ours = checkpoint.load()
    assert type(ours) is type(checkpoint.skeleton()) is type(theirs)
    assert alike(ours, theirs)
    assert names_and_ties(checkpoint.skeleton()) == names_and_ties(ours) == names_and_ties(theirs)
    assert all(tensor.is_meta for tensor in [*checkpoint.skeleton().parameters(), *checkpoint.skeleton().buffers()])
    assert not ours.training
    assert not checkpoint.missing


@pytest.mark.parametrize(("sharded", "pickle"), [(False, False), (True, False), (False, True), (True, True)])
def test_every_layout_of_files_gives_the_same_model(tiny_folder, sharded, pickle):
    checkpoint = bp.Checkpoint.open(tiny_folder("BertForMaskedLM", sharded=sharded, pickle=pickle))
    facts = checkpoint.facts
    plain = bp.Checkpoint.open(tiny_folder("BertForMaskedLM"))
    assert alike(checkpoint.load(), plain.load())
    assert {(fact.name, fact.shape) for fact in facts.tensors} == {(f.name, f.shape) for f in plain.facts.tensors}
    assert (len(facts.files) > 1) is sharded
    assert all(file.endswith(".bin") is pickle for file in facts.files)
    assert facts.bytes == sum(path.stat().st_size for path in checkpoint.paths)


def test_facts_say_what_is_stored(tiny_folder, tiny_mlm):
    folder = tiny_folder("BertForMaskedLM", dtype="bfloat16")
    facts = bp.Checkpoint.open(folder).facts
    assert (facts.architecture, facts.model_type, facts.dtype) == ("BertForMaskedLM", "bert", "bfloat16")
    assert facts.parameters == sum(parameter.numel() for parameter in tiny_mlm.parameters())
    assert facts.files == ("model.safetensors",)
    assert facts.bytes == (folder / "model.safetensors").stat().st_size
    assert {fact.name: fact.shape for fact in facts.tensors} == {
        name: tuple(tensor.shape) for name, tensor in stored(folder).items()
    }


def test_a_single_file_uses_the_config_beside_it(tiny_folder):
    folder = tiny_folder("BertModel")
    renamed = folder / "weights.safetensors"
    (folder / "model.safetensors").rename(renamed)
    checkpoint = bp.Checkpoint.open(str(renamed))
    assert checkpoint.name == "weights.safetensors"
    assert alike(checkpoint.load(), bp.Checkpoint.open(tiny_folder("BertModel")).load())


def test_safetensors_win_over_torch_files(tiny_folder):
    folder, other = tiny_folder("BertModel"), tiny_folder("BertModel", pickle=True, seed=1)
    (other / "pytorch_model.bin").rename(folder / "pytorch_model.bin")
    assert bp.Checkpoint.open(folder).facts.files == ("model.safetensors",)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_computed_in_float32_and_remembered(tiny_folder, dtype):
    folder = tiny_folder("BertForMaskedLM", dtype=dtype)
    checkpoint = bp.Checkpoint.open(folder)
    model = checkpoint.load()
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert {checkpoint.source_dtype(name) for name, _ in model.named_parameters()} == {dtype}
    key = "bert.embeddings.word_embeddings.weight"
    assert torch.equal(model.get_parameter(key), stored(folder)[key].float())


def test_integers_stay_integers(tiny_folder):
    folder = tiny_folder("BertModel")
    tensors = stored(folder)
    key = "encoder.layer.0.attention.self.key.weight"
    tensors[key] = torch.ones(32, 32, dtype=torch.int8)
    store(folder, tensors)
    checkpoint = bp.Checkpoint.open(folder)
    assert {fact.name: fact.dtype for fact in checkpoint.facts.tensors}[key] == "int8"
    assert checkpoint.skeleton().get_parameter(key).dtype == torch.int8
    assert torch.equal(checkpoint.load().get_parameter(key), tensors[key])
    assert checkpoint.source_dtype(key) == "int8"


def test_old_names_and_prefixes_are_understood(tiny_folder):
    folder = tiny_folder("BertModel")
    old = {
        f"bert.{name}".replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
        for name, value in stored(folder).items()
    }
    store(folder, {**old, "cls.seq_relationship.bias": torch.zeros(2)})
    checkpoint = bp.Checkpoint.open(folder)
    assert not checkpoint.missing
    assert "cls.seq_relationship.bias" in " ".join(checkpoint.facts.notes)
    assert alike(checkpoint.load(), bp.Checkpoint.open(tiny_folder("BertModel")).load())


@pytest.mark.parametrize("pickle", [False, True])
@pytest.mark.parametrize("equal", [True, False])
def test_a_decoder_stored_apart_is_tied_only_if_it_is_equal(tiny_folder, pickle, equal):
    folder = tiny_folder("BertForMaskedLM")
    tensors = stored(folder)
    words = tensors["bert.embeddings.word_embeddings.weight"]
    tensors["cls.predictions.decoder.weight"] = words.clone() if equal else words + 1
    store(folder, tensors)
    if pickle:
        torch.save(tensors, folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
    checkpoint = bp.Checkpoint.open(folder)
    for model in (checkpoint.skeleton(), checkpoint.load(), checkpoint.model()):
        tied = model.get_parameter("cls.predictions.decoder.weight")
        assert (tied is model.get_parameter("bert.embeddings.word_embeddings.weight")) is equal
    assert names_and_ties(checkpoint.skeleton()) == names_and_ties(checkpoint.load())
    assert any("not tied" in note for note in checkpoint.facts.notes) is not equal


def test_missing_tensors_are_named_and_come_from_the_seed(tiny_folder):
    folder = tiny_folder("BertForSequenceClassification")
    tensors = stored(folder)
    lost = {"classifier.weight", "classifier.bias", "bert.pooler.dense.weight"}
    store(folder, {name: value for name, value in tensors.items() if name not in lost})
    with pytest.warns(MissingTensorsWarning, match=r"lacks 3 tensors .*bert\.pooler\.dense\.weight") as told:
        checkpoint = bp.Checkpoint.open(folder)
    assert len(told) == 1
    assert checkpoint.missing == lost
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        zero, again, one = checkpoint.load(0), checkpoint.load(0), checkpoint.load(1)
        shared = checkpoint.model(1)
        back = checkpoint.model(0)
    assert alike(zero, again)
    assert alike(one, shared)
    assert alike(zero, back)
    differs = {name for name, value in one.state_dict().items() if not torch.equal(value, zero.state_dict()[name])}
    assert differs == lost - {"classifier.bias"}  # a fresh bias is zero under every seed
    assert zero.classifier.weight.std().item() == pytest.approx(0.02, rel=0.5)


def test_what_is_missing_is_what_transformers_finds_missing(tiny_folder):
    folder = tiny_folder("BertForPreTraining")
    tensors = stored(folder)
    store(folder, {name: tensors[name] for name in sorted(tensors)[::2]})
    with Seeded(0):
        _, told = transformers.BertForPreTraining.from_pretrained(folder, output_loading_info=True)
    with pytest.warns(MissingTensorsWarning):
        assert bp.Checkpoint.open(folder).missing == frozenset(told["missing_keys"])


def test_without_architectures_the_base_model_is_taken_and_said(tiny_folder):
    folder = tiny_folder("BertForSequenceClassification")
    configure(folder, architectures=None)
    facts = bp.Checkpoint.open(folder).facts
    assert facts.architecture == "BertModel"
    assert any("no architectures" in note for note in facts.notes)


def test_without_a_model_type_bert_is_recognised_by_its_tensors(tiny_folder):
    folder = tiny_folder("BertModel")
    configure(folder, architectures=None, model_type=None)
    facts = bp.Checkpoint.open(folder).facts
    assert (facts.architecture, facts.model_type) == ("BertModel", "bert")
    assert any("BERT was assumed" in note for note in facts.notes)


def test_without_a_model_type_the_architecture_gives_it(tiny_folder):
    folder = tiny_folder("RobertaModel")
    configure(folder, model_type=None)
    assert bp.Checkpoint.open(folder).facts.model_type == "roberta"


def test_an_unknown_class_of_a_known_family_gives_its_base_model(tiny_folder):
    folder = tiny_folder("BertForSequenceClassification")
    auto_map = {"AutoModel": "modeling_mine.BertForMyTask"}
    configure(folder, architectures=["BertForMyTask"], auto_map=auto_map)
    (folder / "modeling_mine.py").write_text("raise SystemExit('this must never run')")
    facts = bp.Checkpoint.open(folder).facts
    assert facts.architecture == "BertModel"
    assert any("BertForMyTask" in note for note in facts.notes)


def test_a_config_cannot_name_anything_but_a_model(tiny_folder):
    for name in ("AutoConfig", "pipeline", "__class__", "os.system"):
        folder = tiny_folder("BertModel")
        configure(folder, architectures=[name])
        assert bp.Checkpoint.open(folder).facts.architecture == "BertModel"


def test_nothing_is_written_and_nothing_is_left_of_the_path(tiny_folder):
    folder = tiny_folder("BertForMaskedLM")
    configure(folder, _name_or_path="/secret/place/model")
    before = contents(folder)
    for path in [folder, *folder.iterdir()]:
        path.chmod(0o555)
    checkpoint = bp.Checkpoint.open(folder)
    model = checkpoint.load()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    checkpoint.tokenizer()
    assert contents(folder) == before
    told = json.dumps([checkpoint.config.to_dict(), model.config.to_dict(), str(checkpoint.facts), repr(checkpoint)])
    assert "/secret" not in told
    assert str(folder) not in told


def test_open_takes_what_is_open(tiny_folder):
    checkpoint = bp.Checkpoint.open(tiny_folder("BertModel"))
    assert bp.Checkpoint.open(checkpoint) is checkpoint


def test_the_name_is_the_last_part_of_the_folder(tiny_folder, monkeypatch):
    folder = tiny_folder("BertModel")
    monkeypatch.chdir(folder)
    names = {bp.Checkpoint.open(given).name for given in (folder, str(folder), f"{folder}/", ".", Path())}
    assert names == {folder.name}
    assert bp.Checkpoint.open("./model.safetensors").name == folder.name


def test_embedded_checkpoints_are_found_or_named_as_absent(tiny_folder, monkeypatch):
    assert EMBEDDED == ("demo", "demo-mlm", "kobert-shape")
    assert DEFAULT in ("demo", "kobert-shape")
    folder = tiny_folder("BertForSequenceClassification")
    monkeypatch.setattr(sources, "_FOLDERS", {"demo": folder, "demo-mlm": folder / "absent"})
    assert sources.default() == "demo"
    assert bp.Checkpoint.open("demo").name == "demo"
    with pytest.raises(CheckpointError, match=r"'demo-mlm' is not part of this installation; demo, kobert-shape"):
        bp.Checkpoint.open("demo-mlm")
    monkeypatch.setattr(sources, "_FOLDERS", {"demo": folder / "absent", "demo-mlm": folder / "absent"})
    assert sources.default() == "kobert-shape"


def test_a_baked_export_says_that_it_knows_only_zeros(tiny_folder):
    folder = tiny_folder("BertModel")
    for name in ("recipe.yaml", "report.json"):
        (folder / name).write_text("{}")
    assert any("baked export" in note for note in bp.Checkpoint.open(folder).facts.notes)


def test_headers_and_configs_are_read_without_torch(tiny_folder):
    code = (
        "import sys; from bertprune.checkpoint.source import resolve; "
        f"print(len(resolve({str(tiny_folder('BertModel'))!r}, None).weights.tensors)); "
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (told.stdout.strip(), told.stderr) == ("39", "")
