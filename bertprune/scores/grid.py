"""Groups of a matrix's entries, and their scores: by a method's own function of groups, or the sum of its entries'."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

GroupRule = Callable[..., Tensor]
"""Scores the groups of a grid: `rule(weight, grid, *, …)`, with the keyword arguments of the method's own function."""

GROUP_RULES: dict[str, GroupRule] = {}
"""The functions of groups of the methods that come with bertprune, by the method's name."""


@dataclass(frozen=True)
class Grid:
    """Groups of a matrix (out × in): the entry (i, j) belongs to the group (rows[i], columns[j])."""

    rows: Tensor
    """The number of each row's group, (out)."""
    columns: Tensor
    """The number of each column's group, (in)."""

    @property
    def shape(self) -> tuple[int, int]:
        """How many groups there are, down and across."""
        return int(self.rows.max()) + 1, int(self.columns.max()) + 1

    @property
    def size(self) -> int:
        """How many groups there are."""
        down, across = self.shape
        return down * across

    def sums(self, values: Tensor) -> Tensor:
        """Add up a matrix of numbers by groups, (size), in at least float32."""
        down, across = self.shape
        values = values.to(torch.promote_types(values.dtype, torch.float32))
        by_row = torch.zeros(down, values.shape[1], dtype=values.dtype, device=values.device)
        by_row.index_add_(0, self.rows, values)
        total = torch.zeros(down, across, dtype=values.dtype, device=values.device)
        return total.index_add_(1, self.columns, by_row).flatten()

    def spread(self, groups: Tensor) -> Tensor:
        """Give every entry what its group has, (out, in)."""
        return groups.view(self.shape)[self.rows][:, self.columns]


def rows(weight: Tensor) -> Grid:
    """Make each row a group."""
    return blocks(weight, 1, weight.shape[1])


def columns(weight: Tensor) -> Grid:
    """Make each column a group."""
    return blocks(weight, weight.shape[0], 1)


def blocks(weight: Tensor, height: int, width: int) -> Grid:
    """Make each block of so many rows and columns a group."""
    high, wide = (torch.arange(size, device=weight.device) for size in weight.shape)
    return Grid(high // height, wide // width)


def of_groups(name: str) -> Callable[[GroupRule], GroupRule]:
    """Register a function as the score of groups of the method of that name."""

    def register(rule: GroupRule) -> GroupRule:
        GROUP_RULES[name] = rule
        return rule

    return register
