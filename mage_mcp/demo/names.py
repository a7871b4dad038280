"""How Mage makes a uuid of a name: its `clean_name`, step by step."""

import re


def clean_name(name: str) -> str:
    for dropped in ("\ufeff", '"', "$", "\n", "\r", "\t"):
        name = name.replace(dropped, "")
    name = re.sub(r"\W", "_", name)
    if name and re.match(r"\d", name[0]):
        name = f"letter_{name}"
    return name.lower()
