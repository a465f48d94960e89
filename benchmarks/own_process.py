"""Run a benchmark in its own process, so that it is not affected by memory that another one used before."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def run_module(module: str, *arguments: str) -> str:
    """Run a module of this folder in its own process and return what it prints."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
