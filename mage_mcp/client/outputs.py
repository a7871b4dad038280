"""What blocks produced: a sample, with its real size."""

import json
from math import isfinite
from typing import Annotated, Any

from pydantic import Field

from mage_mcp.client.evidence import base_uuid
from mage_mcp.client.models import ROOM, ROOM_BY_DEFAULT, Answer, Name, Untrusted, how_many_fit
from mage_mcp.client.near import did_you_mean
from mage_mcp.client.paths import api, block_uuid
from mage_mcp.client.records import BlockRunRecord, RunRecord
from mage_mcp.client.replies import root
from mage_mcp.client.runs import Runs
from mage_mcp.client.transport import Transport
from mage_mcp.errors import MageInvalid, MageNotFound
from mage_mcp.text import MASK, beginning, is_secret_name, one_line, quoted, shorten

_DEFAULT_ROWS = 10
_LONGEST_CELL = 100
_LONGEST_TEXT = 2_000
_MOST_COLUMNS = 40
_MOST_OUTPUTS = 10
_MOST_CELLS = 1_200


class Column(Answer):
    name: str
    type: str = Field(default="", description="JSON type of its values, from the sample.")


class Output(Answer):
    variable: Name = ""
    columns: Annotated[list[Column], Untrusted()] = []
    rows: Annotated[list[list[Any]], Untrusted()] = Field(default=[], description="Cells in the order of columns.")
    total_rows: int | None = None
    total_columns: int | None = None
    text: Annotated[str, Untrusted(block="text")] = ""


class BlockOutput(Answer):
    run: int
    pipeline: Name
    block: Name
    status: str = Field(description="Of the block in this run.")
    outputs: list[Output] = []
    note: str = ""


class Outputs:
    """Samples of block outputs."""

    def __init__(self, transport: Transport, runs: Runs) -> None:
        self._transport = transport
        self._runs = runs

    async def get(self, block: str, *, run: str = "", pipeline: str = "", rows: int = _DEFAULT_ROWS) -> BlockOutput:
        """A sample of what a block produced in a run, or in the pipeline's latest completed one.

        Raises MageNotFound for an unknown run, pipeline or block. Source: Mage OutputResource; it sends up to 1,000
        rows and the real shape, so the sample is cut here.
        """
        block_uuid(block)
        record = await self._runs.find(run, pipeline=pipeline, status="completed" if pipeline and not run else None)
        block_run = _block_run(record, block)
        reply = await self._transport.read(api("block_runs", block_run.id, "outputs"))
        raw = [row for row in root(reply, "outputs", kind=list) if isinstance(row, dict)]
        outputs = [_output(row, rows=rows) for row in raw]
        merged = _fitted(_rows_of_a_list(outputs, rows=rows), room=ROOM if rows > _DEFAULT_ROWS else ROOM_BY_DEFAULT)
        cut = len(merged) - _MOST_OUTPUTS
        return BlockOutput(
            run=record.id,
            pipeline=record.pipeline_uuid,
            block=block_run.block_uuid,
            status=block_run.status,
            outputs=merged[:_MOST_OUTPUTS],
            note=_note(block_run, outputs) or (f"{cut} more outputs are not shown." if cut > 0 else ""),
        )


def _block_run(record: RunRecord, block: str) -> BlockRunRecord:
    exact = [b for b in record.block_runs if b.block_uuid == block]
    if exact:
        return exact[0]
    children = [b for b in record.block_runs if base_uuid(b.block_uuid) == block]
    if children:
        names = ", ".join(quoted(b.block_uuid) for b in children[:10])
        raise MageInvalid(f"{quoted(block)} is a dynamic block.", next_step=f"Name one of its children: {names}.")
    raise MageNotFound(
        f"Run {record.id} of {quoted(record.pipeline_uuid)} has no block {one_line(block, 80)!r}.",
        next_step=did_you_mean(block, (b.block_uuid for b in record.block_runs), where=f"in run {record.id}"),
    )


def _output(row: dict[str, Any], *, rows: int) -> Output:
    variable = str(row.get("variable_uuid") or "")
    sample = row.get("sample_data")
    if not isinstance(sample, dict) or not isinstance(sample.get("rows"), list):
        text = row.get("text_data")
        return Output(variable=variable, text="" if text is None else _start(_as_text(text), _LONGEST_TEXT))
    names = [str(name) for name in sample.get("columns") or []][:_MOST_COLUMNS]
    secret = {i for i, name in enumerate(names) if is_secret_name(name)}
    cells = [list(line)[:_MOST_COLUMNS] for line in sample["rows"] if isinstance(line, list)]
    most = max(1, min(rows, _MOST_CELLS // max(1, len(names))))
    told = row.get("shape")
    shape = told if isinstance(told, list) and all(isinstance(size, int) for size in told) else []
    return Output(
        variable=variable,
        columns=[
            Column(name=one_line(name, 60), type=_type_of([line[i] for line in cells if i < len(line)]))
            for i, name in enumerate(names)
        ],
        rows=[[_cell(cell, secret=i in secret) for i, cell in enumerate(line)] for line in cells[:most]],
        total_rows=shape[0] if shape else len(cells),
        total_columns=shape[1] if len(shape) > 1 else len(sample.get("columns") or []),
    )


def _rows_of_a_list(outputs: list[Output], *, rows: int) -> list[Output]:
    """Mage answers a list as one output an item, of objects as tables of one row: put them together again."""
    if len(outputs) > 1 and all(output.text for output in outputs):
        text = shorten("\n".join(output.text for output in outputs), _LONGEST_TEXT)
        return [Output(text=text, total_rows=len(outputs))]
    tables = [output for output in outputs if output.total_rows == 1 and output.columns]
    names = {tuple(column.name for column in output.columns) for output in tables}
    if len(outputs) < 2 or len(tables) != len(outputs) or len(names) != 1:
        return outputs
    first = outputs[0]
    together = {
        "rows": [output.rows[0] for output in outputs[:rows] if output.rows],
        "total_rows": len(outputs),
        "variable": "",
    }
    return [first.model_copy(update=together)]


def _fitted(outputs: list[Output], *, room: int) -> list[Output]:
    """The outputs with as many rows, or as much text, as there is room for; each gets an equal share."""
    share = room // max(1, min(len(outputs), _MOST_OUTPUTS))
    return [_cut(output, share) for output in outputs]


def _cut(output: Output, room: int) -> Output:
    columns = sum(len(column.name.encode()) + 30 for column in output.columns)
    text = shorten(output.text, room if output.text.isascii() else room // 3)
    return output.model_copy(
        update={"rows": output.rows[: how_many_fit(output.rows, room=room - columns)], "text": text}
    )


def _type_of(values: list[Any]) -> str:
    kinds = {_TYPES.get(type(value), "object") for value in values if value is not None}
    return kinds.pop() if len(kinds) == 1 else "number" if kinds == {"integer", "number"} else "mixed" if kinds else ""


_TYPES: dict[type, str] = {bool: "boolean", int: "integer", float: "number", str: "string"}


def _cell(value: Any, *, secret: bool) -> Any:
    if secret and value is not None:
        return MASK
    if isinstance(value, float) and not isfinite(value):
        return str(value)  # JSON has no word for it
    if value is None or isinstance(value, bool | int | float):
        return value
    return _start(_as_text(value), _LONGEST_CELL)


def _start(text: str, limit: int) -> str:
    """Short ones as they are: they are shown later anyway, and there are many."""
    return text if len(text) <= limit else beginning(text, limit)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _note(block_run: BlockRunRecord, outputs: list[Output]) -> str:
    if outputs:
        return ""
    if block_run.status != "completed":
        return f"The block is {block_run.status} in this run, so it has no output."
    return "The block completed without an output that Mage keeps; exporters have none."
