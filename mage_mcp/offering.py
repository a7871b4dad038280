"""What a client sees of a tool's arguments in this configuration, and the sentences that refuse wrong ones."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

from mcp.server.mcpserver.tools import Tool
from pydantic import ValidationError

from mage_mcp.settings import Cluster
from mage_mcp.text import quoted, show
from mage_mcp.tools import ALL, RISKS
from mage_mcp.tools._signature import CLUSTER, CONFIRM
from mage_mcp.tools._toolset import Risk

LONGEST_NAME = 60
MOST_TOLD = 5
"""Of what is wrong with a call."""

_ZONES = frozenset({"timezone", "time_zone", "tz"})
_ALSO_CALLED = {
    "code": "content",
    "cron": "interval",
    "end_date": "end",
    "path": "folder",
    "query": "search",
    "schedule": "interval",
    "variables": "set",
}
"""What models call arguments that are not spelled alike."""


def shaped(tool: Tool, clusters: Sequence[Cluster]) -> dict[str, Any]:
    """A tool's input schema as this configuration needs it.

    `cluster` is absent where there is one; with several it is an enum, required for what changes something, holding
    those that accept changes; for reads it says which is meant without it. `confirm` is there for what destroys; for
    other changes where a cluster is protected.
    """
    properties = dict(tool.parameters.get("properties", {}))
    required = list(tool.parameters.get("required", []))
    risk = RISKS[tool.name]
    if CONFIRM in properties and risk is not Risk.DESTROY and not any(c.protected for c in clusters):
        del properties[CONFIRM]
    if CLUSTER in properties:
        names = [cluster.name for cluster in clusters if risk is Risk.READ or not cluster.read_only]
        if len(clusters) == 1:
            del properties[CLUSTER]
        else:
            properties[CLUSTER] = {**properties[CLUSTER], "enum": names}
            if risk is not Risk.READ:
                required.append(CLUSTER)
            else:
                properties[CLUSTER]["description"] = f"{names[0]} if not given."
    schema = {**tool.parameters, "properties": properties}
    return {**schema, "required": required} if required else schema


def switched_off(name: str) -> str:
    """A sentence on a tool that is not offered since its toolset is off; empty where there is no such tool at all."""
    for toolset, tools in ALL.items():
        if name in tools.risks():
            return (
                f"{name} is not offered: toolset {toolset} is off. A person switches it on with MAGE_TOOLSETS or "
                "--toolsets (names, or all)."
            )
    return ""


def did_you_mean(word: str, known: Any) -> str:
    """A hint to the one that was probably meant, with a space before it; empty where none is near."""
    near = difflib.get_close_matches(word[:LONGEST_NAME], list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def said_of_unknown(word: str, known: Sequence[str]) -> str:
    """What to do instead of an argument that there is not, with a space before it; empty where that is not known."""
    if word.lower() in _ZONES:  # dropped without a word, 06:30 in Berlin would become 06:30 UTC
        return " Every time and cron line is UTC: convert it."
    meant = _ALSO_CALLED.get(word)
    return f" Did you mean {meant!r}?" if meant in known else did_you_mean(word, known)


def argument_sentence(name: str, error: ValidationError) -> str:
    """Which argument is wrong and how, without pydantic's links and without echoing the value."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    problems = [f"{_place(e['loc'])}: {_in_words_of_json(e['msg'])}" for e in found[:MOST_TOLD]]
    if len(found) > MOST_TOLD:
        problems.append(f"and {len(found) - MOST_TOLD} more")
    return show(f"{name} was not called: {'; '.join(problems)}.")


def _in_words_of_json(message: str) -> str:
    plain = message.partition(", unable to parse")[0].replace("valid dictionary", "valid object")
    return f"{plain[:1].lower()}{plain[1:]}"


def _place(parts: Iterable[int | str]) -> str:
    """`set.NAME`; a key may be anything, `NAME=value` too."""
    return ".".join(quoted(str(part).partition("=")[0], LONGEST_NAME) for part in parts)
