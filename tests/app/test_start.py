"""Starting the page: quick, from any folder, and quiet."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(code: str, where: Path, **environ: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=where,
        env={**os.environ, **environ},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_the_page_is_built_without_torch(tmp_path: Path) -> None:
    code = "from app import ui; ui.build(); print([name for name in ('torch', 'transformers') if name in sys.modules])"
    assert run(code, tmp_path) == "[]"


def test_nothing_calls_home(tmp_path: Path) -> None:
    code = "import os, app.main; print(os.environ['GRADIO_ANALYTICS_ENABLED'], os.environ['HF_HUB_DISABLE_TELEMETRY'])"
    environ = {"GRADIO_ANALYTICS_ENABLED": "False"}
    assert run(code, tmp_path, **environ) == "False 1"


def test_a_hosted_page_has_no_field_for_a_path_of_the_server(tmp_path: Path) -> None:
    code = (
        "from app import ui; from app.i18n import label\n"
        "ways = [b.choices for b in ui.build().blocks.values() if getattr(b, 'label', None) is not None"
        " and str(b.label) == str(label('source'))][0]\n"
        "print('folder' in [value for _, value in ways])"
    )
    assert run(code, tmp_path, SYSTEM="spaces") == "False"
    assert run(code, tmp_path, SYSTEM="", SPACE_ID="") == "True"


def test_an_upload_outlives_the_session_that_brought_it(tmp_path: Path) -> None:
    code = (
        "from app import ui; from app.session import Source; import gradio as gr\n"
        "kept = [b for b in ui.build().blocks.values() if isinstance(b, gr.State) and isinstance(b.value, Source)]\n"
        "print([b.delete_callback.__name__ == gr.State().delete_callback.__name__ for b in kept])"
    )
    # a reloaded page finds its upload again: the end of the old session must not take it away
    assert run(code, tmp_path) == "[True]"
