"""Every value is masked, zero or alive, whatever its dtype, and is counted once."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bertprune.reports import counting
from bertprune.reports.counting import Count, count

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int8, torch.int64, torch.bool]
VALUES = torch.tensor([0.0, -0.0, 1.0, -2.0, 5e-324, float("nan"), float("inf")], dtype=torch.float64)


@settings(deadline=None, max_examples=80)
@given(data=st.data())
def test_every_value_is_masked_or_zero_or_alive(data):
    shape = data.draw(st.sampled_from([(), (0,), (1,), (7,), (40,), (5, 9), (3, 0), (2, 3, 4)]))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 1000)))
    weight = VALUES[torch.randint(0, len(VALUES), shape, generator=generator)]
    dtype = data.draw(st.sampled_from(DTYPES))
    weight = weight.nan_to_num(1.0, 1.0).to(dtype) if not dtype.is_floating_point else weight.to(dtype)
    mask = torch.rand(shape, generator=generator) < 0.5
    as_dtype = data.draw(st.sampled_from([torch.bool, torch.float32, torch.bfloat16, torch.int32]))
    if data.draw(st.booleans()) and len(shape) > 1:
        weight, mask = weight.mT, mask.mT
    kept = weight[mask]
    expected = (weight.numel(), int((~mask).sum()), int((kept == 0).sum()), int((kept != 0).sum()))
    found = count(weight, [mask.to(as_dtype)])
    assert (found.size, found.masked, found.zero, found.alive) == expected
    assert found.size == found.masked + found.zero + found.alive
    plain = count(weight)
    assert (plain.masked, plain.zero) == (0, int((weight == 0).sum()))


def test_the_block_size_does_not_matter(monkeypatch):
    weight, mask = torch.randn(37, 11), torch.rand(37, 11) < 0.4
    weight[weight < -1] = 0
    whole = count(weight, [mask])
    for size in (1, 7, 11, 100):
        monkeypatch.setattr(counting, "BLOCK", size)
        assert count(weight, [mask]) == whole
        assert count(weight.T, [mask.T]) == whole
        assert count(weight.T, [mask.T.contiguous()]) == whole
        assert count(weight, [mask.T.contiguous().T]) == whole


def test_a_bool_tensor_is_not_changed():
    weight = torch.ones(9, dtype=torch.bool)
    assert count(weight, [torch.arange(9) < 4]) == Count(9, 5, 0)
    assert weight.all()


def test_counts_add_up_and_an_empty_one_has_no_sparsity():
    assert Count(10, 3, 2) + Count(5, 0, 1) == Count(15, 3, 3)
    assert Count(10, 3, 2).alive == 5
    assert Count(10, 3, 2).sparsity == 0.3
    assert Count().sparsity == 0.0
