"""Load test of the hosted page with many visitors: response times, correct results, and stable memory.

Loopback only. Each visitor opens the page, keeps its heartbeat connection, and acts every 15 seconds with a recipe and
a seed of their own: preview, prune, report, and one download of the masked checkpoint. Afterwards every downloaded mask
is compared with the one that the library computes for that recipe and seed.
"""

import argparse
import asyncio
import io
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from safetensors.torch import load

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools.space import answered, free_port  # noqa: E402

RESULT = Path(__file__).with_suffix(".json")
PAUSE = 15.0
"""Seconds between two actions of a visitor."""
ROLES = ("attention.query", "attention.key", "attention.value", "attention.output", "ffn.intermediate", "ffn.output")
GIB = 1024**3


@dataclass
class Results:
    """Response times, errors and downloads of all visitors."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    downloads: list[tuple[str, int, bytes]] = field(default_factory=list)
    """Recipe, seed, and the zip that was downloaded."""


class Visitor:
    """One visitor with a session, a recipe and a seed of their own."""

    def __init__(self, number: int, source: str, results: Results, client: httpx.AsyncClient) -> None:
        """Draw everything from the number, so that a test can be repeated."""
        self.draw, self.source, self.results, self.client = random.Random(number), source, results, client
        self.session, self.seed = f"soak{number:04d}", number
        self.expected = 0.0
        self.recipe = self.new_recipe()

    def new_recipe(self) -> str:
        """Make a recipe that no other visitor has."""
        self.expected = round(self.draw.uniform(0.05, 0.95), 6)
        select = {"roles": self.draw.sample(ROLES, 2)}
        method = self.draw.choice(("l1_unstructured", "random_unstructured"))
        return json.dumps({"steps": [{"method": method, "fraction": self.expected, "select": select}]})

    async def ask(self, verb: str, *values: Any) -> Any:
        """Call an endpoint as `gradio_client` does, and record how long it took."""
        started = time.perf_counter()
        body = {"data": list(values), "session_hash": self.session}
        response = await self.client.post(f"gradio_api/call/{verb}", json=body)
        response.raise_for_status()
        event, answer = "", None
        async with self.client.stream("GET", f"gradio_api/call/{verb}/{response.json()['event_id']}") as lines:
            async for line in lines.aiter_lines():
                if line.startswith("event: "):
                    event = line.removeprefix("event: ")
                elif line.startswith("data: ") and event in ("complete", "error"):
                    answer = json.loads(line.removeprefix("data: "))
        if event != "complete" or answer is None:
            raise RuntimeError(f"{verb}: {event} {answer}")
        self.results.seconds.setdefault(verb, []).append(time.perf_counter() - started)
        return answer[0]

    async def act(self, turn: int) -> None:
        """Preview, prune or report, and check that the answer belongs to this visitor's recipe."""
        if turn % 3 == 0:
            self.recipe = self.new_recipe()
            step = (await self.ask("preview", self.source, self.recipe))["steps"][0]
            self.check(step["removed"], step["weights"])
        elif turn % 3 == 1:
            total = (await self.ask("prune", self.source, self.recipe, self.seed))["total"]
            self.check([total["masked"]] * 2, total["size"])
        else:
            await self.ask("report", self.source, self.recipe, self.seed)

    def check(self, removed: list[int], weights: int) -> None:
        """Raise an error if the counts are not those of this visitor's recipe; each tensor may round by one half."""
        if not weights or any(abs(count - self.expected * weights) > 50 for count in removed):
            raise RuntimeError(f"{removed} of {weights} are pruned instead of {self.expected:.2%}")

    async def download(self) -> None:
        """Download the masked checkpoint, so that every mask can be compared later."""
        file = await self.ask("export", self.source, self.recipe, self.seed, "masked")
        response = await self.client.get(file["url"])
        response.raise_for_status()
        self.results.downloads.append((self.recipe, self.seed, response.content))

    async def stay(self, since: float, until: float) -> None:
        """Open the page, act until the time is up, and download the checkpoint once."""
        heartbeat = asyncio.create_task(self.keep_alive())
        try:
            await asyncio.sleep(self.draw.uniform(0, PAUSE))
            (await self.client.get("")).raise_for_status()
            turn, download_at = 0, self.draw.uniform(since + PAUSE, until - PAUSE)
            while time.monotonic() < until:
                begun = time.monotonic()
                try:
                    if begun > download_at:
                        download_at = until
                        await self.download()
                    else:
                        await self.act(turn)
                        turn += 1
                except Exception as error:
                    self.results.errors.append(f"visitor {self.seed}: {type(error).__name__}: {error}"[:300])
                await asyncio.sleep(max(0.0, PAUSE - (time.monotonic() - begun)))
        finally:
            heartbeat.cancel()

    async def keep_alive(self) -> None:
        """Hold the connection that keeps the visitor's session alive."""
        async with self.client.stream("GET", f"gradio_api/heartbeat/{self.session}") as beats:
            async for _ in beats.aiter_raw():
                pass


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
        people = [Visitor(number, "demo", results, client) for number in range(visitors)]
        await asyncio.gather(*(person.stay(server.started, until) for person in people))
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
        expected = bp.prune("demo", bp.Recipe.from_json(recipe), seed=seed).masks
        found = {key.removesuffix("_mask"): value.bool() for key, value in tensors.items() if key.endswith("_mask")}
        wrong += found.keys() != expected.keys() or any(not found[key].equal(mask) for key, mask in expected.items())
    return wrong


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
    }


def quantile(times: list[float], part: float) -> float:
    """Return the quantile `part` of the times."""
    return sorted(times)[min(len(times) - 1, int(part * len(times)))]


def failures(found: dict[str, Any]) -> list[str]:
    """List the goals that were missed."""
    many, large = found["many"], found["one_large_model"]
    held = {
        "no errors": not many["errors"] and not large["errors"] and not many["wrong_masks"],
        "a download by every visitor": many["downloads"] == found["visitors"],
        "a preview within 1 s": many["p95"].get("preview", 9) < 1,
        "a prune within 5 s": many["p95"].get("prune", 9) < 5,
        "less than 4 GB": many["memory_max"] * GIB < 4e9,
        "flat memory": many["memory_at_the_end"] < many["memory_after_first_minute"] * 1.15,
        "the large model within 3 GB": large["memory_max"] * GIB < 3e9,
    }
    return [name for name, reached in held.items() if not reached]


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
