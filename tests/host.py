"""What stands at the other end of the wire: a host with an assistant in it and a person in front of it."""

import json
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from mcp import Client, MCPError
from mcp.types import (
    ElicitResult,
    PromptReference,
    ResourceTemplateReference,
    TextContent,
    TextResourceContents,
)

from mage_mcp.demo.world import World


@dataclass
class Person:
    """Answers questions, and remembers what was asked."""

    action: Literal["accept", "decline", "cancel"] = "accept"
    agree: bool = True
    asked: list[str] = field(default_factory=list)

    async def __call__(self, context: Any, params: Any) -> ElicitResult:
        self.asked.append(params.message)
        return ElicitResult(action=self.action, content={"agree": self.agree} if self.action == "accept" else None)


@dataclass
class Answer:
    """What a tool call brought: the text, the structured form, and whether it was an error."""

    text: str
    data: dict[str, Any]
    is_error: bool

    @property
    def tokens(self) -> int:
        """The larger of the two forms, in bytes / 4."""
        return max(len(self.text.encode()), len(json.dumps(self.data, separators=(",", ":")).encode())) // 4


@dataclass
class Host:
    client: Client
    person: Person
    world: World | None = None

    async def call(self, tool: str, **arguments: Any) -> Answer:
        """Call a tool that must succeed. The SDK's client holds the answer to the tool's schema, and drops it else."""
        answer = await self.try_call(tool, **arguments)
        assert not answer.is_error, answer.text
        return answer

    async def try_call(self, tool: str, progress: Any = None, **arguments: Any) -> Answer:
        result = await self.client.call_tool(tool, arguments, progress_callback=progress)
        (content,) = result.content
        assert isinstance(content, TextContent)
        return Answer(content.text, result.structured_content or {}, bool(result.is_error))

    async def refused(self, tool: str, **arguments: Any) -> str:
        """Call a tool that must be refused; returns the sentence."""
        answer = await self.try_call(tool, **arguments)
        assert answer.is_error, answer.text
        return answer.text

    async def read(self, uri: str) -> TextResourceContents:
        """Read a resource that there is; it is never over 8,000 tokens."""
        (content,) = (await self.client.read_resource(uri)).contents
        assert isinstance(content, TextResourceContents)
        assert len(content.text.encode()) <= 32_000, uri
        return content

    async def read_json(self, uri: str) -> Any:
        content = await self.read(uri)
        assert content.mime_type == "application/json"
        return json.loads(content.text)

    async def unreadable(self, uri: str) -> tuple[int, str]:
        """Read a resource that there is not; returns the code and the sentence."""
        with pytest.raises(MCPError) as refused:
            await self.client.read_resource(uri)
        return refused.value.error.code, refused.value.error.message

    async def complete(self, what: str, argument: str, typed: str = "", **given: str) -> list[str]:
        """What is offered for an argument of a resource template, or of a prompt, after others were filled in."""
        ref: Any = (
            ResourceTemplateReference(type="ref/resource", uri=what)
            if "://" in what
            else PromptReference(type="ref/prompt", name=what)
        )
        found = await self.client.complete(ref, {"name": argument, "value": typed}, context_arguments=given or None)
        return found.completion.values
