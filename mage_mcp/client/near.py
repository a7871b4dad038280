"""Names that do not exist: which ones come near."""

import difflib
from collections.abc import Iterable

from mage_mcp.client.paths import api
from mage_mcp.client.replies import rows
from mage_mcp.client.transport import Transport
from mage_mcp.errors import MageNotFound, MageRefused
from mage_mcp.text import one_line, quoted, remember_name

_SHOWN = 5


def did_you_mean(word: str, known: Iterable[str], *, where: str) -> str:
    """A next step: the nearest names, or some of the names there are, or that there are none."""
    names = sorted(set(known))
    if not names:
        return f"There are none {where}."
    near = (
        difflib.get_close_matches(word, names, n=3, cutoff=0.5) or [n for n in names if word.lower() in n.lower()][:3]
    )
    if near:
        return f"Did you mean {' or '.join(repr(one_line(name, 80)) for name in near)}?"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"There are: {', '.join(quoted(name) for name in names[:_SHOWN])}{more}."


async def files_named(transport: Transport, name: str) -> str:
    """A next step: where files of this name stand; empty where there are none. Source: Mage FileResource, `flatten`."""
    try:
        found = rows(await transport.read(api("files"), flatten=True), "files")
    except MageRefused:
        return ""
    paths = sorted(path for row in found if (path := str(row.get("path")).partition("/")[2]).rpartition("/")[2] == name)
    return f"There is {' and '.join(quoted(path) for path in paths[:_SHOWN])}." if paths else ""


async def pipeline_uuids(transport: Transport) -> set[str]:
    """Every pipeline of the cluster: one request, made only to name the nearest."""
    uuids = {str(row.get("uuid")) for row in rows(await transport.read(api("pipelines")), "pipelines")}
    for uuid in uuids:
        remember_name(uuid)
    return uuids


async def unknown_pipeline(transport: Transport, uuid: str) -> MageNotFound:
    """The error for a pipeline that does not exist, with the nearest names."""
    label = transport.cluster.label
    return MageNotFound(
        f"No pipeline {one_line(uuid, 80)!r} on {label}.",
        next_step=did_you_mean(uuid, await pipeline_uuids(transport), where=f"on {label}"),
    )
