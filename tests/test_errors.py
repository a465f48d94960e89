"""Errors and warnings are text for people, codes and values for programs, and pass through pickle."""

import copy
import pickle

from bertprune import errors
from bertprune.errors import BertpruneError, BertpruneWarning, Message, Note, first_names, shortened

CLASSES = [
    one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, BertpruneError | BertpruneWarning)
]


def test_errors_and_warnings_survive_pickle_and_copy(subtests):
    for kind in CLASSES:
        with subtests.test(kind.__name__):
            inner = kind("{name} has {size:,} bytes", code="large", name="{a}", size=1_234_567)
            error = inner.within("{file}", code="file", file="{f}") if issubclass(kind, BertpruneError) else inner
            for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
                assert type(again) is kind
                assert (again.code, str(again), again.args, again.values) == (
                    "large",
                    str(error),
                    (str(error),),
                    error.values,
                )
                assert str(again).endswith("{a} has 1,234,567 bytes")


def test_the_argument_of_an_error_is_its_text():
    assert BertpruneError("{size:,} bytes", code="large", size=1_000).args == ("1,000 bytes",)


def test_braces_are_text_where_there_are_no_values():
    assert str(BertpruneError("write {}")) == "write {}"


def test_a_place_leaves_class_code_and_values_of_an_error_as_they_are():
    error = errors.TooLargeError("{file} is large", code="large", file="a.bin")
    placed = error.within("step {step}", code="step", step=2).within("in {file}", code="file", file="b.yaml")
    assert type(placed) is errors.TooLargeError
    assert (str(placed), placed.code) == ("in b.yaml: step 2: a.bin is large", "large")
    assert placed.values == {"file": "a.bin", "step": 2}
    assert [place.code for place in placed.places] == ["file", "step"]
    assert (str(error), error.places) == ("a.bin is large", ())


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
