"""Tables as text: columns line up on a terminal, and Markdown stays one table."""

from bertprune.text import aligned, markdown


def test_columns_line_up_with_wide_letters_and_without_blanks_at_the_end() -> None:
    rows = [("tensor", "share", ""), ("어텐션", "5.0%", ""), ("x", "100.0%", "tied")]
    assert aligned(rows, right=[1]).split("\n") == [
        "tensor   share",
        "어텐션    5.0%",
        "x       100.0%  tied",
    ]


def test_markdown_aligns_numbers_right_and_escapes_pipes() -> None:
    assert markdown(["name", "of|all"], [["`a|b`", "3"]], right=[1]).split("\n") == [
        "| name | of\\|all |",
        "| --- | ---: |",
        "| `a\\|b` | 3 |",
    ]
    assert markdown(["name"], []) == "| name |\n| --- |"
