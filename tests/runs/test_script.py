"""A run written as a script makes the same masks."""

import torch
from torch.nn.utils import prune as torch_prune

import bertprune as bp

STEP = bp.Step(method="l1_unstructured", fraction=0.5, select="encoder.*")


def run_script(script, folder):
    """Run a script with the checkpoint filled in; return the state dict of the model that it leaves."""
    lines = [f"CHECKPOINT = {str(folder)!r}" if line.startswith("CHECKPOINT") else line for line in script.splitlines()]
    left = {}
    with torch.random.fork_rng(devices=[]):
        exec("\n".join(lines), left)
    return left["model"].state_dict()


def test_plain_torch_makes_the_same_masks(tiny_folder):
    folder = tiny_folder()
    recipe = bp.Recipe(
        steps=[
            bp.Step(method="random_unstructured", fraction=0.3, select="encoder.*"),
            bp.Step(method="random_structured", count=3, select="*.self.{query,key}", options={"dim": 0}),
            bp.Step(method="ln_structured", fraction=0.2, select="bert.pooler.dense", options={"n": float("inf")}),
            bp.Step(method="l1_unstructured", count=5, select=bp.Selection(types="Embedding")),
            bp.Step(method="l1_unstructured", fraction=1.0, select="classifier"),
            bp.Step(method="l1_unstructured", fraction=0.4, scope="global", select=bp.Selection(types="Linear")),
        ]
    )
    run = bp.prune(folder, recipe, seed=11)
    script = run.as_python()
    assert "bertprune" not in script and str(folder) not in script
    state = run_script(script, folder)
    assert all(torch.equal(state[f"{name}_mask"] != 0, mask) for name, mask in run.masks.items())
    assert sum(name.endswith("_mask") for name in state) == len(run.masks)


def test_the_script_uses_bertprune_where_asked_to(tiny_folder):
    folder = tiny_folder()
    run = bp.prune(folder, bp.Step(method="l1_unstructured", fraction=0.2, select=["*key"]), seed=3)
    script = run.as_python(ours=True)
    assert "rather than plain torch" not in script and "bp.prune(CHECKPOINT, recipe, seed=3)" in script
    state = run_script(script, folder)
    assert all(torch.equal(state[f"{name}_mask"], mask) for name, mask in run.masks.items())


def test_the_script_uses_bertprune_where_torch_cannot_rank_slices_together(tiny_folder):
    folder = tiny_folder()
    step = bp.Step(method="ln_structured", fraction=0.2, scope="global", select="encoder.*", options={"dim": 0})
    run = bp.prune(folder, step, seed=3)
    script = run.as_python()
    assert script.startswith("# In bertprune rather than plain torch: torch does not rank slices")
    assert str(folder) not in script
    state = run_script(script, folder)
    assert all(torch.equal(state[f"{name}_mask"], mask) for name, mask in run.masks.items())


def test_the_script_uses_bertprune_where_torch_would_untie_tensors(tiny_folder):
    run = bp.prune(tiny_folder("BertForMaskedLM"), bp.Step(method="l1_unstructured", count=9))
    assert "torch would untie bert.embeddings.word_embeddings.weight from cls.predictions" in run.as_python()


def test_the_script_uses_bertprune_for_layers_of_unequal_shapes(tiny_folder, tmp_path):
    neurons = bp.Step(method="magnitude", granularity="neuron", count=5, select=bp.Selection(layers=[0]))
    bp.export(bp.prune(tiny_folder(), neurons), tmp_path / "irregular", form="small")
    run = bp.prune(tmp_path / "irregular", bp.Step(method="l1_unstructured", fraction=0.5, select="*key"))
    script = run.as_python()
    assert script.startswith("# In bertprune rather than plain torch: the checkpoint's layers have unequal shapes")
    state = run_script(script, tmp_path / "irregular")
    assert all(torch.equal(state[f"{name}_mask"], mask) for name, mask in run.masks.items())


def test_a_comment_warns_of_ties_unless_the_method_is_random(tiny_folder):
    folder, queries = tiny_folder(), bp.Selection(roles="attention.query")
    ranked = bp.prune(folder, bp.Step(method="l1_unstructured", fraction=0.2, select=queries))
    drawn = bp.prune(folder, bp.Step(method="random_structured", count=2, select=queries))
    assert "score the same at the cut" in ranked.as_python()
    assert "score the same at the cut" not in drawn.as_python()


def test_plain_torch_is_given_a_folder_where_a_file_was_opened(tiny_folder):
    file = tiny_folder() / "mine.safetensors"
    (file.parent / "model.safetensors").rename(file)
    run = bp.prune(file, STEP)
    assert "CHECKPOINT = 'path/to/mine' " in run.as_python()
    assert "CHECKPOINT = 'path/to/mine.safetensors' " in run.as_python(ours=True)


def test_the_script_uses_bertprune_for_methods_that_torch_lacks(tiny_folder, temporary_methods):
    bp.method("renamed")(torch_prune.RandomUnstructured)
    run = bp.prune(tiny_folder(), bp.Step(method="renamed", fraction=0.2, select="*key"))
    assert "renamed is a method of your own" in run.as_python()
