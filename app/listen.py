"""Where the page listens: checked before anything slow is loaded, so that a wrong address fails at once."""

import os
import socket

_PORTS = 100
"""How many ports are tried where none is asked for, as Gradio does."""
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Addresses that stand for every address of this machine, and one of those that reach it."""


def place_to_listen(host: str, port: int | None = None) -> tuple[str, int]:
    """Return the host as Gradio takes it and the port, or the first free one. Raises OSError."""
    name = host.removeprefix("[").removesuffix("]")
    first = int(os.environ.get("GRADIO_SERVER_PORT", "7860"))
    _try(name, 0)  # otherwise every port would be blamed in turn
    for one in range(first, first + _PORTS) if port is None else (port,):
        try:
            _try(name, one)
            return f"[{name}]" if ":" in name else name, one
        except OSError as error:
            reason = error
    raise reason


def _try(host: str, port: int) -> None:
    """Listen on a host and port, and reach it, for a moment."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except UnicodeError as error:  # a label that is too long
        raise OSError(str(error)) from None
    with socket.create_server(address, family=family) as server:
        reached = server.getsockname()
        socket.create_connection((_ANYWHERE.get(reached[0], reached[0]), reached[1]), timeout=5).close()
