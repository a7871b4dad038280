"""How Mage takes requests and words errors, apart from any single resource."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from mage_mcp.demo.project import Pipeline
from mage_mcp.demo.runs import Run
from mage_mcp.demo.traces import SERVER_STACK, server_traceback
from mage_mcp.demo.world import TriggerRow, World

Body = dict[str, Any]
T = TypeVar("T")
DEFAULT_LIMIT = 40


class ApiError(Exception):
    """An error that Mage foresaw: HTTP 200 all the same, unless `_http_error_codes` is sent."""

    def __init__(self, code: int, kind: str, message: str, http_status: int = 200, **more: Any) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.error = {"code": code, "message": message, "type": kind, **more}

    def body(self, status: int) -> Body:
        return {"error": self.error, "status": status}


class Crash(Exception):
    """An error that Mage did not foresee: "error 500" in an HTTP 200, with a long traceback."""

    def __init__(self, exception: str, kind: str = "Exception") -> None:
        super().__init__(exception)
        self.exception, self.kind = exception, kind

    def body(self, url_parameters: Mapping[str, str]) -> Body:
        error = {
            "code": 500,
            "errors": SERVER_STACK,
            "exception": self.exception,
            "message": server_traceback(self.kind, self.exception),
        }
        return {"error": error, "url_parameters": url_parameters}


def bad_enum(value: object, name: str, possible: str) -> Crash:
    text = f"'{value}' is not among the defined enum values. Enum name: {name}. Possible values: {possible}"
    return Crash(text, "LookupError")


class Query:
    """Query parameters as Mage reads them: unknown ones are ignored, lists are one comma-joined value."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self.pairs = pairs

    def text(self, name: str) -> str | None:
        """The first value; an empty one counts as none."""
        return next((value for key, value in self.pairs if key == name), None) or None

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Only `false` and the empty string are false; even `0` and `no` are true."""
        value = next((value for key, value in self.pairs if key == name), None)
        return default if value is None else value not in ("false", "")

    def names(self, name: str) -> list[str]:
        value = self.text(name)
        return value.split(",") if value else []

    def number(self, name: str, default: int) -> int:
        value = self.text(name)
        if value is None:
            return default
        try:
            return int(value)
        except ValueError:
            raise Crash(f"invalid literal for int() with base 10: '{value}'", "ValueError") from None

    def timestamp(self, name: str) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        try:
            return int(value)
        except ValueError:
            raise ApiError(400, "record_invalid", f"Value is invalid for {name}.") from None


@dataclass
class Call:
    """One request, taken apart: `/api/<resource>[/<pk>[/<child>[/<child_pk>]]]`."""

    world: World
    method: str
    url_parameters: dict[str, str]
    query: Query
    body: Any
    bearer: str | None = None
    token: str = ""
    """The session's, once it has been checked."""

    @property
    def pk(self) -> str:
        return self.url_parameters["pk"]

    def payload(self, key: str) -> dict[str, Any]:
        """What the body holds under the resource's name; a body without it counts as empty."""
        payload = self.body.get(key) if isinstance(self.body, dict) else None
        return dict(payload) if isinstance(payload, dict) else {}

    def pipeline(self, uuid: str | None = None) -> Pipeline:
        uuid = self.pk if uuid is None else uuid
        if (pipeline := self.world.pipelines.get(uuid)) is None:
            raise Crash(f"Pipeline {uuid} does not exist.")
        return pipeline

    def trigger(self) -> TriggerRow:
        trigger = self.world.triggers.get(as_id(self.pk))
        if trigger is None:
            raise self.not_found()
        self.check_poison("trigger", trigger.id)
        return trigger

    def run(self) -> Run:
        run = self.world.runs.get(as_id(self.pk))
        if run is None:
            raise self.not_found()
        self.check_poison("run", run.id)
        return run

    def not_found(self) -> ApiError:
        return ApiError(404, "record_not_found", self.world.not_found)

    def check_poison(self, kind: str | None = None, number: int = 0) -> None:
        """A row that cannot be read back spoils its own detail, and every list."""
        poison = self.world.poison
        if kind is not None and (kind, number) in poison:
            raise Crash(poison[kind, number], "LookupError")
        if kind is None and poison:
            raise Crash(next(iter(poison.values())), "LookupError")


def as_id(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def page(rows: Sequence[T], query: Query) -> tuple[Sequence[T], Body]:
    """Cut a page as Mage does: it fetches one row more than asked for, to know whether there is a next page."""
    limit, offset = query.number("_limit", DEFAULT_LIMIT), query.number("_offset", 0)
    # A negative limit means no limit to the database, and then everything but the last row is shown.
    fetched = rows[offset : offset + limit + 1] if limit >= 0 else rows[offset:]
    has_next = len(fetched) > limit
    shown = fetched[:-1] if has_next else fetched
    return shown, {"count": len(rows), "next": has_next}


Handler = Callable[[Call], Body]
ROUTES: dict[str, Handler] = {}


def answers(*routes: str) -> Callable[[Handler], Handler]:
    """Register a handler under `METHOD resource[/:id[/child[/:id]]]`."""

    def register(handler: Handler) -> Handler:
        ROUTES.update(dict.fromkeys(routes, handler))
        return handler

    return register
