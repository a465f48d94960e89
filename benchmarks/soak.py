"""Load test of the hosted page with many visitors: response times, correct results, and stable memory.

Loopback only. Each visitor keeps a heartbeat connection and acts every 15 seconds with a recipe and a seed of their
own. Three of five call the API: preview, prune, report, and one download of the masked checkpoint. The others use the
page: they arrive with a recipe, prune, have the run measured, and once plan, sweep, or download what the page built.
Afterwards every downloaded mask, and what the page showed of every run, is compared with what the library computes.
"""

import argparse
import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import httpx
from safetensors.torch import load

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.soak_visitors import Results, Tab, Visitor, stay  # noqa: E402
from tools.space import answered, free_port  # noqa: E402

RESULT = Path(__file__).with_suffix(".json")
GIB = 1024**3


class Server:
    """The hosted page in its own process, and the memory that it uses."""

    def __init__(self, folder: Path) -> None:
        """Start it with a Space's environment variables, from another folder."""
        port = free_port()
        variables = {**os.environ, "SYSTEM": "spaces", "SPACE_ID": "soak/soak", "TMPDIR": str(folder)}
        variables |= {"GRADIO_SERVER_PORT": str(port), "HF_HUB_OFFLINE": "1"}
        log = folder / "log.txt"
        with log.open("w") as sink:
            command = [sys.executable, ROOT / "app" / "main.py"]
            self.process = subprocess.Popen(command, cwd=folder, env=variables, stdout=sink, stderr=sink)
        self.memory: list[tuple[float, int]] = []
        self.born, self.cores_used = time.monotonic(), 0.0
        self.address = answered(f"http://127.0.0.1:{port}/", self.process, log)
        self.started = time.monotonic()

    async def watch(self) -> None:
        """Record the resident memory every two seconds."""
        while True:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
            kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
            self.memory.append((time.monotonic() - self.started, kib * 1024))
            await asyncio.sleep(2)

    def stop(self) -> None:
        """Record how many cores it kept busy, and ask it to stop, as a host does."""
        spent = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        ticks = int(spent[11]) + int(spent[12])
        self.cores_used = ticks / os.sysconf("SC_CLK_TCK") / (time.monotonic() - self.born)
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


async def soak(server: Server, visitors: int, minutes: float) -> Results:
    """Let the visitors act for some minutes."""
    results, limits = Results(), httpx.Limits(max_connections=None, keepalive_expiry=1)
    async with httpx.AsyncClient(base_url=server.address, timeout=120, limits=limits) as client:
        warm = Visitor(9999, "demo", Results(), client)
        await warm.act(0)
        server.started, server.memory = time.monotonic(), []
        watching = asyncio.create_task(server.watch())
        until = server.started + 60 * minutes
        people = [(Tab if number % 5 < 2 else Visitor)(number, "demo", results, client) for number in range(visitors)]
        await asyncio.gather(*(stay(person, server.started, until) for person in people))
        watching.cancel()
    return results


async def one_large_model(server: Server, visitors: int) -> Results:
    """Let many live sessions prune one KoBERT-sized model, each by its own recipe, and ask for the report."""
    results, limits = Results(), httpx.Limits(max_connections=None, keepalive_expiry=1)
    async with httpx.AsyncClient(base_url=server.address, timeout=600, limits=limits) as client:
        watching = asyncio.create_task(server.watch())
        people = [Visitor(number, "kobert-shape", results, client) for number in range(visitors)]
        beats = [asyncio.create_task(person.keep_alive()) for person in people]
        for turn in (1, 2):
            for error in await asyncio.gather(*(person.act(turn) for person in people), return_exceptions=True):
                if error is not None:
                    results.errors.append(str(error)[:300])
        for task in (*beats, watching):
            task.cancel()
    return results


def wrong_masks(results: Results) -> int:
    """Count the downloads whose masks are not those of the visitor's recipe and seed."""
    import bertprune as bp

    wrong = 0
    for recipe, seed, content in results.downloads:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            name = next(name for name in packed.namelist() if name.endswith("masked.safetensors"))
            tensors = load(packed.read(name))
        expected = bp.prune("demo", bp.Recipe.from_yaml(recipe), seed=seed).masks
        found = {key.removesuffix("_mask"): value.bool() for key, value in tensors.items() if key.endswith("_mask")}
        wrong += found.keys() != expected.keys() or any(not found[key].equal(mask) for key, mask in expected.items())
    return wrong


def wrong_runs(results: Results) -> int:
    """Count the runs of which the page showed another number of masked weights than the library computes."""
    import bertprune as bp

    return sum(
        bp.prune("demo", bp.Recipe.from_yaml(recipe), seed=seed).report.total.masked != shown
        for recipe, seed, shown in results.runs
    )


def figures(server: Server, results: Results) -> dict[str, Any]:
    """Summarise a test: response times in seconds, memory in GiB."""
    after = [size for at, size in server.memory if at > 60] or [size for _, size in server.memory]
    fifth = max(1, len(after) // 5)
    return {
        "errors": results.errors[:20],
        "calls": {verb: len(times) for verb, times in results.seconds.items()},
        "p50": {verb: round(quantile(times, 0.5), 3) for verb, times in results.seconds.items()},
        "p95": {verb: round(quantile(times, 0.95), 3) for verb, times in results.seconds.items()},
        "server_cpu": round(server.cores_used, 2),
        "load": round(os.getloadavg()[1], 1),
        "memory_max": round(max(size for _, size in server.memory) / GIB, 3),
        "memory_after_first_minute": round(sum(after[:fifth]) / fifth / GIB, 3),
        "memory_at_the_end": round(sum(after[-fifth:]) / fifth / GIB, 3),
        "memory_by_minute": [round(size / GIB, 2) for _, size in server.memory[::30]],
    }


def quantile(times: list[float], part: float) -> float:
    """Return the quantile `part` of the times."""
    return sorted(times)[min(len(times) - 1, int(part * len(times)))]


def failures(found: dict[str, Any]) -> list[str]:
    """List the goals that were missed."""
    many, large = found["many"], found["one_large_model"]
    held = {
        "no errors": not many["errors"] and not large["errors"],
        "every mask and run right": not many["wrong_masks"] and not many["wrong_runs"] and many["runs"] > 0,
        "a download, plan or sweep by every visitor": _once(many) == found["visitors"],
        "a preview within 1 s": many["p95"].get("preview", 9) < 1,
        "a prune within 5 s": many["p95"].get("prune", 9) < 5,
        "less than 4 GB": many["memory_max"] * GIB < 4e9,
        "a prune of the page within 5 s": many["p95"].get("page: prune", 9) < 5,
        "a plan within 60 s": many["p95"].get("page: plan", 99) < 60,
        "flat memory": many["memory_at_the_end"] < many["memory_after_first_minute"] * 1.15,
        "the large model within 3 GB": large["memory_max"] * GIB < 3e9,
    }
    return [name for name, reached in held.items() if not reached]


def _once(many: dict[str, Any]) -> int:
    """Count what each visitor does once."""
    return int(many["downloads"] + many["calls"].get("page: plan", 0) + many["calls"].get("page: sweep", 0))


def main() -> None:
    """Run both tests and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--visitors", type=int, default=50)
    parser.add_argument("--sessions", type=int, default=32, help="live sessions on one KoBERT-sized model")
    parser.add_argument("--out", type=Path, default=RESULT)
    asked = parser.parse_args()
    found: dict[str, Any] = {"visitors": asked.visitors, "minutes": asked.minutes, "cores": os.cpu_count()}
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        server = Server(Path(folder))
        try:
            results = asyncio.run(soak(server, asked.visitors, asked.minutes))
        finally:
            server.stop()
        found["many"] = figures(server, results)
        found["many"] |= {"downloads": len(results.downloads), "wrong_masks": wrong_masks(results)}
        found["many"] |= {"runs": len(results.runs), "wrong_runs": wrong_runs(results)}
        asked.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        server = Server(Path(folder))
        try:
            results = asyncio.run(one_large_model(server, asked.sessions))
        finally:
            server.stop()
        found["one_large_model"] = {"sessions": asked.sessions, **figures(server, results)}
    asked.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(asked.out.read_text())
    sys.exit(", ".join(failures(found)) and f"missed: {', '.join(failures(found))}")


if __name__ == "__main__":
    main()
