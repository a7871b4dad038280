"""What a model pays, in tokens, counted as bytes / 4: near enough for English and JSON."""

import json
from collections.abc import Mapping
from typing import Any


def of_text(text: str) -> int:
    return round(len(text.encode(errors="surrogatepass")) / 4)


def of_answer(text: str, structured: Mapping[str, Any] | None) -> int:
    """The larger of an answer's two forms: some clients show a model the one, some the other."""
    return max(of_text(text), of_text(_compact(structured or {})))


def of_tool(name: str, description: str | None, schema: Mapping[str, Any]) -> int:
    """What a tool costs in each conversation: its name, its description and its input schema."""
    return of_text(f"{name}{description or ''}{_compact(schema)}")


def _compact(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))
