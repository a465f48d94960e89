"""Which files go along with the weights of a folder: everything that its answers depend on, nothing else."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bertprune as bp
from bertprune.checkpoint.companions import companion_files

TOKENIZER = {"tokenizer.json", "tokenizer_config.json"}
MODULES = {
    "modules.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
    "2_Dense/config.json",
    "2_Dense/model.safetensors",
}


def companions(folder: Path) -> set[str]:
    return set(companion_files(folder, folder.name))


def test_the_tokenizer_and_settings_of_a_plain_folder_never_code(tiny_folder: Callable[..., Path]) -> None:
    folder = tiny_folder("BertModel", tokenizer=False)
    wanted = """
        tokenizer.json tokenizer_config.json special_tokens_map.json added_tokens.json vocab.txt vocab.json merges.txt
        spiece.model sentencepiece.bpe.model chat_template.jinja bpe.codes generation_config.json
        preprocessor_config.json processor_config.json
    """.split()
    others = "tokenization_kobert.py chat_template.py README.md training_args.bin optimizer.pt tf_model.h5".split()
    for name in (*wanted, *others):
        (folder / name).write_text("{}")
    found = companion_files(folder, "tiny")
    assert list(found) == sorted(wanted)
    assert all(path == folder / name for name, path in found.items())


def test_all_modules_of_a_sentence_folder_with_their_weights(sentence_folder: Callable[..., Path]) -> None:
    folder = sentence_folder(dense=True, normalize=True)
    for other in ("1_Pooling/pool.py", "2_Dense/model.onnx", "onnx/model.onnx", "openvino/config.json", "custom.py"):
        (folder / other).parent.mkdir(exist_ok=True)
        (folder / other).write_text("{}")
    assert companions(folder) == TOKENIZER | MODULES


def test_a_transformer_in_a_folder_of_its_own_and_nested_modules(sentence_folder: Callable[..., Path]) -> None:
    folder = sentence_folder(dense=True, inside="0_Transformer")
    (folder / "1_Pooling" / "deep" / "er").mkdir(parents=True)
    (folder / "1_Pooling" / "deep" / "er" / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_text("{}")  # not where the transformer is
    inner = {f"0_Transformer/{name}" for name in (*TOKENIZER, "sentence_bert_config.json")}
    assert companions(folder) == inner | (MODULES - {"sentence_bert_config.json"}) | {"1_Pooling/deep/er/config.json"}
    opened = bp.Checkpoint.open(folder)
    assert (opened.name, opened.facts.architecture) == (folder.name, "BertModel")
    assert opened.folder() == folder and len(opened.tokenizer()) == 97


WRONG_MODULES = [
    ({}, "checkpoint.not_a_list"),
    ([], "checkpoint.module_count"),
    ([{}] * 65, "checkpoint.module_count"),
    (["Transformer"], "checkpoint.module_entry"),
    ([{"type": "Transformer", "path": 3}], "checkpoint.module_entry"),
    *(
        ([{"type": "Transformer", "path": path}], "checkpoint.module_path")
        for path in (
            "/etc",
            "..",
            "../other",
            "a/../b",
            "~",
            "C:\\a",
            "a\\b",
            "./a",
            "a//b",
            "a/",
            "x" * 200,
            "a\n",
        )
    ),
]


def test_modules_that_leave_the_folder_or_are_none_are_refused(
    sentence_folder: Callable[..., Path], refused: Callable[..., Any], subtests: pytest.Subtests
) -> None:
    for modules, code in WRONG_MODULES:
        with subtests.test(f"{code}: {modules}"[:60]):
            folder = sentence_folder()
            (folder / "modules.json").write_text(json.dumps(modules))
            assert refused(folder).code == code


def test_links_that_leave_the_folder_are_refused(sentence_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = sentence_folder(dense=True)
    (tmp_path / "secret.json").write_text("{}")
    for name in ("1_Pooling/more.json", "vocab.txt"):
        (folder / name).symlink_to(tmp_path / "secret.json")
        with pytest.raises(bp.BertpruneError, match=f"{name} is a link to a file outside the folder"):
            companion_files(folder, "tiny")
        (folder / name).unlink()
    (folder / "1_Pooling" / "more.json").symlink_to("config.json")
    assert companions(folder) == TOKENIZER | MODULES | {"1_Pooling/more.json"}
    (tmp_path / "elsewhere").mkdir()
    (folder / "1_Pooling").rename(tmp_path / "elsewhere" / "1_Pooling")
    (folder / "1_Pooling").symlink_to(tmp_path / "elsewhere" / "1_Pooling")
    with pytest.raises(bp.BertpruneError, match="outside the folder"):
        companion_files(folder, "tiny")


def test_the_links_of_the_hubs_cache_are_its_files(sentence_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder, blobs = sentence_folder(), tmp_path / "models--a--b" / "blobs"
    snapshot = tmp_path / "models--a--b" / "snapshots" / "0123"
    blobs.mkdir(parents=True)
    for number, path in enumerate(path for path in sorted(folder.rglob("*")) if path.is_file()):
        path.rename(blobs / str(number))
        link = snapshot / path.relative_to(folder)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blobs / str(number), link.parent))
    assert companions(snapshot) == TOKENIZER | {name for name in MODULES if "Dense" not in name}


def test_what_is_large_many_or_code_is_refused(sentence_folder: Callable[..., Path]) -> None:
    folder = sentence_folder(dense=True)
    with (folder / "1_Pooling" / "vocab.txt").open("wb") as file:
        file.truncate(2**26 + 1)
    with pytest.raises(bp.BertpruneError, match=r"1_Pooling/vocab\.txt is larger than 64 MiB"):
        companion_files(folder, "tiny")
    (folder / "1_Pooling" / "vocab.txt").unlink()
    for number in range(260):
        (folder / "1_Pooling" / f"{number}.json").write_text("{}")
    with pytest.raises(bp.BertpruneError, match="at most 256 are exported"):
        companion_files(folder, "tiny")
    for number in range(260):
        (folder / "1_Pooling" / f"{number}.json").unlink()
    (folder / "2_Dense" / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(bp.BertpruneError, match=r"pytorch_model\.bin"):
        companion_files(folder, "tiny")


def test_a_folder_whose_modules_are_code_of_its_own_is_not_copied(
    sentence_folder: Callable[..., Path], refused: Any, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    for kind in ["custom_st.Transformer", "org/name--custom_st.Transformer"]:
        with subtests.test(kind):
            folder = sentence_folder()
            modules = json.loads((folder / "modules.json").read_text())
            modules[0]["type"] = kind
            (folder / "modules.json").write_text(json.dumps(modules))
            run = bp.prune(folder, bp.Step(method="l1_unstructured", fraction=0.5, select="*.query"))
            error = refused(lambda: bp.export(run, tmp_path / "out"))
            assert error.code == "checkpoint.module_of_code" and kind in str(error)
            assert not (tmp_path / "out").exists()


def test_of_a_router_the_transformers_inside_are_named(
    sentence_folder: Callable[..., Path], refused: Any, tiny_folder: Callable[..., Path], tmp_path: Path
) -> None:
    tiny_folder("BertModel").rename(router := tmp_path / "query_0_Transformer")
    (tmp_path / "modules.json").write_text('[{"path": "", "type": "sentence_transformers.base.modules.Router"}]')
    error = refused(tmp_path)
    assert error.code == "checkpoint.transformer_inside" and router.name in str(error)


OTHER_FIRST = [
    ({"path": "0_WordEmbeddings", "type": "sentence_transformers.models.WordEmbeddings"}, "0_WordEmbeddings/"),
    ({"path": "", "type": "sentence_transformers.models.Router"}, ""),
    ({"path": "0_Own", "type": "code.of.mine.Transformer"}, "0_Own/"),
]


def test_a_folder_that_begins_with_another_module_is_refused_by_name(
    refused: Any, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    for number, (module, file) in enumerate(OTHER_FIRST):
        with subtests.test(module["type"]):
            (here := tmp_path / str(number)).mkdir()
            (here / "own").mkdir()
            (here / "own" / "modules.json").write_text(json.dumps([module]))
            kind = module["type"].removeprefix("sentence_transformers.models.")
            error = refused(here / "own")
            assert str(error) == (
                f"own begins with {kind} (modules.json), which is not a transformer: {file}config.json is not there"
            )
