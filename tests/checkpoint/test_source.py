"""What a checkpoint's name means: embedded, local, or on the Hub; and names that mean nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

import bertprune as bp
from bertprune.checkpoint import DEFAULT, EMBEDDED
from bertprune.checkpoint import source as sources

NOTHING = [
    ("", "not_a_name"),
    ("a\0b", "not_a_name"),
    (None, "wrong_type"),
    ("./nowhere", "not_found"),
    ("a/b/c", "not_found"),
    ("org/weights.bin", "not_found"),
    ("~/nowhere", "not_found"),
    ("C:\\models\\bert", "not_found"),
    (Path("nowhere"), "not_found"),
    ("x" * 5000, "not_found"),
    ("two words", "not_a_hub_id"),
    ("org/na--me", "not_a_hub_id"),
]


def test_names_that_name_nothing_are_refused(refused, subtests):
    for given, expected in NOTHING:
        with subtests.test(repr(given)[:40]):
            assert refused(given).code == f"checkpoint.{expected}"


def test_the_home_folder_of_nobody_is_refused(refused):
    for given in ("~nobody-of-that-name/x", Path("~nobody-of-that-name")):
        assert str(refused(given)) == f"{given}: no such user"
    assert refused(lambda: bp.Checkpoint.open("demo").tokenizer("~nobody-of-that-name")).code == "files.no_user"


def test_a_refused_name_comes_with_what_can_be_used(refused):
    known = ", ".join(EMBEDDED)
    assert str(refused("/x/nowhere")) == (
        f"'nowhere' does not exist; choose {known}, a local folder, a .safetensors file, "
        "or the id of a cached Hub model"
    )


def test_a_revision_is_for_the_hub(tiny_folder, refused):
    assert refused(tiny_folder("BertModel"), revision="main").code == "checkpoint.revision_of_no_hub_id"
    assert refused("kobert-shape", revision="main").code == "checkpoint.revision_of_no_hub_id"
    assert refused(bp.Checkpoint.open("kobert-shape"), revision="main").code == "checkpoint.already_open"


def test_an_open_checkpoint_is_returned_as_it_is(tiny_folder):
    checkpoint = bp.Checkpoint.open(tiny_folder("BertModel"))
    assert bp.Checkpoint.open(checkpoint) is checkpoint


def test_the_name_is_the_last_part_of_the_folder(tiny_folder, monkeypatch):
    folder = tiny_folder("BertModel")
    monkeypatch.chdir(folder)
    names = {bp.Checkpoint.open(given).name for given in (folder, str(folder), f"{folder}/", ".", Path())}
    assert names == {folder.name}
    assert bp.Checkpoint.open("./model.safetensors").name == folder.name


@pytest.fixture
def demo(tiny_folder, tmp_path, monkeypatch) -> Path:
    """Give an installation in which the embedded folders are empty."""
    folder = tmp_path / "demo"
    folder.mkdir()
    monkeypatch.setattr(sources, "DEMO", folder)
    return folder


def test_embedded_checkpoints_are_found_or_reported_as_absent(demo, tiny_folder, refused):
    assert EMBEDDED == ("demo", "demo-mlm", "kobert-shape")
    assert DEFAULT == "demo"
    assert sources.default() == "kobert-shape"
    tiny_folder("BertForSequenceClassification").rename(demo / "sentiment")
    assert sources.default() == "demo"
    assert bp.Checkpoint.open("demo").name == "demo"
    assert str(refused("demo-mlm")).startswith(
        "'demo-mlm' is not part of this installation; choose demo, kobert-shape, "
    )


def test_a_tokenizer_can_be_named_by_itself(demo, tiny_folder, refused):
    checkpoint = bp.Checkpoint.open(tiny_folder("BertModel", tokenizer=False))
    folder = tiny_folder("BertModel").rename(demo / "sentiment")
    tiny_folder("BertModel", tokenizer=False).rename(demo / "mlm")
    for other in (folder, str(folder), "demo"):
        assert len(checkpoint.tokenizer(other)) == 97
    for other in ("demo-mlm", "kobert-shape"):
        assert refused(lambda other=other: checkpoint.tokenizer(other)).values["name"] == other
    assert refused(lambda: checkpoint.tokenizer("./nowhere")).code == "checkpoint.no_tokenizer_folder"


PATHS = ["/etc/passwd", "..", "~", "a/b/c", "x\\y", "C:x", "m.safetensors", Path("tiny")]


def test_where_paths_are_not_accepted_the_disk_is_not_looked_at(refused, monkeypatch, kobert, subtests):
    for given in PATHS:
        with subtests.test(str(given)):
            looked: list[Path] = []
            with monkeypatch.context() as patch:
                patch.setattr(Path, "exists", lambda self: looked.append(self) or True)
                assert refused(given, local=False).code == "checkpoint.paths_not_accepted"
                assert refused(lambda: kobert.tokenizer(given, local=False)).code == "checkpoint.paths_not_accepted"
            assert not looked


@pytest.mark.parametrize("given", ["tiny", "org/tiny"])
def test_where_paths_are_not_accepted_a_folder_here_is_not_taken_for_an_id(
    given, tiny_folder, tmp_path, monkeypatch, refused, kobert
):
    folder = tiny_folder("BertModel")
    (tmp_path / "org").mkdir()
    monkeypatch.chdir(tmp_path)
    (tmp_path / given).symlink_to(folder)
    assert bp.Checkpoint.open(given).facts.architecture == "BertModel"
    error = refused(given, local=False)
    assert error.code == "checkpoint.hub_unreachable"
    assert "folder" not in str(error)  # nor is one suggested
    assert refused(lambda: kobert.tokenizer(given, local=False)).code == "checkpoint.hub_unreachable"


def test_an_export_without_masks_says_that_it_knows_only_zeros(tiny_folder):
    folder = tiny_folder("BertModel")
    for name in ("recipe.yaml", "report.json"):
        (folder / name).write_text("{}")
    assert any("export without masks" in note for note in bp.Checkpoint.open(folder).facts.notes)


def test_headers_and_configs_are_read_without_torch(tiny_folder):
    code = (
        "import sys; from bertprune.checkpoint.source import find_source; "
        f"print(len(find_source({str(tiny_folder('BertModel'))!r}, None).weights.tensors)); "
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("39", "")
