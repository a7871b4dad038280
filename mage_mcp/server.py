"""Build the MCP server: lifespan, toolsets, and the one seam where errors become sentences."""

import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from mcp.server import MCPServer
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import (
    ResourceError,
    ResourceNotFoundError,
    ToolError,
    UnexpectedResourceError,
    UnexpectedToolError,
)
from mcp.server.mcpserver.tools import Tool
from mcp.server.request_state import RequestStateSecurity
from mcp.server.subscriptions import InMemorySubscriptionBus
from mcp.types import CallToolResult, InputRequiredResult
from mcp.types import Resource as MCPResource
from mcp.types import Tool as MCPTool
from pydantic import ValidationError

from mage_mcp import __version__, completion, resources
from mage_mcp.client import Clock, Mage
from mage_mcp.client.deadline import call_deadline
from mage_mcp.credentials import Store
from mage_mcp.errors import MageError, MageInvalid, MageNotFound, MageReadOnly
from mage_mcp.instructions import instructions
from mage_mcp.log_handler import set_up_logging, without_rich
from mage_mcp.mending import mend_answers
from mage_mcp.offering import (
    LONGEST_NAME,
    MOST_TOLD,
    argument_sentence,
    did_you_mean,
    said_of_unknown,
    shaped,
    switched_off,
)
from mage_mcp.prompts import PromptServer
from mage_mcp.resources.listening import watch_runs
from mage_mcp.resources.listing import listed
from mage_mcp.resources.texts import Typed
from mage_mcp.settings import Cluster, Settings, is_open_to_eavesdroppers
from mage_mcp.shutdown import finishing_on_sigterm
from mage_mcp.text import one_line, show
from mage_mcp.tools import ALL
from mage_mcp.tools._answer import with_cluster
from mage_mcp.tools._audit import Audit
from mage_mcp.tools._deps import App, current_app, keep_app
from mage_mcp.tools._lenient import a_call
from mage_mcp.tools._seal import Seal
from mage_mcp.tools._secrets import remember_environment
from mage_mcp.tools._signature import CLUSTER, CONFIRM
from mage_mcp.watching import Watcher

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)

_EAVESDROPPERS = "%s is spoken to without encryption (http): who listens can read passwords."
_NOBODY = "Nobody answered the question within five minutes"


class MageServer(PromptServer):
    """Shows a MageError to the model as a sentence; any other exception stays a crash, told without its text."""

    def __init__(
        self, *, tools: list[Tool], hidden: frozenset[str], clusters: Sequence[Cluster], **kwargs: Any
    ) -> None:
        with without_rich():
            super().__init__(tools=tools, **kwargs)
        self._offered = {tool.name: shaped(tool, clusters) for tool in tools}
        self._hidden = hidden
        self._clusters = clusters
        self.app: App | None = None
        """What it holds while it runs."""

    async def list_tools(self) -> list[MCPTool]:
        """The tools, with `cluster` and `confirm` only where they mean something."""
        tools = await super().list_tools()
        return [tool.model_copy(update={"input_schema": self._offered[tool.name]}) for tool in tools]

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[App, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        app = context.request_context.lifespan_context if context else None
        if app and name in self._hidden:
            app.audit.refused(name, cluster=str(arguments.get(CLUSTER, "")), arguments=arguments, why="read-only mode")
        self._refuse_unknown(name, arguments)
        mages = app.mages.values() if app else ()
        try:
            with a_call(), call_deadline(clock=next((mage.clock for mage in mages), None)) as deadline:
                result = await super().call_tool(name, arguments, context)
        except UnexpectedToolError as crash:
            if isinstance(crash.__cause__, MageError):
                raise ToolError(_told(crash.__cause__, app, arguments)) from crash.__cause__
            notes = " ".join(getattr(crash.__cause__, "__notes__", ()))
            told = f"{name} failed in a way that is a bug of mage-mcp; the server's log (stderr) has the details."
            raise UnexpectedToolError(f"{told} {show(notes)}".strip()) from crash.__cause__
        except ToolError as error:
            if isinstance(error.__cause__, ValidationError):
                raise ToolError(argument_sentence(name, error.__cause__)) from None  # the SDK would log the keys
            raise
        if deadline.patience.cancelled_caught:
            if app:
                cluster = app.mage(str(arguments.get(CLUSTER) or "")).name
                given = {key: value for key, value in arguments.items() if key not in {CLUSTER, CONFIRM}}
                app.audit.refused(name, cluster=cluster, arguments=given, why=_NOBODY)
            raise ToolError(f"{_NOBODY}; nothing was changed. Call again when the person is there.")
        return result

    async def list_resources(self) -> list[MCPResource]:
        app = current_app()
        return [*await super().list_resources(), *(await listed(app) if app else ())]

    async def read_resource(
        self, uri: Any, context: Context[App, Any] | None = None
    ) -> Iterable[ReadResourceContents] | InputRequiredResult:
        mages = context.request_context.lifespan_context.mages.values() if context else ()
        try:
            with call_deadline(clock=next((mage.clock for mage in mages), None)):
                read = await super().read_resource(uri, context)
                return read if isinstance(read, InputRequiredResult) else [_typed(each) for each in read]
        except UnexpectedResourceError as crash:
            cause = crash.__cause__
            if isinstance(cause, MageError):
                there_is_none = isinstance(cause, MageNotFound | MageInvalid)
                kind = ResourceNotFoundError if there_is_none else ResourceError
                raise kind(show(str(cause))) from cause
            raise
        raise ResourceError("The resource could not be read in time.")

    def _refuse_unknown(self, name: str, arguments: dict[str, Any]) -> None:
        """The SDK drops arguments it does not know: a misspelt filter would answer the unfiltered list."""
        if name in self._hidden:
            raise ToolError(show(str(MageReadOnly(f"{name} changes something."))))
        if name not in self._offered:
            if off := switched_off(name):
                raise ToolError(off)
            hint = did_you_mean(name, self._offered) or f" There are: {', '.join(self._offered)}."
            raise ToolError(f"There is no tool {one_line(name, LONGEST_NAME)!r}.{hint}")
        offered = self._offered[name]
        known = list(offered.get("properties", {}))
        # Answers name a cluster that has a name; where it is the only one, calls that name it too are as good.
        named = {CLUSTER} if [arguments.get(CLUSTER)] == [cluster.name for cluster in self._clusters] else set()
        if unknown := sorted(set(arguments) - {*known, CONFIRM, *named}):
            hints = " ".join(
                f"{one_line(arg, LONGEST_NAME)!r} is unknown.{said_of_unknown(arg, known)}"
                for arg in unknown[:MOST_TOLD]
            )
            raise ToolError(f"{name} was not called: {hints} It takes: {', '.join(known) or 'nothing'}.")
        if CLUSTER in known:
            self._refuse_cluster(name, arguments.get(CLUSTER), offered)

    def _refuse_cluster(self, name: str, given: Any, offered: dict[str, Any]) -> None:
        """Where several clusters are configured, a change names its own, and one that takes changes."""
        names = offered["properties"][CLUSTER]["enum"]
        everywhere = [cluster.name for cluster in self._clusters]
        if given is None or given == "":
            if CLUSTER in offered.get("required", ()):
                raise ToolError(
                    f"{name} was not called: on which cluster? A change names its own, one of: {', '.join(names)}."
                )
        elif given not in names:
            if given in everywhere:
                raise ToolError(f"{name} was not called: cluster {given!r} is read-only. Others: {', '.join(names)}.")
            word = one_line(str(given), LONGEST_NAME)
            near = did_you_mean(word, names)
            raise ToolError(f"{name} was not called: no cluster {word!r}.{near} There are: {', '.join(names)}.")


def _told(error: MageError, app: App | None, arguments: dict[str, Any]) -> str:
    """The error, with the cluster named in the calls it suggests: without, they would go to another one."""
    text = str(error)
    return show(with_cluster(text, app.mage(str(arguments.get(CLUSTER) or "")), ours=True) if app else text)


def _typed(contents: ReadResourceContents) -> ReadResourceContents:
    """With the MIME type of what was read, where the template's is only the general one."""
    text = contents.content
    mime_type = text.mime_type if isinstance(text, Typed) else contents.mime_type
    return ReadResourceContents(content=text, mime_type=mime_type, meta=contents.meta)


def build_server(
    settings: Settings,
    *,
    wire: "httpx.AsyncBaseTransport | None" = None,
    clock: Clock | None = None,
    finish_on_sigterm: bool = False,
    keys: Sequence[bytes] = (),
    credentials: Store | None = None,
) -> MageServer:
    """A server for these settings. Nothing is opened on the network, here or at its start.

    `wire` and `clock` are for the demo and for tests: a simulated Mage in process, and its time. `finish_on_sigterm` is
    for a server that is a process of its own: the signal then waits for the second half of a restart. `keys` (32 bytes
    or more; the first seals, each of them opens) are what replicas share; without any, this server has one of its own.
    `credentials` is where a person may have left logins and secrets: the user's own store, but for a simulated Mage.
    """

    store = Store() if credentials is None and wire is None else credentials
    bus = InMemorySubscriptionBus()

    @asynccontextmanager
    async def lifespan(_: MCPServer[App]) -> AsyncIterator[App]:
        async with AsyncExitStack() as stack:
            mages: dict[str, Mage] = {}
            if finish_on_sigterm:
                await stack.enter_async_context(finishing_on_sigterm(mages.values()))
            for cluster in settings.clusters:
                mages[cluster.name] = await stack.enter_async_context(
                    Mage(cluster, wire=wire, clock=clock, credentials=store)
                )
            watcher = await stack.enter_async_context(Watcher(bus, mages))
            server.app = App(settings, mages, Audit(settings.audit), Seal(keys), watcher, store)
            yield server.app
        server.app = None

    writable = not all(cluster.read_only for cluster in settings.clusters)
    toolsets = [ALL[name] for name in settings.toolsets]
    tools = [tool for toolset in toolsets for tool in toolset.tools(read_only=not writable)]
    everything = {name for toolset in toolsets for name in toolset.risks()}
    server = MageServer(
        tools=tools,
        hidden=frozenset(everything - {tool.name for tool in tools}),
        clusters=settings.clusters,
        name="mage-mcp",
        title="Mage",
        version=__version__,
        instructions=instructions(settings),
        lifespan=lifespan,
        log_level=settings.log_level,
        middleware=[mend_answers, keep_app, watch_runs],
        subscriptions=bus,
        request_state_security=RequestStateSecurity(keys=keys) if keys else None,
    )
    remember_environment()
    resources.register(server)
    server.offer_prompts(settings)
    completion.register(server)
    set_up_logging(settings.log_level)
    for cluster in settings.clusters:
        if wire is None and is_open_to_eavesdroppers(cluster.url):
            log.warning(_EAVESDROPPERS, cluster.label)
    for url in {cluster.cloud_url for cluster in settings.clusters}:
        if wire is None and is_open_to_eavesdroppers(url):
            log.warning(_EAVESDROPPERS, f"Mage Cloud at {url}")
    return server
