"""Tokenizers: the checkpoint's own, another one, and those that would need somebody's code."""

import os

import pytest
import transformers
from checkpoint_files import set_tokenizer

import bertprune as bp
from bertprune.checkpoint.vocabulary import cut_tokenizer, read_vocabulary


def test_the_tokenizer_of_the_folder_is_loaded(tiny_folder, tiny_tokenizer):
    tokenizer = bp.Checkpoint.open(tiny_folder("BertModel")).tokenizer()
    assert tokenizer("the film was good")["input_ids"] == tiny_tokenizer("the film was good")["input_ids"]


def test_a_folder_without_a_tokenizer_says_that_another_can_be_given(tiny_folder, refused):
    folder = tiny_folder("BertModel", tokenizer=False)
    assert str(refused(bp.Checkpoint.open(folder).tokenizer)) == (
        f"{folder.name} has no tokenizer; pass another tokenizer: a folder, a Hub id, demo or demo-mlm"
    )


def test_a_tokenizer_that_is_a_pipe_is_refused_as_one(tiny_folder, refused):
    folder = tiny_folder("BertModel", tokenizer=False)
    os.mkfifo(folder / "tokenizer.json")
    assert "is a named pipe" in str(refused(bp.Checkpoint.open(folder).tokenizer))


def test_a_tokenizer_that_is_code_is_named_and_never_run(tiny_folder, refused, subtests):
    for named in [True, False]:
        with subtests.test(f"named: {named}"):
            folder = tiny_folder("BertModel")
            harm = folder / "harmed"
            (folder / "tokenization_kobert.py").write_text(f"open({str(harm)!r}, 'w')\nclass KoBertTokenizer: pass\n")
            auto_map = {"AutoTokenizer": ["tokenization_kobert.KoBertTokenizer", None]}
            set_tokenizer(folder, tokenizer_class="KoBertTokenizer" if named else None, auto_map=auto_map)
            checkpoint = bp.Checkpoint.open(folder)
            text = str(refused(checkpoint.tokenizer))
            assert "KoBertTokenizer" in text and "is never run; pass another tokenizer" in text
            assert not harm.exists()
            assert checkpoint.load() is not None
            assert len(checkpoint.tokenizer(tiny_folder("BertModel"))) == 97


def test_a_bare_vocabulary_with_code_beside_it_needs_that_code(tiny_folder, refused):
    folder = tiny_folder("BertModel")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n")
    (folder / "tokenization_kobert.py").write_text("")
    assert refused(bp.Checkpoint.open(folder).tokenizer).code == "checkpoint.tokenizer_is_code"


IMPOSSIBLE = [
    ({"model_max_length": "x"}, "tokenizer_max_length"),
    ({"model_max_length": True}, "tokenizer_max_length"),
    ({"tokenizer_class": "AutoTokenizer"}, "tokenizer_needs_code"),
]


def test_impossible_settings_of_a_tokenizer_are_refused(tiny_folder, refused, subtests):
    for settings, expected in IMPOSSIBLE:
        with subtests.test(str(settings)):
            folder = tiny_folder("BertModel")
            set_tokenizer(folder, **settings)
            assert refused(bp.Checkpoint.open(folder).tokenizer).code == f"checkpoint.{expected}"


def test_settings_that_are_not_an_object_are_refused(tiny_folder, refused):
    folder = tiny_folder("BertModel")
    (folder / "tokenizer_config.json").write_text("[]")
    assert refused(bp.Checkpoint.open(folder).tokenizer).code == "checkpoint.not_an_object"


def test_a_tokenizer_that_names_another_file_is_refused(tiny_folder, tmp_path, refused, subtests):
    for key in ["vocab", "merges", "gguf_file", "tokenizer_object"]:
        with subtests.test(key):
            folder = tiny_folder("BertModel")
            set_tokenizer(folder, **{key: str(tmp_path / "secret.txt")})
            assert refused(bp.Checkpoint.open(folder).tokenizer).values["key"] == key


def test_files_that_transformers_looks_for_are_only_those_of_the_folder(tiny_folder, tmp_path):
    folder = tiny_folder("BertModel")
    secret = tmp_path / "secret.txt"
    secret.write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nsecret\n")
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n")
    for key in ("vocab_file", "tokenizer_file", "name_or_path", "special_tokens_map_file"):
        set_tokenizer(folder, **{key: str(secret)})
        assert "secret" not in bp.Checkpoint.open(folder).tokenizer().get_vocab()
        set_tokenizer(folder, **{key: None})


def test_a_tokenizer_of_gigabytes_is_not_read(tiny_folder, refused):
    folder = tiny_folder("BertModel")
    with (folder / "tokenizer.json").open("ab") as file:
        file.truncate(2**31)
    assert refused(bp.Checkpoint.open(folder).tokenizer).code == "checkpoint.tokenizer_too_large"


BROKEN = [
    "",
    "[]",
    "[" * 100_000,
    '{"version": 3',
    '{"version":"1.0","model":{"type":"WordPiece","vocab":{"a":99999999999999},"unk_token":"a"}}',
    '{"version":"1.0","model":{"type":"BPE","vocab":{},"merges":["a b"]}}',
    '{"version":"1.0","normalizer":{"type":"Replace","pattern":{"Regex":"("},"content":""},"model":{"type":"BPE"}}',
    '{"version":"1.0","normalizer":{"type":"Precompiled","precompiled_charsmap":"////"},"model":{"type":"BPE"}}',
]


def test_a_broken_tokenizer_is_one_clear_error(tiny_folder, refused, subtests):
    for text in BROKEN:
        with subtests.test(text[:40]):
            folder = tiny_folder("BertModel")
            (folder / "tokenizer.json").write_text(text)
            assert refused(bp.Checkpoint.open(folder).tokenizer).code == "checkpoint.tokenizer_unreadable"


def test_kobert_shape_has_no_tokenizer(kobert, refused):
    assert kobert.folder() is None
    assert refused(kobert.tokenizer).code == "checkpoint.no_tokenizer"


def test_a_single_file_uses_the_tokenizer_beside_it(tiny_folder):
    folder = tiny_folder("BertModel")
    assert len(bp.Checkpoint.open(folder / "model.safetensors").tokenizer()) == 97


def test_a_name_that_no_tokenizer_can_have_is_one_clear_error(kobert, subtests):
    for name in ["x" * 300, "x" * 5000, "no/such/" + "x" * 300, "/" + "x" * 300, "a\0b", "./a\0b", 3]:
        with subtests.test(repr(name)[:20]):
            with pytest.raises(bp.BertpruneError) as caught:
                kobert.tokenizer(name)
            assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000


def test_a_tokenizer_that_changed_since_it_was_opened_is_refused(tiny_folder, refused):
    folder = tiny_folder()
    checkpoint = bp.Checkpoint.open(folder)
    (folder / "tokenizer_config.json").write_text((folder / "tokenizer_config.json").read_text() + " ")
    assert refused(checkpoint.tokenizer).code == "checkpoint.source_changed"
    assert bp.Checkpoint.open(folder).tokenizer()


def test_a_tokenizer_that_cannot_be_cut_is_refused_by_name(refused, tiny_tokenizer, monkeypatch):
    error = refused(lambda: read_vocabulary(transformers.CanineTokenizer(), "x"))
    assert "its tokenizer (CanineTokenizer) cannot be cut" in str(error)
    with monkeypatch.context() as patched:
        patched.setattr("tempfile.tempdir", "/nowhere")
        error = refused(lambda: cut_tokenizer(tiny_tokenizer, range(90), "x"))
    assert str(error).endswith("in /nowhere: No such file or directory") and error.code == "checkpoint.no_room"

    def refuse(*given, **options):
        raise Exception("No space left on device (os error 28)")  # as tokenizers does

    monkeypatch.setattr(type(tiny_tokenizer), "save_pretrained", refuse)
    error = refused(lambda: cut_tokenizer(tiny_tokenizer, range(90), "x"))
    assert str(error).endswith("No space left on device") and error.code == "checkpoint.no_room"
