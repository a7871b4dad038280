"""Every form in which Mage, or what stands before it, says something, and what becomes of it."""

import json
from typing import Any

import httpx
import pytest

from mage_mcp import errors
from mage_mcp.client import Cluster, Mage
from mage_mcp.client.records import BlockRunRecord, RunRecord, TriggerRecord, parse_time
from mage_mcp.client.replies import StaleSession, count, read_reply, root, rows
from tests.wires import Script, says

SERVER_TRACEBACK = (
    "Traceback (most recent call last):\n"
    '  File "/usr/local/lib/python3.10/site-packages/mage_ai/api/views.py", line 77, in execute_operation\n'
    "Exception: planted\n"
)
STACK = ['  File "/usr/local/lib/python3.10/site-packages/mage_ai/server/server.py", line 12, in <module>\n']
UNKNOWN_NAMES = "no such (?:record|pipeline)"


def read(body: Any, status: int = 200) -> dict[str, Any]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_reply(status, content, what="GET /api/pipelines/x", label="Mage at mage.test")


def api_error(code: int, type_: str, message: str = "planted-text", **more: object) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "type": type_, **more}, "status": 200}


def crash(exception: str) -> dict[str, Any]:
    error = {"code": 500, "errors": STACK, "exception": exception, "message": SERVER_TRACEBACK}
    return {"error": error, "url_parameters": {"resource": "pipelines", "pk": "x"}}


# Mage's own errors, as recorded from 0.9.80


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (api_error(404, "record_not_found", "Record not found."), 200, errors.MageNotFound),
        (api_error(404, "record_not_found", "Record not found."), 404, errors.MageNotFound),
        (api_error(404, "record_not_found", "Email/username and/or password invalid."), 200, errors.MageNotFound),
        (api_error(400, "record_invalid", "Block nope does not exist in pipeline x."), 200, errors.MageNotFound),
        (api_error(400, "record_invalid", "Block nope does not exist in pipeline x."), 400, errors.MageNotFound),
        (api_error(400, "api_resource_error", "This project is ineligible."), 200, errors.MageFailed),
        (
            api_error(200, "record_invalid", "Record is invalid.", errors={"error": "name cannot be empty."}),
            200,
            errors.MageNotFound,
        ),
        (
            api_error(403, "unauthorized_access", "Unauthorized operation create on x, failed condition."),
            200,
            errors.MageForbidden,
        ),
        (api_error(403, "unauthorized_access", "The delete action is disabled for x."), 200, errors.MageForbidden),
        (api_error(403, "unauthorized_access", "You don’t have access to this project."), 403, errors.MageForbidden),
        (api_error(403, "unauthorized_access", "Private access for list only, invalid scope."), 200, StaleSession),
        (api_error(401, "invalid_api_key", "Invalid API key."), 401, errors.MageAuthRequired),
        (api_error(401, "invalid_oauth_token", "Invalid OAuth token."), 401, StaleSession),
        (api_error(401, "expired_oauth_token", "Expired OAuth token."), 200, StaleSession),
        (crash("Not enough segments"), 200, StaleSession),
        (crash("Pipeline x does not exist."), 200, errors.MageNotFound),
        (crash("Pipeline \x00 does not exist."), 200, errors.MageNotFound),
        (crash("Pipeline x does not exist in repo_path /srv/mage/demo_project."), 200, errors.MageNotFound),
        (crash("No module named 'mage_ai.api.policies.FrobnicatorPolicy'"), 200, errors.MageUnsupported),
        (crash("No module named 'mage_ai.api.resources.FrobnicatorResource'"), 200, errors.MageUnsupported),
        (crash("'x' is not among the defined enum values. Enum name: y."), 200, errors.MageFailed),
        (
            crash("{'code': 404, 'message': 'Email/username and/or password invalid.', 'type': 'record_not_found'}"),
            200,
            errors.MageNotFound,
        ),
        (crash("list index out of range"), 200, errors.MageFailed),
        (crash("'NoneType' object has no attribute 'id'"), 500, errors.MageFailed),
        (crash(""), 200, errors.MageFailed),
    ],
)
def test_mages_errors_become_ours_by_code_and_type(body: dict[str, Any], status: int, kind: type[Exception]):
    with pytest.raises(kind) as caught:
        read(body, status)
    assert type(caught.value) is kind
    if isinstance(caught.value, errors.MageError):
        sentence = str(caught.value)
        assert sentence.startswith("Mage at mage.test ")
        assert "password" not in sentence, "the texts of error 404 are not to be trusted"
        assert caught.value.next_step
        for inner in ("Traceback", "File ", "site-packages", "/srv", "planted", "{'code'"):
            assert inner not in sentence


@pytest.mark.parametrize(
    ("exception", "told"),
    [
        (
            "(sqlite3.IntegrityError) UNIQUE constraint failed: secret.name\n[SQL: INSERT INTO secret (name, value) "
            "VALUES (?, ?)]\n[parameters: ('x', 'planted')]\n(Background on this error at: https://sqlalche.me/e/gkpj)",
            "(sqlite3.IntegrityError) UNIQUE constraint failed: secret.name.",
        ),
        (
            '(psycopg2.errors.UndefinedColumn) column "a" does not exist\nLINE 1: SELECT planted FROM t\n        ^\n',
            '(psycopg2.errors.UndefinedColumn) column "a" does not exist.',
        ),
        ("[Errno 17] File exists: '/srv/mage/demo_project/utils/cap_dir'", "File exists: 'cap_dir'."),
        ("[Errno 2] No such file: 'C:\\Users\\planted\\mage\\x.py'", "No such file: 'x.py'."),
        ("Expecting value: line 1 column 23 (char 22)", "failed on GET /api/pipelines/x: Expecting value: line 1"),
        ("Block(s) ['a'] are depending on block b. Remove them.", "are depending on block b. Remove them."),
        ("it broke\n\nTraceback (most recent call last):\n  planted", ": it broke."),
        ("login with password=planted-word failed", "login with password=••• failed."),
        ("\x1b[31mred\x1b[0m\u202e", ": red."),
        ("", "no reason given."),
        ("x" * 100_000, "x" * 100),
    ],
)
def test_of_a_crash_only_the_reason_is_told(exception: str, told: str):
    with pytest.raises(errors.MageFailed) as caught:
        read(crash(exception))
    sentence = str(caught.value)
    assert told in sentence
    assert len(sentence) < 400
    for inner in ("planted", "SQL:", "/srv", "\n", "\x1b", "Traceback"):
        assert inner not in sentence


def test_a_poisoned_database_is_told_with_who_can_mend_it():
    with pytest.raises(errors.MageFailed, match="A person has to correct that row"):
        read(crash("'nonsense' is not among the defined enum values. Enum name: scheduletype. Possible values: API"))


# What is no answer of Mage's


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (b"<html><title>404: Not Found</title></html>", 404, "with a web page (HTTP 404)"),
        (b"  \n<!DOCTYPE html><html>sign in</html>", 200, "with a web page (HTTP 200)"),
        (b"<html>500: planted</html>", 500, "with a web page (HTTP 500)"),
        (b"", 405, "with nothing (HTTP 405)"),
        (b"", 200, "with nothing (HTTP 200)"),
        (b'{"pipelines": [{"uu', 200, "with something that is not JSON (HTTP 200)"),
        (b"planted plain text", 200, "with something that is not JSON"),
        (b"\xff\xfe\x00\x01", 200, "with something that is not JSON"),
        (b"[" * 200_000, 200, "with something that is not JSON"),
        (b"[]", 200, "with JSON that is no object"),
        (b"null", 200, "with JSON that is no object"),
        (b'"planted"', 200, "with JSON that is no object"),
        (b"{}", 302, "with a redirect"),
        (b"", 304, "with a redirect"),
    ],
)
def test_what_is_no_answer_of_mages_is_told_as_such(body: bytes, status: int, told: str):
    with pytest.raises(errors.MageReplyInvalid) as caught:
        read(body, status)
    assert told in str(caught.value)
    assert "GET /api/pipelines/x" in str(caught.value)
    assert "Check that MAGE_URL points at a Mage server" in str(caught.value)
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "Error: Invalid path (path traversal detected)",
        "Error: Invalid parameter value for 'x' (path traversal detected)",
    ],
)
def test_a_path_that_mage_takes_for_a_traversal_is_a_wrong_argument(text: str):
    with pytest.raises(errors.MageInvalid, match=r"'\.\./'. Leave that out"):
        read(text.encode(), 400)


@pytest.mark.parametrize("body", [{"error": "planted"}, {"error": ["planted"]}, {"error": True}, {"detail": "planted"}])
def test_errors_of_other_servers_are_errors_without_their_text(body: dict[str, Any]):
    with pytest.raises(errors.MageFailed, match=r"with an error \(HTTP 500\). Try again") as caught:
        read(body, 500)
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize("error", [{}, {"code": None}, {"code": "x", "message": None}, {"message": 7}, {"code": 409}])
def test_error_objects_without_what_they_should_hold_are_still_errors(error: dict[str, Any]):
    with pytest.raises(errors.MageFailed, match="refused GET /api/pipelines/x: "):
        read({"error": error})


def test_an_answer_without_an_error_is_the_answer():
    assert read({"pipelines": [], "error": None}) == {"pipelines": [], "error": None}


# Answers that are not what was asked for


def test_the_root_key_must_be_there_and_of_its_kind():
    assert root({"pipeline": {"uuid": "x"}}, "pipeline") == {"uuid": "x"}
    assert rows({"pipelines": [{}]}, "pipelines") == [{}]
    for reply in ({}, {"pipeline": None}, {"pipeline": []}, {"pipeline": "x"}):
        with pytest.raises(errors.MageReplyInvalid, match="has no 'pipeline'"):
            root(reply, "pipeline")
    for items in (["x"], [None], [{}, 7]):
        with pytest.raises(errors.MageReplyInvalid):
            rows({"pipelines": items}, "pipelines")


@pytest.mark.parametrize("metadata", [None, [], "x", {}, {"count": None}, {"count": "12"}, {"count": 1.5}])
def test_a_count_that_is_none_falls_back(metadata: object):
    assert count({"metadata": metadata}, fallback=3) == 3
    assert count({}, fallback=3) == 3
    assert count({"metadata": {"count": 0}}, fallback=3) == 0


@pytest.mark.parametrize("row", ["x", None, 7, [], {}, {"id": "x"}, {"id": 1, "variables": 7}, {"id": [1]}])
def test_a_row_that_is_no_record_is_an_answer_that_cannot_be_read(row: object):
    with pytest.raises(errors.MageReplyInvalid, match="holds a run that cannot be read"):
        RunRecord.model_validate(row)


def test_a_broken_row_within_a_row_counts_as_broken():
    with pytest.raises(errors.MageReplyInvalid, match=r"block_runs\.0\.block_uuid"):
        RunRecord.model_validate({"id": 1, "block_runs": [{"id": 2}]})


def test_nulls_and_unknown_fields_are_taken_as_missing():
    row = dict.fromkeys(TriggerRecord.model_fields) | {"id": 3, "novelty": {"x": 1}, "token": "planted"}
    record = TriggerRecord.model_validate(row)
    assert record == TriggerRecord(id=3)
    assert "planted" not in repr(record)
    assert BlockRunRecord.model_validate({"id": 1, "block_uuid": "a", "metrics": {"error": "x"}}).metrics.error is None


@pytest.mark.parametrize(
    "value",
    [
        1e300,
        -1e300,
        float("nan"),
        float("inf"),
        10**30,
        True,
        None,
        [],
        {},
        "",
        "yesterday",
        "2026-13-45",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
    ],
)
def test_a_time_that_is_none_is_left_out_and_breaks_nothing(value: object):
    assert parse_time(value) is None
    assert RunRecord.model_validate({"id": 1, "started_at": value}).started_at is None


PAGE = {"metadata": {"count": 1}}


@pytest.mark.anyio
@pytest.mark.parametrize(
    "reply",
    [
        {},
        {"pipelines": None, "pipeline_runs": None, "pipeline_schedules": None, "pipeline": None, "pipeline_run": None},
        {"pipelines": {}, "pipeline_runs": {}, "pipeline_schedules": {}, "pipeline": [], "pipeline_run": []},
        {"pipelines": [1], "pipeline_runs": [1], "pipeline_schedules": [1], "pipeline": {"x": 1}, "pipeline_run": {}},
        PAGE | {"pipelines": [{}], "pipeline_runs": [{}], "pipeline_schedules": [{}], "pipeline": {}},
        PAGE | {"pipeline_runs": [{"id": "x"}], "pipeline_schedules": [{"id": {}}], "pipelines": [{"uuid": 7}]},
    ],
)
async def test_answers_of_the_wrong_shape_are_told_in_words(reply: dict[str, Any]):
    mage = Mage(Cluster(url="http://mage.test"), wire=Script(says(reply)))
    for call in (
        mage.pipelines.list,
        lambda: mage.pipelines.get("x"),
        mage.runs.list,
        lambda: mage.runs.list(group_by="cause"),
        lambda: mage.runs.report("1"),
        lambda: mage.runs.report(pipeline="x"),
        lambda: mage.runs.list(trigger="x"),
        mage.triggers.list,
        lambda: mage.logs.get("1"),
        lambda: mage.outputs.get("a", run="1"),
        lambda: mage.runs.cancel([1]),
        lambda: mage.runs.retry(1),
        lambda: mage.runs.start("x"),
    ):
        with pytest.raises(errors.MageReplyInvalid):
            await call()


@pytest.mark.anyio
async def test_odd_metadata_do_not_matter():
    for metadata in (None, [], "x", {"count": "many"}):
        body = {"pipelines": [{"uuid": "a"}], "pipeline_schedules": [{"id": 1}], "pipeline_runs": [{"id": 1}]}
        mage = Mage(Cluster(url="http://mage.test"), wire=Script(says(body | {"metadata": metadata})))
        assert (await mage.pipelines.list()).total == 1
        assert (await mage.triggers.list()).total == 1
        assert (await mage.runs.list(status="failed")).total == 1
        assert (await mage.runs.list(group_by="cause")).total == 1


@pytest.mark.anyio
@pytest.mark.parametrize("shape", ["x", {}, [None], ["3", "4"], [], None, 5])
async def test_odd_sizes_and_numbers_of_an_output_do_not_matter(shape: object):
    run = {"id": 1, "status": "completed", "block_runs": [{"id": 9, "block_uuid": "a", "status": "completed"}]}
    body = b'{"columns": ["n"], "rows": [[NaN], [Infinity], [-Infinity], [1.5], [null], ["x"], 7]}'
    outputs = json.dumps({"outputs": [{"variable_uuid": "o", "shape": shape, "sample_data": "HERE"}, "x", None]})

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/outputs"):
            return says(outputs.encode().replace(b'"HERE"', body))(request)
        return says({"pipeline_run": run})(request)

    output = await Mage(Cluster(url="http://mage.test"), wire=Script(answer)).outputs.get("a", run="1")
    (table,) = output.lean()["outputs"]
    assert table["rows"] == [["nan"], ["inf"], ["-inf"], [1.5], [None], ["x"]]
    assert table["total_rows"] == 6
    json.dumps(table, allow_nan=False)
