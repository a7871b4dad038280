"""What a host can offer while a person types an argument of a prompt or of a resource template."""

from collections.abc import Sequence

from mcp.server import MCPServer
from mcp.types import Completion, CompletionArgument, CompletionContext, PromptReference, ResourceTemplateReference

from mage_mcp.settings import Cluster
from mage_mcp.tools._deps import App

_MOST = 100
"""More is against the protocol."""


def register(server: MCPServer[App], clusters: Sequence[Cluster]) -> None:
    """Answer completions; references and arguments that are not known have none."""

    @server.completion()  # type: ignore[no-untyped-call, untyped-decorator] # the SDK leaves it untyped
    async def complete(
        ref: PromptReference | ResourceTemplateReference,  # noqa: ARG001 - a cluster is one whatever refers to it
        argument: CompletionArgument,
        context: CompletionContext | None,  # noqa: ARG001
    ) -> Completion | None:
        if argument.name != "cluster":
            return None
        return matching(argument.value, [cluster.name for cluster in clusters])


def matching(typed: str, values: Sequence[str]) -> Completion:
    """Those that begin with what was typed, at most a hundred."""
    found = [value for value in values if value.startswith(typed)]
    return Completion(values=found[:_MOST], total=len(found), has_more=len(found) > _MOST)
