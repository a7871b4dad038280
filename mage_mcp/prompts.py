"""Serve `prompts/*.md`: the head, in TOML, says what a prompt is called and takes; the words below it name facts.

A `$name` in the words is replaced by the fact of that name, fetched when the prompt is asked for.
"""

import difflib
import logging
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

from mcp import MCPError
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.prompts import Prompt
from mcp.server.mcpserver.prompts.base import PromptArgument
from mcp.types import INTERNAL_ERROR, GetPromptResult, InputRequiredResult

from mage_mcp.client.deadline import call_deadline
from mage_mcp.prompting.ask import Ask, wrong
from mage_mcp.prompting.facts import Fact, fetch_all
from mage_mcp.settings import Settings
from mage_mcp.text import one_line
from mage_mcp.tools._deps import App

log = logging.getLogger(__name__)


@cache
def all_facts() -> Mapping[str, Fact]:
    """By name. What gathers them is imported when a prompt is first asked for."""
    from mage_mcp.prompting import backfills, clusters, morning, pipelines, runs

    return {**runs.facts, **morning.facts, **clusters.facts, **pipelines.facts, **backfills.facts}


_CLUSTER_ARGUMENTS = frozenset({"cluster", "clusters"})
_LONGEST_NAME = 60
_LONGEST_VALUE = 500


@dataclass(frozen=True)
class Written:
    """A prompt as its file has it.

    It is offered where the `toolsets` are on that its words speak of, where something may be changed if it `changes`,
    and where there are `several` clusters if it compares them.
    """

    name: str
    title: str
    description: str
    arguments: tuple[PromptArgument, ...]
    body: Template
    toolsets: tuple[str, ...] = ()
    changes: bool = False
    several: bool = False

    @classmethod
    def read(cls, file: Path) -> "Written":
        """Raises ValueError, KeyError or TypeError for a head that is not complete."""
        _, head, body = file.read_text(encoding="utf-8").split("+++\n", 2)
        known = tomllib.loads(head)
        arguments = tuple(
            PromptArgument(name=name, description=told["description"], required=told["required"])
            for name, told in known.pop("arguments", {}).items()
        )
        toolsets = tuple(known.pop("toolsets", ()))
        return cls(**known, arguments=arguments, toolsets=toolsets, body=Template(body.strip() + "\n"))

    @property
    def facts(self) -> dict[str, Fact]:
        return {name: all_facts()[name] for name in self.body.get_identifiers()}

    def without(self, arguments: Collection[str]) -> "Written":
        """The same prompt without some of its arguments."""
        return replace(self, arguments=tuple(each for each in self.arguments if each.name not in arguments))

    def fits(self, settings: Settings) -> bool:
        """Whether it makes sense with these settings."""
        writable = [cluster for cluster in settings.clusters if not cluster.read_only]
        return (
            set(self.toolsets) <= set(settings.toolsets)
            and (not self.changes or bool(writable))
            and (not self.several or len(settings.clusters) > 1)
        )


def load() -> Iterator[Written]:
    """Every prompt there is, by the name of its file."""
    for file in sorted(folder().glob("*.md")):
        yield Written.read(file)


def folder() -> Path:
    """In a wheel they are inside the package; in a checkout beside it."""
    here = Path(__file__).parent
    packed = here / "_prompts"
    return packed if packed.is_dir() else here.parent / "prompts"


class PromptServer(MCPServer[App]):
    """The part of the server that offers prompts, and the seam where what is wrong with one becomes a sentence."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._written: dict[str, Written] = {}

    def offer_prompts(self, settings: Settings) -> None:
        """Add those that make sense with these settings. Which cluster is meant is no question where there is one."""
        hidden = _CLUSTER_ARGUMENTS if len(settings.clusters) == 1 else frozenset()
        for written in load():
            if written.fits(settings):
                self._written[written.name] = written.without(hidden)
                self.add_prompt(_prompt(self._written[written.name]))

    async def get_prompt(
        self, name: str, arguments: dict[str, Any] | None = None, context: Context[App, Any] | None = None
    ) -> GetPromptResult | InputRequiredResult:
        """Raises MCPError: of any other error neither protocol era shows the text."""
        given: dict[str, Any] = dict(checked(self._written, name, arguments))
        mages = context.request_context.lifespan_context.mages.values() if context else ()
        try:
            with call_deadline(clock=next((mage.clock for mage in mages), None)):
                return await super().get_prompt(name, given, context)
        except ValueError:
            log.exception("The prompt %s failed", name)
            raise _crashed(name) from None
        raise _crashed(name)


def _prompt(written: Written) -> Prompt:
    async def render(ctx: Context[App], **arguments: str) -> str:
        ask = Ask(ctx.request_context.lifespan_context, arguments)
        if written.changes and ask.mage().read_only:
            raise wrong(f"{ask.mage().label} is read-only here, so nothing can be changed on it.")
        return written.body.substitute(await fetch_all(written.facts, ask))

    return Prompt(
        name=written.name,
        title=written.title,
        description=written.description,
        arguments=list(written.arguments),
        fn=render,
        context_kwarg="ctx",
    )


def checked(offered: Mapping[str, Written], name: str, given: Mapping[str, Any] | None) -> dict[str, str]:
    """The arguments that are given; hosts send those that a person left blank as empty texts.

    Raises MCPError for an unknown prompt, unknown arguments, and missing ones.
    """
    written = offered.get(name)
    if written is None:
        raise wrong(f"There is no prompt {one_line(name, _LONGEST_NAME)!r}.{_near(name, list(offered))}")
    known = [argument.name for argument in written.arguments]
    values = {key: str(value).strip() for key, value in (given or {}).items()}
    for key, value in values.items():
        if key not in known:
            raise wrong(f"{name} takes no argument {one_line(key, _LONGEST_NAME)!r}.{_near(key, known)}")
        if len(value) > _LONGEST_VALUE:
            raise wrong(f"{key} is over {_LONGEST_VALUE} characters.")
    values = {key: value for key, value in values.items() if value}
    missing = [each for each in written.arguments if each.required and each.name not in values]
    if missing:
        told = "; ".join(f"{each.name}: {each.description}" for each in missing)
        raise wrong(f"{name} needs {told}")
    return values


def _crashed(name: str) -> MCPError:
    """Our own mistake, told without its text."""
    return MCPError(
        INTERNAL_ERROR, f"{name} failed in a way that is a bug of mage-mcp; the server's log (stderr) has the details."
    )


def _near(word: str, known: Sequence[str]) -> str:
    found = difflib.get_close_matches(word[:_LONGEST_NAME], known, n=1)
    return f" Did you mean {found[0]!r}?" if found else f" There are: {', '.join(known) or 'none'}."
