"""The ways in which a run of Mage fails, or only looks well: one small pipeline each, and what is to be said of it.

The same definitions seed a real Mage and read the recordings under `recorded/`, which were made with Mage 0.9.80.
`{project}` in a source stands for the name of the project's folder.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mage_mcp.demo.project import Block, Trigger
from tests.failures.sources import RATES, SOURCES
from tests.lab.definitions import LabBlock, LabPipeline


@dataclass(frozen=True)
class Reason:
    """What a failure has to say. `at` is the file whose line marked `# HERE` it has to name."""

    block: str = ""
    type: str = ""
    message: str = ""
    at: str = ""
    function: str = ""
    note: str = ""
    file: str = ""  # where it names one without a line
    cause: tuple[str, str, int | None] | None = None
    tests: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """What a finding has to say. `times` is the least number."""

    kind: str
    block: str = ""
    times: int | None = None
    reason: Reason | None = None
    never_ran: tuple[str, ...] = ()
    last_line: str = ""


@dataclass(frozen=True)
class Kind:
    """One way to fail. `wait_s` is how long its end may take; a run that `ends` not is to be cancelled after that."""

    name: str
    about: str
    pipeline: LabPipeline
    status: str = "failed"
    reasons: tuple[Reason, ...] = ()
    found: tuple[Found, ...] = ()
    not_run: tuple[str, ...] = ()
    action: Literal["", "cancel while running", "retry after the end", "retry after the timeout"] = ""
    wait_s: int = 60
    files: Mapping[str, str] = field(default_factory=dict)  # beside the blocks' own
    absent: tuple[str, ...] = ()  # blocks whose file is not written
    needs: tuple[str, ...] = ()  # packages that Mage does not bring along

    @property
    def ends(self) -> bool:
        return self.status != "running"

    @property
    def every_file(self) -> Mapping[str, str]:
        """The files of its project that concern it."""
        blocks = {block.file_path: block.source for block in self.pipeline.every_block if block.uuid not in self.absent}
        return {**blocks, **self.files}

    def line(self, path: str) -> int:
        """The line marked in that file."""
        return next(n for n, text in enumerate(self.every_file[path].split("\n"), 1) if text.endswith("# HERE"))


def _block(uuid: str, kind: str, *upstream: str, language: str = "python", **more: Any) -> LabBlock:
    configuration = more.pop("configuration", {})
    return LabBlock(uuid, kind, SOURCES[uuid], upstream, language=language, configuration=configuration, extra=more)


def _middle(uuid: str, **more: Any) -> tuple[Block, ...]:
    return (
        _block("feed_rows", "data_loader"),
        _block(uuid, "transformer", "feed_rows", **more),
        _block("store_rows", "data_exporter", uuid),
    )


def _first(uuid: str, sink: str = "store_rows", *, sink_language: str = "python", **more: Any) -> tuple[Block, ...]:
    return (_block(uuid, "data_loader", **more), _block(sink, "data_exporter", uuid, language=sink_language))


def _branches(*uuids: str) -> tuple[Block, ...]:
    branches = (_block(uuid, "transformer", "feed_rows") for uuid in uuids)
    return (_block("feed_rows", "data_loader"), *branches, _block("store_rows", "data_exporter", *uuids))


def _dynamic(feed: str, part: str) -> tuple[Block, ...]:
    return (
        _block(feed, "data_loader", configuration={"dynamic": True}),
        _block(part, "transformer", feed),
        _block("store_rows", "data_exporter", part),
    )


def _kind(
    name: str,
    about: str,
    blocks: tuple[Block, ...],
    *reasons: Reason,
    settings: Mapping[str, Any] | None = None,
    pipeline: Mapping[str, Any] | None = None,
    **more: Any,
) -> Kind:
    uuid = f"failure_{name}"
    trigger = Trigger(f"api_{uuid}", "api", settings=settings or {})
    made = LabPipeline(
        uuid, f"Fails on purpose: {about}.", blocks, tags=("failure",), triggers=(trigger,), **pipeline or {}
    )
    more.setdefault("not_run", ("store_rows",) if more.get("status", "failed") == "failed" else ())
    return Kind(name, about, made, reasons=reasons, **more)


def _raised(block: str, kind: str, message: str, *, folder: str = "transformers", **more: Any) -> Reason:
    """An error on the marked line of the block's own file."""
    more.setdefault("at", f"{folder}/{block.partition(':')[0]}.py")
    return Reason(block, kind, message, function=more.pop("function", "transform"), **more)


_YAML: Mapping[str, Any] = {"language": "yaml", "sink_language": "yaml"}
_NOBODYS_LINE = "No line of your code is involved"
_DIES: Mapping[str, Any] = {"status": "running", "wait_s": 30}
_NO_FUNCTION = (
    "Block no_function does not have any decorated functions. "
    "Make sure that a function in the block is decorated with @transformer."
)
_NO_CONNECTOR = "Consuming data from no_such_connector is not supported in streaming pipelines yet."
_STREAM_SOURCE, _SYNC_SOURCE = "data_loaders/broken_source.yaml", "data_loaders/failing_sync_source.yaml"
_NO_STREAM = Reason(type="Exception", message=_NO_CONNECTOR, file=_STREAM_SOURCE)
_NO_TABLE = (
    "Execution failed on sql (left out): Catalog Error: Table with name orders_that_are_not_there does not exist!\n"
    'Did you mean "pg_prepared_statements"?\n\nLINE 2: FROM orders_that_are_not_there\n'
    "             ^^^^^^^^^^^^^^^^^^^^^^^^^\nunable to rollback"
)
_NOT_A_FLOAT = ("ValueError", "could not convert string to float: 'n/a'")
_RETRIED: Mapping[str, Any] = {"retry_config": {"retries": 1, "delay": 1}}
_GUARD: Mapping[str, Any] = {"status": "completed", "not_run": ()}

_LIST = (
    _kind(
        "raise",
        "plain ValueError",
        _middle("raise_error"),
        _raised("raise_error", "ValueError", "2 rows, at most 1 allowed"),
    ),
    _kind(
        "key_error",
        "the message of a KeyError has no type",
        _middle("key_error"),
        _raised("key_error", "KeyError", "'amount'"),
    ),
    _kind(
        "chained",
        "raise ... from err",
        _middle("chained_error"),
        _raised("chained_error", "RuntimeError", "could not parse the prices", cause=(*_NOT_A_FLOAT, 6)),
    ),
    _kind(
        "chained_implicit",
        "an error while another is handled",
        _middle("chained_implicit"),
        _raised("chained_implicit", "KeyError", "'fallback_price'", cause=(*_NOT_A_FLOAT, 8)),
    ),
    _kind(
        "utils_helper",
        "the error is raised in a file of utils/",
        _middle("use_helper"),
        Reason("use_helper", "ZeroDivisionError", "float division by zero", "utils/failure_rates.py", "rate"),
        files={"utils/failure_rates.py": RATES},
    ),
    _kind(
        "library_frame",
        "the error is raised inside pandas",
        _middle("library_frame"),
        _raised("library_frame", "KeyError", "'amount'", function="amounts"),
    ),
    _kind(
        "syntax_error",
        "block file that does not parse",
        _middle("bad_syntax"),
        _raised("bad_syntax", "SyntaxError", "'[' was never closed", function=""),
    ),
    _kind(
        "import_error",
        "import of a module that is not there",
        _middle("missing_module"),
        _raised("missing_module", "ModuleNotFoundError", "No module named 'no_such_package_here'", function="<module>"),
    ),
    _kind(
        "test_assert",
        "one of two @test functions fails an assert",
        _middle("failing_test"),
        _raised(
            "failing_test",
            "AssertionError",
            "expected at least 5 rows, got 2",
            function="test_enough_rows",
            tests=("test_enough_rows: AssertionError: expected at least 5 rows, got 2",),
            note="1/2 tests passed",
        ),
    ),
    _kind(
        "test_raises",
        "a @test function raises KeyError",
        _middle("raising_test"),
        _raised("raising_test", "KeyError", "'rows'", function="test_output"),
    ),
    _kind(
        "dynamic_child",
        "named child two fails",
        _dynamic("dynamic_feed", "dynamic_part"),
        _raised("dynamic_part:two", "ValueError", "cannot handle item {'n': 2}"),
    ),
    _kind(
        "dynamic_child_plain",
        "second child fails, children without names",
        _dynamic("dynamic_feed_plain", "dynamic_part_plain"),
        _raised("dynamic_part_plain:1", "ValueError", "cannot handle item {'n': 2}"),
    ),
    _kind(
        "dynamic_parent",
        "the dynamic loader fails",
        _dynamic("dynamic_feed_failing", "dynamic_part"),
        _raised("dynamic_feed_failing", "ValueError", "nothing to feed", folder="data_loaders", function="load_data"),
        not_run=("dynamic_part", "store_rows"),
    ),
    _kind(
        "nested_block",
        "block in a nested folder",
        _first("sub/nested_one"),
        _raised(
            "sub/nested_one",
            "FileNotFoundError",
            "[Errno 2] No such file or directory: 'input/orders.csv'",
            folder="data_loaders",
            function="load_data",
        ),
    ),
    _kind(
        "trigger_timeout",
        "settings.timeout of the trigger",
        _first("sleep_long"),
        Reason(message="Pipeline run timed out after 3 seconds", note="Under way at that time: sleep_long."),
        settings={"timeout": 3},
    ),
    _kind(
        "trigger_timeout_cancelled",
        "settings.timeout with timeout_status cancelled",
        _first("sleep_long"),
        Reason(message="Pipeline run timed out after 3 seconds", note="Under way at that time: sleep_long."),
        settings={"timeout": 3, "timeout_status": "cancelled"},
        status="cancelled",
        not_run=("store_rows",),
    ),
    _kind(
        "block_timeout",
        "timeout of the block",
        _first("sleep_long_limited", timeout=3),
        Reason("sleep_long_limited", message="Block sleep_long_limited timed out after 3 seconds", note="own timeout"),
    ),
    _kind(
        "integration",
        "integration pipeline without the integrations package",
        _first("failing_sync_source_catalog", "failing_sync_destination", **_YAML),
        Reason(
            type="ModuleNotFoundError",
            message="No module named 'mage_integrations'",
            note="not installed where Mage runs. No block had started",
        ),
        pipeline={"type": "integration"},
        not_run=(),
    ),
    _kind(
        "integration_no_catalog",
        "integration pipeline whose source has no catalog",
        _first("failing_sync_source", "failing_sync_destination", **_YAML),
        Reason(type="KeyError", message="'catalog'", file=_SYNC_SOURCE, note="its streams have to be chosen"),
        pipeline={"type": "integration"},
        not_run=(),
    ),
    _kind(
        "streaming_config",
        "streaming, unknown connector, retries 0",
        _first("broken_source", "dummy_sink", **_YAML),
        Reason(type="Exception", message=_NO_CONNECTOR, file=_STREAM_SOURCE, note=_NOBODYS_LINE),
        pipeline={"type": "streaming", "extra": {"retry_config": {"retries": 0}}},
        not_run=(),
    ),
    _kind(
        "streaming_config_no_retry_config",
        "the same without retry_config",
        _first("broken_source", "dummy_sink", **_YAML),
        pipeline={"type": "streaming"},
        status="running",
        wait_s=20,
        found=(Found("streaming_restarts", times=2, reason=_NO_STREAM),),
    ),
    _kind(
        "retry_passes",
        "retry_config of the block, second attempt passes",
        _middle("pass_on_retry", **_RETRIED),
        status="completed",
        found=(
            Found(
                "retry_passed",
                "pass_on_retry",
                times=1,
                reason=_raised("pass_on_retry", "ConnectionError", "first attempt fails on purpose"),
            ),
        ),
    ),
    _kind(
        "retry_exhausted",
        "retry_config of the block, both attempts fail, differently",
        _middle("fail_on_retry", **_RETRIED),
        _raised("fail_on_retry", "TimeoutError", "the second attempt fails too", note="tried 2 times"),
    ),
    _kind(
        "retry_in_place",
        "retry_blocks after the end, fails again, differently",
        _middle("fail_on_retry"),
        _raised("fail_on_retry", "TimeoutError", "the second attempt fails too"),
        action="retry after the end",
    ),
    _kind(
        "late_retry",
        "retry_blocks when the trigger's timeout is over",
        _middle("raise_error"),
        Reason(
            message="Pipeline run timed out after 8 seconds",
            note="Before that, raise_error failed. Nothing ran since",
            cause=("ValueError", "2 rows, at most 1 allowed", 12),
        ),
        settings={"timeout": 8},
        action="retry after the timeout",
    ),
    _kind(
        "two_branches",
        "two branches fail",
        _branches("branch_left", "branch_right"),
        _raised("branch_left", "ValueError", "left branch gives up"),
        _raised("branch_right", "TypeError", "right branch gives up"),
    ),
    _kind(
        "branch_cancelled",
        "one branch fails, the other is under way",
        _branches("branch_left", "branch_slow"),
        _raised("branch_left", "ValueError", "left branch gives up"),
    ),
    _kind(
        "two_branches_allowed",
        "two of three branches fail, settings.allow_blocks_to_fail",
        _branches("branch_left", "branch_right", "branch_slow"),
        _raised("branch_left", "ValueError", "left branch gives up"),
        _raised("branch_right", "TypeError", "right branch gives up"),
        settings={"allow_blocks_to_fail": True},
    ),
    _kind(
        "sql_block",
        "SQL block, no driver",
        _first(
            "query_orders",
            language="sql",
            configuration={"data_provider": "postgres", "data_provider_profile": "default", "use_raw_sql": True},
        ),
        Reason(
            "query_orders", "ModuleNotFoundError", "No module named 'psycopg2'", note="the SQL block's database driver"
        ),
    ),
    _kind(
        "sql_error",
        "SQL block, the table is not there",
        _first(
            "query_orders_duckdb",
            language="sql",
            configuration={"data_provider": "duckdb", "data_provider_profile": "failures", "use_raw_sql": True},
        ),
        Reason(
            "query_orders_duckdb",
            "pandas.errors.DatabaseError",
            _NO_TABLE,
            file="data_loaders/query_orders_duckdb.sql",
            note="the one the database names",
        ),
        needs=("duckdb",),
    ),
    _kind(
        "condition_false",
        "conditional block answers false",
        _middle("guarded_step"),
        pipeline={"conditionals": (_block("never_true", "conditional", "guarded_step"),)},
        found=(Found("condition_false", "guarded_step", never_ran=("guarded_step", "store_rows")),),
        **_GUARD,
    ),
    _kind(
        "condition_raises",
        "conditional block raises",
        _middle("guarded_step_raising"),
        pipeline={"conditionals": (_block("raising_condition", "conditional", "guarded_step_raising"),)},
        found=(
            Found(
                "condition_broken",
                "guarded_step_raising",
                reason=_raised(
                    "raising_condition",
                    "IndexError",
                    "list index out of range",
                    folder="conditionals",
                    function="evaluate_condition",
                ),
                never_ran=("guarded_step_raising", "store_rows"),
            ),
        ),
        **_GUARD,
    ),
    _kind(
        "callback_raises",
        "block fails, and then its failure callback",
        _middle("callback_parent"),
        _raised("callback_parent", "ValueError", "the block itself gives up"),
        pipeline={"callbacks": (_block("raising_failure_callback", "callback", "callback_parent"),)},
        found=(
            Found(
                "callback_failed",
                "callback_parent",
                reason=_raised(
                    "raising_failure_callback",
                    "LookupError",
                    "the failure callback gives up",
                    folder="callbacks",
                    function="on_failure",
                    cause=("ValueError", "the block itself gives up", None),
                ),
            ),
        ),
    ),
    _kind(
        "success_callback_raises",
        "block passes, its success callback fails",
        _middle("callback_parent_fine"),
        pipeline={"callbacks": (_block("raising_success_callback", "callback", "callback_parent_fine"),)},
        found=(
            Found(
                "callback_failed",
                "callback_parent_fine",
                reason=_raised(
                    "raising_success_callback",
                    "LookupError",
                    "the success callback gives up",
                    folder="callbacks",
                    function="on_success",
                ),
            ),
        ),
        status="completed",
    ),
    _kind(
        "unserialisable",
        "block returns a lock",
        _middle("unserialisable"),
        Reason(
            "unserialisable",
            "TypeError",
            "cannot pickle '_thread.lock' object",
            note="Mage could not store what it returned",
        ),
    ),
    _kind(
        "many_lines",
        "30000 printed lines, then an error",
        _middle("many_lines"),
        _raised("many_lines", "ValueError", "gave up after 30000 lines"),
        wait_s=180,
    ),
    _kind(
        "secret_ansi",
        "message with a password and with colours",
        _middle("secret_message"),
        _raised("secret_message", "ConnectionError", "cannot reach postgresql://•••@host/db, tried twice"),
    ),
    _kind(
        "empty_message",
        "exception without a text",
        _middle("empty_message"),
        _raised("empty_message", "RuntimeError", ""),
    ),
    _kind(
        "multiline_message",
        "own exception class, message of 3 lines",
        _middle("multiline_message"),
        _raised("multiline_message", "InvoiceError", "2 invoices are bad:\n  row 1: price is empty\nTotal: 2"),
    ),
    _kind(
        "noted_error",
        "exception with a note",
        _middle("noted_error"),
        _raised("noted_error", "ValueError", "price is empty\nseen in row 2"),
    ),
    _kind(
        "exception_group",
        "ExceptionGroup",
        _middle("group_error"),
        _raised(
            "group_error",
            "ExceptionGroup",
            "bad rows (2 sub-exceptions)",
            cause=("ValueError", "invalid literal for int() with base 10: '3.5'", 10),
        ),
    ),
    _kind(
        "generated_frame",
        "error inside generated code (a dataclass)",
        _middle("generated_frame"),
        _raised("generated_frame", *_NOT_A_FLOAT),
    ),
    _kind(
        "no_function",
        "block file without a decorated function",
        _middle("no_function"),
        Reason(
            "no_function",
            "Exception",
            _NO_FUNCTION,
            file="transformers/no_function.py",
            note="no function with the block's decorator",
        ),
    ),
    _kind(
        "missing_file",
        "block whose file is gone",
        _middle("file_is_gone"),
        Reason(
            "file_is_gone",
            "FileNotFoundError",
            "No such file or directory: 'transformers/file_is_gone.py'",
            file="transformers/file_is_gone.py",
            note="The block's file is missing",
        ),
        absent=("file_is_gone",),
    ),
    _kind(
        "one_process",
        "run_pipeline_in_one_process",
        _middle("raise_error"),
        _raised("raise_error", "ValueError", "2 rows, at most 1 allowed"),
        pipeline={"extra": {"run_pipeline_in_one_process": True}},
    ),
    _kind(
        "cancelled",
        "cancelled while its block runs",
        _first("sleep_long"),
        action="cancel while running",
        status="cancelled",
        not_run=("store_rows",),
    ),
    _kind(
        "sys_exit",
        "sys.exit(1)",
        _middle("sys_exits"),
        found=(Found("worker_dies", "sys_exits", times=2, last_line="leaving"),),
        **_DIES,
    ),
    _kind(
        "os_exit",
        "os._exit(1)",
        _middle("os_exits"),
        found=(Found("worker_dies", "os_exits", times=2, last_line="leaving at once"),),
        **_DIES,
    ),
    _kind(
        "os_exit_timeout",
        "os._exit(1), and settings.timeout of the trigger",
        _middle("os_exits"),
        Reason(message="Pipeline run timed out after 5 seconds", note="its worker died without an error"),
        settings={"timeout": 5},
    ),
    _kind(
        "killed",
        "SIGKILL to the worker",
        _middle("kills_itself"),
        found=(Found("worker_dies", "kills_itself", times=2, last_line="as if out of memory"),),
        **_DIES,
    ),
)

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _LIST}
"""By name; the pipeline of each is `failure_NAME`, its trigger `api_failure_NAME`."""

IO_PROFILE = "failures:\n  DUCKDB_DATABASE: ':memory:'\n  DUCKDB_SCHEMA: main\n"
"""What `sql_error` needs in the project's io_config.yaml."""
