"""Starting the page: without torch, without telemetry, with what its settings allow."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = f"""
import json, os, sys
sys.path.insert(0, {str(ROOT)!r})
import app.main
import gradio as gr
from app import ui
from app.i18n import label
from app.session import Source
from app.settings import Settings

def ways(settings):
    parts = list(ui.build(settings).blocks.values())
    (radio,) = [part for part in parts if str(getattr(part, "label", "")) == str(label("source"))]
    return [value for _, value in radio.choices]

(source,) = [part for part in ui.build().blocks.values() if isinstance(getattr(part, "value", None), Source)]
print(json.dumps({{
    "slow": [name for name in ("torch", "transformers") if name in sys.modules],
    "telemetry": [os.environ["GRADIO_ANALYTICS_ENABLED"], os.environ["HF_HUB_DISABLE_TELEMETRY"]],
    "local": ways(Settings()),
    "hosted": ways(Settings.for_strangers("me/page")),
    "removes_upload": source.delete_callback.__name__ != gr.State().delete_callback.__name__,
}}))
"""


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Build the page from another folder, in a process of its own, and return what it looks like."""
    given = {key: value for key, value in os.environ.items() if not key.startswith(("GRADIO", "HF_"))}
    where = tmp_path_factory.mktemp("elsewhere")
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, cwd=where, env=given)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_the_page_is_built_without_torch_and_without_telemetry(started: dict[str, Any]) -> None:
    assert started["slow"] == []
    assert started["telemetry"] in (["False", "1"], ["False", "True"])


def test_only_a_page_on_ones_own_machine_has_a_field_for_a_path(started: dict[str, Any]) -> None:
    assert "folder" in started["local"]
    assert "folder" not in started["hosted"]


def test_an_upload_outlives_the_session_that_brought_it(started: dict[str, Any]) -> None:
    assert not started["removes_upload"]  # a reloaded page finds its upload again
