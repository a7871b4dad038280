"""What stands before the tour and after it."""

from collections.abc import Iterator, Mapping

from mage_mcp.tour.guide import Cost
from mage_mcp.tour.screen import Line

_URL = "http://localhost:6789"


def opening() -> Iterator[Line]:
    yield Line("title", "mage-mcp demo")
    yield Line("text", "A real server, asked over stdio as your client asks it. Only the Mage behind it is simulated.")


def summary(cost: Cost, *, command: str, entry: str, hosts: Mapping[str, str]) -> Iterator[Line]:
    """What it cost, and how to go on.

    `command` is what starts mage-mcp in this shell, `entry` what starts it from anywhere; `hosts` are the applications
    that are installed here, by their names for `mage-mcp client`.
    """
    yield Line("text")
    yield Line("title", f"{len(cost.answers)} calls, {sum(cost.answers):,} tokens for all that they answered")
    yield Line("text", f"The list of the {cost.tools} tools costs {cost.of_tools:,} tokens, once in a conversation.")
    yield Line("text")
    yield Line("title", "With your own Mage")
    if "claude-code" in hosts or not hosts:
        yield _command("Claude Code", f"claude mcp add mage --env MAGE_URL={_URL} -- {entry}")
    for key, title in hosts.items():
        if key != "claude-code":
            yield _command(title, f"{command} --url {_URL} client {key} --write")
    if not hosts:
        yield _command("other clients", f"{command} client --help")
    yield _command("is all well?", f"{command} --url {_URL} doctor")


def _command(what_for: str, command: str) -> Line:
    return Line("command", f"  {what_for:<16}{command}")
