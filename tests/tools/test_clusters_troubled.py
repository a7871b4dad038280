"""Looking at clusters when something is wrong with one of them, or with the way to them."""

import socket
import time
from pathlib import Path

import pytest
from pydantic import SecretStr

from mage_mcp.demo.cloud import CloudWorld, Fault, Switches
from mage_mcp.demo.cloud_app import CLOUD_PATH
from tests.conftest import cloud_host
from tests.host import Host
from tests.served import connected, serving

pytestmark = pytest.mark.anyio

LOGIN = ("POST", f"{CLOUD_PATH}/sessions")


async def rows(host: Host) -> dict[str, dict]:
    return {row["cluster"]: row for row in (await host.call("list_clusters")).data["items"]}


@pytest.mark.slow
async def test_clusters_that_hang_or_refuse_are_rows_within_five_seconds(tmp_path: Path):
    with serving(tmp_path) as cloud, socket.create_server(("127.0.0.1", 0)) as mute:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            gone = f"http://127.0.0.1:{closed.getsockname()[1]}"
        tables = (
            f'\n[clusters.hangs]\nurl = "http://127.0.0.1:{mute.getsockname()[1]}"\n\n[clusters.gone]\nurl = "{gone}"\n'
        )
        cloud.config.write_text(cloud.config.read_text(encoding="utf-8") + tables, encoding="utf-8")
        async with connected(cloud, "auto", None) as host:
            assert (await host.call("get_cluster", cluster="staging")).data["status"] == "Active"
            cloud.post("fault", method="GET", status=200, delay_s=6)
            began = time.perf_counter()
            found = await rows(host)
            assert time.perf_counter() - began < 7
    assert list(found) == ["prod", "staging", "hangs", "gone"]
    assert [row["answers"] for row in found.values()] == [True, True, False, False]
    assert "did not answer within 5 s" in found["hangs"]["note"]
    assert "cannot be reached" in found["gone"]["note"]
    slow = [row for row in found.values() if "Mage Cloud did not answer within 5 s" in row.get("note", "")]
    assert len(slow) <= 1  # the list of the team may be what was slow


async def test_a_cloud_that_lists_no_clusters_is_said_in_one_note(cloud: CloudWorld, era: str):
    cloud.switches = Switches(lists=False)
    async with cloud_host(cloud, era) as host:
        page = (await host.call("list_clusters")).data
    assert [row["status"] for row in page["items"]] == ["Active", "Active"]
    assert not any(row.get("note") for row in page["items"])
    assert "does not list" in page["note"]


async def test_a_wrong_password_is_tried_once_a_minute(cloud: CloudWorld, era: str):
    wrong = {"cloud_password": SecretStr("planted-wrong-password")}
    async with cloud_host(cloud, era, marks={"prod": wrong, "staging": wrong}) as host:
        for row in (await rows(host)).values():
            assert row["answers"] is True
            assert "refused the email or the password" in row["note"]
            assert "status" not in row
        sentence = await host.refused("stop_cluster", cluster="prod")
        assert "cloud_password in [clusters.prod]" in sentence
        assert "planted" not in sentence
        assert cloud.requests.count(LOGIN) == 1
        cloud.clock.advance(61)
        await rows(host)
        assert cloud.requests.count(LOGIN) == 2


async def test_a_session_that_ends_in_the_middle_is_renewed_once_and_the_change_made_once(cloud: CloudWorld, era: str):
    async with cloud_host(cloud, era, confirm="never") as host:
        await rows(host)
        assert cloud.requests.count(LOGIN) == 1
        cloud.expire_sessions()
        await rows(host)
        assert cloud.requests.count(LOGIN) == 2
        for _ in range(3):
            cloud.after_next_get(lambda _: cloud.expire_sessions())  # before each read, and before the write
        answer = (await host.call("update_cluster_env_vars", cluster="staging", set={"NEW": "1"})).data
        assert answer["changed"] is True
        assert "others" not in answer
        assert [put["refused"] for put in cloud.puts] == [""]
        assert cloud.requests.count(LOGIN) == 5


async def test_a_gateway_that_fails_while_a_cluster_is_stopped_leaves_the_truth_in_the_answer(
    cloud: CloudWorld, era: str
):
    async with cloud_host(cloud, era, confirm="never") as host:
        cloud.faults.append(Fault(applied=True))
        answer = (await host.call("stop_cluster", cluster="prod")).data
        assert answer["changed"] is True
        assert answer["replicas"] == 0
        assert "answer was lost" in answer["note"]
        cloud.faults.append(Fault(applied=False))
        sentence = await host.refused("stop_cluster", cluster="staging")
        assert "may or may not have happened" in sentence
        assert cloud.clusters["staging"].status == "Active"


async def test_silence_is_told_only_where_the_status_does_not_explain_it(cloud: CloudWorld, era: str):
    async with cloud_host(cloud, era, confirm="never") as host:
        await host.call("stop_cluster", cluster="prod", wait_s=45)
        assert "note" not in (await rows(host))["prod"]
        sentence = await host.refused("list_pipelines", cluster="prod")
        assert "get_cluster says whether it is stopped, and start_cluster starts it" in sentence
        await host.call("start_cluster", cluster="prod")
        assert (await rows(host))["prod"]["note"] == "Its own API does not answer yet."
        cloud.clock.advance(65)  # Active, and silent still
        assert "not available" in (await host.call("get_cluster", cluster="prod")).data["note"]


async def test_a_dry_run_names_the_restart_and_what_that_interrupts(cloud: CloudWorld, era: str):
    async with cloud_host(cloud, era) as host:
        for tool, arguments in (
            ("update_cluster_env_vars", {"set": {"AWS_SECRET_ACCESS_KEY": "x"}, "replace_references": True}),
            ("update_cluster_config", {"patch": {"labels": {"team": "data"}}}),
        ):
            told = (await host.call(tool, cluster="prod", dry_run=True, **arguments)).data
            assert told["changed"] is False
            assert told["note"].startswith("A dry run: nothing was written.")
            assert any("restart Production (cl-prod)" in act for act in told["would"])
            assert any("crash_loop" in act for act in told["would"])
            nothing = {"unset": ["NOPE"]} if "set" in arguments else {"patch": {"labels": None}}
            assert "would" not in (await host.call(tool, cluster="prod", dry_run=True, **nothing)).data
    assert cloud.puts == []


async def test_a_login_that_is_missing_or_wrong_is_told_by_the_settings_of_that_cluster(cloud: CloudWorld, era: str):
    cloud.ask_for_login()
    wrong = {"email": "admin@demo.invalid", "password": SecretStr("planted-wrong-password")}
    async with cloud_host(cloud, era, marks={"staging": wrong}) as host:
        assert "`password` of [clusters.prod]" in (await host.call("get_cluster", cluster="prod")).data["note"]
        sentence = await host.refused("list_pipelines", cluster="staging")
    assert "Correct `email` of [clusters.staging] and `password` of [clusters.staging]" in sentence
    assert "planted" not in sentence
