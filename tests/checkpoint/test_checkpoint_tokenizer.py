"""Tokenizers: the checkpoint's own, another one, and those that would need somebody's code."""

import pytest
from checkpoint_files import configure, set_tokenizer

import bertprune as bp
from bertprune.checkpoint import source as sources
from bertprune.errors import CheckpointError
from tests.conftest import cheaply


def test_the_tokenizer_of_the_folder_is_loaded(tiny_folder, tiny_tokenizer):
    tokenizer = bp.Checkpoint.open(tiny_folder("BertModel")).tokenizer()
    assert tokenizer("the film was good")["input_ids"] == tiny_tokenizer("the film was good")["input_ids"]


def test_without_a_tokenizer_another_one_can_be_given(tiny_folder, monkeypatch):
    with_one, without = tiny_folder("BertModel"), tiny_folder("BertModel", tokenizer=False)
    checkpoint = bp.Checkpoint.open(without)
    with pytest.raises(CheckpointError, match=f"{without.name} has no tokenizer; another tokenizer can be given"):
        checkpoint.tokenizer()
    assert len(checkpoint.tokenizer(with_one)) == 97
    assert len(checkpoint.tokenizer(str(with_one))) == 97
    monkeypatch.setattr(sources, "_FOLDERS", {"demo": with_one, "demo-mlm": without})
    assert len(checkpoint.tokenizer("demo")) == 97
    for other in ("demo-mlm", "kobert-shape"):
        with pytest.raises(CheckpointError, match=f"{other} has no tokenizer"):
            checkpoint.tokenizer(other)
    with pytest.raises(CheckpointError, match="'nowhere' is no folder with a tokenizer"):
        checkpoint.tokenizer("./nowhere")


@pytest.mark.parametrize("named", [True, False])
def test_a_tokenizer_that_is_code_is_named_and_never_run(tiny_folder, named):
    folder = tiny_folder("BertModel")
    harm = folder / "harmed"
    (folder / "tokenization_kobert.py").write_text(f"open({str(harm)!r}, 'w')\nclass KoBertTokenizer: pass\n")
    auto_map = {"AutoTokenizer": ["tokenization_kobert.KoBertTokenizer", None]}
    set_tokenizer(folder, tokenizer_class="KoBertTokenizer" if named else None, auto_map=auto_map)
    checkpoint = bp.Checkpoint.open(folder)
    with pytest.raises(CheckpointError, match=r"KoBertTokenizer.* never run; another tokenizer can be given"):
        checkpoint.tokenizer()
    assert not harm.exists()
    assert checkpoint.load() is not None
    assert len(checkpoint.tokenizer(tiny_folder("BertModel"))) == 97


def test_code_beside_a_bare_vocabulary_makes_it_somebody_elses(tiny_folder):
    folder = tiny_folder("BertModel")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n")
    (folder / "tokenization_kobert.py").write_text("")
    with pytest.raises(CheckpointError, match=r"tokenization_kobert\.py"):
        bp.Checkpoint.open(folder).tokenizer()


def test_a_broken_tokenizer_is_one_clear_error(tiny_folder):
    folder = tiny_folder("BertModel")
    (folder / "tokenizer.json").write_text('{"version": 3')
    with pytest.raises(CheckpointError, match="its tokenizer cannot be read") as told:
        bp.Checkpoint.open(folder).tokenizer()
    assert str(folder) not in str(told.value)
    (folder / "tokenizer_config.json").write_text("[]")
    with pytest.raises(CheckpointError, match=r"tokenizer_config\.json holds a list"):
        bp.Checkpoint.open(folder).tokenizer()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"model_max_length": "x"}, "gives model_max_length as 'x'; a number is expected"),
        ({"model_max_length": True}, "a number is expected"),
        ({"tokenizer_class": "AutoTokenizer"}, "its tokenizer AutoTokenizer"),
    ],
)
def test_settings_of_a_tokenizer_that_cannot_be(tiny_folder, settings, says):
    folder = tiny_folder("BertModel")
    set_tokenizer(folder, **settings)
    with cheaply(2.0, 100_000_000), pytest.raises(CheckpointError, match=says):
        bp.Checkpoint.open(folder).tokenizer()


def test_files_to_copy_are_the_tokenizers_and_never_code(tiny_folder):
    folder = tiny_folder("BertModel", tokenizer=False)
    wanted = {
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.txt",
        "vocab.json",
        "merges.txt",
        "spiece.model",
        "sentencepiece.bpe.model",
        "chat_template.jinja",
    }
    for name in (*wanted, "tokenization_kobert.py", "chat_template.py", "README.md", "training_args.bin"):
        (folder / name).write_text("{}")
    found = bp.Checkpoint.open(folder).tokenizer_files
    assert {path.name for path in found} == wanted
    assert list(found) == sorted(found)
    assert all(path.parent == folder for path in found)


def test_kobert_shape_has_no_tokenizer(kobert):
    assert kobert.tokenizer_files == ()
    with pytest.raises(CheckpointError, match="kobert-shape has no tokenizer"):
        kobert.tokenizer()


def test_a_single_file_uses_the_tokenizer_beside_it(tiny_folder):
    folder = tiny_folder("BertModel")
    configure(folder, extra=1)
    assert len(bp.Checkpoint.open(folder / "model.safetensors").tokenizer()) == 97
