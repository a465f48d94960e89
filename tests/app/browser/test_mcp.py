"""The public API as tools for agents (MCP), served where `mcp` is installed."""

import asyncio
import inspect
from ast import literal_eval
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from gradio.utils import get_function_description

import bertprune as bp
from app.api import VERBS, Api, with_plain_errors
from app.store import Store

pytestmark = pytest.mark.timeout(900)
STEP = bp.Step(method="l1_unstructured", fraction=0.5, select="*.query")
RECIPE = bp.Recipe(steps=[STEP])


def test_each_verb_and_parameter_is_described_where_gradio_reads_it(subtests: pytest.Subtests) -> None:
    for verb in VERBS:
        with subtests.test(verb):
            description, given, _ = get_function_description(with_plain_errors(getattr(Api(Store()), verb)))
            assert description and ">>>" not in description
            assert all(words.endswith(".") for words in given.values()), given


def parameters(verb: str) -> set[str]:
    return inspect.signature(getattr(Api, verb)).parameters.keys() - {"self"}


def agent(address: str, do: Callable[[Any], Awaitable[Any]]) -> Any:
    """Let an agent do something in a session with the page."""
    pytest.importorskip("mcp")
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    async def visit() -> Any:
        async with (
            streamablehttp_client(f"{address}gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            return await do(session)

    with ThreadPoolExecutor(1) as apart:  # a browser's driver may have a loop running in this thread
        return apart.submit(asyncio.run, visit()).result()


def call(address: str, verb: str, **given: Any) -> tuple[bool, str]:
    """Call a tool, and return whether that failed and what it said."""
    found = agent(address, lambda session: session.call_tool(f"bertprune_{verb}", given))
    return found.isError, found.content[0].text


def test_the_verbs_are_listed_and_nothing_of_the_page(hosted: str) -> None:
    tools = agent(hosted, lambda session: session.list_tools()).tools
    assert {tool.name for tool in tools} == {f"bertprune_{verb}" for verb in VERBS}
    for tool in tools:
        fields = tool.inputSchema["properties"]
        assert tool.description and all(field.get("description") for field in fields.values()), tool.name
        assert fields.keys() == parameters(tool.name.removeprefix("bertprune_"))


def test_tools_can_be_called_and_answer_as_the_library_does(hosted: str, subtests: pytest.Subtests) -> None:
    run, recipe = bp.prune("demo", RECIPE, seed=3), {"source": "demo", "recipe": RECIPE.to_json()}
    cases: dict[str, tuple[dict[str, Any], Callable[[str], Any], Any]] = {
        "load": ({"source": "demo"}, lambda text: literal_eval(text)["architecture"], "BertForSequenceClassification"),
        "prune": ({**recipe, "seed": 3}, lambda text: literal_eval(text)["total"]["masked"], run.report.total.masked),
        "report": ({**recipe, "seed": 3}, str, run.report.to_text()),
    }
    for verb, (given, read, expected) in cases.items():
        with subtests.test(verb):
            failed, text = call(hosted, verb, **given)
            assert not failed, text
            assert read(text) == expected
    with subtests.test("export"):
        failed, text = call(hosted, "export", **recipe, form="masked")
        assert not failed, text
        link = text[text.index("http") :].split()[0]
        assert httpx.get(link).content[:2] == b"PK"


def test_what_is_wrong_is_one_line_of_the_library(hosted: str) -> None:
    for verb, given, said in (
        ("preview", {"source": "demo", "recipe": '{"steps": [{"method": "magic", "fraction": 0.5}]}'}, "magic"),
        ("load", {"source": "/etc"}, "Hub id"),
        ("prune", {"source": "demo", "recipe": ""}, "recipe"),
    ):
        failed, text = call(hosted, verb, **given)
        assert failed and said in text and "\n" not in text.strip() and "Traceback" not in text
