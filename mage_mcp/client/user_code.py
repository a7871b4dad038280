"""Which frames of a traceback are the user's: those of block code and of the project's files."""

import ast
import re
import warnings
from collections import deque
from collections.abc import Iterator, Sequence

from mage_mcp.client.tracebacks import Frame

_INSTALLED = re.compile(r"/(?:site|dist)-packages/|/lib/python\d|/mage_ai/|\A<frozen ", re.IGNORECASE)
_NAMELESS: dict[type[ast.AST], str] = {
    ast.Lambda: "<lambda>",
    ast.ListComp: "<listcomp>",
    ast.SetComp: "<setcomp>",
    ast.DictComp: "<dictcomp>",
    ast.GeneratorExp: "<genexpr>",
}


def user_frames(frames: Sequence[Frame], source: str | None, repo_path: str = "") -> tuple[list[Frame], bool]:
    """The frames of block code and of project files, and whether the block's file still fits them.

    Code that a library generates (a dataclass's `__init__`) is shown as block code too; such a frame is dropped when
    its function does not lie around its line in `source`. Where already the first frame does not fit, the file has
    changed since: then nothing is dropped, and the answer's second half is False.
    """
    ours = [frame for frame in frames if frame.is_block_code or _is_project_file(frame.file, repo_path)]
    block = [frame for frame in ours if frame.is_block_code]
    spans = _spans(source) if source is not None else None
    fits = spans is None or not block or _lies_within(block[0], spans)
    kept: list[Frame] = []
    for frame in ours:
        is_foreign = frame in block[1:] and _is_foreign(frame, spans if fits else None)
        if not is_foreign and frame not in kept[-1:]:
            kept.append(frame)
    return kept, fits


def _is_foreign(frame: Frame, spans: list[tuple[str, int, int]] | None) -> bool:
    """Whether a later frame of block code comes from other code than the block's file."""
    if frame.function in ("", "<module>"):
        return True  # a file's own code runs before any function of it: this is somebody's exec()
    return spans is not None and not _lies_within(frame, spans)


def fits_source(frames: Sequence[Frame], source: str) -> bool:
    """Whether the first frame of block code can be one of this source."""
    first = next((frame for frame in frames if frame.is_block_code), None)
    spans = _spans(source)
    return first is not None and spans is not None and _lies_within(first, spans)


def project_path(file: str, repo_path: str) -> str:
    """The file's path within the project; outside of it, its last two parts."""
    path, repo = file.replace("\\", "/"), repo_path.replace("\\", "/").rstrip("/")
    if repo and path.startswith(repo + "/"):
        return path[len(repo) + 1 :]
    return "/".join(path.split("/")[-2:])


def _is_project_file(file: str, repo_path: str) -> bool:
    path, repo = file.replace("\\", "/"), repo_path.replace("\\", "/").rstrip("/")
    is_absolute = path.startswith("/") or path[1:3] == ":/"
    if not is_absolute or _INSTALLED.search(path):
        return False
    return path.startswith(repo + "/") if repo else True


def _spans(source: str) -> list[tuple[str, int, int]] | None:
    """Name, first and last line of all that can be a frame's function; None where the source does not parse."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return [("<module>", 1, source.count("\n") + 1), *_named(tree)]


def _named(tree: ast.AST) -> Iterator[tuple[str, int, int]]:
    waiting = deque([tree])
    while waiting:
        node = waiting.popleft()
        waiting.extend(ast.iter_child_nodes(node))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            yield node.name, first, node.end_lineno or node.lineno
        elif isinstance(node, ast.expr) and type(node) in _NAMELESS:
            yield _NAMELESS[type(node)], node.lineno, node.end_lineno or node.lineno


def _lies_within(frame: Frame, spans: list[tuple[str, int, int]]) -> bool:
    if not frame.function:  # a SyntaxError's own frame
        return True
    return any(name == frame.function and first <= frame.line <= last for name, first, last in spans)
