"""Facts about lists, logs and outputs that the product relies on, checked on a real Mage."""

import time
from typing import Any

import pytest

from tests.lab.facts import MANY, Facts
from tests.lab.wire import Refused

pytestmark = pytest.mark.real


def _logs(facts: Facts, **query: Any) -> dict[str, Any]:
    answer: dict[str, Any] = facts.wire.get("/api/pipelines/fact_many/logs", **query)["logs"][0]
    return answer


def _page(facts: Facts, **query: Any) -> dict[str, Any]:
    answer: dict[str, Any] = facts.wire.get("/api/pipeline_runs", **query)
    return answer


def _ids(page: dict[str, Any]) -> list[int]:
    return [run["id"] for run in page["pipeline_runs"]]


def test_logs_come_for_twenty_blocks_at_most_whatever_the_limit(facts: Facts) -> None:
    run = facts.ended("many")
    assert len(run["block_runs"]) == MANY
    ids = [block["id"] for block in run["block_runs"]]
    for query in ({"pipeline_run_id[]": run["id"]}, {"block_run_id[]": ",".join(map(str, ids))}):
        logs = _logs(facts, **query, _limit=200)
        assert len(logs["block_run_logs"]) == 20
        assert logs["total_block_run_log_count"] == MANY


def test_logs_of_twenty_named_block_runs_are_complete(facts: Facts) -> None:
    ids = [block["id"] for block in facts.ended("many")["block_runs"]]
    seen = []
    for some in (ids[:20], ids[20:]):
        logs = _logs(facts, **{"block_run_id[]": ",".join(map(str, some))})["block_run_logs"]
        assert len(logs) == len(some)
        seen += [log["name"] for log in logs]
    assert sorted(seen) == [f"tiny_{number:02}.log" for number in range(MANY)]


def test_of_a_repeated_array_parameter_only_the_last_one_counts(facts: Facts) -> None:
    ids = [block["id"] for block in facts.ended("many")["block_runs"]]
    assert len(_logs(facts, **{"block_run_id[]": ids[:3]})["block_run_logs"]) == 1


def test_a_nested_block_has_an_underscore_in_the_name_of_its_log(facts: Facts) -> None:
    run = facts.ended("tree_3")["id"]
    query = {"pipeline_run_id[]": run, "block_uuid[]": "sub/root"}
    logs = facts.wire.get("/api/pipelines/fact_tree/logs", **query)["logs"][0]["block_run_logs"]
    assert [log["name"] for log in logs] == ["sub_root.log"]
    assert '"block_uuid": "sub/root"' in logs[0]["content"]


def test_a_nested_block_is_found_with_its_slash_encoded(facts: Facts) -> None:
    block = facts.wire.get("/api/pipelines/nested_import/blocks/sub%2Fread_orders")["block"]
    assert (block["uuid"], block["name"], block["type"]) == ("sub/read_orders", "sub/read_orders", "data_loader")
    assert "FileNotFoundError" in block["content"]
    assert block["downstream_blocks"] == ["store_orders"]


def test_outputs_are_tables_texts_or_nothing(facts: Facts) -> None:
    def table(name: str, columns: list[str], *rows: list[Any]) -> dict[str, Any]:
        sample = {"columns": columns, "rows": list(rows)}
        shape = [len(rows), len(columns)]
        return _output(name, type="table", sample_data=sample, shape=shape)

    def text(name: str, data: str) -> dict[str, Any]:
        return _output(name, type="text", text_data=data)

    people = ["name", "born"]
    expected = {
        "data_frame": [table("output_0", [*people, "share"], ["ada", 1815, 0.5], [None, 1906, None])],
        # One table an item.
        "list_of_dicts": [table("output_0", people, ["ada", 1815]), table("output_1", people, ["grace", 1906])],
        "dictionary": [table("output_0", ["rows", "nested"], [2, {"deep": [1, 2]}])],
        "text": [text("output_0", "two words")],
        "number": [text("output_0", "7")],
        "nothing": [],
        "numbers": [text("output_0", "1"), text("output_1", "2")],
    }
    seen = {}
    for block in facts.ended("shapes")["block_runs"]:
        name = block["block_uuid"].removeprefix("shape_")
        seen[name] = facts.wire.get(f"/api/block_runs/{block['id']}/outputs")["outputs"]
    assert seen == expected


def _output(name: str, **fields: Any) -> dict[str, Any]:
    empty = {"outputs": None, "sample_data": None, "shape": None, "text_data": None}
    return empty | fields | {"variable_uuid": name}


def test_runs_by_id_are_the_newest_first(facts: Facts) -> None:
    ids = _ids(_page(facts, _limit=10, **{"order_by[]": "id desc"}))
    assert ids == sorted(ids, reverse=True)
    assert ids[0] == _page(facts, _limit=1, **{"order_by[]": "created_at desc,id desc"})["pipeline_runs"][0]["id"]
    # Without the brackets it's not heard.
    assert _ids(_page(facts, _limit=10, order_by="id asc")) == _ids(_page(facts, _limit=10))


def test_pages_of_ungrouped_runs_follow_each_other_to_an_empty_one(facts: Facts) -> None:
    query = {"pipeline_uuid": "fact_tree", "disable_retries_grouping": "true", "_limit": 2}
    pages = [_page(facts, **query, _offset=offset) for offset in (0, 2, 4)]
    assert [len(_ids(page)) for page in pages] == [2, 1, 0]
    assert [page["metadata"] for page in pages] == [{"count": 3, "next": n} for n in (True, False, False)]
    assert sorted(run for page in pages for run in _ids(page)) == sorted(facts.runs[f"tree_{n}"] for n in (1, 2, 3))


def test_an_offset_past_the_end_of_grouped_runs_is_an_error(facts: Facts) -> None:
    with pytest.raises(Refused, match="list index out of range"):
        _page(facts, pipeline_uuid="fact_tree", _limit=2, _offset=100)


def test_a_limit_of_zero_counts_with_every_filter(facts: Facts) -> None:
    facts.ended("exported"), facts.ended("shapes")
    now = int(time.time())

    def count(**query: Any) -> int:
        page = _page(facts, _limit=0, **query)
        assert page["pipeline_runs"] == []
        return int(page["metadata"]["count"])

    assert count(pipeline_uuid="fact_shapes") == 1
    assert count(pipeline_uuid="fact_shapes", status="completed") == 1
    assert count(pipeline_uuid="fact_shapes", status="failed") == 0
    assert count(pipeline_uuid="fact_shapes", start_timestamp=now - 3600) == 1
    assert count(pipeline_uuid="fact_shapes", start_timestamp=now + 3600) == 0
    assert count(pipeline_uuid="fact_shapes", end_timestamp=now - 3600) == 0
    assert count(**{"pipeline_uuid[]": "fact_shapes,sales_daily"}) == 2
    assert count(pipeline_uuid="no_such_pipeline") == 0


def test_several_statuses_need_the_brackets(facts: Facts) -> None:
    facts.ended("exported"), facts.ended("shapes")
    names = {"pipeline_uuid[]": "fact_shapes,sales_daily", "_limit": 0}
    assert _page(facts, **names, **{"status[]": "failed,completed"})["metadata"]["count"] == 2
    assert _page(facts, **names, status="failed,completed")["metadata"]["count"] == 0


def test_the_runs_of_a_trigger_can_be_filtered_by_status(facts: Facts) -> None:
    run = facts.ended("shapes")
    path = f"/api/pipeline_schedules/{run['pipeline_schedule_id']}/pipeline_runs"
    for query, expected in (
        ({"status": "completed"}, 1),
        ({"status": "failed"}, 0),
        ({"status[]": "failed,completed"}, 1),
    ):
        assert facts.wire.get(path, _limit=0, **query)["metadata"]["count"] == expected


def test_pipelines_are_found_by_part_of_their_uuid_by_tag_and_by_trigger_status(facts: Facts) -> None:
    def found(**query: Any) -> list[str]:
        return [pipeline["uuid"] for pipeline in facts.wire.get("/api/pipelines", **query)["pipelines"]]

    assert found(search="SALES") == ["sales_daily"]
    assert found(**{"tag[]": "finance"}) == ["orders_refresh", "sales_daily"]
    assert found(**{"tag[]": "ops"}) == []  # a trigger's tag
    assert "empty_pipeline" in found(include_schedules="true", **{"status[]": "no_schedules"})
    assert "sales_daily" in found(include_schedules="true", **{"status[]": "active"})
    assert "sales_daily" not in found(include_schedules="true", **{"status[]": "inactive"})
    # Without the triggers the filter by their status isn't heard.
    assert "empty_pipeline" in found(**{"status[]": "active"})


def test_a_page_of_pipelines_tells_how_many_there_are(facts: Facts) -> None:
    page = facts.wire.get("/api/pipelines", search="team_report", _limit=3, _offset=3)
    assert [pipeline["uuid"] for pipeline in page["pipelines"]] == [f"team_report_0{number}" for number in (4, 5, 6)]
    assert page["metadata"] == {"count": 40, "results": 3, "next": True}


def test_deployments_are_as_unknown_to_a_reader_as_to_who_makes_one(facts: Facts) -> None:
    """So a person need not be asked about one that cannot be made."""
    path = "/api/deployment_settings/production/deployments"
    missing = "No module named 'mage_ai.api.resources.DeploymentSettingResource'"
    with pytest.raises(Refused, match=missing):
        facts.wire.get(path, _limit=1)
    with pytest.raises(Refused, match=missing):
        facts.wire.post(path, {"deployment": {}})
