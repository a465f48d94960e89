"""What a tab of the browser does with the answers of the page, as `app/static/page.js` does it."""

from typing import Any

from app.page import PARTS


class Browser:
    """A tab: it numbers what it asks for, applies answers as they come, and asks again where they do not follow."""

    def __init__(self) -> None:
        self.number = 0
        self.version: int | None = None
        self.shown: dict[str, Any] = {}
        self.late: list[str] = []
        self.again = False
        self.moves = 0
        self.wires: list[dict[str, Any]] = []
        """What was asked for and has not arrived yet."""

    def ask(self, do: str, **more: Any) -> dict[str, Any]:
        self.number += 1
        return {"do": do, "n": self.number, "moves": self.moves, **more}

    def apply(self, answer: list[Any]) -> None:
        """Do with an answer what `static/page.js` does."""
        state, *values = answer
        for part, value in zip(PARTS, values, strict=True):
            if not (isinstance(value, dict) and value.get("__type__") == "update"):
                self.shown[part.name] = value
        if "to" not in state:
            self.again |= self.version is not None and state.get("at", self.version) != self.version
            return
        follows = state["from"] is None or state["from"] == self.version or state["to"] == self.version
        if not follows or (state["from"] is not None and self.version is not None and state["to"] < self.version):
            self.again = True
            return
        self.version = state["to"]
        if state.get("ready") and state["moves"] == self.moves:
            self.wires.append(self.ask("run", run=state["ready"]))
        self.late = list(state["late"])
        self.again = False if state["from"] is None else self.again
