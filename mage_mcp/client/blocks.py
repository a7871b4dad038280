"""Blocks of a pipeline: their code."""

from pydantic import Field

from mage_mcp.client.evidence import base_uuid, blocks_of
from mage_mcp.client.models import Answer, Code, Name
from mage_mcp.client.near import did_you_mean, unknown_pipeline
from mage_mcp.client.paths import api, block_uuid, pipeline_uuid
from mage_mcp.client.records import BlockRecord, PipelineRecord
from mage_mcp.client.replies import root
from mage_mcp.client.transport import Transport
from mage_mcp.errors import MageNotFound
from mage_mcp.text import one_line, quoted


class BlockSource(Answer):
    pipeline: Name
    block: Name
    type: str = ""
    language: str = ""
    content: Code = Field(default="", description="The whole file.")


class Blocks:
    """Look at blocks."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def source(self, pipeline: str, block: str) -> BlockSource:
        """A block's code; of a child of a dynamic block (`part:two`) its parent's.

        Raises MageNotFound for an unknown pipeline or block, with the nearest names. Source: Mage BlockResource.member,
        which knows neither conditionals nor callbacks; those are in the pipeline.
        """
        path = api("pipelines", pipeline_uuid(pipeline), "blocks", block_uuid(block))
        try:
            reply = await self._transport.read(path, include_outputs=False)
            found = BlockRecord.model_validate(root(reply, "block"))
        except MageNotFound:
            found = await self._among_all(pipeline, block)
        return BlockSource(
            pipeline=pipeline, block=block, type=found.type, language=found.language, content=found.content or ""
        )

    async def _among_all(self, pipeline: str, block: str) -> BlockRecord:
        try:
            reply = await self._transport.read(
                api("pipelines", pipeline), includes_content=True, includes_outputs=False
            )
        except MageNotFound:
            raise await unknown_pipeline(self._transport, pipeline) from None
        known = blocks_of(PipelineRecord.model_validate(root(reply, "pipeline")))
        found = known.get(block) or known.get(base_uuid(block))
        if found is None:
            raise MageNotFound(
                f"Pipeline {pipeline!r} has no block {one_line(block, 80)!r}.",
                next_step=did_you_mean(block, known, where=f"in {quoted(pipeline)}"),
            )
        return found
