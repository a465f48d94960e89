"""What is let go goes back: repeated steps leave nothing behind, and runs that nobody looks at stay small."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import bertprune as bp
from bertprune.model.snapshot import corners
from bertprune.pruning import memory as memory_module
from bertprune.pruning.masked import sketched
from bertprune.pruning.memory import Fresh
from bertprune.pruning.packed_masks import PackedMasks

STATUS = Path("/proc/self/status")
needs_proc = pytest.mark.skipif(not STATUS.exists(), reason="the memory of a process is read from /proc")

RESIDENT = """
import sys
from pathlib import Path
import torch
from torch import nn
import bertprune as bp

def resident():
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024

model = nn.Sequential(*(nn.Linear(1000, 1000, bias=False) for _ in range(8)))
step = bp.Step(method="l1_unstructured", count=10_000, scope="global", select="*")
sizes = []
for _ in range(50):
    bp.apply(model, step)
    bp.bake(model)
    sizes.append(resident())
print(max(sizes[25:]) - max(sizes[:25]))
"""


@pytest.mark.parametrize(
    ("shape", "dtype"), [((3, 5), bool), ((700, 300), np.float32), ((0, 4), np.float64), ((), bool)]
)
def test_fresh_memory_is_an_array_like_any_other(shape, dtype):
    memory = Fresh()
    arrays = [memory.array(shape, dtype) for _ in range(50)]
    for number, array in enumerate(arrays):
        assert array.shape == shape and array.dtype == dtype and array.flags.writeable
        array.fill(number)
    assert all((array == array.dtype.type(number)).all() for number, array in enumerate(arrays))


@needs_proc
def test_a_region_goes_back_with_the_last_of_its_arrays():
    memory = Fresh()
    arrays = [memory.array([1 << 20], np.float32) for _ in range(64)]  # eight regions
    del memory
    before = sum(int(line.split()[1]) for line in STATUS.read_text().splitlines() if line.startswith("VmSize"))
    first = arrays.pop(0)
    del arrays
    after = sum(int(line.split()[1]) for line in STATUS.read_text().splitlines() if line.startswith("VmSize"))
    assert before - after >= 7 * 32 * 1024
    first.fill(1)


@pytest.fixture
def spare(monkeypatch):
    """Regions that are spare, none yet; two at most."""
    regions = []
    monkeypatch.setattr(memory_module, "_spare", regions)
    monkeypatch.setattr(memory_module, "_SPARE", 1 << 26)
    return regions


@needs_proc
def test_a_region_is_used_again_only_when_the_last_of_its_arrays_is_gone(spare):
    memory = Fresh(spare=True)
    one, other = memory.array([1 << 20], np.float32), memory.array([1 << 20], np.float32)
    place = one.ctypes.data
    del memory, one
    assert spare == []
    assert Fresh(spare=True).array([1 << 20], np.float32).ctypes.data != place
    other.fill(7)
    again = torch.from_numpy(other[4:].reshape(-1, 3))  # a view of a view keeps the region too
    del other
    assert Fresh(spare=True).array([1 << 20], np.float32).ctypes.data != place
    assert bool((again == 7).all())
    del again
    assert place in {Fresh(spare=True).array([1 << 20], np.float32).ctypes.data}


@needs_proc
def test_spare_memory_is_bounded_and_large_arrays_find_their_own_size(spare):
    memory = Fresh(spare=True)
    arrays = [memory.array([1 << 25], np.uint8) for _ in range(5)]
    del memory
    arrays.clear()
    assert [len(pages) for pages in spare] == [1 << 25] * 2
    spare.clear()
    large = Fresh(spare=True).array([(1 << 25) + 4096], np.uint8)
    place = large.ctypes.data
    del large
    assert Fresh(spare=True).array([1 << 25], np.uint8).ctypes.data != place
    assert Fresh(spare=True).array([(1 << 25) + 4096], np.uint8).ctypes.data == place


@needs_proc
def test_masks_and_products_of_a_later_model_are_right_in_memory_of_a_former_one(spare):
    step = bp.Step(method="l1_unstructured", fraction=0.5, scope="global", select="*")
    for seed in range(4):
        torch.manual_seed(seed)
        model = torch.nn.Sequential(*(torch.nn.Linear(700, 700) for _ in range(3)))
        weights = [layer.weight.detach().clone() for layer in model]
        bp.apply(model, step)
        assert seed == 0 or spare == []
        for layer, weight in zip(model, weights, strict=True):
            assert torch.equal(layer.weight_orig, weight)
            assert torch.equal(layer.weight, weight * layer.weight_mask)
        del model, layer
        assert len(spare) == 1


@needs_proc
def test_masks_do_not_keep_the_memory_of_products_that_a_forward_pass_replaced(spare):
    model = torch.nn.Sequential(*(torch.nn.Linear(1000, 1000) for _ in range(8)))
    rows = bp.Step(method="ln_structured", fraction=0.5, scope="global", select="*", options={"dim": 0})
    bp.apply(model, rows)
    assert spare == []
    with torch.no_grad():
        model(torch.ones(1, 1000))
    assert [len(pages) for pages in spare] == [1 << 25]


@needs_proc
def test_fifty_rounds_of_pruning_and_baking_leave_memory_flat():
    """32 MB of weights: a copy of them, or of the masks, that stayed behind each round would be 400 MB and more."""
    done = subprocess.run([sys.executable, "-c", RESIDENT], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 32_000_000


def test_a_run_keeps_an_eighth_of_a_byte_for_each_weight(tiny_folder):
    checkpoint = bp.Checkpoint.open(tiny_folder())
    run = bp.prune(checkpoint, bp.Step(method="l1_unstructured", fraction=0.5, scope="global", select="*"))
    assert run.masks.nbytes <= run.report.total.size / 8 + len(run.masks)
    assert run._model is None


def test_packed_masks_are_the_masks_and_leave_nothing_behind():
    generator = torch.Generator().manual_seed(0)
    shapes = {"a": (3, 5), "b": (0, 4), "c": (), "d": (700, 301), "e": (9,)}
    masks = {name: torch.rand(shape, generator=generator) < 0.5 for name, shape in shapes.items()}
    masks["view"] = (torch.rand(8, 1, generator=generator) < 0.5).expand(8, 6)
    before = {name: mask.clone() for name, mask in masks.items()}
    packed = PackedMasks(masks)
    assert masks == {}
    assert list(packed) == list(before)
    assert len(packed) == 6
    for name, mask in before.items():
        assert packed[name].dtype == torch.bool
        assert torch.equal(packed[name], mask)
    packed["d"].fill_(False)
    assert torch.equal(packed["d"], before["d"])
    assert packed.nbytes == sum(-(-mask.numel() // 8) for mask in before.values())
    assert len(PackedMasks({})) == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(), (0, 4), (3,), (5, 7), (300, 200)])
def test_a_sketch_is_right_where_a_snapshot_looks(shape, dtype):
    values, mask = torch.randn(shape).to(dtype), torch.rand(shape) < 0.5
    sketch, product = sketched(values, mask), values * mask
    assert (sketch.shape, sketch.dtype) == (product.shape, product.dtype)
    assert all(torch.equal(sketch[place], product[place]) for place in corners(shape))


@needs_proc
def test_what_was_let_go_last_is_kept(spare):
    for size in (1 << 25, (1 << 25) + 4096, (1 << 25) + 8192):
        Fresh(spare=True).array([size], np.uint8).fill(1)
    assert [len(pages) for pages in spare] == [(1 << 25) + 8192]
