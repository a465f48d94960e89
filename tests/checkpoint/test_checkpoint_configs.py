"""Configs that are broken or mean harm: one clear error each, quickly, without a path in it."""

import json

import pytest
from checkpoint_files import CONFIG, ENTRY, configure, raw_safetensors, store, stored

import bertprune as bp

pytestmark = pytest.mark.usefixtures("kobert")  # transformers is imported before anything is timed


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"num_hidden_layers": 1_000_000_000}, "num_hidden_layers = 1000000000; at most 96"),
        ({"num_hidden_layers": 90}, "the files hold 39 tensors"),
        ({"num_hidden_layers": -1}, "a whole number"),
        ({"num_hidden_layers": "12"}, "a whole number"),
        ({"num_hidden_layers": 2.0}, "a whole number"),
        ({"num_hidden_layers": True}, "a whole number"),
        ({"hidden_size": 2**40}, "at most"),
        ({"vocab_size": 10**9}, "is stored as (97, 32)"),
        ({"max_position_embeddings": 10**9}, "is stored as (32, 32)"),
        ({"intermediate_size": 65}, "encoder.layer.0.intermediate.dense.bias"),
        ({"num_labels": 10**9}, "num_labels"),
        ({"hidden_size": 0}, "hidden_size as 0; at least 1"),
        ({"num_attention_heads": 0}, "num_attention_heads as 0; at least 1"),
        ({"num_attention_heads": 7}, "not a multiple of the number of attention heads (7)"),
        ({"hidden_act": "no_such"}, "'no_such' is not known"),
        ({"hidden_act": 3}, "'hidden_act' expected str, got int"),
        ({"add_cross_attention": True}, "should be used as a decoder"),
        ({f"key{n}": n for n in range(2000)}, " settings; at most 1,000 are taken"),
        ({"deep": json.loads('{"a":' * 30 + "1" + "}" * 30)}, "nested deeper than 16"),
        ({"model_type": "no_such"}, "'no_such'"),
        ({"model_type": 3}, "model_type 3"),
        ({"model_type": "roberta"}, "do not fit"),
        ({"model_type": None, "architectures": None, "hidden_size": 32}, None),
        ({"quantization_config": {"quant_method": "gptq"}}, "gptq"),
    ],
)
def test_configs_that_cannot_be_are_refused(tiny_folder, tmp_path, refused, changes, says):
    made = tiny_folder("BertModel").rename(tmp_path / "suspect")
    configure(made, **changes)
    if says is None:
        assert bp.Checkpoint.open(made).facts.model_type == "bert"
    else:
        assert says in refused(made)


def test_layers_cannot_hide_in_another_key(tiny_folder, refused):
    made = tiny_folder("BertModel")
    nested = {"model_type": "encoder-decoder", "architectures": ["EncoderDecoderModel"], "encoder": CONFIG}
    (made / "config.json").write_text(json.dumps({**nested, "decoder": {**CONFIG, "num_hidden_layers": 10**9}}))
    assert "num_hidden_layers" in refused(made)
    hidden = {"model_type": "swin", "architectures": ["SwinModel"], "depths": [10**9]}
    (made / "config.json").write_text(json.dumps(hidden))
    assert "depths = 1000000000; at most 65,536" in refused(made)
    (made / "config.json").write_text(json.dumps({**hidden, "depths": [400]}))
    assert "more modules" in refused(made)


def test_a_huge_tensor_cannot_hide_by_being_missing(tiny_folder, refused):
    made = tiny_folder("BertModel")
    tensors = stored(made)
    del tensors["embeddings.word_embeddings.weight"]
    store(made, tensors)
    configure(made, vocab_size=10**9)
    assert "asks for 32,0" in refused(made)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{not json", "not JSON"),
        ("[1]", "holds a list"),
        ('"text"', "holds a str"),
        ("null", "holds a NoneType"),
        ('{"model_type": "bert", "model_type": "roberta"}', "'model_type' twice"),
        ('{"a": {"b": 1, "b": 2}}', "'b' twice"),
        ("\ufeff{}\udcff", "not JSON"),
        ("[" * 200_000, "not JSON"),
        ('{"a": "' + "x" * 9_000_000 + '"}', "larger than 2 MiB"),
        ("{}", "neither model_type nor architectures"),
    ],
)
def test_config_files_that_are_none(folder, refused, text, says):
    raw_safetensors(folder / "model.safetensors", "{" + ENTRY + "}", b"\0" * 8)
    (folder / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert says in refused(folder)
