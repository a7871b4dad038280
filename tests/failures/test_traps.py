"""Where a diagnosis is easily led astray: stale metrics, other people's errors, code that changed, texts too long."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

from mage_mcp.client.diagnosis import diagnose
from mage_mcp.client.error_texts import LONGEST_MESSAGE, short_error, tidy
from mage_mcp.client.evidence import MOST_LOGS, Evidence, failed_block_runs, which_evidence
from mage_mcp.client.failures import MOST_FRAMES, MOST_TESTS, Failure, failure_of
from mage_mcp.client.findings import diagnose_completed, diagnose_running, examine
from mage_mcp.client.log_lines import LogLine, parse_log
from mage_mcp.client.records import BlockRecord, BlockRunRecord, RunRecord
from tests.failures.recordings import all_evidence, recorded, run_of
from tests.failures.sources import RATES

SOURCE = "def helper(n):\n    return 1 / n\n\n\ndef transform(rows):\n    a = 1\n    return helper(len(rows) - a)\n"
HEAD = (
    'Traceback (most recent call last):\n  File "/opt/mage/lib/python3.11/site-packages/mage_ai/x.py", line 1, in run\n'
)


def only(evidence: Evidence) -> Failure:
    (failure,) = diagnose(evidence)
    return failure


def changed(name: str, **fields: Any) -> RunRecord:
    """The run of a kind with some fields of its block runs changed, by block: `block={"status": …}`."""
    detail = json.loads(json.dumps(recorded(name)["detail"]))
    for block_run in detail["block_runs"]:
        block_run.update(fields.pop(block_run["block_uuid"], {}))
    detail.update(fields)
    return RunRecord.model_validate(detail)


def failure(traceback: str, error: str, *, source: str | None = SOURCE, **more: Any) -> Failure:
    block = BlockRecord(uuid="b", type="transformer", language="python", content=source)
    evidence = Evidence(run=RunRecord(id=1), blocks={"b": block}, **more)
    return failure_of(evidence, "b", LogLine(None, "EXCEPTION", "b", "Failed to execute block b", traceback, error))


# ---- which record is the reason --------------------------------------------------------------------------------------


def test_the_log_wins_over_metrics_of_an_earlier_attempt() -> None:
    everything = all_evidence("retry_in_place")
    (block_run,) = failed_block_runs(everything.run)
    assert block_run.metrics.error is not None
    assert block_run.metrics.error.error == "the first attempt fails"
    assert only(everything).message == "the second attempt fails too"
    assert only(everything).note == ""


def test_without_the_block_log_the_scheduler_wins_over_the_metrics() -> None:
    found = only(replace(all_evidence("retry_in_place"), block_logs={}))
    assert (found.message, found.note) == ("the second attempt fails too", "")


def test_a_log_too_big_to_fetch_leaves_the_metrics_unconfirmed() -> None:
    found = only(replace(all_evidence("many_lines"), block_logs={}, scheduler_log=None))
    assert found.message == "gave up after 30000 lines"
    assert found.line == 9
    assert "may be of an earlier attempt" in found.note


def test_a_last_attempt_that_timed_out_is_not_told_by_the_error_of_the_first() -> None:
    log = all_evidence("retry_exhausted").block_logs[64]
    again = [
        LogLine(None, "INFO", "fail_on_retry", "Start executing block with BlockExecutor.", block_run=64),
        LogLine(None, "ERROR", "fail_on_retry", "Block fail_on_retry timed out after 3 seconds", block_run=64),
    ]
    found = only(replace(all_evidence("retry_exhausted"), block_logs={64: [*log, *again]}))
    assert found.message == "Block fail_on_retry timed out after 3 seconds"


def test_lines_of_another_run_in_the_same_file_are_not_read() -> None:
    evidence = all_evidence("raise")
    foreign = [replace(line, block_run=999, error="not ours", traceback="") for line in evidence.block_logs[8]]
    found = only(replace(evidence, block_logs={8: [*evidence.block_logs[8], *foreign]}))
    assert found.message == "2 rows, at most 1 allowed"


def test_an_error_the_code_only_logged_is_not_the_reason() -> None:
    evidence = all_evidence("raise")
    logged = LogLine(None, "ERROR", "raise_error", "Block of wood not found", block_run=8)
    found = only(replace(evidence, block_logs={8: [*evidence.block_logs[8], logged]}))
    assert found.message == "2 rows, at most 1 allowed"


def test_metrics_of_a_block_that_passed_are_nobodys_reason() -> None:
    run = changed("raise", status="completed", raise_error={"status": "completed"})
    assert examine(replace(all_evidence("raise"), run=run, block_logs={})).failures == []
    assert [str(short_error(block_run)) for block_run in run.block_runs] == ["", "", ""]


def test_a_timeout_before_a_retry_is_not_why_somebody_cancelled_it_afterwards() -> None:
    evidence = all_evidence("trigger_timeout_cancelled")
    log = list(evidence.scheduler_log or ())
    execute = next(line for line in log if line.message.startswith("Execute PipelineRun"))
    assert len(diagnose(replace(evidence, scheduler_log=log))) == 1
    assert diagnose(replace(evidence, scheduler_log=[*log, execute])) == []


def test_the_scheduler_error_of_a_block_is_not_the_reason_of_a_run_without_failed_blocks() -> None:
    run = changed("raise", status="cancelled", raise_error={"status": "cancelled"})
    assert diagnose(replace(all_evidence("raise"), run=run, block_logs={})) == []


def test_each_block_is_told_by_its_own_record_in_the_schedulers_log() -> None:
    found = diagnose(replace(all_evidence("two_branches"), block_logs={}))
    assert [failure.message for failure in found] == ["left branch gives up", "right branch gives up"]


def test_of_several_records_in_a_cut_log_the_last_one_is_the_reason() -> None:
    evidence = all_evidence("retry_in_place")
    log = [line for line in evidence.block_logs[67] if not line.message.startswith("Start executing")]
    assert only(replace(evidence, block_logs={67: log})).message == "the second attempt fails too"


def test_a_failed_block_without_any_record_is_still_named() -> None:
    run = changed("one_process")
    found = only(replace(all_evidence("one_process"), run=run, block_logs={}, scheduler_log=None))
    assert (found.block, found.message) == ("raise_error", "")
    assert "does not say why" in found.note


def test_a_run_that_failed_as_a_whole_without_its_log_says_what_is_missing() -> None:
    found = only(replace(all_evidence("trigger_timeout"), scheduler_log=None))
    assert "was not read" in found.note


# ---- which line is the user's ----------------------------------------------------------------------------------------


def test_code_that_a_library_generated_is_no_line_of_the_block() -> None:
    found = only(all_evidence("generated_frame"))
    assert found.line == 15
    assert not found.frames
    unknown = only(replace(all_evidence("generated_frame"), blocks={}))
    assert unknown.line == 4  # nothing to check it by
    assert unknown.code == ""


def test_a_file_that_no_longer_fits_gives_no_code() -> None:
    traceback = HEAD + '  File "<string>", line 7, in transform\n  File "<string>", line 2, in helper\nE: x\n'
    assert failure(traceback, "x").line == 2
    assert ">   2 |     return 1 / n" in failure(traceback, "x").code
    moved = failure(traceback, "x", source="# one\n" * 9 + SOURCE)
    assert (moved.line, moved.code) == (2, "")
    assert "has changed since" in moved.note


def test_a_file_changed_after_the_start_is_shown_with_a_warning() -> None:
    evidence = all_evidence("raise")
    started = failed_block_runs(evidence.run)[0].started_at
    assert started is not None
    file = "transformers/raise_error.py"
    later = only(replace(evidence, modified={file: started + timedelta(seconds=1)}))
    assert later.code
    assert "lines may not match" in later.note
    assert only(replace(evidence, modified={file: started - timedelta(seconds=1)})).note == ""


def test_code_run_by_exec_is_no_line_of_the_block() -> None:
    traceback = HEAD + '  File "<string>", line 7, in transform\n  File "<string>", line 1, in <module>\nE: x\n'
    assert failure(traceback, "x").line == 7
    syntax = HEAD + '  File "<string>", line 7, in transform\n  File "<string>", line 1\n    a b\n      ^\nE: x\n'
    assert failure(syntax, "x").line == 7


def test_a_helper_is_quoted_from_its_file_only_if_the_line_is_the_same() -> None:
    evidence = all_evidence("utils_helper")
    assert only(evidence).code == ">   4 |     return float(row['price']) / pieces  # HERE"
    quoted = only(replace(evidence, files={"utils/failure_rates.py": RATES}))
    assert quoted.code.split("\n")[0] == "    1 | def rate(row):"
    newer = only(replace(evidence, files={"utils/failure_rates.py": "\n" + RATES}))
    assert newer.code == only(evidence).code


def test_without_a_known_project_folder_a_helper_is_still_found_and_mage_is_not() -> None:
    found = only(replace(all_evidence("utils_helper"), repo_path=""))
    assert (found.file, found.line) == ("utils/failure_rates.py", 4)


def test_a_library_within_the_project_folder_is_not_the_users_code() -> None:
    inside = '  File "/srv/p/.venv/lib/python3.12/site-packages/lib.py", line 3, in get\n'
    traceback = HEAD + '  File "<string>", line 2, in helper\n' + inside + "E: x\n"
    assert failure(traceback, "x", repo_path="/srv/p").file == "transformers/b.py"


def test_a_traceback_in_the_message_is_part_of_the_message() -> None:
    message = 'worker said:\nTraceback (most recent call last):\n  File "<string>", line 99, in other\nKeyError: 1'
    found = failure(HEAD + f'  File "<string>", line 7, in transform\nRuntimeError: {message}\n', message)
    assert (found.error_type, found.line) == ("RuntimeError", 7)
    assert found.message == message


def test_steps_on_one_line_are_one_and_a_function_that_comes_again_is_not() -> None:
    source = "def f(n):\n    return g(n)\n\ndef g(n):\n    return [f(n) for _ in (1,)]\n"
    steps = ("2, in f", "5, in g", "5, in <listcomp>", "2, in f", "5, in g")
    traceback = HEAD + "".join(f'  File "<string>", line {step}\n' for step in steps) + "E: x\n"
    found = failure(traceback, "x", source=source)
    assert [(frame.line, frame.function) for frame in found.frames] == [(2, "f"), (5, "g"), (2, "f"), (5, "g")]


def test_the_line_of_a_cause_is_shown_where_the_lines_around_the_raise_do_not_hold_it() -> None:
    direct = "\nThe above exception was the direct cause of the following exception:\n\n"
    first = HEAD + '  File "<string>", line {}, in helper\nZeroDivisionError: division by zero\n' + direct

    def told(line: int, *, source: str) -> Failure:
        last = HEAD + f'  File "<string>", line {line}, in transform\nValueError: no rows\n'
        return failure(first.format(2) + last, "no rows", source=source)

    near, far = SOURCE, SOURCE.replace("    a = 1\n", "    a = 1\n" * 4)
    found = told(5, source=near)
    assert found.cause is not None
    assert (found.cause.line, found.cause.code) == (2, "")
    assert " 2 | " in found.code
    found = told(10, source=far)
    assert found.cause is not None
    assert (found.cause.line, found.cause.code) == (2, "return 1 / n")
    assert " 2 | " not in found.code
    changed = told(10, source=far.replace("helper", "aid").replace("transform", "convert"))
    assert changed.cause is not None
    assert (changed.cause.line, changed.cause.code) == (None, "")


def test_the_line_of_a_cause_in_a_file_of_the_project_is_that_of_the_traceback() -> None:
    direct = "\nThe above exception was the direct cause of the following exception:\n\n"
    file = '  File "/home/src/project/utils/rates.py", line 40, in rate\n    return RATES[currency]\n'
    last = HEAD + '  File "<string>", line 7, in transform\nValueError: no rate\n'
    found = failure(HEAD + file + "KeyError: 'CHF'\n" + direct + last, "no rate", repo_path="/home/src/project")
    assert found.cause is not None
    assert (found.cause.file, found.cause.line) == ("utils/rates.py", 40)
    assert found.cause.code == "return RATES[currency]"


def test_a_librarys_cause_is_told_if_it_says_something_new() -> None:
    library = HEAD.replace("mage_ai/x.py", "requests/x.py")
    direct = "\nThe above exception was the direct cause of the following exception:\n\n"
    last = HEAD + '  File "<string>", line 2, in helper\nConnectionError: cannot reach host: refused\n'
    told = failure(library + "OSError: no route\n" + direct + last, "cannot reach host: refused")
    assert told.cause is not None
    assert (told.cause.error_type, told.cause.message, told.cause.line) == ("OSError", "no route", None)
    repeated = failure(library + "OSError: refused\n" + direct + last, "cannot reach host: refused")
    same_type = failure(library + "ConnectionError: no\n" + direct + last, "cannot reach host: refused")
    assert (repeated.cause, same_type.cause) == (None, None)


def test_a_line_of_sql_is_no_line_of_a_python_block() -> None:
    found = failure(HEAD + "Error: no\nLINE 1: def helper(n):\n", "no\nLINE 1: def helper(n):")
    assert (found.line, found.code) == (None, "")


def test_a_missing_file_that_is_not_the_blocks_own_keeps_its_name() -> None:
    evidence = all_evidence("missing_file")
    log = [
        replace(line, message=line.message.replace("file_is_gone.py", "other.py")) for line in evidence.block_logs[126]
    ]
    assert "other.py" in only(replace(evidence, block_logs={126: log})).message


def test_the_block_of_a_streaming_pipeline_is_known_by_its_code() -> None:
    evidence = all_evidence("streaming_config")
    block = BlockRecord(uuid="b", type="transformer", language="python", content=SOURCE)
    other = BlockRecord(uuid="c", type="data_loader", language="python", content="def load():\n    return 1\n")
    error = LogLine(
        None,
        "EXCEPTION",
        "",
        "Failed to execute streaming pipeline x",
        HEAD + '  File "<string>", line 7, in transform\n  File "<string>", line 2, in helper\nZeroDivisionError: d\n',
        "d",
    )
    found = only(replace(evidence, scheduler_log=[error], blocks={"b": block, "c": other}))
    assert (found.block, found.file, found.line) == ("", "transformers/b.py", 2)


# ---- runs that go on, or ended well ----------------------------------------------------------------------------------


def test_one_death_is_told_but_is_no_reason_to_cancel_yet() -> None:
    evidence = all_evidence("sys_exit")
    log = evidence.block_logs[134]
    once, twice, thrice = (replace(evidence, block_logs={134: log[:n]}, scheduler_log=None) for n in (2, 4, 6))
    assert diagnose_running(once) == []
    assert [(f.times, f.next_step.startswith("Cancel")) for f in diagnose_running(twice)] == [(1, False)]
    assert [(f.times, f.next_step.startswith("Cancel")) for f in diagnose_running(thrice)] == [(2, True)]


def test_a_loop_begins_at_its_first_start_and_shows_the_last_words_before_a_death() -> None:
    evidence = all_evidence("sys_exit")
    log = list(evidence.block_logs[134])
    last = max(i for i, line in enumerate(log) if line.message == "leaving")
    words = [replace(line, message=f"{line.message} {i}") for i, line in enumerate(log[:last])]
    (finding,) = diagnose_running(replace(evidence, block_logs={134: words}, scheduler_log=None))
    assert finding.since == log[0].at
    assert finding.last_line == f"leaving {last - 2}"
    silent = [line for line in log if line.message != "leaving"]
    (finding,) = diagnose_running(replace(evidence, block_logs={134: silent}, scheduler_log=None))
    assert finding.last_line == ""


def test_the_scheduler_alone_tells_of_a_loop_as_well() -> None:
    for name in ("sys_exit", "os_exit", "killed"):
        (finding,) = diagnose_running(replace(all_evidence(name), block_logs={}))
        assert finding.times is not None
        assert finding.times > 20
        executed = [ln for ln in all_evidence(name).scheduler_log or () if f"block {finding.block}" in ln.message]
        assert finding.since == executed[0].at


def test_restarts_of_a_streaming_pipeline_are_counted_from_the_first_and_told_by_the_last() -> None:
    evidence = all_evidence("streaming_config_no_retry_config")
    errors = [line for line in evidence.scheduler_log or () if line.level == "EXCEPTION"]
    last = replace(errors[-1], error="other", traceback=HEAD + "Exception: other\n")
    (finding,) = diagnose_running(replace(evidence, scheduler_log=[*errors, last]))
    assert (finding.times, finding.since) == (3, errors[0].at)
    assert finding.failure is not None
    assert finding.failure.message == "other"


def test_every_guarded_block_is_told_and_the_first_names_what_never_ran() -> None:
    status = {"status": "condition_failed", "started_at": "2026-11-24 14:11:47"}
    run = changed("condition_raises", feed_rows=status)
    evidence = all_evidence("condition_raises")
    lines = [LogLine(None, "INFO", "feed_rows", f"Conditional block {c} evaluated as False for block f") for c in "ab"]
    first, second = diagnose_completed(replace(evidence, run=run, block_logs={**evidence.block_logs, 89: lines}))
    assert first.text == "The condition b was false: feed_rows did not run."
    assert (first.kind, second.kind) == ("condition_false", "condition_broken")
    assert first.never_ran == ["feed_rows", "guarded_step_raising", "store_rows"]
    assert second.never_ran == []


def test_blocks_that_no_start_was_recorded_of_are_told_once() -> None:
    never = {"status": "condition_failed", "started_at": None}
    run = changed("condition_false", guarded_step=never, store_rows=never)
    (finding,) = diagnose_completed(replace(all_evidence("condition_false"), run=run, block_logs={}))
    assert (finding.block, finding.never_ran) == ("guarded_step", ["guarded_step", "store_rows"])


def test_of_several_attempts_the_last_one_that_failed_is_told() -> None:
    evidence = all_evidence("retry_exhausted")
    finish = LogLine(None, "INFO", "fail_on_retry", "Finish executing block with BlockExecutor.", block_run=64)
    run = changed("retry_exhausted", status="completed", fail_on_retry={"status": "completed"})
    log = [*evidence.block_logs[64], finish]
    (finding,) = diagnose_completed(replace(evidence, run=run, block_logs={64: log}))
    assert (finding.kind, finding.times) == ("retry_passed", 2)
    assert finding.failure is not None
    assert finding.failure.message == "the second attempt fails too"


def test_a_block_tried_again_after_an_error_does_not_loop() -> None:
    evidence = all_evidence("retry_in_place")
    run = changed("retry_in_place", status="running", fail_on_retry={"status": "running"})
    assert diagnose_running(replace(evidence, run=run)) == []


def test_a_streaming_pipeline_that_failed_once_does_not_loop() -> None:
    run = changed("streaming_config", status="running")
    assert diagnose_running(replace(all_evidence("streaming_config"), run=run)) == []


def test_a_condition_whose_log_is_missing_is_left_open() -> None:
    (finding,) = diagnose_completed(replace(all_evidence("condition_raises"), block_logs={}))
    assert finding.kind == "condition_false"
    assert "Its log tells which" in finding.text
    assert finding.never_ran == ["guarded_step_raising", "store_rows"]


# ---- bounds and secrets ----------------------------------------------------------------------------------------------


def test_nothing_is_longer_than_its_bound() -> None:
    message = "x y " * 50_000
    steps = '  File "<string>", line 2, in helper\n  File "<string>", line 7, in transform\n' * 500
    found = failure(HEAD + steps + f"ValueError: {message}\n", message)
    assert len(found.message) <= LONGEST_MESSAGE
    assert len(found.frames) == MOST_FRAMES
    wide = failure(HEAD + '  File "<string>", line 1, in <module>\nE: x\n', "x", source="a = '" + "z" * 9_000 + "'\n")
    assert len(wide.code) < 200


def test_a_long_message_keeps_its_beginning_and_its_end() -> None:
    text = tidy("first words " + "and so on " * 500 + "last words")
    assert text.startswith("first words")
    assert text.endswith("last words")


def test_many_failed_blocks_are_counted_and_each_block_comes_before_its_siblings() -> None:
    children = [BlockRunRecord(id=n, block_uuid=f"part:{n}", status="failed") for n in range(300)]
    other = BlockRunRecord(id=300, block_uuid="other", status="failed")
    run = RunRecord(id=1, status="failed", block_runs=[*children, other])
    failures = diagnose(Evidence(run=run))
    assert [failure.block for failure in failures[:3]] == ["part:0", "other", "part:1"]
    assert len(failures) == MOST_LOGS == len(which_evidence(run).block_runs)
    assert failures[-1].block == "part:3"
    assert "296 more blocks failed" in failures[-1].note
    just = RunRecord(id=1, status="failed", block_runs=children[:MOST_LOGS])
    assert "more blocks" not in diagnose(Evidence(run=just))[-1].note


def test_many_failed_tests_are_cut() -> None:
    evidence = all_evidence("test_assert")
    log = list(evidence.block_logs[32])
    at = next(i for i, line in enumerate(log) if line.message.startswith("FAIL: "))
    other = [replace(line, message=line.message.replace("line 19", "line 14")) for line in log[at - 1 : at + 8]]
    more = [*log[: at - 1], *(log[at - 1 : at + 8] * 40), *other, *log[at + 8 :]]
    found = only(replace(evidence, block_logs={32: more}))
    assert len(found.failed_tests) == MOST_TESTS
    assert found.line == 19


def test_secrets_are_masked_and_colours_dropped_everywhere() -> None:
    for evidence in (all_evidence("secret_ansi"), replace(all_evidence("secret_ansi"), block_logs={})):
        found = only(evidence)
        assert found.message == "cannot reach postgresql://•••@host/db, tried twice"
        assert "url = 'postgresql://•••@host/db'" in found.code
        assert "s3cret" not in found.model_dump_json()
    shorts = [str(short_error(block_run)) for block_run in run_of("secret_ansi").block_runs]
    assert "ConnectionError: cannot reach postgresql://•••@host/db, tried twice" in shorts


def test_the_middle_of_a_key_in_the_code_is_masked_and_lines_keep_their_numbers() -> None:
    key = "-----BEGIN PRIVATE KEY-----\n" + "MIIE0123456789abcdef\n" * 20 + "-----END PRIVATE KEY-----"
    source = f'KEY = """{key}"""\n\n\ndef transform(rows):\n    raise E(rows)\n'
    found = failure(HEAD + '  File "<string>", line 26, in transform\nE: x\n', "x", source=source)
    assert found.code.split("\n")[-1] == ">  26 |     raise E(rows)"
    middle = failure(HEAD + '  File "<string>", line 10, in <module>\nE: x\n', "x", source=source)
    assert "MIIE" not in middle.code


def test_a_key_in_a_long_message_leaves_no_end() -> None:
    key = "-----BEGIN PRIVATE KEY-----\n" + "MIIE0123456789abcdef\n" * 2_000 + "-----END PRIVATE KEY-----"
    assert "MIIE" not in tidy("bad key: " + key)


def test_sql_and_paths_of_the_server_are_left_out() -> None:
    alchemy = "relation x is not there\n\n[SQL: SELECT secret_column FROM x]\n[parameters: (1,)]\n(Background: …)"
    assert tidy(alchemy) == "relation x is not there [SQL left out]"
    pandas = "Execution failed on sql 'SELECT a\nFROM b': no such table: b"
    assert tidy(pandas) == "Execution failed on sql (left out): no such table: b"
    bare = "Execution failed on sql: SELECT a\nFROM b\nCatalog Error: no such table\nunable to rollback"
    assert tidy(bare) == "Execution failed on sql (left out): Catalog Error: no such table\nunable to rollback"
    assert tidy("Execution failed on sql: SELECT a\nFROM b") == "Execution failed on sql (left out)"
    assert tidy("no '/srv/p/data/in.csv'", repo_path="/srv/p") == "no 'data/in.csv'"
    assert tidy("in /opt/x/lib/python3.11/site-packages/pandas/io.py") == "in pandas/io.py"
    assert tidy("see /home/ada/notes.txt") == "see ~/notes.txt"
    assert tidy("no such file: '/data/in.csv'") == "no such file: '/data/in.csv'"


def test_a_log_that_is_cut_at_its_front_still_tells_the_reason() -> None:
    content = recorded("raise")["block_logs"]["8"]["content"]
    for cut in range(0, content.index('"level": "EXCEPTION"') - 200, 97):
        found = only(replace(all_evidence("raise"), block_logs={8: parse_log(content[cut:])}))
        assert found.message == "2 rows, at most 1 allowed"
        assert found.note == ""


def test_frames_of_mage_are_never_shown() -> None:
    for name in ("unserialisable", "sql_block", "integration", "no_function"):
        (found,) = diagnose(all_evidence(name))
        assert found.line is None
        assert not found.frames
        assert not re.search(r"mage_ai|block_executor|retry_func", found.model_dump_json())
