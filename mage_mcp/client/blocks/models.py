"""What is answered about blocks."""

from typing import Annotated, Any, Literal

from pydantic import Field

from mage_mcp.client.models import Answer, Change, Code, Message, Name, Names, Untrusted

BlockType = Literal["data_loader", "transformer", "data_exporter", "sensor", "custom"]
"""Those that stand in the graph and are made of one file of code."""
Language = Literal["python", "sql", "yaml", "r"]

Diff = Annotated[str, Untrusted(block="diff")]


class BlockSource(Answer):
    pipeline: Name
    block: Name
    type: str = ""
    language: str = ""
    content: Code = Field(default="", description="The whole file.")


class BlockDetail(Answer):
    pipeline: Name
    block: Name
    type: str = ""
    language: str = ""
    file: Name = ""
    hash: str = Field(default="", description="Of the whole file; for expected_hash. Left out where it is not whole.")
    content: Code = ""
    lines: int = Field(default=0, description="Of the whole file.")
    from_line: int = Field(default=0, description="Where only a part is shown.")
    to_line: int = 0
    upstream: Names = Field(default=[], description="In the order of the function's arguments.")
    downstream: Names = []
    used_by: Names = Field(default=[], description="Other pipelines with the same file: a change reaches them too.")
    configuration: Annotated[dict[str, Any], Untrusted()] = {}
    note: str = ""


class TemplateRow(Answer):
    template: Name = Field(description="As create_block wants it.")
    type: str = ""
    language: str = Field(default="", description="Left out where it is python.")
    name: Name = ""
    description: Message = ""


class TemplatePage(Answer):
    items: list[TemplateRow]
    total: int = Field(description="How many there are in all, for these filters.")
    note: str = ""


class BlockChange(Change):
    pipeline: Name = ""
    block: Name = ""
    file: Name = ""
    hash: str = Field(default="", description="Of the file as it is now.")
    diff: Diff = ""
    backup: Name = Field(default="", description="Where the former text is kept, on the machine of this server.")
    upstream_before: Names = []
    upstream: Names = []
    downstream: Names = []
    configuration: Annotated[list[str], Untrusted()] = Field(default=[], description="What changes in it.")
    used_by: Names = Field(default=[], description="Other pipelines with the same file, changed with it.")
