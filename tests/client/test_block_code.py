"""What is said of a block's code beside its syntax."""

import pytest

from mage_mcp.client.blocks.code import advice

GUARDED = "if 'transformer' not in globals():\n    from mage_ai.data_preparation.decorators import transformer\n"
BARE = "from mage_ai.data_preparation.decorators import transformer\n"
MARKED = "\n@transformer\ndef keep(rows, *args, **kwargs):\n    return rows\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (GUARDED + MARKED, ""),
        (MARKED, ""),
        (BARE + MARKED, "the import of transformer hides Mage's own"),
        ("from mage_ai.data_preparation.decorators import test, transformer\n" + MARKED, "hides Mage's own"),
        ("from mage_ai.data_preparation.decorators import transformer as t\n" + MARKED, ""),
        (GUARDED + "\ndef keep(rows):\n    return rows\n", "no function marked @transformer"),
        (GUARDED + MARKED.replace("@transformer", "@transformer(a=1)"), ""),
        (GUARDED + MARKED.replace("@transformer", "@data_loader"), "no function marked @transformer"),
        ("@streaming_source\nclass Source:\n    pass\n", ""),
        ("def broken(:", ""),
    ],
)
def test_a_function_that_mage_will_not_find_is_told(content: str, said: str):
    told = advice(content, "python", "transformer")
    assert told.count(said) == 1 if said else told == ""


def test_other_languages_and_kinds_have_no_decorators():
    assert advice("select 1", "sql", "transformer") == ""
    assert advice("x = 1", "python", "scratchpad") == ""
