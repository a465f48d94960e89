"""The visitors of the load test: programs that call the API, and tabs that prune, measure, plan and sweep."""

import asyncio
import html
import json
import random
import re
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

PAUSE = 15.0
"""Seconds between two actions of a visitor."""
ROLES = ("attention.query", "attention.key", "attention.value", "attention.output", "ffn.intermediate", "ffn.output")
_ALIKE = 50
"""Weights by which the counts of a recipe may differ from its share: each tensor rounds."""


@dataclass
class Results:
    """Response times, errors and what all visitors were given."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    downloads: list[tuple[str, int, bytes]] = field(default_factory=list)
    """Recipe, seed, and the zip that was downloaded."""
    runs: list[tuple[str, int, int]] = field(default_factory=list)
    """Recipe, seed, and the number of masked weights that the page showed."""

    def note(self, verb: str, started: float) -> None:
        """Record how long something took."""
        self.seconds.setdefault(verb, []).append(time.perf_counter() - started)


class Visitor:
    """One visitor with a session, a recipe and a seed of their own."""

    def __init__(self, number: int, source: str, results: Results, client: httpx.AsyncClient) -> None:
        """Draw everything from the number, so that a test can be repeated."""
        self.draw, self.source, self.results, self.client = random.Random(number), source, results, client
        self.session, self.seed, self.number = f"soak{number:04d}", number, number
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
        self.results.note(verb, started)
        return answer[0]

    async def act(self, turn: int) -> None:
        """Preview, prune or report, and check that the answer belongs to this visitor's recipe."""
        if turn % 3 == 0:
            self.recipe = self.new_recipe()
            step = (await self.ask("preview", self.source, self.recipe))["steps"][0]
            self.check(step["removed"], step["weights"])
        elif turn % 3 == 1:
            total = (await self.ask("prune", self.source, self.recipe, self.seed, ""))["total"]
            self.check([total["masked"]] * 2, total["size"])
        else:
            await self.ask("report", self.source, self.recipe, self.seed, "")

    def check(self, removed: list[int], weights: int) -> None:
        """Raise an error if the counts are not those of this visitor's recipe; each tensor may round by one half."""
        if not weights or any(abs(count - self.expected * weights) > _ALIKE for count in removed):
            raise RuntimeError(f"{removed} of {weights} are pruned instead of {self.expected:.2%}")

    async def once(self) -> None:
        """Download the masked checkpoint, so that every mask can be compared later."""
        file = await self.ask("export", self.source, self.recipe, self.seed, "masked", "", "")
        await self.download(file["url"])

    async def download(self, address: str) -> None:
        """Keep what the server has at an address."""
        response = await self.client.get(address)
        response.raise_for_status()
        self.results.downloads.append((self.recipe, self.seed, response.content))

    async def arrive(self) -> None:
        """Load the page."""
        (await self.client.get("")).raise_for_status()

    async def keep_alive(self) -> None:
        """Hold the connection that keeps the visitor's session alive."""
        async with self.client.stream("GET", f"gradio_api/heartbeat/{self.session}") as beats:
            async for _ in beats.aiter_raw():
                pass


class Tab(Visitor):
    """A visitor who uses the page: opens it with a recipe, prunes, measures; once, some plan and some sweep."""

    async def arrive(self) -> None:
        """Load the page, and learn its events."""
        await super().arrive()
        config = (await self.client.get("config")).json()
        self.courier = next(one["id"] for one in config["components"] if one["props"].get("elem_id") == "courier")
        self.events = {
            name: one
            for one in config["dependencies"]
            for target, name in one["targets"]
            if target == self.courier or (name == "load" and one["js"])
        }
        self.asked = 0

    async def event(self, via: str, data: Any = (), **asked: Any) -> list[Any]:
        """Have the page do something as the browser does, and return the values of its answer."""
        event = self.events[via]
        if via in ("act", "work", "search", "file"):
            self.asked += 1
            asked["n"] = self.asked
        body = {
            "data": list(data), "event_data": asked, "fn_index": event["id"], "session_hash": self.session,
            "trigger_id": self.courier,
        }  # fmt: skip
        direct = event["queue"] is False
        response = await self.client.post("gradio_api/" + ("run/predict" if direct else "queue/join"), json=body)
        response.raise_for_status()
        if direct:
            return list(response.json()["data"])
        found = await self.end_of(response.json()["event_id"])
        if not found["success"]:
            raise RuntimeError(f"page {via} {asked}: {found['output'].get('error')}")
        return list(found["output"]["data"])

    async def end_of(self, event: str) -> dict[str, Any]:
        """Wait for the end of an event."""
        async with self.client.stream("GET", f"gradio_api/queue/data?session_hash={self.session}") as lines:
            async for line in lines.aiter_lines():
                if "process_completed" in line and event in line:
                    return dict(json.loads(line.removeprefix("data: ")))
        raise RuntimeError(f"page: no end of {event}")

    async def timed(self, verb: str, via: str, data: Any = (), **asked: Any) -> tuple[dict[str, Any], str]:
        """Have the page do something, and record how long it took; return its state and all that it draws, late too."""
        started = time.perf_counter()
        state, *drawn = await self.event(via, data, **asked)
        if ready := state.get("ready"):  # nobody has gone to another view meanwhile
            state, *shown = await self.event("act", do="run", run=ready)
            drawn += shown
        self.results.note(f"page: {verb}", started)
        if late := state.get("late"):
            drawn += (await self.event("late", parts=late))[1:]
        return state, " ".join(one for one in drawn if isinstance(one, str))

    async def act(self, turn: int) -> None:
        """Open the page with a new recipe, prune by it, or measure the run."""
        if turn % 3 == 0:
            self.recipe, self.asked = self.new_recipe(), 1
            kept = {"given": self.source, "recipe": self.recipe, "seed": str(self.seed)}
            await self.timed("arrival", "load", [1, json.dumps({"language": "en", "kept": kept})])
        elif turn % 3 == 1:
            self.land(*await self.timed("prune", "work", do="prune"))
        else:
            await self.timed("measure", "measure")

    def land(self, state: dict[str, Any], drawn: str) -> None:
        """Keep what the page shows of the latest run, to compare it later."""
        run = state["kept"]["runs"][-1]
        masked = re.findall(r"([\d,]+) of [^<;]{1,12} weights masked", drawn)[-1]
        self.results.runs.append((run["recipe"], run["seed"], int(masked.replace(",", ""))))

    async def once(self) -> None:
        """Plan, sweep, or download what the page built."""
        if self.number % 10 == 0:
            self.land(*await self.timed("plan", "search", do="plan", macs="0.5"))
        elif self.number % 10 == 1:
            await self.sweep()
        else:
            await self.timed("build", "work", do="build", form="masked")
            (file,) = await self.event("file", do="download", run="1", form="masked", precision="")
            await self.download(file["value"]["url"] if "value" in file else file["url"])

    async def sweep(self) -> None:
        """Sweep over two shares by one score, and make a run of the first."""
        asked: dict[str, Any] = {"levels": "0.3 0.6", "granularity": "neuron", "score.magnitude": True}
        _, drawn = await self.timed("sweep", "search", do="sweep", **asked)
        names = re.findall(r'data-do="swept" data-name="([^"]+)"', drawn)
        self.land(*await self.timed("swept", "work", do="swept", name=html.unescape(names[0])))


async def stay(visitor: Visitor, since: float, until: float) -> None:
    """Open the page, act until the time is up, and do once what takes longest."""
    heartbeat = asyncio.create_task(visitor.keep_alive())
    try:
        await asyncio.sleep(visitor.draw.uniform(0, PAUSE))
        await visitor.arrive()
        turn, once_at = 0, visitor.draw.uniform(since + PAUSE, until - 5 * PAUSE)
        while time.monotonic() < until:
            begun = time.monotonic()
            try:
                if turn % 3 == 2 and begun > once_at:  # there is a run
                    once_at = until
                    await visitor.once()
                else:
                    await visitor.act(turn)
                    turn += 1
            except Exception as error:
                visitor.results.errors.append(f"visitor {visitor.number}: {type(error).__name__}: {error}"[:300])
            await asyncio.sleep(max(0.0, PAUSE - (time.monotonic() - begun)))
    finally:
        heartbeat.cancel()
