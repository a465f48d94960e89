"""Methods that come from a file or from an installed package: all of them are registered, or none."""

import pytest

import bertprune as bp
from bertprune.errors import BertpruneWarning, RecipeError
from bertprune.scores import registry

pytestmark = pytest.mark.usefixtures("temporary_methods")


def test_methods_from_a_file(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "import bertprune as bp\n\n@bp.method('mine')\ndef mine(weight):\n    'Mine.'\n    return weight.abs()\n"
    )
    registry.load_file(file)
    assert bp.methods()["mine"].summary == "Mine."
    file.write_text("1 / 0")
    with pytest.raises(RecipeError, match=r"^mine\.py: ZeroDivisionError: division by zero$"):
        registry.load_file(file)
    file.write_text("raise SystemExit(0)")
    with pytest.raises(RecipeError, match=r"^mine\.py: SystemExit: 0"):
        registry.load_file(file)
    file.write_text("import bertprune")
    with pytest.raises(RecipeError, match=r"^mine\.py registers no method"):
        registry.load_file(file)
    with pytest.raises(RecipeError, match=r"^gone\.py: no such file"):
        registry.load_file(tmp_path / "gone.py")


def test_a_broken_plugin_is_left_out_with_a_warning(monkeypatch):
    from importlib.metadata import EntryPoint

    broken = EntryPoint(name="x", value="no_such_package_anywhere", group="bertprune.methods")
    monkeypatch.setattr(registry, "entry_points", lambda group: [broken])
    registry.load_entry_points.cache_clear()
    with pytest.warns(BertpruneWarning, match="cannot load the methods of no_such_package_anywhere"):
        assert "l1_unstructured" in bp.methods()


FILE = """
import bertprune as bp

@bp.method({name!r}{settings})
def rule(weight):
    'From a file.'
    return weight.abs()
{rest}
"""


def test_a_file_replaces_nothing_unseen_and_leaves_all_or_nothing(temporary_methods, tmp_path):
    def load(name, settings="", rest="", file="mine.py"):
        path = tmp_path / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(FILE.format(name=name, settings=settings, rest=rest))
        registry.load_file(path)

    before = dict(temporary_methods)
    for name, rest in [("l1_unstructured", ""), ("fresh", "1 / 0"), ("fresh", "raise KeyboardInterrupt")]:
        with pytest.raises((RecipeError, KeyboardInterrupt)):
            load(name, rest=rest)
        assert temporary_methods == before
    load("fresh")
    load("fresh")  # the same file once more
    with pytest.raises(RecipeError, match=r"^mine\.py: fresh already is a method, defined in mine\.py"):
        load("fresh", file="other/mine.py")
    load("fresh", ", replace=True", file="other/yours.py")
    found = bp.methods()["fresh"]
    assert (found.defined_in, found.replaces) == ("yours.py", "mine.py")
    assert str(tmp_path) not in found.defined_in


def test_a_broken_plugin_leaves_none_of_its_methods(temporary_methods, monkeypatch, tmp_path):
    from importlib.metadata import EntryPoint

    (tmp_path / "half_a_plugin.py").write_text(FILE.format(name="half", settings="", rest="import no_such_package"))
    (tmp_path / "greedy_plugin.py").write_text(FILE.format(name="l1_unstructured", settings="", rest=""))
    monkeypatch.syspath_prepend(tmp_path)
    points = [EntryPoint(name, name, "bertprune.methods") for name in ("half_a_plugin", "greedy_plugin")]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    before = dict(temporary_methods)
    registry.load_entry_points.cache_clear()
    with pytest.warns(BertpruneWarning) as warned:
        assert bp.methods() == before
    assert [str(one.message).partition(":")[0] for one in warned] == [
        f"cannot load the methods of {name}" for name in ("half_a_plugin", "greedy_plugin")
    ]
