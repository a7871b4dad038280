"""Answers about the project's files."""

from typing import Any
from urllib.parse import unquote

from mage_mcp.demo.wire import ApiError, Body, Call, Crash, answers
from mage_mcp.demo.world import PROJECT, REPO_PATH, SourceFile

_HIDDEN = ("__pycache__", "venv", "env")


@answers("GET files")
def list_files(call: Call) -> Body:
    """A folder and what is in it, without what begins with a dot; with `flatten` all files, the project in front."""
    files = {path: file for path, file in call.world.files.items() if not any(p[:1] == "." for p in path.split("/"))}
    if call.query.flag("flatten"):
        flat = [
            _entry(path.rpartition("/")[2], path=f"{PROJECT}/{path}", size=file.size, at=file.modified_at.timestamp())
            for path, file in files.items()
        ]
        return {"files": flat, "metadata": {}}
    folder = next((value for key, value in call.query.pairs if key == "directory_path"), None)
    if folder and not call.world.is_folder(folder.strip("/")):
        raise ApiError(400, "record_invalid", "Directory must be inside the project.")
    name = folder.strip("/").rpartition("/")[2] if folder else PROJECT
    tree = _tree(files, folder.strip("/") if folder else "", shallow=folder is not None)
    return {"files": [{**_entry(name), "children": tree}], "metadata": {}}


def _tree(files: dict[str, SourceFile], folder: str, *, shallow: bool) -> list[Body]:
    prefix = f"{folder}/" if folder else ""
    below = {path.removeprefix(prefix) for path in files if path.startswith(prefix)}
    rows: list[Body] = []
    for name in sorted({path.partition("/")[0] for path in below} - set(_HIDDEN)):
        if name in below:
            rows.append({"name": name, "disabled": False})
        elif shallow:
            rows.append({"name": name, "children": [], "children_loaded": False})
        else:
            rows.append({"name": name, "children": _tree(files, f"{prefix}{name}", shallow=False)})
    return rows


def _entry(name: str, *, path: str | None = None, size: int | None = None, at: float | None = None) -> Body:
    return {
        "children": None,
        "disabled": None,
        "modified_timestamp": at,
        "name": name,
        "path": path,
        "pipeline_count": None,
        "size": size,
    }


@answers("DELETE files/:id")
def delete_file(call: Call) -> Body:
    path = _path(call)
    if path not in call.world.files:
        raise ApiError(404, "record_not_found", f"File at {call.pk} cannot be found.")
    del call.world.files[path]
    return {"file": _entry(path.rpartition("/")[2], path=path), "metadata": None}


@answers("GET file_contents/:id")
def get_file(call: Call) -> Body:
    path = _path(call)
    return {"file_content": _file(path, call.world.files.get(path)), "metadata": None}


@answers("PUT file_contents/:id")
def put_file(call: Call) -> Body:
    content = call.payload("file_content").get("content")
    path = _path(call)
    if content is None:
        raise ApiError(400, "record_invalid", "Please provide a content or version in the request payload.")
    if not path or call.world.is_folder(path):
        raise Crash(f"[Errno 21] Is a directory: '{REPO_PATH}/{path}'", "IsADirectoryError")
    if any(path.startswith(f"{other}/") for other in call.world.files):
        raise Crash(f"[Errno 17] File exists: '{REPO_PATH}/{path.rpartition('/')[0]}'", "FileExistsError")
    if not isinstance(content, str):
        call.world.write_file(path, "")
        raise Crash(f"write() argument must be str, not {type(content).__name__}", "TypeError")
    call.world.write_file(path, content)
    return get_file(call)


def _path(call: Call) -> str:
    """Relative to the project. Mage decodes a path once more than others do, and guesses where it begins.

    With the project's name in front it is taken as it is. Without it, and where there is no such folder, any file
    will do whose path ends so.
    """
    pk, files = unquote(call.pk), call.world.files
    if pk.startswith("/") and not pk.startswith(f"{REPO_PATH}/"):
        raise ApiError(400, "record_invalid", f"File at path: {pk} is not in the project directory.")
    inside = pk.removeprefix(f"{REPO_PATH}/").removeprefix(f"{PROJECT}/")
    first = inside.partition("/")[0]
    if inside != pk or first in files or call.world.is_folder(first):
        return inside
    return next((path for path in files if f"{REPO_PATH}/{path}".endswith(inside)), "")


def _file(path: str, file: SourceFile | None) -> dict[str, Any]:
    """A missing file, and a folder, read as an empty one without a size; line ends are always read as `\\n`."""
    return {
        "content": file.content.replace("\r\n", "\n") if file else "",
        "modified_timestamp": file.modified_at.timestamp() if file else None,
        "name": path.rpartition("/")[2],
        "path": f"{REPO_PATH}/{path}" if path else "",
        "size": file.size if file else None,
    }
