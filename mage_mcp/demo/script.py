"""What the simulation knows of each block beyond its code: how long it takes, what it gives out, how it ends.

Also what happened before the world began. Blocks that are not named here take `LASTS_S` and do nothing to be seen.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mage_mcp.demo.planted import PLANTED
from mage_mcp.demo.traces import Raised, raised_in

Variables = Mapping[str, Any]
LASTS_S = 0.4
HOUR = 3600.0
DAY = 24 * HOUR


@dataclass(frozen=True)
class Output:
    """One output variable: a table, or a text. Only data frames show in `block_outputs`."""

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    text: str | None = None
    is_frame: bool = False


def frame(columns: str, *rows: tuple[Any, ...]) -> Output:
    return Output(tuple(columns.split()), rows, is_frame=True)


def record(**fields: Any) -> Output:
    """A dict; Mage shows it as a table of one row, and a list of dicts as one output an item."""
    return Output(tuple(fields), (tuple(fields.values()),))


def nothing(_: Variables) -> Sequence[Any]:
    return ()


@dataclass(frozen=True)
class Script:
    """How a block behaves. All functions get the variables that the block would get."""

    lasts_s: Callable[[Variables], float] = lambda _: LASTS_S
    prints: Callable[[Variables], Sequence[str]] = nothing
    outputs: Callable[[Variables], Sequence[Output]] = nothing
    tests: int = 0
    ends: Literal["completed", "failed", "failed once", "killed"] = "completed"
    raises: Callable[[str], Raised] | None = None
    """From the block's source, since the lines that a traceback names are the lines of the file as it is."""
    holds: bool = True
    """What a conditional block evaluates to."""


def _orders(variables: Variables, *, tax: bool) -> Output:
    count, region = int(variables.get("row_count", 3)), variables.get("region", "none")
    amounts = [round(10.5 * number, 2) for number in range(1, count + 1)]
    rows = [(number, region, amount) for number, amount in enumerate(amounts, start=1)]
    if tax:
        return frame("order_id region amount tax", *((*row, round(row[2] * 0.2, 2)) for row in rows))
    return frame("order_id region amount", *rows)


def _shown(variables: Variables) -> str:
    names = ("region", "row_count", "env", "trigger_name", "from_trigger", "from_run")
    return str({name: str(variables[name]) for name in names if name in variables})


def _seconds(variables: Variables) -> float:
    return float(variables.get("sleep_seconds", 20))


def _no_revenue(source: str) -> Raised:
    division = raised_in(
        source,
        "ZeroDivisionError",
        "float division by zero",
        ("transform", "= margin(row)"),
        ("margin", "return row["),
    )
    return raised_in(source, "ValueError", "order 2 has no revenue", ("transform", "raise ValueError"), cause=division)


def _not_ready(source: str) -> Raised:
    return raised_in(source, "RuntimeError", "the import source was not ready", ("transform", "raise RuntimeError"))


def _no_file(source: str) -> Raised:
    text = "[Errno 2] No such file or directory: 'input/orders.csv'"
    return raised_in(source, "FileNotFoundError", text, ("load_data", "raise FileNotFoundError"))


def _refused(source: str) -> Raised:
    database = f"postgresql://etl:{PLANTED['password in an error text']}@db.internal/sales"
    text = f"\033[31mcould not connect to {database}\033[0m"
    return raised_in(source, "ConnectionError", text, ("transform", "raise ConnectionError"))


_CUSTOMERS = ((1, "Ada Lovelace"), (2, "Grace Hopper"), (3, "Radia Perlman"))
_REPORT = Script(outputs=lambda _: (record(report="ready"),))

SCRIPTS: dict[str, Script] = {
    "load_orders": Script(
        prints=lambda v: (
            f"loading {v.get('row_count', 3)} orders of region {v.get('region', 'none')}",
            f"orders come from region {v.get('region', 'none')}",
        ),
        outputs=lambda v: (_orders(v, tax=False),),
        tests=1,
    ),
    "add_tax": Script(
        prints=lambda v: (f"added tax to {v.get('row_count', 3)} orders",),
        outputs=lambda v: (_orders(v, tax=True),),
    ),
    "export_orders": Script(prints=lambda v: ("exported with", _shown(v))),
    "load_numbers": Script(
        outputs=lambda _: (
            record(order_id=1, profit=4.0, revenue=10.0),
            record(order_id=2, profit=3.0, revenue=0.0),
        )
    ),
    "divide_margins": Script(
        prints=lambda _: ("dividing margins of 2 orders",),
        outputs=lambda _: (Output(("1", "2"), ((0.4, 0.5),)),),
        ends="failed",
        raises=_no_revenue,
    ),
    "export_margins": Script(prints=lambda _: ("margins", "{1: 0.4, 2: 0.5}")),
    "sleep_a_while": Script(
        lasts_s=lambda v: _seconds(v) + 0.1,
        prints=lambda v: (f"sleeping {_seconds(v)} s",),
        outputs=lambda v: (record(slept=_seconds(v)),),
    ),
    "after_sleep": Script(prints=lambda _: ("awake again",)),
    "load_one": Script(outputs=lambda _: (Output(text="1"),)),
    "fail_once": Script(outputs=lambda _: (Output(text="2"),), ends="failed once", raises=_not_ready),
    "export_one": Script(prints=lambda _: ("imported", "2")),
    "load_small": Script(outputs=lambda _: [Output(text=text) for text in "123"]),
    "leave_early": Script(prints=lambda _: ("leaving early",), ends="killed"),
    "build_report": _REPORT,
    "first_block": _REPORT,
    "make_team_report": _REPORT,
    "load_customers": Script(
        outputs=lambda _: (
            frame("customer_id name", (1, "  Ada Lovelace"), (2, "Grace Hopper "), (3, "Radia Perlman")),
        )
    ),
    "load_events": Script(
        lasts_s=lambda _: 1.5,
        outputs=lambda _: (frame("customer_id kind", (1, "visit"), (1, "order"), (2, "visit")),),
    ),
    "clean_users": Script(outputs=lambda _: (frame("customer_id name", *_CUSTOMERS),)),
    "count_events": Script(outputs=lambda _: (frame("customer_id events", (1, 2), (2, 1)),)),
    "join_profiles": Script(
        prints=lambda _: ("joined 3 profiles",),
        outputs=lambda _: (
            frame("customer_id name events", *((*row, n) for row, n in zip(_CUSTOMERS, (2, 1, 0), strict=True))),
        ),
    ),
    "export_profiles": Script(prints=lambda _: ("exported 3 profiles",)),
    "sub/read_orders": Script(ends="failed", raises=_no_file),
    "load_accounts": Script(outputs=lambda _: (record(account="acme"),)),
    "sync_accounts": Script(ends="failed", raises=_refused),
    "load_summary": Script(outputs=lambda _: (record(rows=0),)),
    "has_rows": Script(holds=False),
}
_PLAIN = Script()


def script_of(block_uuid: str) -> Script:
    return SCRIPTS.get(block_uuid, _PLAIN)


@dataclass(frozen=True)
class Past:
    """A run from before the world began; `well` when the pipeline was not yet broken."""

    trigger: str
    ago_s: float
    well: bool = False


HISTORY: tuple[Past, ...] = (
    *(Past("sales_api", days * DAY + 2 * HOUR) for days in range(5)),
    Past("orders_api", 6 * DAY + HOUR, well=True),
    Past("orders_api", 5 * DAY + HOUR, well=True),
    Past("orders_api", 2 * DAY + HOUR),
    Past("orders_api", DAY + HOUR),
    Past("orders_api", 3 * HOUR),
    Past("slow_api", 2 * DAY),
    Past("slow_api", DAY),
    Past("flaky_api", 5 * HOUR),
    Past("crash_api", 2.25 * HOUR),
    Past("customer_api", DAY + 6 * HOUR),
    Past("customer_api", 6 * HOUR),
    Past("nested_api", 4 * HOUR),
    Past("guarded_api", 7 * HOUR),
    Past("leaky_api", 8 * HOUR),
)
