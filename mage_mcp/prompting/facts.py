"""How a fact is declared: a function that fetches it, and the bytes it may take in a prompt."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import anyio
from mcp import MCPError

from mage_mcp.client.deadline import remaining_s
from mage_mcp.errors import MageError
from mage_mcp.prompting.ask import Ask
from mage_mcp.prompting.page import Block, page

Fetch = Callable[[Ask], Awaitable[Sequence[Block] | str]]
"""Blocks, or a sentence of ours to stand within a line."""

_WITHIN_S = 25.0
_FOR_THE_ANSWER_S = 5.0


@dataclass(frozen=True)
class Fact:
    fetch: Fetch
    room: int


class Facts(Mapping[str, Fact]):
    """Facts by the name that stands for them in a prompt's words: their function's."""

    def __init__(self) -> None:
        self._facts: dict[str, Fact] = {}

    def add(self, room: int) -> Callable[[Fetch], Fetch]:
        def keep(fetch: Fetch) -> Fetch:
            self._facts[fetch.__name__] = Fact(fetch, room)
            return fetch

        return keep

    def __getitem__(self, name: str) -> Fact:
        return self._facts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._facts)

    def __len__(self) -> int:
        return len(self._facts)


async def fetch_all(facts: Mapping[str, Fact], ask: Ask) -> dict[str, str]:
    """Each fact as it stands in the prompt, fetched side by side. What cannot be fetched is said in its place.

    Raises MCPError for arguments that cannot be.
    """
    told: dict[str, str] = {}
    refused: list[MCPError] = []

    async def tell(name: str, fact: Fact) -> None:
        try:
            found = await fact.fetch(ask)
        except MCPError as error:
            refused.append(error)
        except MageError as error:
            told[name] = page([Block("This could not be fetched; the reason", str(error))], fact.room)
        else:
            told[name] = found if isinstance(found, str) else page(found, fact.room)

    with anyio.move_on_after(min(_WITHIN_S, max(1.0, remaining_s() - _FOR_THE_ANSWER_S))):
        async with anyio.create_task_group() as group:
            for name, fact in facts.items():
                group.start_soon(tell, name, fact)
    if refused:
        raise refused[0]
    late = "Mage did not answer in time, so this could not be fetched."
    return {name: told.get(name, late) for name in facts}
