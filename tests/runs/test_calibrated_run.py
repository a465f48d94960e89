"""Runs that read calibration texts: where the texts come from, what is said of them, and what a run keeps."""

import copy
import pickle
import tempfile
import warnings

import pytest
import torch

import bertprune as bp
from bertprune.errors import BertpruneError, OtherTextsWarning
from bertprune.runs.spill import SpilledValues
from tests.calibration_texts import ENTRIES, HEADS, NEURONS, TEXTS

WANDA = bp.Step(method="wanda", fraction=0.5, scope="row", select=bp.Selection(roles="attention.query"))


def same_state(one, other):
    first, second = one.state_dict(), other.state_dict()
    return list(first) == list(second) and all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.fixture
def run(tiny_folder):
    return bp.prune(tiny_folder(), [NEURONS, HEADS], calibration=TEXTS)


def test_the_model_has_torchs_mechanism_with_the_new_values(run):
    assert run.values and all(one.reconstructions for one in run.steps)
    dense = run.checkpoint.model(0).state_dict()
    for name, value in run.values.items():
        module = run.model.get_submodule(name.removesuffix(".weight"))
        assert torch.equal(module.weight_orig, value) and not torch.equal(value, dense[name])
        assert torch.equal(module.weight, value * run.masks[name]) and module.weight.grad_fn is not None
        (hook,) = module._forward_pre_hooks.values()
        assert isinstance(hook, torch.nn.utils.prune.CustomFromMask) and type(hook).__name__ == "Obs"
        # what is masked keeps the value that it had
        assert torch.equal(value[~run.masks[name]], dense[name][~run.masks[name]])


def test_the_same_texts_and_seed_give_the_same_and_others_do_not(tiny_folder):
    folder = tiny_folder()
    first, same, other = (bp.prune(folder, ENTRIES, calibration=texts) for texts in (TEXTS, TEXTS, TEXTS[20:]))
    assert same_state(first.model, same.model) and not same_state(first.model, other.model)
    assert first.recipe == same.recipe != other.recipe
    assert first.recipe.calibration.count == len(TEXTS)


def test_a_copy_keeps_the_new_values_when_the_run_is_gone(tiny_folder):
    run = bp.prune(tiny_folder(), NEURONS, calibration=TEXTS)
    expected = {name: value.clone() for name, value in run.values.items()}
    copies = copy.deepcopy(run), pickle.loads(pickle.dumps(run))
    assert all((other.steps, other.notes) == (run.steps, run.notes) for other in copies)
    del run
    for other in copies:
        assert expected and other.values.keys() == expected.keys()
        assert all(torch.equal(other.model.state_dict()[f"{name}_orig"], value) for name, value in expected.items())


def test_a_shorter_recipe_is_undo(tiny_folder):
    folder = tiny_folder()
    longer = bp.prune(folder, [NEURONS, WANDA], calibration=TEXTS)
    shorter = bp.prune(folder, longer.recipe.model_copy(update={"steps": longer.recipe.steps[:1]}), calibration=TEXTS)
    assert shorter.steps == longer.steps[:1]
    assert same_state(shorter.model, bp.prune(folder, NEURONS, calibration=TEXTS).model)
    nothing = bp.prune(folder, longer.recipe.model_copy(update={"steps": ()}))
    assert not nothing.values and nothing.recipe.calibration is None
    assert same_state(nothing.model, nothing.checkpoint.model(0))


def test_a_later_step_starts_from_the_new_values(tiny_folder):
    folder = tiny_folder()
    magnitude = bp.Step(method="magnitude", fraction=0.5, select=bp.Selection(roles="ffn.output"))
    one, two = bp.prune(folder, NEURONS, calibration=TEXTS), bp.prune(folder, [NEURONS, magnitude], calibration=TEXTS)
    assert {name: value.sum() for name, value in one.values.items()} == {
        name: value.sum() for name, value in two.values.items()
    }
    name = "bert.encoder.layer.0.output.dense.weight"
    left, gone = (one.values[name].abs()[mask] for mask in (two.masks[name], one.masks[name] & ~two.masks[name]))
    assert len(gone) == len(left) and gone.max() <= left.min()


def test_other_texts_than_the_recipes_are_said(run):
    with pytest.warns(OtherTextsWarning, match="calibrated on other texts"):
        other = bp.prune(run.checkpoint, run.recipe, calibration=TEXTS[:20])
    assert [note.code for note in other.notes][:2] == ["calibration.texts", "calibration.other_texts"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = bp.prune(run.checkpoint, run.recipe, calibration=TEXTS)
    assert again.recipe == run.recipe


def test_labels_that_are_read_belong_to_the_texts(tiny_folder):
    folder, fisher = tiny_folder(), bp.Step(method="fisher", granularity="head", count=1)

    def record(labels):
        rows = [{"text": text, "label": label} for text, label in zip(TEXTS, labels, strict=True)]
        return bp.prune(folder, fisher, calibration=bp.Calibration(rows, label="label")).recipe.calibration

    ones = [number % 2 for number in range(len(TEXTS))]
    assert record(ones) == record(ones) != record(ones[1:] + ones[:1])


def test_what_is_kept_of_a_reconstruction_is_said(run):
    said = [note for note in run.notes if note.code in ("calibration.all_kept", "calibration.some_kept")]
    every = [one for step in run.steps for one in step.reconstructions]
    (note,) = said
    assert len(every) == 4 and note.values["all"] == len({one.layer for one in every}) == 2
    assert note.values.get("kept", 2) == 2 - len({one.layer for one in every if not one.kept})


def test_the_demos_bring_texts_and_say_so():
    heads = bp.Step(method="fisher", granularity="head", count=1, select=bp.Selection(layers=[0]))
    run = bp.prune("demo", heads)
    assert run.notes[0].code == "calibration.own_texts" and run.recipe.calibration is not None
    assert "calibration=" not in run.as_python(ours=True)


def test_texts_that_no_step_reads_are_said(tiny_folder):
    run = bp.prune(tiny_folder(), bp.Step(method="magnitude", fraction=0.5), calibration=TEXTS)
    assert [note.code for note in run.notes] == ["calibration.unread_texts"] and run.recipe.calibration is None


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (WANDA, "wanda reads calibration texts"),
        (bp.Step(method="l1_unstructured", fraction=0.5, reconstruct=True, select="*.query"), "adjust what stays"),
        (bp.Step(method="magnitude", fraction=0.5, select="*.query"), "torch has no method magnitude"),
    ],
)
def test_a_script_is_ours_and_says_why(tiny_folder, tmp_path, step, reason):
    folder, file = tiny_folder(), tmp_path / "texts.txt"
    file.write_text("\n".join(TEXTS))
    run = bp.prune(folder, step, seed=3, calibration=bp.Calibration(file, count=30, max_length=7))
    script = run.as_python()
    assert script.startswith("# In bertprune rather than plain torch: ") and reason in script.splitlines()[0]
    assert ("count=30, max_length=7" in script) == (run.recipe.calibration is not None)
    assert str(tmp_path) not in script
    lines = [f"CHECKPOINT = {str(folder)!r}" if line.startswith("CHECKPOINT") else line for line in script.splitlines()]
    left = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec("\n".join(lines).replace("path/to/texts.csv", str(file)), left)
    assert same_state(left["model"], run.model)


def test_methods_and_outcomes_of_a_model_in_memory_travel(tiny_bert, temporary_methods):
    outcomes = bp.apply(tiny_bert, bp.Step(method="magnitude", fraction=0.5))
    sent = pickle.dumps(outcomes)
    assert pickle.loads(sent) == outcomes == copy.deepcopy(outcomes)

    @bp.method("magnitude", replace=True)
    def other(weight):
        return weight

    assert copy.deepcopy(outcomes) == outcomes
    with pytest.raises(BertpruneError, match=r"magnitude was defined in bertprune\.scores\.plain") as caught:
        pickle.loads(sent)
    assert caught.value.code == "method.other_place"


def test_new_values_are_on_disk_in_any_dtype():
    values = {str(dtype): torch.randn(3, 5).to(dtype) for dtype in (torch.float32, torch.bfloat16, torch.float64)}
    given = dict(values)
    spilled = SpilledValues(given)
    assert not given and spilled.nbytes == 15 * (4 + 2 + 8)
    for one in (spilled, pickle.loads(pickle.dumps(spilled))):
        assert all(torch.equal(one[name], value) and one[name].dtype == value.dtype for name, value in values.items())
    assert len(SpilledValues({})) == 0


def test_no_room_for_new_values_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(BertpruneError, match=r"need 60 bytes in .*nowhere: No such file") as caught:
        SpilledValues({"a": torch.ones(3, 5)})
    assert caught.value.code == "run.no_room"
