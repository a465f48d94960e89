"""Check every package in a folder for known vulnerabilities; fail as well if a package cannot be checked."""

import json
import subprocess
import sys
from typing import Any

COMMAND = (sys.executable, *"-m pip_audit --skip-editable --progress-spinner off --format json --path".split())


def judge(report: dict[str, Any]) -> list[str]:
    """List vulnerable and unchecked packages; those with a local version, builds of known ones, may be unchecked."""
    found = [
        f"{package['name']} {package['version']}: {one['id']}, fixed in {', '.join(one['fix_versions']) or 'none'}"
        for package in report["dependencies"]
        for one in package.get("vulns", ())
    ]
    skipped = [package["skip_reason"] for package in report["dependencies"] if "skip_reason" in package]
    return found + [f"not checked: {reason}" for reason in skipped if "+" not in reason]


if __name__ == "__main__":
    done = subprocess.run((*COMMAND, sys.argv[1]), stdout=subprocess.PIPE, text=True)
    if not done.stdout:
        sys.exit("pip-audit did not answer; is there a network?")
    problems = judge(json.loads(done.stdout))
    print("\n".join(problems) or "no known vulnerability in any installed package")
    sys.exit(bool(problems))
