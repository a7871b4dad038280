"""Where in a pipeline a word stands that is not in its uuid, which is all that Mage itself looks at."""

from collections.abc import Iterator

from mage_mcp.client.records import PipelineRecord
from mage_mcp.text import one_line

_LONGEST = 80


def found_in(record: PipelineRecord, search: str) -> str:
    """`block load_orders`, `name Weekly Report` or `description`, the first that holds it; empty where none does.

    Capitals do not count, and blanks stand for underscores too: uuids are made from names that way.
    """
    word = search.strip().lower()
    words = {word, word.replace(" ", "_")} - {""}
    for where, text in _places(record):
        if any(each in text.lower() for each in words):
            return where
    return ""


def _places(record: PipelineRecord) -> Iterator[tuple[str, str]]:
    for block in (*record.blocks, *record.conditionals, *record.callbacks):
        yield f"block {one_line(block.uuid, _LONGEST)}", f"{block.uuid}\n{block.name}"
    yield f"name {one_line(record.name, _LONGEST)}", record.name
    yield "description", record.description
