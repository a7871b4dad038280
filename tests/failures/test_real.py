"""Every kind of failure on a real Mage, as it is told over MCP."""

import pytest

from tests.failures.expectations import OF_MAGE_OR_THE_SERVER, SECRETS_AND_COLOURS, report_as_expected, row_as_expected
from tests.failures.kinds import KINDS
from tests.host import Host
from tests.lab.failing import RUNNABLE, FailedRuns

pytestmark = [pytest.mark.anyio, pytest.mark.real]

DEFAULT_TOKENS = 1_500


def _param(name: str):
    needs = ", ".join(KINDS[name].needs)
    return pytest.param(name, marks=pytest.mark.skip(reason=f"needs {needs}, which Mage lacks") if needs else ())


@pytest.mark.parametrize("name", [_param(name) for name in sorted(KINDS)])
async def test_get_run_says_it_all(failures_host: Host, real_failures: FailedRuns, name: str):
    answer = await failures_host.call("get_run", run=str(real_failures.runs[name]))
    report_as_expected(answer, KINDS[name])


async def test_the_list_of_runs_names_the_failing_block_and_a_short_error(
    failures_host: Host, real_failures: FailedRuns
):
    page = (await failures_host.call("list_runs", limit=100)).data
    rows = {row["run"]: row for row in page["items"]}
    for name, kind in RUNNABLE.items():
        row_as_expected(rows[real_failures.runs[name]], kind)


async def test_the_log_of_a_block_that_says_too_much_ends_with_its_error(
    failures_host: Host, real_failures: FailedRuns
):
    answer = await failures_host.call("get_run_logs", run=str(real_failures.runs["many_lines"]))
    assert answer.tokens <= DEFAULT_TOKENS
    last_words = answer.data["log"].split("line 29999 of many")[1]
    assert "ValueError: gave up after 30000 lines" in last_words
    assert "line 9, in transform" in last_words
    assert answer.data["matching"] > 30_000


@pytest.mark.parametrize("name", sorted(RUNNABLE))
async def test_a_log_is_short_and_shows_no_secret(failures_host: Host, real_failures: FailedRuns, name: str):
    answer = await failures_host.call("get_run_logs", run=str(real_failures.runs[name]))
    assert answer.tokens <= DEFAULT_TOKENS
    assert not SECRETS_AND_COLOURS.search(answer.text)


async def test_a_retry_after_the_triggers_timeout_is_refused(failures_host: Host, real_failures: FailedRuns):
    for name in ("trigger_timeout", "trigger_timeout_cancelled", "os_exit_timeout", "late_retry"):
        sentence = await failures_host.refused("retry_run", run=real_failures.runs[name])
        assert "Mage counts from the first start" in sentence
        assert f"trigger_pipeline(pipeline='failure_{name}')" in sentence


async def test_a_retry_after_a_blocks_timeout_warns_that_it_may_be_over_at_once(
    failures_host: Host, real_failures: FailedRuns
):
    run = real_failures.wire.trigger(real_failures.triggers["block_timeout"])["id"]
    real_failures.wire.wait([run])
    retried = (await failures_host.call("retry_run", run=run)).data
    assert retried["changed"]
    assert retried["note"].startswith("sleep_long_limited may time out at once: Mage counts from the first start.")
    after = (await failures_host.call("get_run", run=str(run), wait_s=45)).data
    assert after["status"] == "failed"
    assert "sleep_long_limited timed out after" in after["failures"][0]["message"]
    assert "trigger_pipeline(pipeline='failure_block_timeout')" in after["next_steps"][0]


async def test_a_retry_from_a_block_whose_condition_broke_asks_the_condition_again(
    failures_host: Host, real_failures: FailedRuns
):
    run = real_failures.runs["condition_raises"]
    (finding,) = (await failures_host.call("get_run", run=str(run))).data["findings"]
    assert f"retry_run(run={run}, from_block='guarded_step_raising')" in finding["next_step"]
    retried = (await failures_host.call("retry_run", run=run, from_block="guarded_step_raising")).data
    assert retried["blocks"] == ["guarded_step_raising", "store_rows"]
    again = await failures_host.call("get_run", run=str(run), wait_s=45)
    report_as_expected(again, RUNNABLE["condition_raises"])


async def test_what_failed_before_any_block_cannot_be_retried(failures_host: Host, real_failures: FailedRuns):
    for name in ("integration", "integration_no_catalog", "streaming_config"):
        sentence = await failures_host.refused("retry_run", run=real_failures.runs[name])
        assert "failed before any block" in sentence


async def test_failures_are_grouped_by_cause(failures_host: Host, real_failures: FailedRuns):
    answer = await failures_host.call("list_runs", group_by="cause")
    by_run = {cause["latest_run"]: cause for cause in answer.data["causes"]}
    branches = by_run[real_failures.runs["two_branches_allowed"]]
    assert (branches["count"], branches["block"]) == (3, "branch_left")
    assert set(branches["pipelines"]) == {
        "failure_two_branches",
        "failure_two_branches_allowed",
        "failure_branch_cancelled",
    }
    assert answer.data["causes"][0] == branches, "the commonest comes first"
    assert answer.tokens <= DEFAULT_TOKENS
    assert not OF_MAGE_OR_THE_SERVER.search(answer.text)


@pytest.mark.parametrize("name", ["sys_exit", "streaming_config_no_retry_config"])
async def test_what_never_ends_by_itself_can_be_cancelled(failures_host: Host, real_failures: FailedRuns, name: str):
    run = real_failures.wire.trigger(real_failures.triggers[name])["id"]
    report = {}
    while "cancel_runs" not in str(report.get("next_steps")):
        report = (await failures_host.call("get_run", run=str(run), wait_s=2)).data
        assert report["status"] in ("initial", "running")
    (change,) = (await failures_host.call("cancel_runs", runs=[run])).data["runs"]
    assert (change["before"], change["after"]) == ("running", "cancelled")
    after = (await failures_host.call("get_run", run=str(run))).data
    assert after["status"] == "cancelled"
    assert after["note"].startswith("Somebody cancelled it")
    assert ("its worker died without an error" in after["note"]) == (name == "sys_exit")
