"""What a hosted page does not accept: each error names the limit and the way around it."""

from typing import Any

import pytest

import bertprune as bp
from app.errors import LimitError, error_text, upload_limit
from app.runs import RunKey, Source
from app.settings import Settings
from app.store import Store

LIMITS: dict[str, dict[str, Any]] = {
    "steps": {"steps": 50, "most": 40},
    "files": {"files": 70, "most": 40},
    "unpacked": {"size": 5_000_000_000, "most": 40},
    "parameters": {"name": "big", "size": 10**9, "most": 40},
    "stored": {"name": "big", "size": 10**10, "most": 40},
    "memory": {"name": "big", "size": "4.0 GB", "free": "40 GB"},
    "seconds": {"most": "40"},
}


def test_an_error_names_the_limit_and_on_a_hosted_page_how_to_do_without_it(subtests: pytest.Subtests) -> None:
    for key in LIMITS:
        with subtests.test(key):
            said = error_text("ko", LimitError(key, Settings.for_strangers("org/page"), **LIMITS[key]))
            assert "40" in said
            assert "`git clone https://huggingface.co/spaces/org/page`" in said
            assert "`make -C page app`" in said
            assert "git clone" not in str(LimitError(key, Settings(), **LIMITS[key]))


def test_the_upload_says_beforehand_what_is_accepted() -> None:
    said = upload_limit("en", Settings.for_strangers("org/page"))
    assert said.startswith("Up to 629.1 MB are accepted here.")
    assert "git clone" in said


def test_a_recipe_that_is_too_long_is_refused_wherever_it_comes_from(tiny_folder: Any) -> None:
    step = bp.Step(method="l1_unstructured", fraction=0.1)
    store, recipe = Store(Settings(max_steps=2)), bp.Recipe(steps=[step] * 3)
    assert store.admitted(bp.Recipe(steps=[step] * 2))
    with pytest.raises(LimitError, match="3 steps; at most 2"):
        store.run(RunKey(Source(str(tiny_folder())), recipe))


def test_unknown_limits_and_nonsense_are_refused() -> None:
    for wrong in ({"max_uplaod": 1}, {"max_steps": 0}, {"max_upload": "600 apples"}, {"max_seconds": -1}):
        with pytest.raises(ValueError, match="max_"):
            Settings(**wrong)
