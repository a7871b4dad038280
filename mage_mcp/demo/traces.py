"""Tracebacks as Mage hands them out: its own frames around those of a block's code."""

from collections.abc import Sequence
from dataclasses import dataclass

SITE_PACKAGES = "/usr/local/lib/python3.11/site-packages"

Frame = tuple[str, int, str, str]
"""File, line, function, and the line's text ("" where Python has no source to show)."""

_BLOCK = "mage_ai/data_preparation/models/block/__init__.py"
_EXECUTOR = "mage_ai/data_preparation/executors/block_executor.py"

_AROUND_A_BLOCK: tuple[Frame, ...] = (
    (_EXECUTOR, 647, "execute", "result = __execute_with_retry()"),
    ("mage_ai/shared/retry.py", 54, "retry_func", "raise e"),
    ("mage_ai/shared/retry.py", 38, "retry_func", "return func(*args, **kwargs)"),
    (_EXECUTOR, 621, "__execute_with_retry", "return self._execute("),
    (_EXECUTOR, 1154, "_execute", "result = self.block.execute_sync("),
    (_BLOCK, 1691, "execute_sync", "return __execute()"),
    (_BLOCK, 1668, "__execute", "raise err"),
    (_BLOCK, 1570, "__execute", "output = self.execute_block("),
    (_BLOCK, 1910, "execute_block", "outputs = self._execute_block("),
    (_BLOCK, 2073, "_execute_block", "outputs = self.execute_block_function("),
    (_BLOCK, 2169, "execute_block_function", "output = block_function_updated(*input_vars, **global_vars)"),
)
_WITHIN_THE_RETRY = 2
"""A warning about one attempt is written two frames further in than the final error."""

_PROCESS: tuple[Frame, ...] = (
    ("typer/main.py", 311, "__call__", "return get_command(self)(*args, **kwargs)"),
    ("click/core.py", 1161, "__call__", "return self.main(*args, **kwargs)"),
    ("click/core.py", 1443, "invoke", "return ctx.invoke(self.callback, **ctx.params)"),
    ("mage_ai/cli/main.py", 147, "start", "start_server("),
    ("mage_ai/server/server.py", 813, "start_server", "scheduler_manager.start_scheduler()"),
    ("mage_ai/server/scheduler_manager.py", 60, "run_scheduler", "LoopTimeTrigger().start()"),
    ("mage_ai/orchestration/triggers/time_trigger.py", 11, "run", "schedule_all()"),
    ("mage_ai/orchestration/queue/process_queue.py", 122, "enqueue", "self.start_worker_pool()"),
    ("mage_ai/orchestration/queue/process_queue.py", 355, "poll_job_and_execute", "worker.start()"),
    ("mage_ai/orchestration/db/process.py", 15, "start_session_and_run", "results = target(*args)"),
    (_EXECUTOR, 659, "execute", "errors = traceback.format_stack()"),
)
_REQUEST: tuple[Frame, ...] = (
    ("tornado/web.py", 1790, "_execute", "result = await result"),
    ("mage_ai/server/api/v1.py", 49, "get", "return await execute_operation(self, resource, **dict("),
    ("mage_ai/api/views.py", 66, "execute_operation", "response = await base_operation.execute()"),
    ("mage_ai/api/operations/base.py", 141, "execute", "result = await self.__executed_result()"),
    ("mage_ai/api/operations/base.py", 301, "__executed_result", "return await self.__delete_show_or_update()"),
    ("mage_ai/orchestration/db/__init__.py", 160, "func_with_rollback", "return func(*args, **kwargs)"),
)


def _place(frame: Frame) -> str:
    path, line, function, text = frame
    place = f'  File "{path}", line {line}, in {function}\n'
    return f"{place}    {text}\n" if text else place


def _render(frame: Frame) -> str:
    """A frame of a traceback, with carets under the call."""
    shown, text = _place(frame), frame[3]
    _, _, called = text.rpartition("= ") if " = " in text else text.rpartition("return ")
    if "(" in called:
        shown += " " * (4 + len(text) - len(called)) + "^" * len(called) + "\n"
    return shown


def _mage(frames: Sequence[Frame]) -> list[Frame]:
    return [(f"{SITE_PACKAGES}/{path}", line, function, text) for path, line, function, text in frames]


def _stack(lines: int) -> tuple[str, ...]:
    process = [_place(frame) for frame in _mage(_PROCESS)]
    return tuple((process * (lines // len(process) + 1))[:lines])


WORKER_STACK = _stack(51)
"""`metrics.error.errors`: Mage's own stack, as long as it is useless."""
SERVER_STACK = _stack(28)

_HEAD = "Traceback (most recent call last):\n"


@dataclass(frozen=True)
class Raised:
    """An exception out of a block: its type, its text, the frames of the block's own code."""

    type: str
    text: str
    frames: tuple[Frame, ...]
    cause: "Raised | None" = None

    def traceback(self, *, attempt: bool = False) -> str:
        """The whole text; `attempt` for the warning that the retrying code writes."""
        before = ""
        if self.cause is not None:
            own = "".join(_render(frame) for frame in self.cause.frames)
            before = f"{_HEAD}{own}{self.cause.type}: {self.cause.text}\n"
            before += "\nThe above exception was the direct cause of the following exception:\n\n"
        around = _mage(_AROUND_A_BLOCK[_WITHIN_THE_RETRY if attempt else 0 :])
        frames = "".join(_render(frame) for frame in (*around, *self.frames))
        return f"{before}{_HEAD}{frames}{self.type}: {self.text}\n"


def server_traceback(kind: str, exception: str) -> str:
    """What an uncaught error of the server carries as its `message`, kilobytes of no use to anybody."""
    frames = "".join(_render(frame) for frame in _mage(_REQUEST * 2))
    return f"{_HEAD}{frames}{kind}: {exception}\n"


def raised_in(source: str, kind: str, text: str, *places: tuple[str, str], cause: Raised | None = None) -> Raised:
    """An exception whose frames stand on the lines of `source` that hold the given texts."""
    frames = [("<string>", _line_of(source, code), function, "") for function, code in places]
    return Raised(kind, text, tuple(frames), cause)


def _line_of(source: str, code: str) -> int:
    for number, line in enumerate(source.splitlines(), start=1):
        if code in line:
            return number
    return 1
