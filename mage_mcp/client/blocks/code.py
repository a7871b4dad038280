"""The text of a block: checked before it is saved, and changed by replacing a part. Pure functions."""

import ast
import platform
import warnings

from mage_mcp.client.hidden import cuts, hidden_spans, lays_open, masked_lines
from mage_mcp.errors import MageInvalid
from mage_mcp.text import one_line, quoted, show

_DECORATED = frozenset({"custom", "data_exporter", "data_loader", "sensor", "transformer"})
_LONGEST_LINE = 120
_MOST_PLACES = 10


def check_code(content: str, language: str, file: str) -> str:
    """A word on what was not checked; nothing where it was.

    Python is compiled, never run. Raises MageInvalid for a syntax error, with the line.
    """
    if language != "python":
        return f"The syntax of {language or 'this language'} is not checked here."
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(content, file, "exec", dont_inherit=True)
    except SyntaxError as error:
        number = error.lineno or 1
        line = one_line("".join(masked_lines(content)[number - 1 : number]), _LONGEST_LINE)
        raise MageInvalid(
            f"Line {number} of the new text of {quoted(file)} is no Python ({one_line(error.msg)}): {line!r}; nothing "
            "was written.",
            next_step=f"Correct it. It was read as Python {_version()}; Mage may run another.",
        ) from None
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        raise MageInvalid(
            f"The new text of {quoted(file)} cannot be compiled ({type(error).__name__}). Nothing was written.",
            next_step="Look for characters that no code has, and for very deep nesting.",
        ) from None
    return ""


def check_block(content: str, language: str, block_type: str, file: str) -> str:
    """`check_code` and `advice` together."""
    return " ".join(filter(None, (check_code(content, language, file), advice(content, language, block_type))))


def advice(content: str, language: str, block_type: str) -> str:
    """A word on Python that compiles, and of which Mage says "does not have any decorated functions" when it runs.

    Measured: Mage hands the decorator to the block under its name, and looks only for what that one has marked. An
    import of the same name, unless it stands under `if 'NAME' not in globals()`, puts another in its place.
    """
    if language != "python" or block_type not in _DECORATED:
        return ""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module == "mage_ai.data_preparation.decorators"
        for alias in node.names
    }
    if block_type in imported:
        return (
            f"Mage will not find its function: the import of {block_type} hides Mage's own. Put it under "
            f"if '{block_type}' not in globals(): or leave it out."
        )
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
    marked = {ast.unparse(decorator).partition("(")[0] for node in functions for decorator in node.decorator_list}
    is_streaming = any(name.startswith("streaming") for name in marked)
    if block_type in marked or is_streaming:
        return ""
    return f"It has no function marked @{block_type}, which Mage will look for."


def replaced(content: str, old: str, new: str, file: str) -> str:
    """The text with `new` in the place of `old`, which must stand in it exactly once.

    Raises MageInvalid else, and says where it stands; also where what is masked in the text would be seen afterwards,
    since what told that it is a secret is gone. A piece of a secret stands nowhere: else it could be guessed.
    """
    old, new = old.replace("\r\n", "\n"), new.replace("\r\n", "\n")
    if not old:
        raise MageInvalid("replace.old is empty; nothing was written.", next_step="Give the text that is to go.")
    hidden = hidden_spans(content)
    places = [place for place in _places(content, old) if not cuts(place, place + len(old), hidden)]
    if len(places) == 1:
        start, end = places[0], places[0] + len(old)
        after = content[:start] + new + content[end:]
        if hidden and lays_open(content, after, start=start, end=end):
            raise MageInvalid(
                f"What is masked in {quoted(file)} would be seen after this change; nothing was written.",
                next_step="Leave the name before it as it is, or ask the person to make this change in Mage.",
            )
        return after
    if places:
        lines = ", ".join(str(content.count("\n", 0, place) + 1) for place in places[:_MOST_PLACES])
        raise MageInvalid(
            f"replace.old stands in {quoted(file)} {len(places)} times, in lines {lines}; nothing was written.",
            next_step="Give more of what stands around the one that is meant.",
        )
    raise MageInvalid(
        f"replace.old does not stand in {quoted(file)}; nothing was written.{_nearly(show(content), old)}",
        next_step="Give it exactly as it is shown, spaces and line breaks included.",
    )


def _places(content: str, old: str) -> list[int]:
    """Where it begins; places may overlap."""
    places, at = [], content.find(old)
    while at >= 0:
        places.append(at)
        at = content.find(old, at + 1)
    return places


def _nearly(content: str, old: str) -> str:
    """Whether it is only the space around words that differs."""
    words = old.split()
    if not words or " ".join(words) not in " ".join(content.split()):
        return ""
    first = next((n for n, line in enumerate(content.split("\n"), 1) if words[0] in line), 1)
    return f" It does with other spaces or line breaks, at line {first} or below."


def _version() -> str:
    return ".".join(platform.python_version_tuple()[:2])
