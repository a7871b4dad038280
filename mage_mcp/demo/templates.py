"""Templates for new blocks: the plain one of each type, and some of those that Mage lists."""

from typing import Any

_ARGUMENTS = {"data_loader": "", "sensor": "", "custom": ""}
_NAMES = {
    "data_loader": "load_data",
    "transformer": "transform",
    "data_exporter": "export_data",
    "sensor": "check_condition",
    "custom": "transform_custom",
}

LISTED: tuple[tuple[str, str, str, str], ...] = (
    ("data_loader", "data_loaders/airtable.py", "Airtable", "Load a Table from Airtable App."),
    ("data_loader", "data_loaders/mongodb.py", "MongoDB", "Load data from MongoDB."),
    ("data_loader", "data_loaders/mssql.py", "MSSQL", "Load data from MSSQL."),
    ("data_exporter", "data_exporters/mongodb.py", "MongoDB", "Export data to MongoDB."),
    ("data_exporter", "data_exporters/mssql.py", "MSSQL", "Export data to MSSQL."),
    ("callback", "callbacks/base.jinja", "Base template", "Base template with empty functions."),
    ("conditional", "conditionals/base.jinja", "Base template", "Base template with empty functions."),
)
"""Type, path, name and description."""


def row(type_: str, path: str, name: str, description: str) -> dict[str, Any]:
    return {
        "block_type": type_,
        "configuration": None,
        "defaults": None,
        "description": description,
        "groups": None,
        "language": "python",
        "name": name,
        "path": path,
        "template_type": None,
        "template_variables": None,
    }


def template(type_: str, language: str, path: str = "") -> str:
    """What stands in a new file. YAML gets Python, as from Mage."""
    if language not in ("python", "yaml") or type_ not in _NAMES:
        return ""
    imported = f"from mage_ai.io.{path.rpartition('/')[2].partition('.')[0]} import *\n" if path else ""
    given = "*args" if type_ in _ARGUMENTS else "data, *args"
    return (
        f"{imported}if '{type_}' not in globals():\n    from mage_ai.data_preparation.decorators import {type_}\n\n\n"
        f"@{type_}\ndef {_NAMES[type_]}({given}, **kwargs):\n    return {{}}\n"
    )
