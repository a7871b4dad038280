"""Tools to read and write the project's files."""

from typing import Annotated

from pydantic import Field

from mage_mcp.client.files import FileChange, FileDetail, FilePage
from mage_mcp.tools._args import Limit, Offset
from mage_mcp.tools._deps import Mage
from mage_mcp.tools._toolset import Toolset

tools = Toolset("files")

Path = Annotated[str, Field(description="Relative to the project.", min_length=1)]
FromLine = Annotated[int | None, Field(description="First line, from 1.", ge=1)]
ToLine = Annotated[int | None, Field(description="Last line.", ge=1)]


@tools.read("List files")
async def list_files(
    mage: Mage,
    folder: Annotated[str, Field(description="The project's own if not given.")] = "",
    search: Annotated[str, Field(description="Part of the path, in all folders below.")] = "",
    limit: Limit = 50,
    offset: Offset = 0,
) -> FilePage:
    """List what is in a folder of the project, or search for files."""
    return await mage.files.list(folder, search=search, limit=limit, offset=offset)


@tools.read("Read a file")
async def read_file(mage: Mage, path: Path, from_line: FromLine = None, to_line: ToLine = None) -> FileDetail:
    """Read a text file of the project, in whole with a hash or in part; secrets are masked."""
    return await mage.files.get(path, from_line=from_line, to_line=to_line)


@tools.change("Write a file")
async def write_file(
    mage: Mage,
    path: Path,
    content: Annotated[str, Field(description="The whole new text.")] = "",
    replace: Annotated[
        dict[str, str] | None, Field(description="Instead: {old, new}; old stands in it exactly once.")
    ] = None,
    expected_hash: Annotated[str, Field(description="From read_file; needed to replace a whole file.")] = "",
    allow_empty: Annotated[bool, Field(description="The file is to be empty.")] = False,
    dry_run: Annotated[bool, Field(description="Only show the diff.")] = False,
) -> FileChange:
    """Make or change a text file of the project; answers the diff. The former text is kept.

    A block's code is better changed by update_block.
    """
    return await mage.files.write(
        path,
        content=content,
        replace=replace,
        expected_hash=expected_hash,
        allow_empty=allow_empty,
        dry_run=dry_run,
    )
