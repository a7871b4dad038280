"""Identifiers: what could lead elsewhere never leaves the process, what is only odd arrives as it is."""

from collections.abc import Awaitable, Callable

import pytest

from mage_mcp.client import Cluster, Mage
from mage_mcp.client.paths import api, block_uuid, pipeline_uuid
from mage_mcp.demo.world import World
from mage_mcp.errors import MageError, MageInvalid
from tests.conftest import clock_of
from tests.wires import Script, Wire, says

LEADS_ELSEWHERE = [
    "../users/1",
    "a/../b",
    "..",
    ".",
    " ",
    "%2e%2e",
    "%2E%2E%2Fusers",
    "a%2fb",
    "a\\b",
    "..\\users",
    "x?y",
    "x#y",
    "x\x00y",
    "x\ny",
    "x\r\nHost: elsewhere",
    "x\x7fy",
    "x\x85y",
    "\ud800",
    "x" * 300,
    " padded",
    "padded ",
    "\u2003",
]


@pytest.mark.parametrize("text", [*LEADS_ELSEWHERE, "", "a/b"], ids=ascii)
def test_what_cannot_be_a_pipeline_is_refused(text: str):
    with pytest.raises(MageInvalid) as caught:
        pipeline_uuid(text)
    assert "cannot be the uuid of a pipeline; nothing was sent" in str(caught.value)
    assert "looks like 'daily_orders'" in str(caught.value)
    assert len(str(caught.value)) < 200
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("text", [*LEADS_ELSEWHERE, "", "/", "/a", "a/", "a//b", "a/./b", "a/ b"], ids=ascii)
def test_what_cannot_be_a_block_is_refused(text: str):
    with pytest.raises(MageInvalid, match="cannot be the uuid of a block"):
        block_uuid(text)


@pytest.mark.parametrize(
    "text", ["café___10__day__a_b_c", "letter_2026_q4_plan", "a b", "a.b", "...", "日本", "a:b", "~"]
)
def test_odd_but_legal_names_pass(text: str):
    assert pipeline_uuid(text) == text
    assert block_uuid(f"sub/{text}") == f"sub/{text}"


def test_each_identifier_is_one_segment():
    assert api("pipelines", "café 10%", 7) == "api/pipelines/caf%C3%A9%2010%25/7"
    assert api("blocks", "sub/read_orders") == "api/blocks/sub%2Fread_orders"
    assert api("blocks", "part:two") == "api/blocks/part%3Atwo"
    assert api("x", "a?b#c&d=e;f+g") == "api/x/a%3Fb%23c%26d%3De%3Bf%2Bg"


def uses_of_a_pipeline(mage: Mage, text: str) -> list[Callable[[], Awaitable[object]]]:
    return [
        lambda: mage.pipelines.get(text),
        lambda: mage.runs.list(pipeline=text),
        lambda: mage.runs.list(pipeline=text, trigger="1"),
        lambda: mage.runs.report(pipeline=text),
        lambda: mage.runs.start_and_report(text),
        lambda: mage.runs.start_and_report(text, trigger="1"),
        lambda: mage.triggers.list(pipeline=text),
        lambda: mage.outputs.get("load_orders", pipeline=text),
    ]


@pytest.mark.anyio
@pytest.mark.parametrize("text", LEADS_ELSEWHERE, ids=ascii)
async def test_no_request_leaves_for_an_identifier_that_leads_elsewhere(text: str):
    wire = Script(says({}))
    mage = Mage(Cluster(url="http://mage.test"), wire=wire)
    for call in uses_of_a_pipeline(mage, text):
        with pytest.raises(MageInvalid):
            await call()
    for call in (
        lambda: mage.outputs.get(text, run="1"),
        lambda: mage.runs.report(text),
        lambda: mage.logs.get(text),
        lambda: mage.outputs.get("a", run=text),
    ):
        with pytest.raises(MageInvalid):
            await call()
    assert wire.requests == []


@pytest.mark.anyio
@pytest.mark.parametrize("text", LEADS_ELSEWHERE, ids=ascii)
async def test_blocks_and_triggers_that_lead_elsewhere_are_never_part_of_a_path(world: World, text: str):
    """Here something has to be read first; the text itself goes nowhere."""
    wire = Wire(world)
    mage = Mage(Cluster(url="http://mage.test"), wire=wire, clock=clock_of(world))
    run = str(max(world.runs))
    for call in (
        lambda: mage.logs.get(run, block=text),
        lambda: mage.runs.retry(int(run), from_block=text),
        lambda: mage.runs.list(trigger=text),
        lambda: mage.runs.start("sales_daily", trigger=text),
    ):
        with pytest.raises(MageError):
            await call()
    known = ("/api/pipeline_runs", "/api/pipeline_schedules", "/api/pipelines/sales_daily/pipeline_schedules")
    assert {request.method for request in wire.requests} == {"GET"}
    for request in wire.requests:
        assert request.url.raw_path.decode().partition("?")[0].removesuffix(f"/{run}") in known


@pytest.mark.anyio
@pytest.mark.parametrize(
    "link",
    [
        "https://elsewhere.test/pipelines/x/runs/1",
        "https://bob:planted@elsewhere.test/pipelines/x/runs/1",
        "http://mage.test:81/pipelines/x/runs/1",
        "http://mage.test@elsewhere.test/pipelines/x/runs/1",
        "http://mage.test/other/pipelines/x/runs/1",
        "http://[mage.test/pipelines/x/runs/1",
        "http://mage.test:port/pipelines/x/runs/1",
        "http://mage.test/pipelines/x/runs/" + "9" * 5000,
        "9" * 5000,
        "-1",
        "1.5",
        "١٢",
        "1; DROP TABLE",
    ],
    ids=lambda link: link[:60],
)
async def test_a_link_to_anything_but_a_run_of_this_mage_is_refused(link: str):
    wire = Script(says({}))
    mage = Mage(Cluster(url="http://mage.test"), wire=wire)
    with pytest.raises(MageInvalid) as caught:
        await mage.runs.report(link)
    assert wire.requests == []
    assert "planted" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.anyio
async def test_a_number_too_large_for_an_id_is_looked_for_as_a_name(world: World):
    mage = Mage(Cluster(url="http://mage.test"), wire=Wire(world), clock=clock_of(world))
    with pytest.raises(MageError, match="No trigger '9999"):
        await mage.runs.list(trigger="9" * 5000)


@pytest.mark.anyio
async def test_odd_names_arrive_as_they_are(world: World):
    wire = Wire(world)
    mage = Mage(Cluster(url="http://mage.test"), wire=wire, clock=clock_of(world))
    odd = "café___10__day__a_b_c"
    with pytest.raises(MageError, match=f"No pipeline '{odd}'"):
        await mage.pipelines.get(odd)
    assert f"/api/pipelines/{'caf%C3%A9___10__day__a_b_c'}?" in wire.requests[0].url.raw_path.decode()
    run, _ = await mage.runs.start("nested_import")
    report = await mage.runs.report(str(run.id), wait_s=45)
    assert [failure.block for failure in report.failures] == ["sub/read_orders"]
    paths = [request.url.raw_path.decode() for request in wire.requests]
    assert any(path.startswith("/api/file_contents/data_loaders%2Fsub%2Fread_orders.py") for path in paths)
    assert (await mage.logs.get(str(run.id), block="sub/read_orders")).matching > 0
