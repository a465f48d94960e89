"""Tables and JSON, for people and for programs."""

import json
import math
import sys

import pytest

from bertprune.cli.console import Table, byte_size, print_json

from .conftest import Terminal

TABLE = Table.of(("name", "size"), [("a", "1,000"), ("층", "2")], numbers=("size",))


def test_a_pipe_gets_aligned_columns_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    TABLE.print()
    assert capsys.readouterr().out == "name   size\na     1,000\n층        2\n"


def test_a_terminal_gets_a_drawn_table(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    TABLE.print()
    assert "┃" in terminal.getvalue() and "1,000" in terminal.getvalue()


def test_brackets_in_cells_are_not_markup_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    Table.of(("name",), [("[red]a[/red]",)]).print()
    assert "[red]a[/red]" in terminal.getvalue()


def test_json_has_no_infinities(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"n": math.inf, 1: [-math.inf, 2.5, "층"], "t": (1,)})
    out = capsys.readouterr().out
    assert json.loads(out) == {"n": "inf", "1": ["-inf", 2.5, "층"], "t": [1]}
    assert "층" in out


def test_sizes_are_exact() -> None:
    assert byte_size(1234) == "1,234 bytes"
    assert byte_size(123_456_789) == "123,456,789 bytes (123.5 MB)"
