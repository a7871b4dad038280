"""Start and stop: what was so already is left alone, what changes is read back, and replicas come back as they were."""

import stat
from pathlib import Path
from typing import Any

import anyio
import pytest

from mage_mcp.client.clusters.notes import Notes, NotesFile
from mage_mcp.client.deadline import call_deadline
from mage_mcp.demo.cloud import CloudWorld, Delays, Fault, Switches
from mage_mcp.demo.cloud_edits import Edit
from mage_mcp.errors import MageFailed, MageInvalid, MageWriteUncertain
from tests.clouds import clock_of, mage_in

pytestmark = pytest.mark.anyio


def sent(cloud: CloudWorld) -> list[tuple[Any, Any]]:
    """Status and replicas of every PUT."""
    clusters = [put["body"]["cluster"] for put in cloud.puts]
    return [(cluster.get("status"), cluster["config"].get("replicaCount")) for cluster in clusters]


async def test_a_stop_waits_for_the_end_and_says_what_was_and_what_is(cloud: CloudWorld):
    heard: list[tuple[float, float, str]] = []

    async def progress(*said: Any) -> None:
        heard.append(said)

    async with mage_in(cloud) as mage:
        answer = await mage.clusters.stop(wait_s=45, progress=progress)
    assert answer.lean() == {
        "changed": True,
        "cloud_name": "Production",
        "cloud_id": "cl-prod",
        "before": "Active",
        "after": "Stopped",
        "replicas_before": 2,
        "replicas": 0,
    }
    assert heard[0] == (0.0, 45, "Production (cl-prod) is Stopping")
    assert heard[-1][2] == "Production (cl-prod) is Stopped"
    assert sent(cloud) == [("Stopped", 0)]


async def test_a_stop_that_is_not_awaited_says_how_to_look_again(cloud: CloudWorld):
    async with mage_in(cloud) as mage:
        answer = await mage.clusters.stop()
    assert (answer.after, answer.changed) == ("Stopping", True)
    assert "get_cluster" in answer.note


async def test_stopping_what_is_stopped_sends_nothing(cloud: CloudWorld):
    async with mage_in(cloud) as mage:
        await mage.clusters.stop()
        again = await mage.clusters.stop()
        await mage.clusters.stop(wait_s=45)
        last = await mage.clusters.stop()
    assert (again.changed, again.before) == (False, "Stopping")
    assert "already is Stopping; nothing was sent" in again.note
    assert (last.changed, last.note) == (False, "It already is Stopped; nothing was sent.")
    assert len(cloud.puts) == 1


async def test_a_start_gives_back_the_replicas_and_waits_for_the_clusters_own_api(cloud: CloudWorld):
    cloud.delays = Delays(start_s=20)
    async with mage_in(cloud) as mage:
        await mage.clusters.stop(wait_s=45)
        answer = await mage.clusters.start(wait_s=45)
    assert (answer.changed, answer.before, answer.after, answer.replicas, answer.answers, answer.note) == (
        True,
        "Stopped",
        "Active",
        2,
        True,
        "",
    )
    assert sent(cloud)[1:] == [("Active", 2)]
    assert cloud.clusters["prod"].is_up


async def test_a_long_start_is_awaited_by_several_calls_and_sent_once(cloud: CloudWorld):
    async with mage_in(cloud) as mage:
        await mage.clusters.stop(wait_s=45)
        first = await mage.clusters.start(wait_s=45)
        second = await mage.clusters.start(wait_s=45)
    assert (first.after, first.answers) == ("Starting", False)
    assert "takes minutes" in first.note
    assert (second.changed, second.after, second.answers) == (False, "Active", True)
    assert len(cloud.puts) == 2


async def test_starting_what_runs_sends_nothing(cloud: CloudWorld):
    async with mage_in(cloud) as mage:
        for replicas in (None, 2):
            answer = await mage.clusters.start(replicas=replicas)
            assert (answer.changed, answer.note) == (False, "It already runs; nothing was sent.")
    assert not cloud.puts


@pytest.mark.parametrize(
    ("status", "config", "started_with"),
    [
        ("Active", {"replicaCount": 0}, 1),
        ("Stopped", {"replicaCount": 3}, 3),
        ("Stopped", {}, 1),
        ("Stopped", None, 1),
        ("Stopped", {"replicaCount": None, "x": 1}, 1),
    ],
)
async def test_status_and_replicas_must_agree_before_nothing_is_to_be_done(
    cloud: CloudWorld, status: str, config: Any, started_with: int
):
    prod = cloud.clusters["prod"]
    if status == "Stopped":
        prod.save(prod.config, "Stopped")
        cloud.clock.advance(60)
    prod.config = config
    async with mage_in(cloud) as mage:
        answer = await mage.clusters.start()
    assert answer.changed
    assert sent(cloud) == [("Active", started_with)]
    assert cloud.puts[0]["body"]["cluster"]["config"] == {**(config or {}), "replicaCount": started_with}
    assert ("not known" in answer.note) is not bool((config or {}).get("replicaCount"))


async def test_a_stopped_cluster_with_replicas_is_stopped_for_good(cloud: CloudWorld):
    prod = cloud.clusters["prod"]
    prod.save(prod.config, "Stopped")
    cloud.clock.advance(60)
    async with mage_in(cloud) as mage:
        answer = await mage.clusters.stop()
    assert (answer.changed, answer.replicas_before, answer.replicas) == (True, 2, 0)


async def test_the_number_of_replicas_may_be_given(cloud: CloudWorld):
    async with mage_in(cloud) as mage:
        await mage.clusters.stop(wait_s=45)
        assert (await mage.clusters.start(replicas=4)).replicas == 4
        assert (await mage.clusters.start(replicas=5)).replicas == 5
        for wrong in (0, -1, 101):
            with pytest.raises(MageInvalid, match=f"with {wrong} replicas"):
                await mage.clusters.start(replicas=wrong)
    assert sent(cloud) == [("Stopped", 0), ("Active", 4), ("Active", 5)]


async def test_whatever_else_is_in_the_config_comes_back_as_it_was(cloud: CloudWorld):
    before = dict(cloud.clusters["staging"].config)
    async with mage_in(cloud, "staging") as mage:
        await mage.clusters.stop(wait_s=45)
        await mage.clusters.start()
    assert cloud.clusters["staging"].config == before
    assert list(cloud.clusters["staging"].config) == list(before)


# Notes


async def test_the_replicas_are_noted_before_the_stop_in_a_file_of_ones_own(cloud: CloudWorld, state_folder: Path):
    seen: list[Any] = []
    async with mage_in(cloud) as mage:
        notes = NotesFile(mage.clusters.place)
        cloud.before_next_put(lambda _: seen.append(notes.read()))
        await mage.clusters.stop(wait_s=45)
        assert seen == [Notes(replicas=2)]
        (file,) = state_folder.iterdir()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        async with mage_in(cloud) as another:
            assert (await another.clusters.start()).replicas == 2
    assert not list(state_folder.iterdir())


async def test_a_refused_stop_leaves_the_notes_as_they_were(cloud: CloudWorld, state_folder: Path):
    cloud.switches = Switches(refuses_while_changing=True)
    async with mage_in(cloud) as mage:
        Edit(restarts=True)(cloud.clusters["prod"])
        with pytest.raises(MageFailed, match="The cluster is Restarting"):
            await mage.clusters.stop()
        assert not list(state_folder.iterdir())
        NotesFile(mage.clusters.place).write(Notes(replicas=7))
        with pytest.raises(MageFailed):
            await mage.clusters.stop()
        assert NotesFile(mage.clusters.place).read() == Notes(replicas=7)


async def test_a_stop_goes_on_where_nothing_can_be_noted_and_says_so(
    cloud: CloudWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MAGE_MCP_STATE_DIR", str(tmp_path / "file" / "below"))
    async with mage_in(cloud) as mage:
        answer = await mage.clusters.stop()
    assert answer.replicas_before == 2
    assert "could not be noted" in answer.note


async def test_two_clusters_have_notes_of_their_own(cloud: CloudWorld, state_folder: Path):
    async with mage_in(cloud) as prod, mage_in(cloud, "staging") as staging:
        await prod.clusters.stop(wait_s=45)
        await staging.clusters.stop(wait_s=45)
        assert len(list(state_folder.iterdir())) == 2
        assert (await staging.clusters.start()).replicas == 1
        assert (await prod.clusters.start()).replicas == 2


# Answers that are lost


@pytest.mark.parametrize("act", ["start", "stop"])
async def test_a_lost_answer_is_looked_up(cloud: CloudWorld, act: str):
    async with mage_in(cloud) as mage:
        if act == "start":
            await mage.clusters.stop(wait_s=45)
        cloud.faults = [Fault(status=504, applied=True)]
        answer = await getattr(mage.clusters, act)()
    assert answer.changed
    assert "answer was lost; this is what was read afterwards" in answer.note
    assert len(cloud.puts) == (2 if act == "start" else 1)


@pytest.mark.parametrize("act", ["start", "stop"])
async def test_a_write_that_was_lost_itself_is_called_uncertain(cloud: CloudWorld, act: str):
    async with mage_in(cloud) as mage:
        if act == "start":
            await mage.clusters.stop(wait_s=45)
        puts = len(cloud.puts)
        cloud.faults = [Fault(status=502, applied=False)]
        with pytest.raises(MageWriteUncertain, match="may or may not"):
            await getattr(mage.clusters, act)()
        assert len(cloud.puts) == puts
        assert (await getattr(mage.clusters, act)()).changed


async def test_a_change_that_cannot_be_read_back_is_told_as_sent(cloud: CloudWorld):
    async with mage_in(cloud) as mage:
        cloud.after_next_put(lambda _: cloud.faults.extend([Fault(method="GET", applied=False)] * 6))
        answer = await mage.clusters.stop()
    assert answer.changed
    assert "could not be read back" in answer.note


async def test_a_call_that_is_cancelled_in_the_middle_has_sent_its_write(cloud: CloudWorld):
    async with mage_in(cloud) as mage:
        with anyio.CancelScope() as scope:
            cloud.before_next_put(lambda _: scope.cancel())
            await mage.clusters.stop(wait_s=45)
        assert scope.cancelled_caught
    assert sent(cloud) == [("Stopped", 0)]
    assert cloud.clusters["prod"].status == "Stopping"


async def test_a_wait_leaves_time_for_the_answer(cloud: CloudWorld):
    clock = clock_of(cloud)
    async with mage_in(cloud) as mage:
        await mage.clusters.stop(wait_s=45)
        began = clock.now()
        with call_deadline(20, clock) as deadline:
            await mage.clusters.start(wait_s=45)
            assert 3 <= deadline.remaining() <= 5
        assert clock.now() - began <= 17
        began = clock.now()
        await mage.clusters.start(wait_s=600)
        assert clock.now() - began <= 45


async def test_a_cloud_that_fails_while_a_start_is_awaited_does_not_end_the_wait(cloud: CloudWorld):
    cloud.delays = Delays(start_s=20)
    async with mage_in(cloud) as mage:
        await mage.clusters.stop(wait_s=45)

        async def progress(waited: float, *_: Any) -> None:
            if 5 < waited < 10:
                cloud.faults.extend([Fault(method="GET", applied=False)] * 3)

        answer = await mage.clusters.start(wait_s=45, progress=progress)
    assert (answer.after, answer.answers) == ("Active", True)


async def test_without_a_url_a_start_waits_for_the_cloud_only(cloud: CloudWorld):
    cloud.delays = Delays(start_s=20)
    async with mage_in(cloud, url="") as mage:
        await mage.clusters.stop(wait_s=45)
        answer = await mage.clusters.start(wait_s=45)
    assert (answer.after, answer.answers) == ("Active", None)
