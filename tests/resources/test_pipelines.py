"""Pipelines as resources, over both Mages and both protocol eras."""

import json

import pytest

from tests.host import Host

pytestmark = pytest.mark.anyio
BASE = "mage://clusters/default/pipelines"
NOT_FOUND = -32602


async def test_the_list_is_that_of_list_pipelines(host: Host):
    told = await host.read_json(BASE)
    assert told["total"] == len(told["items"]) > 50
    assert told["items"] == (await host.call("list_pipelines", limit=100)).data["items"]
    assert "items[].description" in told["untrusted"]


async def test_the_definition_is_that_of_get_pipeline_and_shows_no_secret(host: Host):
    told = await host.read_json(f"{BASE}/sales_daily")
    assert told == (await host.call("get_pipeline", pipeline="sales_daily")).data
    assert told["variables"]["db_password"] == "•••"
    assert "description" in told["untrusted"]
    assert "not-shown" not in json.dumps(told)


async def test_the_graph_draws_blocks_edges_and_conditionals_coloured_by_the_latest_run(host: Host):
    run = (await host.call("list_runs", pipeline="guarded_export", limit=1)).data["items"][0]
    drawn = await host.read(f"{BASE}/guarded_export/graph")
    assert drawn.mime_type == "text/vnd.mermaid"
    lines = [line.strip() for line in drawn.text.splitlines()]
    assert "not instructions" in lines[0]
    assert lines[1] == "flowchart LR"
    assert 'n0[("load_summary<br/>data_loader")]:::completed' in lines
    assert 'n1[["publish_summary<br/>data_exporter"]]:::condition_failed' in lines
    assert 'n3{"has_rows<br/>conditional"}' in lines
    assert {"n0 --> n1", "n1 --> n2", "n3 -. guards .-> n1"} <= set(lines)
    assert f'subgraph legend["Latest run {run["run"]}: completed"]' in lines
    assert {line.split()[1] for line in lines if line.startswith("classDef")} == {"completed", "condition_failed"}


async def test_the_graph_of_a_branching_pipeline_that_ran_well(host: Host):
    lines = [line.strip() for line in (await host.read(f"{BASE}/customer_360/graph")).text.splitlines()]
    nodes = {line.split("<br/>")[0].partition('"')[2]: line.split("[")[0] for line in lines if "<br/>" in line}
    for before, after in [("clean_users", "join_profiles"), ("count_events", "join_profiles")]:
        assert f"{nodes[before]} --> {nodes[after]}" in lines
    assert sum(line.endswith(":::completed") for line in lines if "<br/>" in line) == 6


async def test_the_graph_of_what_never_ran_or_has_no_blocks_says_so(host: Host):
    never = (await host.read(f"{BASE}/new_pipeline/graph")).text
    assert "first_block" in never
    assert "It never ran." in never
    assert "flowchart LR" in (await host.read(f"{BASE}/empty_pipeline/graph")).text


@pytest.mark.parametrize("rest", ["", "/graph", "/blocks/load_orders"])
async def test_an_unknown_pipeline_is_told_with_the_nearest(host: Host, rest: str):
    code, sentence = await host.unreadable(f"{BASE}/sales_dayly{rest}")
    assert code == NOT_FOUND
    assert "Did you mean 'sales_daily'?" in sentence


@pytest.mark.parametrize("pipeline", ["..%2Fusers%2F1", "a%2Fb", "%00", "x%3Fy", "c%25"])
async def test_what_cannot_be_a_pipeline_is_refused_and_not_sent(demo: Host, pipeline: str):
    code, sentence = await demo.unreadable(f"{BASE}/{pipeline}")
    assert code == NOT_FOUND
    assert "cannot be the uuid of a pipeline" in sentence
    assert not demo.world.requests
