"""Looking at blocks: their code, what is around them, and the templates for new ones."""

import asyncio
from collections.abc import Sequence
from typing import Any, get_args

from mage_mcp.client.blocks.edges import waiting_for
from mage_mcp.client.blocks.models import BlockDetail, BlockSource, BlockType, Language, TemplatePage, TemplateRow
from mage_mcp.client.evidence import base_uuid, block_file, blocks_of
from mage_mcp.client.lines import Part, part_of
from mage_mcp.client.models import ROOM_BY_DEFAULT, how_many_fit
from mage_mcp.client.near import did_you_mean, unknown_pipeline
from mage_mcp.client.paths import api, block_uuid, pipeline_uuid
from mage_mcp.client.pipelines.detail import shown_variables
from mage_mcp.client.pipelines.sharing import users_of
from mage_mcp.client.records import BlockRecord, PipelineRecord
from mage_mcp.client.replies import root, rows
from mage_mcp.client.texts import Text, Texts
from mage_mcp.client.transport import Transport
from mage_mcp.errors import MageNotFound
from mage_mcp.text import MASK, one_line, quoted, show

_MOST_NAMES = 20
_MOST_SETTINGS = 20
_DESCRIPTION = 100


class BlockReader:
    """Look at blocks."""

    def __init__(self, transport: Transport, texts: Texts) -> None:
        self._transport = transport
        self._texts = texts

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
            found = block_in(await self._pipeline(pipeline, content=True), block)
        return BlockSource(
            pipeline=pipeline, block=block, type=found.type, language=found.language, content=found.content or ""
        )

    async def get(
        self, pipeline: str, block: str, *, from_line: int | None = None, to_line: int | None = None
    ) -> BlockDetail:
        """A block's code from its file, with a hash where it is whole, its place in the graph, and who shares the file.

        Raises MageNotFound for an unknown pipeline or block, with the nearest names; MageInvalid for lines that there
        are not.
        """
        block_uuid(block)
        record = await self._pipeline(pipeline, content=True)
        found = block_in(record, block)
        file = file_of(found, record)
        text, users = await asyncio.gather(
            self._texts.find(file), users_of(self._transport, [file], besides=record.uuid)
        )
        # Mage says what it runs; a file that holds something else is another one, or was written this moment.
        is_its_file = text is not None and text.content == (found.content or "")
        part = part_of(show(found.content or ""), from_line, to_line, what="the block")
        notes = _notes(found, text, part, is_its_file=is_its_file)
        return BlockDetail(
            pipeline=record.uuid,
            block=found.uuid,
            type=found.type,
            language=found.language,
            file=file,
            hash=text.hash if text is not None and is_its_file and part.is_whole else "",
            content=part.text,
            lines=part.total,
            from_line=0 if part.is_whole else part.first,
            to_line=0 if part.is_whole else part.last,
            upstream=found.upstream_blocks[:_MOST_NAMES],
            downstream=waiting_for(record, found.uuid)[:_MOST_NAMES],
            used_by=some(users.get(file, [])),
            configuration=shown_variables(found.configuration, most=_MOST_SETTINGS),
            note=" ".join(notes),
        )

    async def templates(
        self,
        *,
        type: BlockType | None = None,  # noqa: A002 - Mage's word
        language: Language | None = None,
        search: str = "",
    ) -> TemplatePage:
        """Mage's own templates for blocks, as many as there is room for."""
        found = []
        for row in await self._template_rows():
            text = " ".join(str(row.get(key) or "") for key in ("path", "name", "description", "groups")).casefold()
            is_wanted = type in (None, row.get("block_type")) and language in (None, row.get("language"))
            if is_wanted and all(word in text for word in search.casefold().split()):
                found.append(_template(row))
        fit = how_many_fit(found, room=ROOM_BY_DEFAULT)
        note = "" if found else "No template fits these filters; create_block without one takes Mage's plain one."
        if fit < len(found):
            note = f"{len(found) - fit} more are not shown; give a type or a word to search for."
        return TemplatePage(items=found[:fit], total=len(found), note=note)

    async def _template_rows(self) -> list[dict[str, Any]]:
        """Source: Mage BlockTemplateResource. Those of callbacks and conditionals are left out."""
        found = rows(await self._transport.read(api("block_templates")), "block_templates")
        return [row for row in found if row.get("block_type") in get_args(BlockType)]

    async def _pipeline(self, pipeline: str, *, content: bool = False) -> PipelineRecord:
        """The pipeline as it is now, from its file. Raises MageNotFound with the nearest names."""
        path = api("pipelines", pipeline_uuid(pipeline))
        try:
            reply = await self._transport.read(path, includes_content=content, includes_outputs=False)
        except MageNotFound:
            raise await unknown_pipeline(self._transport, pipeline) from None
        return PipelineRecord.model_validate(root(reply, "pipeline"))


def block_in(record: PipelineRecord, block: str) -> BlockRecord:
    """A block, conditional or callback of a pipeline; of a child of a dynamic block its parent.

    Raises MageNotFound with the nearest names.
    """
    known = blocks_of(record)
    found = known.get(block) or known.get(base_uuid(block))
    if found is None:
        raise MageNotFound(
            f"Pipeline {record.uuid!r} has no block {one_line(block, 80)!r}.",
            next_step=did_you_mean(block, known, where=f"in {quoted(record.uuid)}"),
        )
    return found


def file_of(block: BlockRecord, record: PipelineRecord) -> str:
    """The file within the project that holds a block's code; a replica has none of its own."""
    original = blocks_of(record).get(block.replicated_block)
    return block_file(original or block)


def some(names: Sequence[str]) -> list[str]:
    """The first of very many, and how many more there are."""
    cut = len(names) - _MOST_NAMES
    return [*names[:_MOST_NAMES], f"and {cut} more"] if cut > 0 else list(names)


def _template(row: dict[str, Any]) -> TemplateRow:
    language = str(row.get("language") or "")
    return TemplateRow(
        template=str(row.get("path") or ""),
        type=str(row.get("block_type") or ""),
        language="" if language == "python" else language,
        name=one_line(str(row.get("name") or ""), _DESCRIPTION),
        description=one_line(str(row.get("description") or ""), _DESCRIPTION),
    )


def _notes(found: BlockRecord, text: Text | None, part: Part, *, is_its_file: bool) -> list[str]:
    notes = part.notes()
    if text is None:
        notes.append("Its file does not exist: Mage runs it as an empty block.")
    elif not is_its_file:
        notes.append("Its file does not hold what Mage runs, or changed this moment, so there is no hash; look again.")
    elif text.hides:
        notes.append(
            f"It is not shown as it is in the file: secrets stand as {MASK}, unseen characters are left out. Change it "
            "by replace, which keeps them."
        )
    if found.replicated_block:
        notes.append(f"It is a replica: its code is that of {quoted(found.replicated_block)}.")
    return notes
