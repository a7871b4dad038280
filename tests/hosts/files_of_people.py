"""Configuration files as people have them, for what is put in and taken out to be tried on every one."""

import contextlib
import random
import tomllib

JSON_WITH_A_TABLE = {
    "plain": '{\n  "TABLE": {\n    "other": {\n      "command": "npx"\n    }\n  }\n}\n',
    "no end of the last line": '{\n  "TABLE": {\n    "other": {"command": "npx"}\n  },\n  "more": [1, 2.5e3, null]\n}',
    "windows": '{\r\n\t"TABLE": {\r\n\t\t"other": {\r\n\t\t\t"command": "npx"\r\n\t\t}\r\n\t}\r\n}\r\n',
    "four spaces, the table first": '{\n    "TABLE": {\n        "a": {},\n        "b": {}\n    },\n    "theme": 1\n}\n',
    "one line": '{"TABLE": {"other": {"command": "npx"}}, "x": 1}',
    "one line, spaced": '{ "TABLE": { "other": { "command": "npx" } } }\n',
    "hugging braces": '{"TABLE": {"other": {\n  "command": "npx"\n}}}\n',
    "packed end": '{\n  "TABLE": {\n    "other": {}}}',
    "same names further down": (
        '{\n  "deep": {"TABLE": {"mage": {"command": "not this one"}}},\n'
        '  "TABLE": {\n    "other": {"TABLE": {"mage": 1}, "mage": 2}\n  }\n}\n'
    ),
    "strings that look like syntax": (
        '{\n  "a": "}{ // no comment /* none */ \\" \\\\",\n  "TABLE": {\n    "}": {"command": "C:\\\\ // y"}\n  }\n}\n'
    ),
    "unicode": '{\n  "nämé": "☃ 🧙 \\u00e9",\n  "TABLE": {\n    "ключ": {"command": "ü"}\n  }\n}\n',
    "blank lines": '\n\n{\n\n  "TABLE": {\n\n    "other": {}\n\n  }\n\n}\n\n\n',
}
"""Each has one entry or more in its TABLE and no comments."""

JSON_WITHOUT_A_TABLE = {
    "other settings": '{\n  "theme": "dark",\n  "list": [\n    {}\n  ]\n}\n',
    "other settings in one line": '{"theme": "dark"}',
    "windows": '{\r\n    "theme": "dark"\r\n}',
    "the table's name only further down": '{\n  "deep": {"TABLE": {"mage": {}}}\n}\n',
    "an empty table before others": '{\n  "TABLE": {},\n  "inputs": []\n}\n',
    "empty object": "{}",
    "empty object, closed line": "{}\n",
}

JSONC = {
    "comments everywhere": (
        '// top\n{ // open\n  /* before */ "TABLE" /* key */ : /* value */ { // table\n'
        '    // one\n    "other": { "command": "npx" } // behind it\n    // the last word\n  } /* after */ // more\n'
        "  // end\n}\n// bottom\n"
    ),
    "trailing commas": '{\n  "TABLE": {\n    "other": {\n      "args": ["a", "b",],\n    },\n  },\n}\n',
    "both": '{\n  "TABLE": {\n    "other": {}, // one\n    // two\n  }, // three\n  /* four */\n}\n',
    "a comma far behind": '{\n  "TABLE": {\n    "other": {} /* x */ , /* y */\n  }\n}\n',
    "only comments in the table": '{\n  "TABLE": {\n    // nothing yet\n  }\n}\n',
    "only comments in the table, in one line": '{"TABLE": { /* nothing yet */ }, "x": 1}',
    "a comment in the brace's line": '{\n  "TABLE": { // nothing yet\n  }\n}\n',
    "no table, comments": '// zed\n{\n  "theme": "dark", // mine\n  // "TABLE": { "mage": {} }\n}\n',
    "a comment behind the only member": '{"TABLE": {"other": {} // mine\n}}\n',
    "a comment that looks like an end": '{\n  "TABLE": {\n    "other": {} // } , {\n  }\n}\n',
    "tabs and windows": '{\r\n\t// x\r\n\t"TABLE": {\r\n\t\t"other": {}, // y\r\n\t},\r\n}',
    "a block over lines": '{\n  "TABLE": {\n    "other": {} /* a\n    b */\n  }\n}\n',
}

EMPTY = {
    "nothing": "",
    "a blank line": "\n",
    "an empty table": '{\n  "TABLE": {}\n}\n',
    "open braces": '{\n  "TABLE": {\n  }\n}\n',
}
"""Where an empty object may read otherwise after a round."""

ONLY_JSONC_EMPTY = {"only a comment": "// my settings\n", "only a comment, unclosed": "/* my settings */"}

TOML = {
    "nothing": "",
    "a blank line": "\n",
    "plain": 'model = "gpt"\n\n[mcp_servers.other]\ncommand = "npx"\nargs = ["-y"]\n',
    "no end of the last line": 'model = "gpt"',
    "spaces at the end": 'model = "gpt"\n  ',
    "windows": 'model = "gpt"\r\n[mcp_servers.other]\r\ncommand = "npx"\r\n',
    "comments": '# top\nmodel = "gpt" # [mcp_servers.mage]\n\n[mcp_servers.other] # x\n# c\ncommand = "npx"\n# end\n\n',
    "the table's own header": '[mcp_servers]\n[mcp_servers.other]\ncommand = "npx"\n\n[projects."/a/b"]\ntrust = 1\n',
    "arrays of tables": "[[hooks]]\na = 1\n\n[[hooks]]\na = 2\n[hooks.deep]\nb = 1\n",
    "dotted keys": 'mcp_servers.other.command = "npx"\n[other]\nx = 1\n',
    "strings that look like headers": (
        's = """\n[mcp_servers.mage]\ncommand = "no"\n\\"""\n"""\n'
        "t = '''\n[mcp_servers.mage]\n''''\nu = \"[mcp_servers.mage]\"\n"
    ),
    "arrays over lines": 'a = [\n  [1],\n  ["]"], # ]\n]\n[b]\nc = { d = [1] }\n',
    "unicode": '"ключ" = "☃"\n["mcp_servers"."öther"]\ncommand = "ü"\n',
    "the same name elsewhere": "[other.mage]\nx = 1\n[mcp_servers.other.mage]\ny = 1\n",
}


def with_table(text: str, table: str) -> str:
    return text.replace("TABLE", table)


def random_jsonc(seed: int, table: str) -> str:
    """A file that no person would write: white space and comments wherever they may stand."""
    chance = random.Random(seed)

    def gap() -> str:
        marks = [" ", "\n", "\t", "", "", "/* c */", "// l }\n", "\r\n", "/*\n*/"]
        return "".join(chance.choices(marks, k=chance.randint(0, 3)))

    def written(parts: list[str], opening: str, closing: str) -> str:
        text = opening + gap()
        for number, part in enumerate(parts):
            is_last = number == len(parts) - 1
            text += part + gap() + ("," if not is_last or chance.random() < 0.3 else "") + gap()
        return text + closing

    def value(depth: int) -> str:
        kind = chance.randint(0, 6)
        if depth == 0 or kind < 3:
            return chance.choice(["1", "null", '"x // {"', "true", "-1.5e3", '"\\""'])
        if kind < 5:
            return members(depth - 1, [chance.choice("abc") + str(i) for i in range(chance.randint(0, 3))])
        return written([value(depth - 1) for _ in range(chance.randint(0, 2))], "[", "]")

    def members(depth: int, keys: list[str]) -> str:
        parts = []
        for key in keys:
            inner = members(1, ["x", "y"][: chance.randint(0, 2)]) if key == table else value(depth)
            parts.append(f'"{key}"{gap()}:{gap()}{inner}')
        return written(parts, "{", "}")

    names = ["a0", "b1"][: chance.randint(0, 2)]
    if chance.random() < 0.7:
        names.insert(chance.randint(0, len(names)), table)
    return gap() + members(2, names) + gap()


def random_toml(seed: int) -> str:
    """Several of the files above, one after another, as far as that is still TOML."""
    chance = random.Random(seed)
    text = ""
    for part in chance.sample(list(TOML.values()), k=4):
        longer = text + ("" if not text or text.endswith("\n") else "\n") + part
        with contextlib.suppress(tomllib.TOMLDecodeError):
            tomllib.loads(longer)
            text = longer
    return text
