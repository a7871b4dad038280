"""What is written to stderr: one handler, and no secret in it, whatever breaks and however it is logged."""

import logging
import sys
from collections.abc import Callable, Iterator

import httpx
import pytest
from mcp import Client

from mage_mcp import text
from mage_mcp.client import Cluster
from mage_mcp.client.pipelines import Pipelines
from mage_mcp.client.transport import Transport
from mage_mcp.demo.world import World
from mage_mcp.errors import MageNotFound
from mage_mcp.log_handler import set_up_logging
from mage_mcp.server import build_server
from mage_mcp.settings import Settings
from tests.conftest import ERAS, demo_server
from tests.wires import Script, says

SECRET = "planted-password"


@pytest.fixture
def stderr(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """What was written to it so far; the root logger is as it was afterwards."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    root.handlers.clear()  # an earlier test's server may have left one whose stream is closed
    monkeypatch.setattr(text, "_known", set())
    monkeypatch.setattr(text, "_known_pattern", None)
    text.remember_secret(SECRET)
    yield lambda: capsys.readouterr().err
    root.handlers[:], root.level = before, level


def test_the_root_logger_has_one_handler_however_often_it_is_set_up(stderr: Callable[[], str]):
    logging.getLogger().addHandler(logging.StreamHandler(sys.stdout))
    for level in ("DEBUG", "INFO", "WARNING", "ERROR"):
        set_up_logging(level)
        (handler,) = logging.getLogger().handlers
        assert isinstance(handler, logging.StreamHandler)
        assert handler.stream is sys.stderr, "stdout belongs to the protocol"
        assert logging.getLogger().level == getattr(logging, level)


def test_secrets_are_masked_in_messages_arguments_and_tracebacks(stderr: Callable[[], str]):
    set_up_logging("INFO")
    log = logging.getLogger("mage_mcp.somewhere")
    log.info("logged in with %s", SECRET)
    log.warning("connecting to postgres://bob:other-secret@db/shop")
    log.error("it broke", exc_info=_chained(ValueError(f"password={SECRET}"), RuntimeError("Bearer abcdef1234567890")))
    written = stderr()
    assert "ValueError" in written
    assert "RuntimeError" in written
    for secret in (SECRET, "other-secret", "abcdef1234567890"):
        assert secret not in written
    assert written.count(text.MASK) >= 4


def _chained(cause: Exception, error: Exception) -> Exception:
    error.__cause__ = cause
    return error


def test_hidden_characters_neither_split_a_secret_nor_reach_the_terminal(stderr: Callable[[], str]):
    set_up_logging("INFO")
    logging.getLogger("x").info("%s", f"{SECRET[:7]}\u200b{SECRET[7:]} \x1b[31mred\x1b[0m \u202eleft")
    assert stderr().endswith(f" {text.MASK} red left\n")


@pytest.mark.anyio
@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING"])
async def test_http_libraries_log_no_urls_at_any_level(stderr: Callable[[], str], level: str):
    set_up_logging(level)
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200))) as client:
        await client.get("http://mage.test/api/status?api_key=unknown-secret")
    for name in ("httpx", "httpcore", "httpcore.connection"):
        logging.getLogger(name).info("GET http://mage.test/?x=unknown-secret")
    assert stderr() == ""


@pytest.mark.anyio
async def test_a_request_that_is_sent_again_makes_no_noise(stderr: Callable[[], str]):
    set_up_logging("DEBUG")
    sender = Transport(Cluster(url="http://mage.test"), wire=Script(says(b"", 503), says({"pipelines": []})))
    await sender.read("api/pipelines")
    assert stderr() == ""


@pytest.mark.anyio
@pytest.mark.parametrize("mode", list(ERAS))
async def test_a_crash_in_a_tool_is_answered_without_its_text_and_logged_redacted(
    stderr: Callable[[], str], monkeypatch: pytest.MonkeyPatch, world: World, mode: str
):
    async def crash(*_: object, **__: object) -> None:
        raise KeyError(f"no column; was reading with {SECRET} from /srv/private")

    monkeypatch.setattr(Pipelines, "list", crash)
    async with Client(demo_server(world), mode=mode) as client:
        result = await client.call_tool("list_pipelines", {})
        assert (await client.list_tools()).tools
    assert result.is_error
    answer = result.content[0].text
    assert answer.startswith("list_pipelines failed in a way that is a bug of mage-mcp")
    for inner in (SECRET, "no column", "/srv", "KeyError", "Traceback"):
        assert inner not in answer
    written = stderr()
    assert "KeyError" in written
    assert "no column" in written
    assert SECRET not in written


@pytest.mark.anyio
async def test_a_refusal_is_no_crash_and_writes_no_traceback(
    stderr: Callable[[], str], monkeypatch: pytest.MonkeyPatch, world: World
):
    async def refuse(*_: object, **__: object) -> None:
        raise MageNotFound(f"No pipeline at {SECRET}.", next_step="Look \x1b[31magain.")

    monkeypatch.setattr(Pipelines, "list", refuse)
    async with Client(demo_server(world, log_level="DEBUG")) as client:
        result = await client.call_tool("list_pipelines", {})
    assert result.content[0].text == f"No pipeline at {text.MASK}. Look again."
    written = stderr()
    assert "Traceback" not in written
    assert SECRET not in written


@pytest.mark.parametrize(
    ("cluster", "warned"),
    [
        ({"url": "http://mage.test"}, ["Mage at mage.test"]),
        ({"cloud_url": "http://cloud.test/api"}, ["Mage Cloud at http://cloud.test/api"]),
        ({"url": "http://mage.test", "cloud_url": "http://cloud.test"}, ["Mage at mage.test", "Mage Cloud at"]),
        ({"url": "https://mage.test", "cloud_url": "https://cloud.test"}, []),
        ({"url": "http://localhost:6789", "cloud_url": "http://127.0.0.1:9/api"}, []),
    ],
)
def test_plain_http_to_another_machine_is_warned_of(
    stderr: Callable[[], str], cluster: dict[str, str], warned: list[str]
):
    build_server(Settings(clusters=(Cluster(**cluster),)))
    lines = [line for line in stderr().splitlines() if "spoken to without encryption" in line]
    assert len(lines) == len(warned)
    assert all(where in line for where, line in zip(warned, lines, strict=True))
