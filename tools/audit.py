"""Look every package in a folder up among the known vulnerabilities, and fail as well where that could not be done."""

import json
import subprocess
import sys
from typing import Any

COMMAND = (sys.executable, *"-m pip_audit --skip-editable --progress-spinner off --format json --path".split())


def judge(report: dict[str, Any]) -> list[str]:
    """List what is vulnerable, and what nobody knows: a package with a local version is a build of a known one."""
    found = [
        f"{package['name']} {package['version']}: {one['id']}, mended in {', '.join(one['fix_versions']) or 'none'}"
        for package in report["dependencies"]
        for one in package.get("vulns", ())
    ]
    skipped = [package["skip_reason"] for package in report["dependencies"] if "skip_reason" in package]
    return found + [f"not looked up: {reason}" for reason in skipped if "+" not in reason]


if __name__ == "__main__":
    asked = subprocess.run((*COMMAND, sys.argv[1]), stdout=subprocess.PIPE, text=True)
    if not asked.stdout:
        sys.exit("pip-audit could not ask anybody")
    trouble = judge(json.loads(asked.stdout))
    print("\n".join(trouble) or "no known vulnerability in any installed package")
    sys.exit(bool(trouble))
