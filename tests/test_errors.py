"""Errors and warnings are text for people, codes and values for programs, and pass through pickle."""

import copy
import pickle

import pytest

from bertprune import errors
from bertprune.errors import BertpruneError, BertpruneWarning, Message, Note, first_names, shortened

CLASSES = [
    one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, BertpruneError | BertpruneWarning)
]


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("duplicate", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy])
def test_errors_and_warnings_survive_pickle_and_copy(kind, duplicate):
    inner = kind("{name} has {size:,} bytes", code="large", name="{a}", size=1_234_567)
    error = inner.within("{file}: {error}", code="file", file="f") if issubclass(kind, BertpruneError) else inner
    again = duplicate(error)
    assert type(again) is kind
    assert (again.code, str(again), again.args) == (error.code, str(error), (str(error),))
    assert again.values.keys() == error.values.keys()
    deepest = again.values.get("error", again)
    assert (deepest.code, deepest.values, str(deepest)) == ("large", {"name": "{a}", "size": 1_234_567}, str(inner))


def test_the_argument_of_an_error_is_its_text():
    assert BertpruneError("{size:,} bytes", code="large", size=1_000).args == ("1,000 bytes",)


def test_braces_are_text_where_there_are_no_values():
    assert str(BertpruneError("write {}")) == "write {}"


def test_an_error_within_another_keeps_its_class_and_the_first_error():
    error = errors.TooLargeError("{name}", code="large", name="a").within("in {file}: {error}", code="file", file="f")
    assert type(error) is errors.TooLargeError
    assert (str(error), error.code, error.values["error"].values) == ("in f: a", "file", {"name": "a"})


def test_a_note_is_text_with_a_code():
    note = Note("{count:,} rows", code="note.rows", count=1_000)
    assert (note, note.code, note.values) == ("1,000 rows", "note.rows", {"count": 1_000})


def test_long_lists_and_texts_are_shortened():
    assert first_names("abc") == "a, b, c"
    assert str(first_names([])) == "none"
    more = first_names("abcd", most=3)
    assert isinstance(more, Message)
    assert (str(more), more.values["more"]) == ("a, b, c and 1 more", 1)
    assert shortened("x" * 60) == "x" * 60
    assert shortened("x" * 61) == "x" * 59 + "…"
