"""Deleting blocks."""

from dataclasses import dataclass

import anyio

from mage_mcp.client.blocks.changing import BlockChanger
from mage_mcp.client.blocks.edges import listed, waiting_for
from mage_mcp.client.blocks.models import BlockChange
from mage_mcp.client.blocks.reading import block_in, file_of, some
from mage_mcp.client.evidence import blocks_of
from mage_mcp.client.paths import api
from mage_mcp.client.pipelines.sharing import users_of
from mage_mcp.client.records import BlockRecord, PipelineRecord
from mage_mcp.errors import MageError, MageInvalid, MageWriteUncertain
from mage_mcp.text import quoted

_FILE_GOES_TOO = ("scratchpad", "markdown")
"""Types whose file Mage deletes by itself where no other pipeline uses it."""


@dataclass(frozen=True)
class _Doomed:
    """A block to be deleted, checked."""

    record: PipelineRecord
    found: BlockRecord
    file: str
    users: list[str]
    with_file: bool

    @property
    def acts(self) -> list[str]:
        pipeline, block = quoted(self.record.uuid), quoted(self.found.uuid)
        ups = f" (upstream: {listed(self.found.upstream_blocks)})" if self.found.upstream_blocks else ""
        if self.with_file:
            return [
                f"remove block {block} from {pipeline}{ups}",
                f"delete its file {quoted(self.file)}, text kept here",
            ]
        used = f", which {listed(self.users)} uses" if self.users else ""
        return [f"remove block {block} from {pipeline}{ups}; its file {quoted(self.file)} stays{used}"]


class BlockDeleter(BlockChanger):
    """Delete blocks."""

    async def plan_delete(self, pipeline: str, block: str, *, delete_file: bool = False) -> BlockChange:
        """What `delete` would do. Raises as it does."""
        doomed = await self._doomed(pipeline, block, delete_file=delete_file)
        return _answer(doomed, changed=False, would=doomed.acts)

    async def delete(self, pipeline: str, block: str, *, delete_file: bool = False) -> BlockChange:
        """Remove a block from its pipeline; its file stays, unless it is to go and no other pipeline uses it.

        Raises MageInvalid where other blocks wait for it (Mage, when forced, cuts their edges), where other pipelines
        use the file that is to go, and where replicas would go with it; MageWriteUncertain where it is not known what
        became of it. Source: Mage BlockResource.delete.
        """
        async with self._transport.serial("pipeline", pipeline):
            doomed = await self._doomed(pipeline, block, delete_file=delete_file)
            backup = ""
            if doomed.found.type in _FILE_GOES_TOO and (text := await self._texts.find(doomed.file)) is not None:
                backup = self._texts.keep(text)  # before Mage deletes the file together with the block
            note = await self._remove(doomed)
            if doomed.with_file:
                try:
                    if await self._texts.find(doomed.file) is not None:
                        backup = (await self._texts.delete(doomed.file)).backup
                except MageError as error:
                    note = f"{note} The block is gone, its file may be there still: {error}".strip()
            return _answer(doomed, changed=True, backup=backup, note=note)

    async def _doomed(self, pipeline: str, block: str, *, delete_file: bool) -> _Doomed:
        record = await self._pipeline(pipeline)
        found = block_in(record, block)
        _refuse_elsewhere(record, found, block)
        if waiting := waiting_for(record, found.uuid):
            raise MageInvalid(
                f"In {quoted(record.uuid)} {listed(waiting)} comes after {quoted(block)}; nothing was deleted.",
                next_step="Give them other upstream_blocks with update_block first.",
            )
        replicas = sorted(each.uuid for each in record.blocks if each.replicated_block == found.uuid)
        if replicas:
            raise MageInvalid(
                f"Mage would delete its replicas too: {listed(replicas)}; nothing was deleted.",
                next_step="Delete those first.",
            )
        file = file_of(found, record)
        users = (await users_of(self._transport, [file], besides=record.uuid)).get(file, [])
        beside = sorted(b.uuid for b in blocks_of(record).values() if b is not found and file_of(b, record) == file)
        if delete_file and (users or beside):
            raise MageInvalid(
                f"{quoted(file)} is used by {listed(users or beside)} as well; nothing was deleted.",
                next_step="Leave delete_file out: the block goes, its file stays.",
            )
        with_file = delete_file or (found.type in _FILE_GOES_TOO and not users)
        return _Doomed(record, found, file, users, with_file)

    async def _remove(self, doomed: _Doomed) -> str:
        pipeline, block = doomed.record.uuid, doomed.found.uuid
        lost: MageWriteUncertain | None = None
        with anyio.CancelScope(shield=True):
            try:
                await self._transport.write("DELETE", api("pipelines", pipeline, "blocks", block), {})
            except MageWriteUncertain as error:
                lost = error
            try:
                record = await self._pipeline(pipeline)
            except MageError as error:
                if lost is not None:
                    raise lost from None
                return f"It was deleted, but that could not be read back: {error.what}"
        if block not in blocks_of(record):
            return "Mage's answer was lost; the block was looked for and is gone." if lost else ""
        raise lost or MageWriteUncertain(
            f"Mage deleted {quoted(block)}, but {quoted(pipeline)} still has it: somebody else wrote the pipeline at "
            "the same time.",
            next_step="Look with get_pipeline, then try again.",
        )


def _refuse_elsewhere(record: PipelineRecord, found: BlockRecord, block: str) -> None:
    """What is deleted in another way, or belongs to another block."""
    if found.uuid != block or all(each.uuid != block for each in record.blocks) or record.type == "integration":
        raise MageInvalid(
            f"{quoted(block)} of {quoted(record.uuid)} is no block that is deleted here; nothing was deleted.",
            next_step="Conditionals, callbacks and integration pipelines are changed in Mage's own UI.",
        )


def _answer(
    doomed: _Doomed, *, changed: bool, would: list[str] | None = None, backup: str = "", note: str = ""
) -> BlockChange:
    if changed and not doomed.with_file:
        note = f"{note} Its file {quoted(doomed.file)} stays in the project.".strip()
    if changed and doomed.with_file:
        note = f"{note} Mage keeps versions of its file in .file_versions.".strip()
    return BlockChange(
        changed=changed,
        would=would or [],
        pipeline=doomed.record.uuid,
        block=doomed.found.uuid,
        file=doomed.file,
        backup=backup,
        upstream_before=doomed.found.upstream_blocks,
        used_by=some(doomed.users),
        note=note,
    )
