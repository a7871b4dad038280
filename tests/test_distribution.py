"""What is published beside the wheel fits it, and a host that leaves every field unset still gets a server."""

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from mcp import Client, StdioServerParameters

from mage_mcp import __version__
from mage_mcp.errors import MageNotConfigured
from mage_mcp.settings_load import load_settings
from tests.distribution import BUNDLED, MANIFEST, REGISTRY, ROOT, bundle, read, with_version
from tests.host import Host, Person
from tests.node import tool_or_skip
from tests.packaged import uv_environment, uv_program

SCHEMA = ROOT / "tests" / "schemas" / "mcp-server-2025-12-11.json"
_BASES = {"Argument", "Input", "InputWithVariables", "LocalTransport", "RemoteTransport"}
"""Definitions that others are made of, and so must let others' keys pass."""


def strict(schema: dict[str, Any]) -> Any:
    """A validator of the registry's schema that refuses keys which it does not know; the schema itself lets them by."""
    definitions = {
        name: part if name in _BASES else {**part, "unevaluatedProperties": False}
        for name, part in schema["definitions"].items()
    }
    made = {**schema, "$schema": "https://json-schema.org/draft/2020-12/schema", "definitions": definitions}
    return jsonschema.Draft202012Validator(made, format_checker=jsonschema.FormatChecker())


def problems(document: dict[str, Any]) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in strict(read(SCHEMA)).iter_errors(document)]


def test_the_registry_entry_keeps_to_its_schema_and_has_no_key_of_its_own():
    assert problems(read(REGISTRY)) == []


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ((), "websiteurl"),
        (("packages", 0), "registry_type"),
        (("packages", 0, "environmentVariables", 0), "isrequired"),
    ],
    ids=["server", "package", "variable"],
)
def test_a_misspelt_key_of_the_registry_entry_is_found(path: tuple[Any, ...], key: str):
    document = read(REGISTRY)
    place = document
    for step in path:
        place = place[step]
    place[key] = "x"
    assert any(key in problem for problem in problems(document))


def test_every_version_is_that_of_the_package():
    for file in (REGISTRY, MANIFEST):
        assert read(file) == with_version(read(file)), "run `python -m tests.distribution`"
    assert read(REGISTRY)["packages"][0]["version"] == read(MANIFEST)["version"] == __version__
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] in {"Unreleased", __version__}


def test_the_registry_finds_its_name_in_the_readme():
    name = re.escape(read(REGISTRY)["name"])
    assert re.search(rf"<!-- mcp-name: {name} -->", (ROOT / "README.md").read_text(encoding="utf-8"))


def variables() -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in read(REGISTRY)["packages"][0]["environmentVariables"]}


def test_the_variables_of_the_registry_entry_are_settings_and_no_default_overrides_a_config_file():
    for name, variable in variables().items():
        filled_in = variable.get("placeholder") or variable.get("choices", ["x"])[0]
        if variable.get("format") == "filepath":
            with pytest.raises(MageNotConfigured, match="cannot be read"):
                load_settings(environ={name: filled_in})
        else:
            given = "true" if variable.get("format") == "boolean" else filled_in
            assert name in load_settings(environ={name: given}).sources.values()
        assert "default" not in variable
    assert {name for name, each in variables().items() if each.get("isSecret")} == {
        name for name in variables() if name.endswith(("PASSWORD", "TOKEN"))
    }


def test_the_desktop_bundle_asks_for_what_the_registry_entry_names():
    manifest = read(MANIFEST)
    environment = manifest["server"]["mcp_config"]["env"]
    asked = {f"MAGE_{key.upper()}" for key in manifest["user_config"]}
    assert set(environment) == asked <= set(variables())
    for key, field in manifest["user_config"].items():
        assert environment[f"MAGE_{key.upper()}"] == f"${{user_config.{key}}}"
        assert field["required"] is False  # a required field with a default still counts as missing
        assert bool(field.get("sensitive")) is bool(variables()[f"MAGE_{key.upper()}"].get("isSecret"))


def test_the_desktop_bundle_holds_what_its_project_file_builds_from(tmp_path: Path):
    bundle(tmp_path / "bundle")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["packages"], *wheel["force-include"], "README.md"}
    assert needed | set(project["project"]["license-files"]) <= set(BUNDLED)
    assert {file.name for file in (tmp_path / "bundle").iterdir()} == {"manifest.json", *BUNDLED}


@pytest.mark.slow
def test_the_official_packer_takes_the_desktop_bundle(tmp_path: Path):
    program, environment = tool_or_skip("mcpb")
    bundle(tmp_path / "bundle")
    for command in (["validate", "bundle"], ["pack", "bundle", "mage-mcp.mcpb"]):
        done = subprocess.run(
            [program, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "mage-mcp.mcpb").stat().st_size < 2_000_000


@pytest.mark.slow
@pytest.mark.anyio
async def test_the_desktop_bundle_serves_with_every_field_left_unset(tmp_path: Path, era: str):
    """As a host launches it: with its own folder, and `${user_config.…}` literally where nothing was filled in."""
    folder = tmp_path / "bundle"
    bundle(folder)
    config = read(MANIFEST)["server"]["mcp_config"]
    assert config["command"] == "uv"
    unset = {**config["env"], "XDG_CONFIG_HOME": str(tmp_path), "MAGE_MCP_STATE_DIR": str(tmp_path)}
    command = StdioServerParameters(
        command=uv_program(),
        args=[each.replace("${__dirname}", str(folder)) for each in config["args"]],
        env={**uv_environment(), **unset},
        cwd=tmp_path,
    )
    async with Client(command, mode=era) as client:
        assert "get_run" in {tool.name for tool in (await client.list_tools()).tools}
        refusal = await Host(client, Person()).refused("list_pipelines")
        assert "No Mage server is configured" in refusal
        assert "user_config" not in json.dumps(refusal)
