"""What a host can offer while a person types an argument of a prompt or of a resource template.

Arguments are known by their names, whatever refers to them: `cluster` and `other`, `clusters`, `pipeline`, `block`,
`run` and `run_id`, `hours`, and `name` of an environment variable. What was filled in before narrows the rest. Each
takes one request at most, and those to Mage none for some seconds after it.
"""

import contextlib
from collections.abc import Mapping, Sequence

import anyio
from mcp.server import MCPServer
from mcp.types import Completion, CompletionArgument, CompletionContext, PromptReference, ResourceTemplateReference

from mage_mcp.client import Mage
from mage_mcp.client.names import WITHIN_S
from mage_mcp.errors import MageError
from mage_mcp.settings import Cluster
from mage_mcp.tools._deps import App, current_app

_MOST = 100
"""More is against the protocol."""
_HOURS = ["24", "48", "72", "168"]


def register(server: MCPServer[App]) -> None:
    """Answer completions; references and arguments that are not known have none."""

    @server.completion()  # type: ignore[no-untyped-call, untyped-decorator] # the SDK leaves it untyped
    async def complete(
        ref: PromptReference | ResourceTemplateReference,  # noqa: ARG001 - arguments are known by their names
        argument: CompletionArgument,
        context: CompletionContext | None,
    ) -> Completion | None:
        app = current_app()
        given = (context.arguments if context else None) or {}
        values = await offered(app, argument.name, given) if app else None
        return None if values is None else matching(argument.value, values)


async def offered(app: App, argument: str, given: Mapping[str, str]) -> Sequence[str] | None:
    """Everything that the argument could be, in the cluster that was named, or in the first; None where unknown."""
    match argument:
        case "cluster" | "other":
            return clusters(app.settings.clusters)
        case "clusters":
            return ["all", *clusters(app.settings.clusters)]
        case "hours":
            return _HOURS
    cluster = given.get("cluster", "")
    if cluster and cluster not in app.mages:
        return []
    mage, pipeline = app.mage(cluster), given.get("pipeline", "")
    match argument:
        case "pipeline":
            return await pipelines(mage)
        case "block":
            return await blocks(mage, pipeline) if pipeline else []
        case "run" | "run_id":
            return await runs(mage, pipeline)
        case "name":
            return await variables(mage)
    return None


def clusters(configured: Sequence[Cluster]) -> list[str]:
    """In the order of the configuration."""
    return [cluster.name for cluster in configured]


async def pipelines(mage: Mage) -> list[str]:
    """In alphabetical order; none where Mage is down."""
    return await mage.names.pipelines()


async def blocks(mage: Mage, pipeline: str) -> list[str]:
    """In the pipeline's order; none where Mage is down or the pipeline unknown."""
    return await mage.names.blocks(pipeline)


async def runs(mage: Mage, pipeline: str = "") -> list[str]:
    """The newest first; none where Mage is down or the pipeline unknown."""
    return await mage.names.runs(pipeline)


async def variables(mage: Mage) -> list[str]:
    """Names of the cluster's environment variables; none where Mage Cloud does not tell them."""
    with anyio.move_on_after(WITHIN_S):
        with contextlib.suppress(MageError):
            return (await mage.clusters.variables())[0]
    return []


def matching(typed: str, values: Sequence[str]) -> Completion:
    """Those that begin with what was typed, in either case, at most a hundred."""
    beginning = typed.casefold()
    found = [value for value in values if value.casefold().startswith(beginning)]
    return Completion(values=found[:_MOST], total=len(found), has_more=len(found) > _MOST)
