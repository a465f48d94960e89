"""The models that a checkpoint gives: what they share, when they are built, and what depends on the seed."""

import copy
import threading

import pytest
import torch
from checkpoint_files import alike, store, stored, values
from torch import nn

import bertprune as bp
from bertprune.checkpoint import loading
from bertprune.errors import MissingTensorsWarning

FIRST = [-0.009104621596634388, 0.006462163757532835, -0.05939013510942459]


@pytest.fixture(scope="module")
def kobert_model(kobert):
    return kobert.model()


def test_kobert_shape_has_the_numbers_of_kobert(kobert):
    facts = kobert.facts
    assert (facts.architecture, facts.parameters, facts.bytes) == ("BertModel", 92_186_880, 0)
    assert sum(fact.size for fact in facts.tensors) == 92_186_880
    layers = [module for module in kobert.skeleton().modules() if isinstance(module, nn.Embedding | nn.Linear)]
    assert (len(layers), sum(layer.weight.numel() for layer in layers)) == (76, 92_064_768)
    config = kobert.config
    assert (config.vocab_size, config.hidden_size, config.num_hidden_layers) == (8002, 768, 12)
    assert (config.num_attention_heads, config.intermediate_size, config.max_position_embeddings) == (12, 3072, 512)
    assert kobert.missing == frozenset()


def test_opening_builds_no_model(tiny_folder, monkeypatch):
    monkeypatch.setattr(loading, "build", lambda *given: pytest.fail("a model was built"))
    for source in ("kobert-shape", tiny_folder("BertModel")):
        checkpoint = bp.Checkpoint.open(source)
        assert bp.tree(checkpoint.skeleton()).parameters == checkpoint.facts.parameters


def test_kobert_shape_is_random_from_a_fixed_seed(kobert, kobert_model):
    words = kobert_model.embeddings.word_embeddings.weight
    assert words.std().item() == pytest.approx(0.02, rel=0.01)
    assert words[0, :3].tolist() == pytest.approx(FIRST, abs=1e-7)
    assert kobert.model(seed=5) is kobert_model
    assert all(bool(bias.eq(0).all()) for name, bias in kobert_model.named_parameters() if name.endswith("key.bias"))


def test_the_shared_model_is_built_once_and_released(tiny_folder):
    checkpoint = bp.Checkpoint.open(tiny_folder("BertModel"))
    first = checkpoint.model()
    assert checkpoint.model(seed=3) is first  # nothing is missing, so that the seed changes nothing
    assert not first.training
    checkpoint.release()
    assert checkpoint.model() is not first
    assert alike(checkpoint.model(), first)


def test_a_loaded_model_shares_nothing(tiny_folder, subtests):
    for cached in [False, True]:
        with subtests.test(f"cached: {cached}"):
            checkpoint = bp.Checkpoint.open(tiny_folder("BertForMaskedLM"))
            if cached:
                checkpoint.model()
            mine, other = checkpoint.load(), checkpoint.load()
            pristine = copy.deepcopy(values(checkpoint.model()))
            mine_at = {value.untyped_storage().data_ptr() for value in values(mine).values()}
            for model in (other, checkpoint.model()):
                assert not mine_at & {value.untyped_storage().data_ptr() for value in values(model).values()}
            with torch.no_grad():
                for parameter in mine.parameters():
                    parameter.fill_(7.0)
            assert all(torch.equal(value, pristine[name]) for name, value in values(checkpoint.model()).items())
            assert mine.cls.predictions.decoder.weight is mine.bert.embeddings.word_embeddings.weight


def test_a_loaded_model_does_not_depend_on_the_file(tiny_folder):
    folder = tiny_folder("BertModel")
    model = bp.Checkpoint.open(folder).load()
    before = copy.deepcopy(values(model))
    with (folder / "model.safetensors").open("r+b") as file:  # the same inode, overwritten in place
        size = (folder / "model.safetensors").stat().st_size
        file.seek(size // 2)
        file.write(b"\xff" * (size - size // 2))
    assert all(torch.equal(value, before[name]) for name, value in values(model).items())


def test_another_seed_leaves_the_model_of_the_first_alone(tiny_folder):
    folder = tiny_folder("BertModel")
    tensors = stored(folder)
    del tensors["pooler.dense.weight"]
    store(folder, tensors)
    with pytest.warns(MissingTensorsWarning):
        checkpoint = bp.Checkpoint.open(folder)
    first = checkpoint.model(0)
    before = copy.deepcopy(values(first))
    second = checkpoint.model(1)
    assert not torch.equal(second.pooler.dense.weight, first.pooler.dense.weight)
    assert all(torch.equal(value, before[name]) for name, value in values(first).items())


def test_progress_is_reported_and_may_cancel(tiny_folder):
    checkpoint = bp.Checkpoint.open(tiny_folder("BertModel"))
    shares: list[float] = []
    checkpoint.load(progress=lambda share, words: shares.append(share))
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)

    class Enough(Exception):
        pass

    def stop(share: float, words: str) -> None:
        raise Enough

    with pytest.raises(Enough):
        checkpoint.load(progress=stop)
    checkpoint.load()


def test_threads_that_build_at_once_get_the_same_weights(tiny_folder):
    folder = tiny_folder("BertForSequenceClassification")
    tensors = stored(folder)
    store(folder, {name: value for name, value in tensors.items() if "layer.1" not in name})
    with pytest.warns(MissingTensorsWarning):
        checkpoint = bp.Checkpoint.open(folder)
    alone = {seed: checkpoint.load(seed) for seed in (0, 1)}
    built: list[tuple[int, nn.Module]] = []
    shared: list[nn.Module] = []

    def work(seed: int) -> None:
        built.append((seed, checkpoint.load(seed)))
        shared.append(checkpoint.model(0))

    threads = [threading.Thread(target=work, args=(number % 2,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 8
    assert all(alike(model, alone[seed]) for seed, model in built)
    assert len({id(model) for model in shared}) == 1


def test_building_leaves_torch_as_it_was(tiny_folder):
    functions = {name: getattr(nn.init, name) for name in ("normal_", "kaiming_uniform_", "zeros_")}
    bp.Checkpoint.open(tiny_folder("BertModel")).load()
    assert {name: getattr(nn.init, name) for name in functions} == functions
