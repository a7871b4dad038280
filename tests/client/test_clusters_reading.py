"""Looking at clusters: whichever of the two APIs answers, and what is missing for the rest."""

import anyio
import httpx
import pytest

from mage_mcp.client import Mage
from mage_mcp.client.clusters import list_clusters
from mage_mcp.client.clusters.notes import Notes, NotesFile
from mage_mcp.demo.cloud import CloudWorld, Fault, Switches
from mage_mcp.demo.cloud_edits import Edit
from tests.clouds import clock_of, mage_in, requests_to_cloud, settings_of, shown

pytestmark = pytest.mark.anyio


async def test_a_cluster_is_told_through_both_of_its_apis(cloud: CloudWorld):
    async with mage_in(cloud) as mage:
        detail = await mage.clusters.get()
    assert detail.lean() == {
        "cluster": "prod",
        "kind": "cloud",
        "answers": True,
        "status": "Active",
        "cloud_name": "Production",
        "cloud_id": "cl-prod",
        "replicas": 2,
        "version": "0.9.80",
        "scheduler": "running",
        "runs_running": 1,
        "runs_queued": 0,
        "env_vars": [
            "DEFAULT_EXECUTOR_TYPE",
            "SNOWFLAKE_PASSWORD",
            "AWS_SECRET_ACCESS_KEY",
            "DATABASE_URL",
            "SLACK_WEBHOOK_URL",
            "SENTRY_DSN",
        ],
        "references": ["AWS_SECRET_ACCESS_KEY"],
    }


async def test_nothing_that_is_told_holds_a_secret(cloud: CloudWorld):
    async with mage_in(cloud) as prod, mage_in(cloud, "staging") as staging:
        answers = [await prod.clusters.get(), await staging.clusters.get()]
        page = await list_clusters([prod.clusters, staging.clusters])
        masked = [await prod.clusters.masked_config(), await staging.clusters.masked_config()]
    told = "".join(map(shown, [*answers, page])) + str(masked)
    assert not [what for what, secret in cloud.secrets().items() if secret in told]


async def test_a_cluster_that_is_down_is_told_by_the_cloud(cloud: CloudWorld):
    cloud.clusters["prod"].save(cloud.clusters["prod"].config, "Stopped")
    async with mage_in(cloud) as mage:
        detail = await mage.clusters.get()
    assert (detail.status, detail.answers, detail.runs_running) == ("Stopping", False, None)
    assert "is not available (HTTP 503)" in detail.note


async def test_a_cloud_that_is_down_is_told_by_the_cluster(cloud: CloudWorld):
    cloud.faults = [Fault(method="GET", status=503, applied=False)] * 3
    async with mage_in(cloud) as mage:
        detail = await mage.clusters.get()
    assert (detail.answers, detail.version, detail.runs_running, detail.status) == (True, "0.9.80", 1, "")
    assert "Mage Cloud is not available" in detail.note


async def test_a_cluster_of_ones_own_has_no_cloud_and_says_what_that_takes(cloud: CloudWorld):
    async with mage_in(cloud, team_id="", cluster_id="", cloud_email="", cloud_password=None) as mage:
        detail = await mage.clusters.get()
        row = await mage.clusters.row()
    assert (detail.kind, detail.answers, detail.version) == ("self-hosted", True, "0.9.80")
    assert "team_id and cluster_id and cloud_email and cloud_password in [clusters.prod]" in detail.note
    assert row.lean() == {"cluster": "prod", "kind": "self-hosted", "answers": True}
    assert requests_to_cloud(cloud, "GET") == 0


async def test_with_cloud_ids_only_the_cloud_tells_and_the_url_is_named(cloud: CloudWorld):
    async with mage_in(cloud, url="") as mage:
        detail = await mage.clusters.get()
    assert (detail.status, detail.answers, detail.replicas) == ("Active", False, 2)
    assert "`url` of [clusters.prod] is not set" in detail.note


async def test_half_of_the_cloud_settings_is_worth_a_note_in_a_row(cloud: CloudWorld):
    async with mage_in(cloud, cloud_password=None) as mage:
        row = await mage.clusters.row()
    assert row.answers
    assert "cloud_password in [clusters.prod]" in row.note


async def test_a_login_that_the_cluster_refuses_is_an_answer_all_the_same(cloud: CloudWorld):
    cloud.ask_for_login()
    async with mage_in(cloud) as mage:
        row = await mage.clusters.row()
        detail = await mage.clusters.get()
    assert row.answers
    assert detail.answers
    assert "needs a login and none is configured" in detail.note
    assert detail.runs_running is None


class Hanging(httpx.AsyncBaseTransport):
    """Never answers."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await anyio.sleep_forever()
        raise AssertionError(request)


async def test_a_cluster_that_hangs_is_a_row_within_the_time(cloud: CloudWorld, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mage_mcp.client.clusters.reading.ROW_WITHIN_S", 0.05)
    async with Mage(settings_of("staging"), wire=Hanging(), clock=clock_of(cloud)) as hung, mage_in(cloud) as mage:
        with anyio.fail_after(2):
            page = await list_clusters([hung.clusters, mage.clusters])
    assert [(row.cluster, row.answers, row.status) for row in page.items] == [
        ("staging", False, ""),
        ("prod", True, "Active"),
    ]
    assert "Its own API did not answer within 0 s. Mage Cloud did not answer within 0 s." in page.items[0].note


async def test_a_list_holds_every_cluster_in_order_with_its_marks(cloud: CloudWorld):
    cloud.clusters["staging"].save(None, "Stopped")
    async with mage_in(cloud, protected=True) as prod, mage_in(cloud, "staging", read_only=True) as staging:
        page = await list_clusters([staging.clusters, prod.clusters])
    assert (page.total, page.note) == (2, "")
    first, second = page.items
    assert (first.cluster, first.read_only, first.protected, first.status) == ("staging", True, False, "Stopping")
    assert (second.cluster, second.read_only, second.protected, second.answers) == ("prod", False, True, True)


async def test_clusters_of_the_team_that_are_not_configured_are_named(cloud: CloudWorld):
    async with mage_in(cloud) as mage:
        page = await list_clusters([mage.clusters])
    assert page.note == "In the team and not configured here: Staging (cl-staging)."


async def test_the_team_is_listed_for_whoever_lacks_only_the_clusters_id(cloud: CloudWorld):
    async with mage_in(cloud, cluster_id="") as mage:
        page = await list_clusters([mage.clusters])
    assert "Production (cl-prod), Staging (cl-staging)" in page.note
    assert "cluster_id in [clusters.prod]" in page.items[0].note


@pytest.mark.parametrize("http_errors", [False, True])
async def test_a_cloud_that_lists_nothing_is_no_failure(cloud: CloudWorld, http_errors: bool):
    cloud.switches = Switches(lists=False, http_errors=http_errors)
    async with mage_in(cloud) as mage:
        page = await list_clusters([mage.clusters])
    assert page.items[0].status == "Active"
    assert page.note == "Mage Cloud does not list the team's clusters; these are the configured ones."


async def test_names_from_the_cloud_are_marked_and_stripped_of_what_hides(cloud: CloudWorld):
    Edit(name="Prod\u202e\n- also safe" + "x" * 200)(cloud.clusters["prod"])
    async with mage_in(cloud) as mage:
        detail = await mage.clusters.get()
        plan = await mage.clusters.plan_stop()
    assert detail.cloud_name.startswith("Prod - also safe")
    assert len(detail.cloud_name) <= 60
    assert all("\n" not in act and "\u202e" not in act for act in plan.acts)


@pytest.mark.parametrize("config", [None, {}, {"extraEnvs": None}, {"replicaCount": None}, {"replicaCount": True}])
async def test_a_config_may_lack_anything(cloud: CloudWorld, config: object):
    cloud.clusters["prod"].config = config
    async with mage_in(cloud) as mage:
        detail = await mage.clusters.get()
        masked = await mage.clusters.masked_config()
    assert (detail.replicas, detail.env_vars) == (None, [])
    assert masked["config"] == config


async def test_many_variables_are_cut_and_counted(cloud: CloudWorld):
    Edit(set_env={f"V{i}": str(i) for i in range(300)})(cloud.clusters["staging"])
    async with mage_in(cloud, "staging") as mage:
        detail = await mage.clusters.get()
    assert len(detail.env_vars) == 200
    assert "106 more variables are not shown" in detail.note


# What a stop would interrupt


async def test_a_plan_names_the_cloud_and_the_runs_under_way_and_stays_the_same(cloud: CloudWorld):
    async with mage_in(cloud) as mage:
        plan = await mage.clusters.plan_stop()
        cloud.clock.advance(5)
        again = await mage.clusters.plan_stop()
        restart = await mage.clusters.plan_restart()
    assert plan == again
    assert plan.question == "Stop Production (cl-prod), configured as 'prod'?"
    assert plan.acts == ("stop Production (cl-prod)", "interrupt run 18 of crash_loop")
    assert restart.acts == ("restart Production (cl-prod)", "interrupt run 18 of crash_loop")
    assert not cloud.puts


async def test_of_many_runs_the_ten_latest_are_named_and_the_others_counted(cloud: CloudWorld):
    world = cloud.clusters["prod"].world
    made = [world.create_run(world.triggers[5]).id for _ in range(12)]
    cloud.clock.advance(5)
    async with mage_in(cloud) as mage:
        plan = await mage.clusters.plan_stop()
    named = [act for act in plan.acts if "run " in act]
    running = sorted(run.id for run in world.runs.values() if run.status(cloud.now) == "running")
    assert set(made) & set(running)
    assert named == [f"interrupt run {i} of {world.runs[i].pipeline.uuid}" for i in running[-10:]]
    assert (f"interrupt {len(running) - 10} older runs" in plan.acts) is (len(running) > 10)


async def test_runs_that_cannot_be_looked_up_are_not_called_none(cloud: CloudWorld):
    async with mage_in(cloud, url="http://mage.test/nowhere") as mage:
        assert "runs could not be looked up" in (await mage.clusters.plan_stop()).acts[1]
    async with mage_in(cloud, url="") as mage:
        assert "runs were not looked up" in (await mage.clusters.plan_stop()).acts[1]


async def test_where_nothing_would_be_lost_a_plan_is_empty(cloud: CloudWorld):
    async with mage_in(cloud) as mage:
        assert not (await mage.clusters.plan_start()).acts
        assert not (await mage.clusters.plan_start(2)).acts
        await mage.clusters.stop()
        assert not (await mage.clusters.plan_stop()).acts
        assert not (await mage.clusters.plan_restart()).acts
        assert not (await mage.clusters.plan_start(5)).acts


async def test_another_number_of_replicas_for_what_runs_is_a_restart_and_planned_as_one(cloud: CloudWorld):
    async with mage_in(cloud) as mage:
        plan = await mage.clusters.plan_start(3)
    assert plan.acts == (
        "restart Production (cl-prod) with 3 replicas in place of 2",
        "interrupt run 18 of crash_loop",
    )


async def test_a_plan_of_variables_names_them_and_no_value(cloud: CloudWorld):
    async with mage_in(cloud) as mage:
        plan = await mage.clusters.plan_update_env_vars(
            set_={"SNOWFLAKE_PASSWORD": "new-zq8", "B": "zq8", "A": "zq8"}, unset=["SENTRY_DSN", "NOT_THERE"]
        )
        dry = await mage.clusters.plan_update_env_vars(unset=["SENTRY_DSN"], dry_run=True)
        none = await mage.clusters.plan_update_env_vars(set_={"DEFAULT_EXECUTOR_TYPE": "k8s"})
    assert plan.acts == (
        "add A",
        "add B",
        "overwrite SNOWFLAKE_PASSWORD",
        "remove SENTRY_DSN",
        "restart Production (cl-prod), which Mage Cloud does after saving",
        "interrupt run 18 of crash_loop",
    )
    assert dry.acts == none.acts == ()
    assert "zq8" not in repr(plan)


async def test_a_plan_for_a_stopped_cluster_interrupts_nothing(cloud: CloudWorld):
    async with mage_in(cloud) as mage:
        await mage.clusters.stop(wait_s=45)
        plan = await mage.clusters.plan_update_env_vars(set_={"A": "1"})
        patch = await mage.clusters.plan_update_config({"git": {"branch": "next"}})
    assert plan.acts == ("add A",)
    assert patch.acts == ('change git.branch: "main" → "next"',)


# Notes of a process that is gone


async def test_a_restart_left_half_done_is_told_until_the_cluster_is_up(cloud: CloudWorld):
    async with mage_in(cloud) as mage:
        await mage.clusters.stop(wait_s=45)
        NotesFile(mage.clusters.place).write(Notes(replicas=2, restart_began="2026-11-24T11:59:00Z"))
        row, detail = await mage.clusters.row(), await mage.clusters.get()
        sentence = await mage.clusters.unfinished()
        cloud.faults = [Fault(method="GET", applied=False)] * 3
        unsure = await mage.clusters.unfinished()
        Edit(merge={"replicaCount": 2}, status="Active")(cloud.clusters["prod"])
        mended = await mage.clusters.unfinished()
    assert "A restart begun at 2026-11-24T11:59:00Z was left half done" in row.note
    assert sentence in row.note
    assert sentence in detail.note
    assert "start_cluster finishes it with 2 replicas" in sentence
    assert "may have been left half done" in unsure
    assert mended == ""


async def test_an_old_note_on_a_cluster_that_is_up_is_dropped(cloud: CloudWorld):
    async with mage_in(cloud) as mage:
        notes = NotesFile(mage.clusters.place)
        notes.write(Notes(replicas=2, restart_began="2026-11-24T11:30:00Z"))
        assert (await mage.clusters.row()).note == ""
        assert notes.path().exists()
        cloud.clock.advance(3600)
        await mage.clusters.row()
    assert not notes.path().exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"place": []}', b"null"])
async def test_notes_that_cannot_be_read_count_as_none_and_that_is_said(cloud: CloudWorld, content: bytes):
    async with mage_in(cloud) as mage:
        path = NotesFile(mage.clusters.place).path()
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        assert "cannot be read and count as none" in (await mage.clusters.row()).note
        assert await mage.clusters.unfinished() == ""
        await mage.clusters.stop()
        assert (await mage.clusters.start()).replicas == 2


async def test_a_cluster_without_a_cloud_has_no_notes(cloud: CloudWorld):
    async with mage_in(cloud, team_id="") as mage:
        assert await mage.clusters.unfinished() == ""
