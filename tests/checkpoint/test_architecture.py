"""Configs: which class they give, and which are refused before anything large is built."""

import json

import pytest
from checkpoint_files import CONFIG, ENTRY, configure, raw_safetensors, store, stored

import bertprune as bp
from bertprune.errors import CheckpointError


def code(name):
    return f"checkpoint.{name}"


IMPLAUSIBLE = [
    ({"num_hidden_layers": 1_000_000_000}, "config_too_large"),
    ({"num_hidden_layers": 90}, "config_more_layers_than_tensors"),
    ({"num_hidden_layers": -1}, "config_not_a_whole_number"),
    ({"num_hidden_layers": 2.0}, "config_not_a_whole_number"),
    ({"num_hidden_layers": True}, "config_not_a_whole_number"),
    ({"num_labels": 10**9}, "config_too_large"),
    ({"num_attention_heads": 0}, "config_zero"),
    ({"vocab_size": 10**9}, "wrong_shape"),
    ({"intermediate_size": 65}, "wrong_shapes"),
    ({"num_attention_heads": 7}, "cannot_build"),
    ({"hidden_act": "no_such"}, "unknown_value"),
    ({"hidden_act": 3}, "config_does_not_fit"),
    ({f"key{n}": n for n in range(2000)}, "config_too_many_settings"),
    ({"deep": json.loads('{"a":' * 30 + "1" + "}" * 30)}, "config_too_deep"),
    ({"model_type": "no_such"}, "unknown_model_type"),
    ({"model_type": 3}, "unknown_model_type"),
    ({"model_type": "roberta"}, "class_does_not_fit"),
    ({"quantization_config": {"quant_method": "gptq"}}, "quantized"),
]


def test_implausible_configs_are_refused(tiny_folder, refused, subtests):
    for changes, expected in IMPLAUSIBLE:
        with subtests.test(f"{expected}: {changes}"[:60]):
            folder = tiny_folder("BertModel")
            configure(folder, **changes)
            assert refused(folder).code == code(expected)


def test_a_refusal_names_the_setting_the_value_and_the_limit(tiny_folder, refused):
    folder = tiny_folder("BertModel")
    configure(folder, num_hidden_layers=10**9)
    text = f"{folder.name}: config.json asks for num_hidden_layers = 1000000000; at most 96 is accepted"
    assert str(refused(folder)) == text
    configure(folder, num_hidden_layers=2, vocab_size=98)
    text = (
        f"{folder.name}: 'embeddings.word_embeddings.weight' is stored as (97, 32), but config.json asks for (98, 32)"
    )
    assert str(refused(folder)) == text


def test_layers_cannot_hide_in_another_key(tiny_folder, refused):
    folder = tiny_folder("BertModel")
    nested = {"model_type": "encoder-decoder", "architectures": ["EncoderDecoderModel"], "encoder": CONFIG}
    (folder / "config.json").write_text(json.dumps({**nested, "decoder": {**CONFIG, "num_hidden_layers": 10**9}}))
    assert refused(folder).values["key"] == "num_hidden_layers"
    hidden = {"model_type": "swin", "architectures": ["SwinModel"], "depths": [10**9]}
    (folder / "config.json").write_text(json.dumps(hidden))
    assert refused(folder).values["key"] == "depths"
    (folder / "config.json").write_text(json.dumps({**hidden, "depths": [400]}))
    assert refused(folder).code == code("too_many_modules")


def test_a_huge_tensor_cannot_hide_by_being_missing(tiny_folder, refused):
    folder = tiny_folder("BertModel")
    tensors = stored(folder)
    del tensors["embeddings.word_embeddings.weight"]
    store(folder, tensors)
    configure(folder, vocab_size=10**9)
    assert refused(folder).code == code("config_more_values_than_stored")


UNREADABLE = [
    ("{not json", "not_json"),
    ("[1]", "not_an_object"),
    ('{"a": {"b": 1, "b": 2}}', "repeated_key"),
    ("\ufeff{}\udcff", "not_json"),
    ("[" * 200_000, "not_json"),
    ('{"a": "' + "x" * 3_000_000 + '"}', "json_too_large"),
    ("{}", "no_model_type"),
]


def test_config_files_that_cannot_be_read_are_refused(folder, refused, subtests):
    for text, expected in UNREADABLE:
        with subtests.test(expected):
            raw_safetensors(folder / "model.safetensors", "{" + ENTRY + "}", b"\0" * 8)
            (folder / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
            assert refused(folder).code == code(expected)


STRANGE = [
    {"layer_norm_eps": float("inf")},
    {"hidden_size": float("nan")},
    {"vocab_size": 1e400},
    {"id2label": {str(n): "x" for n in range(3000)}},
    {"type_vocab_size": 0},
    {"dtype": {"": "x"}},
    {"architectures": ["BertModel"] * 100_000},
    {"model_type": "../../etc/passwd"},
    {"pruned_heads": {"0": list(range(60_000))}},
    {"label2id": {"a": {"b": {"c": []}}}},
    {"is_decoder": True, "add_cross_attention": True},
    {"chunk_size_feed_forward": 10**9},
]


@pytest.mark.filterwarnings("ignore::bertprune.errors.MissingTensorsWarning")
def test_strange_configs_are_accepted_or_refused_in_one_line(tiny_folder, subtests):
    for changes in STRANGE:
        with subtests.test(",".join(changes)):
            folder = tiny_folder("BertForSequenceClassification")
            configure(folder, **changes)
            try:
                bp.Checkpoint.open(folder).model()
            except CheckpointError as error:
                assert "\n" not in str(error) and len(str(error)) < 500


def test_heads_that_were_pruned_away_are_refused_with_the_way_out(tiny_folder, refused):
    folder = tiny_folder("BertModel")
    tensors = stored(folder)
    for part in ("query", "key", "value"):
        for kind in ("weight", "bias"):
            name = f"encoder.layer.0.attention.self.{part}.{kind}"
            tensors[name] = tensors[name][:16].clone()
    output = "encoder.layer.0.attention.output.dense.weight"
    tensors[output] = tensors[output][:, :16].clone()
    store(folder, tensors)
    assert refused(folder).code == "checkpoint.wrong_shapes"
    configure(folder, pruned_heads={"0": [1]})
    error = refused(folder)
    assert error.code == "checkpoint.pruned_heads"
    assert "before prune_heads, and prune its heads here (granularity: head)" in str(error)


def test_configs_name_no_place_and_no_code(tiny_folder, tmp_path):
    folder = tiny_folder("BertModel")
    harm = tmp_path / "harmed"
    (folder / "evil.py").write_text(f"import os; os.mkdir({str(harm)!r})")
    (folder / "configuration_evil.py").write_text(f"import os; os.mkdir({str(harm)!r})")
    mapped = {"AutoConfig": "configuration_evil.Evil", "AutoModel": "evil.Evil", "AutoTokenizer": ["evil.Evil", None]}
    configure(
        folder, auto_map=mapped, _name_or_path="/etc", _attn_implementation="org/kernel", name_or_path="/etc/passwd"
    )
    checkpoint = bp.Checkpoint.open(folder)
    assert checkpoint.model() is not None
    assert any("auto_map" in note for note in checkpoint.facts.notes)
    assert checkpoint.name == folder.name
    assert "/etc" not in str(checkpoint.config.to_dict())
    assert len(checkpoint.tokenizer()) == 97
    assert not harm.exists()


def test_without_architectures_the_base_model_is_used_with_a_note(tiny_folder):
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
    folder = tiny_folder("BertModel")
    for name in ("AutoConfig", "pipeline", "__class__", "os.system"):
        configure(folder, architectures=[name])
        assert bp.Checkpoint.open(folder).facts.architecture == "BertModel"
