"""The tree counts and folds as torch does, and finds a module with or without the base prefix."""

import pytest
from torch import nn
from torch.nn.utils import prune

from bertprune.errors import SelectionError
from bertprune.model.tree import tree


def unique(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_every_module_is_there_with_its_parameters(tiny, subtests):
    for name in ["BertForMaskedLM", "DistilBertModel"]:
        with subtests.test(name):
            model = tiny(name)
            root = tree(model)
            modules = dict(model.named_modules())
            assert [node.path for node in root.walk()] == list(modules)
            for node in root.walk():
                module = modules[node.path]
                assert node.parameters == unique(module)
                assert node.own_parameters == sum(p.numel() for p in module.parameters(recurse=False))
                assert node.share == pytest.approx(unique(module) / unique(model))
                assert (node.type, node.extra) == (type(module).__name__, module.extra_repr())


def test_tied_tensors_are_counted_once(tiny):
    root = tree(tiny("BertForMaskedLM"))
    head = root.find("cls.predictions.decoder")
    assert head.parameters == 97 * 32 + 97
    assert root.parameters < root.find("bert").parameters + root.find("cls").parameters
    assert root.share == 1.0


def test_a_shared_module_appears_at_both_paths_and_counts_once():
    part = nn.Linear(3, 3)
    root = tree(nn.ModuleDict({"one": part, "two": part}))
    assert [node.path for node in root.children] == ["one", "two"]
    assert root.parameters == 12


def test_the_original_of_a_pruned_tensor_is_the_parameter(tiny):
    model = tiny("BertModel")
    before = tree(model)
    prune.l1_unstructured(model.encoder.layer[0].attention.self.key, "weight", amount=0.3)
    assert tree(model) == before


def test_a_path_works_with_and_without_the_base_prefix(tiny, subtests):
    for path in ["encoder.layer.1.attention.self", "bert.encoder.layer.1", "cls"]:
        with subtests.test(path):
            model = tiny("BertForMaskedLM")
            full = path if path.startswith(("bert", "cls")) else f"bert.{path}"
            node = tree(model, path)
            assert node.path == full
            assert node.parameters == unique(model.get_submodule(full))
            assert node.share == pytest.approx(unique(model.get_submodule(full)) / unique(model))
            assert node == tree(model).find(path)
            assert tree(model).find(full) == node


def test_places_are_those_of_the_whole_model(tiny):
    key = tree(tiny("BertForMaskedLM"), "encoder.layer.1.attention").find("encoder.layer.1.attention.self.key")
    assert (key.place.layer, key.place.role) == (1, "attention.key")


def test_an_unknown_path_lists_the_nearest(tiny):
    model = tiny("BertForMaskedLM")
    with pytest.raises(
        SelectionError, match=r"no module is named 'encoder.layr'; the nearest are bert\.encoder\.layer"
    ):
        tree(model, "encoder.layr")
    with pytest.raises(SelectionError, match=r"'key'; the nearest are bert\.encoder\.layer\.0\.attention\.self\.key"):
        tree(model).find("key")
    with pytest.raises(SelectionError, match=r"no module is named 'zzz'$"):
        tree(model, "zzz")


def test_only_identical_layers_fold(tiny):
    model = tiny("BertModel", num_hidden_layers=5)
    model.encoder.layer[2].attention.self.key = nn.Linear(32, 16)
    root = tree(model, "encoder.layer")
    assert [[node.name for node in run] for run in root.groups()] == [["0", "1"], ["2"], ["3", "4"]]
    lines = [line.strip() for line in root.render().splitlines() if "BertLayer" in line]
    assert lines[0].startswith("(0-1): 2 x BertLayer, 8,544 each") and "17,088" in lines[0]
    assert lines[1].startswith("(2): BertLayer ")
    assert lines[2].startswith("(3-4): 2 x BertLayer, 8,544 each")
    assert root.render().count("(key)") == 3
    assert root.render(fold=False).count("(key)") == 5


def test_modules_with_names_do_not_fold():
    text = tree(nn.ModuleDict({"one": nn.Linear(2, 2), "two": nn.Linear(2, 2)})).render()
    assert "(one): Linear" in text
    assert "(two): Linear" in text


def test_depth_limits_the_levels(tiny):
    root = tree(tiny("BertModel"))
    assert len(root.render(depth=0).splitlines()) == 2
    assert len(root.render(depth=1).splitlines()) == 5


def test_it_prints_as_in_the_golden_files(tiny, golden):
    golden("tree_bert_masked_lm.txt", tree(tiny("BertForMaskedLM")).render())
    golden("tree_distilbert_layer_unfolded.txt", tree(tiny("DistilBertModel"), "transformer").render(fold=False))


def test_a_meta_model_works_and_nothing_is_allocated(tiny):
    model = tiny("BertModel", device="meta")
    assert tree(model) == tree(tiny("BertModel"))
    assert all(p.is_meta for p in model.parameters())


def test_lazy_modules_count_nothing():
    assert tree(nn.Sequential(nn.LazyLinear(3), nn.Linear(2, 2))).parameters == 6


def test_a_model_without_parameters_has_no_share():
    root = tree(nn.Sequential(nn.Tanh()))
    assert (root.parameters, root.share) == (0, 0.0)
    assert "Tanh" in root.render()
