"""Rules of the house that can be checked, checked."""

import ast
import importlib
import json
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from mcp import Client
from mcp.types import Tool

import mage_mcp
from mage_mcp import tools as tools_package
from mage_mcp.demo.world import World
from mage_mcp.server import build_server
from mage_mcp.settings import TOOLSETS, Settings
from mage_mcp.tools._toolset import Toolset
from tests.conftest import demo_server
from tests.host import Host, Person

ROOT = Path(__file__).parents[1]
PACKAGE = Path(mage_mcp.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
HEAVY = {"httpx", "stamina", "pandas", "sqlalchemy", "rich.console", "keyring", "yaml", "mage_mcp.demo.app"}
NOT_BY_DEFAULT = {f"mage_mcp.client.{noun}" for noun in ("backfills", "blocks", "files", "variables", "workspaces")}


@pytest.fixture
async def tools() -> list[Tool]:
    async with Client(build_server(Settings(toolsets=TOOLSETS))) as client:
        return (await client.list_tools()).tools


@pytest.mark.anyio
async def test_every_tool_says_what_it_does_and_what_it_risks(tools: list[Tool]):
    for tool in tools:
        first = (tool.description or "").splitlines()[0]
        assert tool.title, tool.name
        assert first.endswith((".", ";")) or "." in first, tool.name
        assert len(first) <= 100, f"{tool.name}: {len(first)} characters"
        assert tool.annotations
        assert tool.annotations.read_only_hint is not None, tool.name
        assert tool.annotations.read_only_hint or tool.annotations.destructive_hint is not None, tool.name


@pytest.mark.anyio
async def test_every_argument_is_described_and_nothing_else_is_taken(tools: list[Tool]):
    for tool in tools:
        assert tool.input_schema["additionalProperties"] is False
        for name, schema in tool.input_schema.get("properties", {}).items():
            assert schema.get("description"), f"{tool.name}({name})"


@pytest.mark.anyio
async def test_schemas_hold_no_titles_no_nulls_and_no_unions_at_the_top(tools: list[Tool]):
    for tool in tools:
        assert not {"anyOf", "oneOf", "allOf"} & set(tool.input_schema), tool.name
        for schema in (tool.input_schema, tool.output_schema or {}):
            text = json.dumps(schema)
            assert '{"type": "null"}' not in text, tool.name
            assert not any(isinstance(part.get("title"), str) for part in _parts(schema)), tool.name


def _parts(schema: Any):
    if isinstance(schema, dict):
        yield {k: v for k, v in schema.items() if k not in {"properties", "$defs"}}
        for key, value in schema.items():
            for part in value.values() if key in {"properties", "$defs"} else [value]:
                yield from _parts(part)
    elif isinstance(schema, list):
        for item in schema:
            yield from _parts(item)


def test_free_text_arguments_are_exactly_str():
    """For any other type the SDK parses a text that looks like JSON: "null" would become None."""
    for toolset in tools_package.ALL.values():
        for tool in toolset.tools(read_only=False):
            for name, hint in tool.fn_metadata.arg_model.model_fields.items():
                is_union = get_origin(hint.annotation) in {Union, UnionType}
                assert not (is_union and str in get_args(hint.annotation)), f"{tool.name}({name})"


def test_every_toolset_module_is_offered():
    found = {}
    for info in pkgutil.iter_modules(tools_package.__path__):
        module = importlib.import_module(f"mage_mcp.tools.{info.name}")
        found |= {value.name: value for value in vars(module).values() if isinstance(value, Toolset)}
    assert found == dict(tools_package.ALL)
    assert tuple(tools_package.ALL) == TOOLSETS
    assert set(tools_package.RISKS) == {name for toolset in found.values() for name in toolset.risks()}


def test_every_command_has_its_module_and_says_what_it_takes():
    from mage_mcp.commands import COMMANDS

    for name in COMMANDS:
        module = importlib.import_module(f"mage_mcp.commands.{name}")
        assert callable(module.add_arguments), name
        assert callable(module.run), name
    there = {file.stem for file in (PACKAGE / "commands").glob("[a-z]*.py")}
    assert there == set(COMMANDS) | {"serve"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_stay_readable_in_one_sitting(path: Path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


@pytest.mark.parametrize("path", sorted((PACKAGE / "tools").glob("[a-z]*.py")), ids=lambda path: path.name)
def test_the_body_of_a_tool_is_one_call(path: Path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.AsyncFunctionDef) and node.decorator_list:
            body = [
                part for part in node.body if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))
            ]
            assert len(body) == 1, node.name
            assert isinstance(body[0], ast.Return), node.name
            assert isinstance(body[0].value, ast.Await), node.name


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_broad_excepts_stand_nowhere(path: Path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else "everything"
            assert caught not in {"everything", "Exception", "BaseException"}, f"line {node.lineno}"


def test_importing_the_server_loads_nothing_heavy():
    build = "from mage_mcp.settings import Settings; mage_mcp.server.build_server(Settings())"
    code = f"import sys, mage_mcp.server; {build}; print('\\n'.join(sys.modules))"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert not loaded & (HEAVY | NOT_BY_DEFAULT)


def test_version_and_help_do_not_load_the_sdk():
    code = "import sys, mage_mcp.cli; print('\\n'.join(sys.modules))"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert "mcp" not in loaded


@pytest.mark.parametrize(
    "command",
    [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"], ["importlinter.cli", "lint"]],
    ids=" ".join,
)
def test_the_checkers_are_content(command: list[str]):
    module = ["-m", command[0], *command[1:]]
    if command[0] == "importlinter.cli":
        module = ["-c", "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"]
    done = subprocess.run([sys.executable, *module], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_errors_keep_to_their_tree():
    from mage_mcp import errors

    names = [name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)]
    assert all(name in (errors.__doc__ or "") for name in names)
    assert get_type_hints(errors.MageError.__init__)


def test_the_readme_lists_the_tools_as_they_are():
    from tests.readme import README, with_table

    text = README.read_text(encoding="utf-8")
    assert text == with_table(text), "run `python -m tests.readme`"


@pytest.mark.anyio
async def test_an_answer_that_breaks_its_schema_fails_whichever_test_asks_for_it(
    world: World, era: str, monkeypatch: pytest.MonkeyPatch
):
    """The SDK's client sees to it: the other tests rely on that."""
    server = demo_server(world)
    tool = server._tool_manager.get_tool("list_pipelines")
    assert tool
    schema = {**(tool.output_schema or {}), "required": ["nonsense"]}
    monkeypatch.setitem(vars(tool), "output_schema", schema)  # where it keeps what it made
    async with Client(server, mode=era) as client:
        with pytest.raises(RuntimeError, match="'nonsense' is a required property"):
            await Host(client, Person()).call("list_pipelines")
