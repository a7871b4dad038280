"""Block files are shared by name across a project: which pipelines use which."""

from collections.abc import Iterable, Mapping

from mage_mcp.client.evidence import block_file, blocks_of
from mage_mcp.client.paths import api
from mage_mcp.client.records import PipelineRecord
from mage_mcp.client.replies import rows
from mage_mcp.client.transport import Transport


def files_of(record: PipelineRecord) -> list[str]:
    """The files of a pipeline's blocks, callbacks and conditionals, sorted; scratchpads go with their pipeline."""
    return sorted({block_file(block) for block in blocks_of(record).values() if block.type != "scratchpad"})


async def users_of(transport: Transport, files: Iterable[str], *, besides: str) -> Mapping[str, list[str]]:
    """For each of the files that other pipelines use as well, their uuids, sorted.

    As far as Mage tells: its list is a cache that edits on disk do not reach, without callbacks and conditionals.
    """
    wanted, found = set(files), dict[str, list[str]]()
    if not wanted:
        return found
    for row in rows(await transport.read(api("pipelines")), "pipelines"):
        record = PipelineRecord.model_validate(row)
        if record.uuid == besides:
            continue
        for file in wanted.intersection(files_of(record)):
            found.setdefault(file, []).append(record.uuid)
    return {file: sorted(users) for file, users in sorted(found.items())}
