"""Mage's log files, read and rendered."""

import json
from datetime import UTC, datetime

from mage_mcp.client.log_lines import LogLine, is_heartbeat, merge, parse_log, render
from tests.failures.recordings import REPO, all_evidence, recorded

STAMP = "2026-11-24T02:16:07"
AT = datetime(2026, 11, 24, 2, 16, 7, tzinfo=UTC)
TRACEBACK = (
    "Traceback (most recent call last):\n"
    '  File "/opt/mage/lib/python3.11/site-packages/mage_ai/shared/retry.py", line 38, in retry_func\n'
    "    return func(*args, **kwargs)\n"
    '  File "<string>", line 7, in transform\n'
    "ValueError: no rows\n"
)


def line(message: object = "hello", **more: object) -> str:
    return f"{STAMP} " + json.dumps({"level": "INFO", "block_uuid": "load", "message": message, **more})


def test_a_line_becomes_time_level_block_and_message() -> None:
    assert parse_log(line(block_run_id=7)) == [LogLine(AT, "INFO", "load", "hello", block_run=7)]


def test_the_records_own_time_is_finer_than_its_stamp() -> None:
    (read,) = parse_log(line(timestamp=AT.timestamp() + 0.25))
    assert read.at == AT.replace(microsecond=250_000)


def test_a_time_that_cannot_be_falls_back_to_the_stamp() -> None:
    for odd in (1e30, float("nan"), float("inf"), "soon", None, True):
        assert [read.at for read in parse_log(line(timestamp=odd))] == [AT]


def test_the_traceback_is_found_under_either_name() -> None:
    swapped = parse_log(line(error=TRACEBACK, error_stacktrace="no rows", error_stack=["x"] * 53))
    straight = parse_log(line(error="no rows", error_stacktrace=TRACEBACK))
    assert [(read.traceback, read.error) for read in (*swapped, *straight)] == [(TRACEBACK, "no rows")] * 2


def test_a_record_with_one_of_the_two_names_is_read() -> None:
    for more in ({"error": TRACEBACK}, {"error_stacktrace": TRACEBACK}):
        assert [(read.traceback, read.error) for read in parse_log(line(**more))] == [(TRACEBACK, "")]
    (plain,) = parse_log(line(error="refused", error_stacktrace="no route"))
    assert (plain.traceback, plain.error) == ("refused", "no route")


def test_raw_lines_belong_to_the_record_before_them() -> None:
    first, second = parse_log("\n".join([line("a"), "Traceback:", "  indented", "", line("b"), ""]))
    assert (first.message, first.raw) == ("a", ("Traceback:", "  indented"))
    assert (second.message, second.raw) == ("b", ())


def test_a_record_cut_in_half_at_the_front_is_dropped() -> None:
    whole = line("first") + "\n" + line("second")
    for cut in range(1, len(line("first"))):
        assert [read.message for read in parse_log(whole[cut:])] in (["second"], [whole[cut:].split("\n")[0], "second"])
    assert [read.message for read in parse_log(whole[30:])] == ["second"]


def test_a_record_cut_in_half_at_the_end_keeps_its_text() -> None:
    _, half = parse_log(line("first") + "\n" + line("second")[:40])
    assert half.at == AT
    assert half.level == ""
    assert half.message.startswith('{"level": "INFO"')


def test_what_is_no_json_is_kept_as_text() -> None:
    for text in ("plain words", "[1, 2]", "12", '{"open": ', "null"):
        (read,) = parse_log(f"{STAMP} {text}")
        assert (read.at, read.level, read.message) == (AT, "", text)


def test_lines_before_any_record_are_kept() -> None:
    first, second = parse_log("  loose end\n  more of it\n" + line())
    assert (first.at, first.message, first.raw) == (None, "  loose end", ("  more of it",))
    assert second.message == "hello"
    for text in ("{}", "total: {'a'}", 'say "x"', '"x": 1} and more'):
        kept = parse_log(f"{text}\n{line()}")
        assert [read.message for read in kept] == ([text, "hello"])


def test_odd_values_become_texts() -> None:
    shown = {"message": {"rows": 2}, "level": None, "block_uuid": 7, "block_run_id": "8"}
    (read,) = parse_log(line(**shown))
    assert (read.message, read.level, read.block, read.block_run) == ('{"rows": 2}', "", "7", None)


def test_an_empty_file_has_no_lines() -> None:
    assert parse_log("") == parse_log("\n \n") == []


def test_a_surrogate_survives_reading_and_is_mended_when_shown() -> None:
    (read,) = parse_log(f'{STAMP} {{"message": "half \\ud83d"}}')
    render(read).encode("utf-8")


def test_deeply_nested_json_is_no_way_out() -> None:
    (read,) = parse_log(f"{STAMP} " + "[" * 200_000)
    assert read.message.startswith("[[[")


def test_an_error_at_the_end_of_a_large_file_is_found() -> None:
    many = [line(f"row {n} of many") for n in range(5_000)]
    last = line("Failed to execute block load", level="EXCEPTION", error=TRACEBACK, error_stacktrace="no rows")
    content = "\n".join([*many, last, *TRACEBACK.split("\n")])
    assert len(content) > 400_000
    lines = parse_log(content)
    assert len(lines) == 5_001
    assert (lines[-1].level, lines[-1].error) == ("EXCEPTION", "no rows")
    assert lines[-1].raw[-1] == "ValueError: no rows"


def test_every_recorded_line_is_read() -> None:
    for name in ("raise", "many_lines", "two_branches", "integration"):
        data = recorded(name)
        for file in (*data["block_logs"].values(), *data["logs"]):
            lines = parse_log(file["content"])
            assert len(lines) == file["content"].count('"uuid": ')
            assert all(read.at and read.level for read in lines)


def test_a_rendered_line_has_time_level_block_and_message() -> None:
    assert render(LogLine(AT, "INFO", "load", "hello")) == "02:16:07 INFO load  hello"
    assert render(LogLine(AT, "INFO", "", "hello")) == "02:16:07 INFO  hello"
    assert render(LogLine(None, "", "", "loose end")) == "loose end"


def test_a_rendered_exception_has_only_the_users_frames() -> None:
    error = LogLine(AT, "EXCEPTION", "load", "Failed to execute block load", TRACEBACK, "no rows", ("Traceback …",))
    assert render(error).split("\n") == [
        "02:16:07 EXCEPTION load  Failed to execute block load",
        "    ValueError: no rows",
        "    at block, line 7, in transform",
        "    (1 frames of Mage and of libraries left out)",
    ]


def test_the_cause_and_a_helpers_file_are_named() -> None:
    chained = [render(read, repo_path=REPO) for read in all_evidence("chained").block_logs[14]]
    assert "caused by ValueError: could not convert string to float: 'n/a'" in chained[-1]
    helper = [render(read, repo_path=REPO) for read in all_evidence("utils_helper").block_logs[20]]
    assert "at utils/failure_rates.py, line 4, in rate" in helper[-1]
    same = [render(read, repo_path=REPO) for read in all_evidence("library_frame").block_logs[23]]
    assert "caused by" not in same[-1]


def test_an_attempt_is_told_without_mages_own_function() -> None:
    warnings = [ln for ln in all_evidence("retry_exhausted").block_logs[64] if ln.level == "WARNING"]
    assert [render(ln).split("\n")[0][9:] for ln in warnings] == [
        "WARNING fail_on_retry  Exception thrown, attempt 1 of 2",
        "WARNING fail_on_retry  Exception thrown, attempt 2 of 2",
    ]


def test_raw_lines_are_shown_where_there_is_no_traceback_and_are_cut() -> None:
    shown = render(LogLine(AT, "INFO", "load", "hello", raw=tuple(f"raw {n}" for n in range(50)))).split("\n")
    assert shown[1] == "    raw 0"
    assert shown[-1] == "    (30 more lines)"
    assert render(LogLine(AT, "EXCEPTION", "", "failed.", raw=("NoneType: None",))) == "02:16:07 EXCEPTION  failed."


def test_a_rendered_line_is_bounded_masked_and_without_colours() -> None:
    shown = render(LogLine(AT, "INFO", "load", "\x1b[31mpassword=hunter2\x1b[0m " + "x " * 50_000))
    assert "hunter2" not in shown
    assert "\x1b" not in shown
    assert len(shown) < 2_100
    error = render(all_evidence("secret_ansi").block_logs[105][-1])
    assert "postgresql://•••@host/db" in error
    assert "s3cret" not in error


def test_files_are_merged_by_time_and_a_line_without_one_stays_in_its_place() -> None:
    early, late = AT.replace(second=1), AT.replace(second=9)
    first = [LogLine(AT, "", "", "b"), LogLine(None, "", "", "after b"), LogLine(late, "", "", "d")]
    second = [LogLine(early, "", "", "a"), LogLine(AT.replace(second=8), "", "", "c")]
    assert [ln.message for ln in merge([first, second])] == ["a", "b", "after b", "c", "d"]


def test_the_schedulers_copy_of_a_blocks_error_is_reduced_to_its_message() -> None:
    evidence = all_evidence("raise")
    scheduler = evidence.scheduler_log or ()
    merged = merge([*evidence.block_logs.values(), scheduler])
    (copy,) = [ln for ln in merged if ln.message == "BlockRun 8 (block_uuid: raise_error) failed."]
    assert (copy.traceback, copy.error, copy.raw) == ("", "", ())
    assert sum(bool(ln.traceback) for ln in merged) == 2
    alone = [ln for ln in merge([scheduler]) if ln.traceback]
    assert [ln.error for ln in alone] == ["2 rows, at most 1 allowed"]


def test_the_schedulers_heartbeat_is_told_from_what_it_does() -> None:
    log = all_evidence("raise").scheduler_log or ()
    kept = [ln.message for ln in log if not is_heartbeat(ln)]
    assert len(kept) < len(log)
    assert any("is alive" in ln.message for ln in log)
    assert not any("is alive" in message for message in kept)
