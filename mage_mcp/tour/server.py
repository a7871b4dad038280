"""The server of the tour: a process of its own, launched as an MCP client launches it, and what it is asked."""

import sys
import sysconfig
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import ElicitResult, TextContent

import mage_mcp
from mage_mcp import tokens

SECRET_VARIABLE = "MAGE_MCP_SECRET_SNOWFLAKE"  # noqa: S105 - its name
SECRET = "value-that-no-model-sees"  # noqa: S105 - of a simulated Mage
_LAST_LINES = 5

Asked = Callable[[str], Awaitable[None]]
Progressed = Callable[[float, str], Awaitable[None]]
"""Hears of the seconds so far, and of what happens."""


class TourFailed(Exception):
    """The tour cannot go on; the sentence, and the last lines of what the server wrote to its stderr."""

    def __init__(self, sentence: str, stderr: str = "") -> None:
        super().__init__(sentence)
        self.lines = [line for line in stderr.splitlines() if line.strip()][-_LAST_LINES:]


@dataclass(frozen=True)
class Reply:
    """What a tool call brought."""

    text: str
    data: dict[str, Any]

    @property
    def tokens(self) -> int:
        return tokens.of_answer(self.text, self.data)


class Server:
    """The connection to it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def tool_tokens(self) -> tuple[int, int]:
        """How many tools it offers, and what their list costs."""
        tools = (await self._client.list_tools()).tools
        return len(tools), sum(tokens.of_tool(each.name, each.description, each.input_schema) for each in tools)

    async def call(self, tool: str, arguments: dict[str, Any], progressed: Progressed) -> Reply:
        """Raises TourFailed where the tool refuses."""

        async def hear(progress: float, total: float | None, message: str | None) -> None:  # noqa: ARG001 - the SDK's
            with suppress(BrokenPipeError):  # the SDK would log it; the next line outside of it raises it again
                await progressed(progress, message or "")

        result = await self._client.call_tool(tool, arguments, progress_callback=hear)
        text = "\n".join(part.text for part in result.content if isinstance(part, TextContent))
        if result.is_error:
            raise TourFailed(f"{tool} answered: {text}")
        return Reply(text, result.structured_content or {})


@asynccontextmanager
async def launched(pace: float, asked: Asked) -> AsyncIterator[Server]:
    """The server over a simulated Mage whose time passes `pace` times as fast; every question is answered with yes.

    It sees nothing of the user's: no MAGE_… variable (the SDK hands on PATH and HOME, no more), an empty file for the
    configuration, a folder for its notes that is removed afterwards.

    Raises TourFailed where it cannot be launched, and where it ends before it is told to. A BrokenPipeError is the
    screen's own: whoever looked at it has gone.
    """

    async def answer(context: Any, params: Any) -> ElicitResult:  # noqa: ARG001 - the SDK's
        await asked(params.message)
        return ElicitResult(action="accept", content={"agree": True})

    with tempfile.TemporaryDirectory(prefix="mage-mcp-demo-") as folder, _stderr(Path(folder)) as stderr:
        failure: BaseException | None = None
        try:
            transport = stdio_client(_command(Path(folder), pace), errlog=stderr)
            async with Client(transport, elicitation_callback=answer) as client:
                yield Server(client)
        except* BrokenPipeError as group:
            failure = _first(group)
        except* MCPError as group:
            failure = TourFailed(f"The server ended: {_first(group)}.", _last_words(stderr))
        except* OSError as group:
            failure = TourFailed(f"The server could not be started: {_first(group)}.")
        except* TourFailed as group:
            failure = TourFailed(str(_first(group)), _last_words(stderr))
        if failure is not None:
            raise failure


def _stderr(folder: Path) -> TextIO:
    return (folder / "stderr").open("w+", encoding="utf-8", errors="replace")


def _last_words(stderr: TextIO) -> str:
    stderr.seek(0)
    return stderr.read()


def _command(folder: Path, pace: float) -> StdioServerParameters:
    config = folder / "config.toml"
    config.touch()
    arguments = ["-m", "mage_mcp", "--demo", "--demo-pace", str(pace)]
    environment = {
        "MAGE_CONFIG": str(config),
        "MAGE_MCP_STATE_DIR": str(folder),
        "MAGE_AUDIT": str(folder / "audit.jsonl"),
        SECRET_VARIABLE: SECRET,
    }
    package = Path(mage_mcp.__file__).parents[1]
    if package != Path(sysconfig.get_path("purelib")):  # a checkout, which the folder that it starts in is not
        environment["PYTHONPATH"] = str(package)
    return StdioServerParameters(command=sys.executable, args=arguments, env=environment, cwd=folder)


def _first(group: BaseException) -> BaseException:
    """The error itself, out of the groups that task groups make."""
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group
