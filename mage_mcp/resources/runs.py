"""Runs as resources: the report, which can be listened to, and the log."""

from mcp.server import MCPServer
from mcp.server.mcpserver import Context

from mage_mcp.resources._views import RUN, named, offer
from mage_mcp.resources.texts import answer_text, log_text
from mage_mcp.tools._deps import App

_MOST_LINES = 500


def register(server: MCPServer[App]) -> None:
    """Add them to the server."""
    offer(server, RUN, run_report, title="Run")
    offer(server, f"{RUN}/logs", run_logs, title="Run log", mime_type="text/plain")


async def run_report(cluster: str, run_id: str, ctx: Context[App]) -> str:
    """How a run went, why it failed, what it waits for, what to do next. Listen to it to hear when it changes."""
    mage = named(cluster, ctx)
    return answer_text(await mage.runs.report(run_id), mage)


async def run_logs(cluster: str, run_id: str, ctx: Context[App]) -> str:
    """The end of a run's log."""
    mage = named(cluster, ctx)
    return log_text(await mage.logs.get(run_id, tail_lines=_MOST_LINES), mage)
