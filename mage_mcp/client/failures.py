"""One failure: the block, the error, and the line of the user's code, from a record that holds a traceback."""

import re
from collections.abc import Sequence
from datetime import datetime

from pydantic import Field

from mage_mcp.client.error_texts import excerpt, numbered, quoted_sql_line, tidy
from mage_mcp.client.evidence import Evidence
from mage_mcp.client.log_lines import LogLine
from mage_mcp.client.models import Answer, Code, Message, Name, Names
from mage_mcp.client.tracebacks import Frame as Step
from mage_mcp.client.tracebacks import Part, Traceback, read_traceback
from mage_mcp.client.user_code import project_path, user_frames
from mage_mcp.text import one_line

MOST_FRAMES = 5
MOST_TESTS = 10

_TESTS_FAILED = "Failed to pass tests for block"
_NO_FUNCTION = "does not have any decorated functions"
_FILE_MISSING = "[ERROR] File.content: [Errno 2] "
_FAILED_TEST = re.compile(r"FAIL: (?P<name>\S+) \(block: .*\)")
_RULE = re.compile(r"[-=]{10,}")
_TESTS_PASSED = re.compile(r"\d+/\d+ tests passed\.")
_CATALOG = "get_catalog"
_STORING = ("store_variables", "add_variable")


class Frame(Answer):
    """One step of the user's code on the way to the error."""

    file: Name = Field(default="", description="Path within the project.")
    line: int = Field(description="Line in that file.")
    function: Name = Field(default="", description="Function that was running.")


class Cause(Answer):
    """The error behind the error."""

    error_type: Name = Field(description="Exception class.")
    message: Message = Field(default="", description="Its text.")
    file: Name = Field(default="", description="Path within the project.")
    line: int | None = Field(default=None, description="Line of the user's code.")
    code: Message = Field(default="", description="That line, where the failure's own code does not show it.")


class Failure(Answer):
    """One reason why a run failed. Without a block, the run as a whole did."""

    block: Name = Field(default="", description="Block that failed.")
    error_type: Name = Field(default="", description="Exception class; none for timeouts.")
    message: Message = Field(default="", description="What the error says.")
    file: Name = Field(default="", description="Path within the project.")
    line: int | None = Field(default=None, description="Line of the user's code that raised it.")
    function: Name = Field(default="", description="Function that was running.")
    code: Code = Field(default="", description="That line (marked >) and those around it.")
    frames: list[Frame] = Field(default=[], description="Steps of the user's code, the last one raised.")
    cause: Cause | None = Field(default=None, description="The error behind this one.")
    failed_tests: Names = Field(default=[], description="The block's @test functions that failed.")
    note: str = Field(default="", description="How sure this is, or why there is no line.")

    def noted(self, note: str) -> "Failure":
        """The same with one more sentence."""
        return self.model_copy(update={"note": f"{self.note} {note}".strip()})


def failure_of(evidence: Evidence, block: str, line: LogLine, started: datetime | None = None) -> Failure:
    """What one record with a traceback says, `block` being the one whose code ran (a condition, a callback)."""
    read = read_traceback(line.traceback, line.error)
    if read is None:
        return Failure(block=block, message=tidy(line.error or line.message, repo_path=evidence.project))
    return _failure(evidence, block, read, started)


def _failure(evidence: Evidence, block: str, read: Traceback, started: datetime | None) -> Failure:
    source = evidence.source(block)
    frames, fits = user_frames(read.raised.frames, source, evidence.project)
    cause = read.first.message if read.first else ""
    failure = Failure(
        block=block,
        error_type=one_line(read.raised.type),
        message=tidy(read.text, repo_path=evidence.project, cause=cause),
        cause=_cause(evidence, block, read),
    )
    if not frames:
        return _sql_line(evidence, failure, read) or failure.noted(_why_no_line(evidence, block, read))
    steps = _steps(evidence, block, frames)
    last = steps[-1]
    failure = failure.model_copy(
        update={
            "file": last.file,
            "line": last.line,
            "function": last.function,
            "code": _code(evidence, block, frames[-1], last.file) if fits else "",
            "frames": steps[-MOST_FRAMES:] if len(steps) > 1 else [],
        }
    )
    failure = failure.model_copy(update={"cause": _shown_once(failure)})
    return _changed(evidence, failure, started, fits=fits)


def _changed(evidence: Evidence, failure: Failure, started: datetime | None, *, fits: bool) -> Failure:
    if not fits:
        return failure.noted("The block's file has changed since: its lines no longer match.")
    modified = evidence.modified.get(failure.file)
    if modified and started and modified > started:
        return failure.noted("The file was changed after the block started: the lines may not match.")
    return failure


def _frame(evidence: Evidence, block: str, frame: Step) -> Frame:
    file = evidence.file(block) if frame.is_block_code else project_path(frame.file, evidence.project)
    return Frame(file=one_line(file), line=frame.line, function=one_line(frame.function))


def _steps(evidence: Evidence, block: str, frames: Sequence[Step]) -> list[Frame]:
    """The frames; a comprehension on its function's own line is no step of its own."""
    steps: list[Frame] = []
    for frame in frames:
        step = _frame(evidence, block, frame)
        if not steps or (step.file, step.line) != (steps[-1].file, steps[-1].line):
            steps.append(step)
    return steps


def _code(evidence: Evidence, block: str, frame: Step, file: str) -> str:
    if frame.is_block_code:
        return excerpt(evidence.source(block) or "", frame.line)
    text = evidence.files.get(file, "")
    lines = text.splitlines()
    if frame.line <= len(lines) and lines[frame.line - 1].strip() == frame.source.strip():
        return excerpt(text, frame.line)
    # A project's file is quoted in the traceback itself, as it was when it ran.
    return numbered(frame.line, frame.source, marked=True) if frame.source else ""


def _cause(evidence: Evidence, block: str, read: Traceback) -> Cause | None:
    part: Part | None = read.inner[0] if read.inner else read.first
    if part is None:
        return None
    frames, fits = user_frames(part.frames, evidence.source(block), evidence.project)
    message = tidy(part.message, repo_path=evidence.project)
    if not frames and (part.type == read.raised.type or part.message in read.raised.message):
        return None  # a library's own chain, which adds nothing
    # What a callback's error is chained to was raised in the file of its block.
    place = _frame(evidence, block, frames[-1]) if frames and fits else None
    return Cause(
        error_type=one_line(part.type),
        message=message,
        file=place.file if place else "",
        line=place.line if place else None,
        code=_marked(_code(evidence, block, frames[-1], place.file)) if place else "",
    )


def _marked(excerpt: str) -> str:
    """The one line of an excerpt that it is about, without its number."""
    line = next((line for line in excerpt.split("\n") if line.startswith(">")), "")
    return line.partition(" | ")[2].strip()


def _shown_once(failure: Failure) -> Cause | None:
    """The cause, without its line where that stands in the excerpt around the raise."""
    cause = failure.cause
    if cause is None or cause.line is None or cause.file != failure.file:
        return cause
    numbers = [line[1:].partition(" | ")[0].strip() for line in failure.code.split("\n")]
    return cause.model_copy(update={"code": ""}) if str(cause.line) in numbers else cause


def _sql_line(evidence: Evidence, failure: Failure, read: Traceback) -> Failure | None:
    block, source = evidence.block(failure.block), evidence.source(failure.block)
    if block is None or block.language != "sql" or source is None:
        return None
    line = quoted_sql_line(read.raised.message, source)
    if line is None:
        return None
    return failure.model_copy(
        update={"file": evidence.file(failure.block), "line": line, "code": excerpt(source, line)}
    ).noted("The line is the one the database names.")


def _why_no_line(evidence: Evidence, uuid: str, read: Traceback) -> str:
    missing = " That module is not installed where Mage runs." if read.raised.type == "ModuleNotFoundError" else ""
    block = evidence.block(uuid)
    if block is not None and block.language == "sql":
        return f"No Python of yours is involved: it came from the SQL block's database driver.{missing}"
    if any(frame.function in _STORING for frame in read.raised.frames):
        return "The block's code had ended: Mage could not store what it returned."
    if any(frame.function == _CATALOG for frame in read.raised.frames):
        return "The integration source has no catalog: its streams have to be chosen in Mage first."
    return f"No line of your code is involved: it came from Mage or a library.{missing}"


def explained(
    evidence: Evidence, failure: Failure, attempt: Sequence[LogLine], started: datetime | None = None
) -> Failure:
    """Two of Mage's texts hide the reason, which stands in the block's log at INFO."""
    if failure.message.startswith(_TESTS_FAILED):
        return _of_tests(evidence, failure, attempt, started)
    if _NO_FUNCTION in failure.message:
        return _of_file(evidence, failure, attempt)
    return failure


def _of_tests(evidence: Evidence, failure: Failure, attempt: Sequence[LogLine], started: datetime | None) -> Failure:
    tests = _failed_tests(attempt)
    if not tests:
        return failure.model_copy(update={"note": "Which test failed is only told by the block's log."})
    failures = [_failure(evidence, failure.block, read, started) for _, read in tests]
    texts = [
        one_line(f"{name}: {': '.join(part for part in (each.error_type, each.message) if part)}")
        for (name, _), each in zip(tests, failures, strict=True)
    ]
    count = next((line.message for line in reversed(attempt) if _TESTS_PASSED.fullmatch(line.message)), "")
    return (
        failures[0]
        .model_copy(update={"failed_tests": texts[:MOST_TESTS]})
        .noted(f"The block ran; {count}" if count else "")
    )


def _failed_tests(attempt: Sequence[LogLine]) -> list[tuple[str, Traceback]]:
    """Each failed test with its traceback, which Mage prints line by line between two rules."""
    tests = []
    messages = [line.message for line in attempt]
    for i, message in enumerate(messages):
        found = _FAILED_TEST.fullmatch(message)
        if found is None:
            continue
        rules = [j for j in range(i + 1, len(messages)) if _RULE.fullmatch(messages[j])]
        if len(rules) > 1:
            read = read_traceback("\n".join(messages[rules[0] + 1 : rules[1]]))
            tests.extend([(found["name"], read)] if read else [])
    return tests


def _of_file(evidence: Evidence, failure: Failure, attempt: Sequence[LogLine]) -> Failure:
    missing = next((line for line in reversed(attempt) if line.message.startswith(_FILE_MISSING)), None)
    file = evidence.file(failure.block)
    if missing is None:
        note = "The file has no function with the block's decorator, or an import of that name hides it."
        return failure.model_copy(update={"file": file, "note": note})
    path = missing.message.removeprefix(_FILE_MISSING)
    if file and path.rstrip("'\"").endswith(f"/{file}"):
        path = f"No such file or directory: '{file}'"
    return failure.model_copy(
        update={
            "error_type": "FileNotFoundError",
            "message": tidy(path, repo_path=evidence.project),
            "file": file,
            "note": "The block's file is missing; Mage itself only says that it found no function in it.",
        }
    )
