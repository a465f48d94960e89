"""Where the page listens: the port that was asked for, or the first that is free."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

import app
from app.main import place_to_listen


def test_without_a_port_the_first_free_one_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        busy = server.getsockname()[1]
        monkeypatch.setenv("GRADIO_SERVER_PORT", str(busy))
        assert place_to_listen("127.0.0.1")[1] > busy
        with pytest.raises(OSError, match="in use"):
            place_to_listen("127.0.0.1", busy)
    assert place_to_listen("127.0.0.1") == ("127.0.0.1", busy)


def test_a_page_for_everybody_listens_at_every_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        busy = server.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            place_to_listen("0.0.0.0", busy)
    assert place_to_listen("0.0.0.0", busy) == ("0.0.0.0", busy)


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_an_address_of_ipv6_is_written_as_gradio_takes_it(subtests: pytest.Subtests) -> None:
    for host in ["::1", "[::1]"]:
        with subtests.test(host):
            try:
                socket.create_server(("::1", 0), family=socket.AF_INET6).close()
            except OSError:
                pytest.skip("no IPv6 here")
            assert place_to_listen(host)[0] == "[::1]"


def test_no_file_of_the_page_hides_one_of_pythons() -> None:
    code = (
        "import runpy, sys; sys.path[0] = sys.argv[1]; runpy.run_path(sys.argv[1] + '/main.py'); import html.entities"
    )
    subprocess.run([sys.executable, "-c", code, str(Path(app.__file__).parent)], check=True)
