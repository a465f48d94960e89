"""Build the folder to push to the Hub as a Space, then install and start it as the Hub would."""

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "build" / "space"
SHIPPED = (
    "README.md", "README.ko.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE", "Makefile",
    "pyproject.toml", "requirements.txt", "space.yaml", "app", "bertprune", "benchmarks", "docs",
    "tools",
)  # fmt: skip
LARGEST = 10_000_000
"""Largest file in bytes that the Hub accepts without large-file storage."""
FAILED = re.compile(r"^(?!Exception ignored in: <function BaseEventLoop).*\nTraceback", re.M)
"""A traceback in the log, except the one that Gradio's event loops leave on Spaces, which asyncio ignores."""
PATIENCE = 180
"""Seconds within which the page must be served."""
TRIAL = """
import sys
from gradio_client import Client
recipe = "steps: [{method: l1_unstructured, fraction: 0.5, select: {roles: [attention.key]}}]"
done = Client(sys.argv[1], verbose=False).predict("demo", recipe, 0, api_name="/prune")
total = done["total"]
assert total["masked"] * 2 == total["size"] > 0, done
print(f"pruned {total['masked']:,} of {total['size']:,} weights")
"""


def build(target: Path = TARGET) -> Path:
    """Copy the files of the Space to a new folder. Exits with an error if one is missing or too large."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in SHIPPED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns(".*", "__pycache__"))
        else:
            shutil.copy(source, target / name)
    large = [path for path in target.rglob("*") if path.is_file() and path.stat().st_size > LARGEST]
    if large:
        sys.exit(f"the Hub needs large-file storage for {', '.join(map(str, large))}")
    return target


def check(folder: Path) -> None:
    """Install, start and use the folder in a clean environment. Fails where visitors of the Hub would see an error."""
    settings = yaml.safe_load((folder / "space.yaml").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="space-") as temporary:
        home = Path(temporary)
        python = install(home, folder / "requirements.txt", settings)
        shutil.copytree(folder, home / "app")  # the Hub copies the repository after installing the packages
        with served(home, python, settings["app_file"]) as address:
            subprocess.run([python, "-c", TRIAL, address], check=True, cwd=home, timeout=PATIENCE)
        left = [path.name for path in (home / "tmp").iterdir()]
        if left:
            sys.exit(f"the page left behind {', '.join(left)}")


def install(home: Path, requirements: Path, settings: dict[str, Any]) -> Path:
    """Make a clean environment with the packages that the Hub installs, before it copies the repository."""
    shutil.copy(requirements, home / "requirements.txt")
    wanted = shutil.which(f"python{settings['python_version']}") or sys.executable
    subprocess.run([wanted, "-m", "venv", home / "env"], check=True)
    python = home / "env" / "bin" / "python"
    packages = ["-r", "requirements.txt", f"gradio[oauth,mcp]=={settings['sdk_version']}", "spaces"]
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
    subprocess.run(pip, check=True, cwd=home)
    return python


@contextmanager
def served(home: Path, python: Path, app_file: str) -> Iterator[str]:
    """Start the page from another working folder, with a Space's environment variables; stop it as a host does."""
    port = free_port()
    for name in ("tmp", "elsewhere"):
        (home / name).mkdir()
    variables = {
        "PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home / "tmp"), "LANG": "C.UTF-8",
        "SYSTEM": "spaces", "SPACE_ID": "somebody/bertprune", "SPACE_AUTHOR_NAME": "somebody",
        "GRADIO_SERVER_NAME": "0.0.0.0", "GRADIO_SERVER_PORT": str(port),
    }  # fmt: skip
    elsewhere = home / "elsewhere"
    with serving([python, home / "app" / app_file], elsewhere, variables) as address:
        yield address
    log = (elsewhere / "log.txt").read_text()
    if FAILED.search(log):
        sys.exit(log[-4000:])


@contextmanager
def serving(command: Sequence[str | Path], folder: Path, variables: Mapping[str, str]) -> Iterator[str]:
    """Serve a page from a folder, where its log.txt is written, and give its address; stop it as a host does.

    The variables name its port, as GRADIO_SERVER_PORT.
    """
    log = folder / "log.txt"
    with log.open("w") as sink:
        page = subprocess.Popen(command, cwd=folder, env=variables, stdout=sink, stderr=sink)
        try:
            yield answered(f"http://127.0.0.1:{variables['GRADIO_SERVER_PORT']}/", page, log)
        finally:
            page.terminate()
            page.wait(60)


def answered(address: str, page: "subprocess.Popen[bytes]", log: Path, patience: float = PATIENCE) -> str:
    """Wait until the page is served, and return its address."""
    end = time.monotonic() + patience
    while page.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                assert b"bertprune" in answer.read()
                return address
        except OSError:
            time.sleep(0.5)
    return sys.exit(f"the page is not served:\n{log.read_text()[-4000:]}")


def free_port() -> int:
    """Find a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build-only", action="store_true", help="do not install and start the folder")
    given = parser.parse_args()
    folder = build()
    if not given.build_only:
        check(folder)
    print(f"{folder} is ready to push")
