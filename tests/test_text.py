"""What leaves the process: no secret, nothing hidden, nothing that breaks its frame; ordinary texts stay."""

import time
from collections.abc import Iterator

import pytest

from mage_mcp import text
from mage_mcp.text import MASK, clean, fence, is_secret_name, mend_surrogates, one_line, redact, shorten, show

PLANTED = "hunter2xyz"


@pytest.fixture(autouse=True)
def _own_register(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Secrets remembered here stay here."""
    monkeypatch.setattr(text, "_known", set())
    monkeypatch.setattr(text, "_known_pattern", None)
    return


@pytest.mark.parametrize(
    "given",
    [
        "password=hunter2xyz",
        "password: hunter2xyz",
        "password : 'hunter2xyz'",
        'DB_PASSWORD="hunter2xyz"',
        "db.password = hunter2xyz",
        "{'password': 'hunter2xyz', 'user': 'bob'}",
        '{"api_key": "hunter2xyz"}',
        r'{"message": "{\"password\": \"hunter2xyz\", \"user\": \"bob\"}"}',
        r"'{\'token\': \'hunter2xyz\'}'",
        "password = b'hunter2xyz'",
        'secret = rf"hunter2xyz"',
        'password: str = "hunter2xyz"',
        "password: str | None = 'hunter2xyz'",
        "if (token := 'hunter2xyz'):",
        "'password' => 'hunter2xyz'",
        'password="hunter2xyz and then the text was cu',
        'password="two \\" words hunter2xyz"',
        "Server=db;Uid=bob;Pwd=hunter2xyz;Port=1",
        "https://api.example.com/v1?user=bob&access_token=hunter2xyz&page=2",
        "X-Api-Key: hunter2xyz",
        "OAUTH-TOKEN: hunter2xyz",
        "Authorization: Bearer hunter2xyz",
        "Authorization: Token hunter2xyz",
        "authorization: hunter2xyz",
        "Cookie: a=1; session=hunter2xyz; b=2",
        "Set-Cookie: sid=hunter2xyz; Path=/",
        '{"Cookie": "a=1; session=hunter2xyz"}',
        "mysql --user bob --password hunter2xyz db",
        "Command '['psql', '--password', 'hunter2xyz']' returned non-zero exit status 1",
        "tool --api-key 'hunter2xyz'",
        "postgres://bob:hunter2xyz@db.example.com/shop",
        "postgresql+psycopg2://bob:hunter2xyz@db/shop",
        "redis://:hunter2xyz@cache:6379/0",
        "https://hunter2xyz@github.com/team/repo.git",
        "postgres://bob:p@ss@hunter2xyz@db/shop",
        "postgres://bob:pa/hunter2xyz@db/shop",
        "postgres://bob:pa#hunter2xyz@db/shop",
        "amqp://bob:pa?hunter2xyz@db",
        "bearer abc.hunter2xyz==",
        "sent Bearer AbcdefGhiJkhunter2xyz to the server",
        "eyJhbGciOiJIUzI1NiJ9.eyJ0b2tlbiI6Imhunter2xyz.c2lnbmF0dXJl",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIhunter2xyz\n-----END RSA PRIVATE KEY-----",
        "private_key: -----BEGIN PRIVATE KEY-----\nMIIhunter2xyz\n-----END PRIVATE KEY-----",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2xyz that was cut",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\nhunter2xyz\n-----END PGP PRIVATE KEY BLOCK-----",
        "password=hunter2xyz(1",
        "password=P(ss)hunter2xyz",
    ],
)
def test_a_secret_is_masked_in_whatever_notation(given: str):
    shown = redact(given)
    assert PLANTED not in shown
    assert MASK in shown
    assert redact(shown) == shown, "masking what is masked changes nothing"


@pytest.mark.parametrize(
    "key",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_" + "a1B2" * 9,
        "github_pat_" + "a1B2" * 9,
        "xoxb-" + "1234567890-abc",
        "AIza" + "x" * 35,
        "sk_live_" + "a1B2" * 6,
        "sk-ant-" + "a1B2" * 6,
        "glpat-" + "a1B2" * 5,
        "dapi" + "0123456789abcdef" * 2,
    ],
)
def test_keys_that_are_known_by_their_form_are_masked_without_a_name(key: str):
    assert redact(f"using {key} for this") == f"using {MASK} for this"


@pytest.mark.parametrize(
    "given",
    [
        "tokens: 5",
        "max_tokens=100",
        "token == None",
        "token = None",
        "password=kwargs['x']",
        'password = os.environ["DB_PASSWORD"]',
        "api_key=get_secret_value('x')",
        "connect(password=config.get('a', b(1)))",
        "self.token: str",
        "tokenizer: bert-base",
        "secretary: Bob",
        "token::new",
        "the password is wrong",
        "basic information about carriers",
        "bearer authentication is off",
        "the following arguments are required: --token",
        "--password is required",
        "cookies: 3",
        "data_loaders/load_orders.py",
        "/home/src/demo_project/io_config.yaml line 12",
        "C:\\Users\\bob\\x.py",
        "https://example.com:8080/pipelines/x/edit?tab=1",
        "https://example.com:8080/people/bob@example.com",
        "https://example.com/people?mail=bob@example.com",
        "http://localhost:6789",
        "bob@example.com",
        "mailto: bob@example.com, eve@example.com",
        "@transformer\ndef add_tax(orders, *args):\n    return orders[orders['amount'] > 0]",
        "ValueError: order 17 has no revenue",
        "KeyError: 'amount'",
        "2026-11-24T02:16:07Z",
        "eyJust a word",
        "SELECT a.b FROM c WHERE d = 'e'",
        "password:\n  next line",
        "",
    ],
)
def test_ordinary_texts_and_code_are_left_alone(given: str):
    assert show(given) == given


def test_only_the_secret_of_a_line_is_masked():
    assert redact("user=bob password='x y' host=db") == f"user=bob password='{MASK}' host=db"
    assert redact("postgres://bob:x@db/shop") == f"postgres://{MASK}@db/shop"
    assert redact(r"{\"token\": \"abc\", \"id\": 7}") == rf"{{\"token\": \"{MASK}\", \"id\": 7}}"
    assert redact("a, password=x, b") == f"a, password={MASK}, b"


def test_a_known_secret_is_masked_wherever_and_however_it_stands():
    secret = 'pä ss"w0rd/é'
    text.remember_secret(secret)
    for given in (
        f"it was {secret}!",
        f"prefix{secret}suffix",
        "q=p%C3%A4%20ss%22w0rd%2F%C3%A9",
        "q=p%C3%A4+ss%22w0rd%2F%C3%A9",
        r'{"x": "p\u00e4 ss\"w0rd/\u00e9"}',
    ):
        assert "w0rd" not in redact(given)


def test_of_two_known_secrets_the_longer_one_is_masked_whole():
    text.remember_secret("abcd")
    text.remember_secret("abcdefgh")
    assert redact("x abcdefgh y abcd") == f"x {MASK} y {MASK}"


def test_a_secret_next_to_a_known_one_is_masked_too():
    text.remember_secret("hunter2")
    assert "tail" not in redact("password=hunter2-and-a-tail")


def test_what_is_too_short_to_be_a_secret_masks_no_ordinary_words():
    text.remember_secret("a")
    text.remember_secret("")
    assert redact("a cat") == "a cat"


@pytest.mark.parametrize(
    "hidden",
    [
        "\u200b",
        "\u200d",
        "\u2060",
        "\ufeff",
        "\xad",
        "\u202e",
        "\u2066",
        "\u061c",
        "\u180e",
        "\u3164",
        "\ufe0f",
        "\U000e0041",
        "\U000e0100",
        "\U0001bca0",
        "\x00",
        "\x07",
        "\x7f",
        "\x85",
        "\x1b[31m",
        "\x9b0m",
        "\x1b(B",
        "\x1b]8;;https://evil.example\x07",
        "\x1b]0;title\x1b\\",
    ],
    ids=ascii,
)
def test_hidden_characters_are_dropped_and_cannot_split_a_secret(hidden: str):
    text.remember_secret("hunter2xyz")
    assert clean(f"a{hidden} b") == "a b"
    assert show(f"it was hunter2{hidden}xyz") == f"it was {MASK}"
    assert show(f"pass{hidden}word=abcdef") == f"password={MASK}"


def test_lines_and_tabs_and_letters_of_the_world_stay():
    given = "a\tb\nc — “d” × Ü 日本 🙂 שלום"
    assert clean(given) == given
    assert clean("a\r\nb\rc") == "a\nb\nc"


def test_lone_surrogates_are_mended_and_pairs_joined():
    assert mend_surrogates("cut \ud83d!") == "cut \ufffd!"
    assert mend_surrogates("\udc00") == "\ufffd"
    assert mend_surrogates("\ud83d\ude42") == "🙂"
    assert mend_surrogates("plain 🙂") == "plain 🙂"
    show("\ud83d password=\udc00").encode()


def test_a_fence_cannot_be_closed_by_its_text():
    for inside in ("plain", "```\nout\n```", "a ```` b", "`" * 50, "~~~", fence(fence("x", "python"))):
        lines = fence(inside, "log").splitlines()
        marks = lines[-1]
        assert lines[0] == f"{marks}log"
        assert set(marks) == {"`"}
        assert len(marks) >= 3
        assert marks not in inside


def test_shorten_and_one_line_keep_to_their_limit():
    assert shorten("abc", 3) == "abc"
    assert shorten("abcd", 3) == "ab…"
    assert shorten("ab  cdef", 5) == "ab…"
    assert one_line(" a\n\n b\t c ") == "a b c"
    assert len(one_line("x " * 500, 40)) <= 40
    assert PLANTED not in one_line(f"password={PLANTED}", 14), "masked before it is cut"


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "DB_PASSWORD",
        "db-pwd",
        "apiKey",
        "API_KEY",
        "aws.secret",
        "github_token",
        "credentials",
        "auth",
        "basic auth",
        "postgres_dsn",
        "connection_string",
        "CONN_STR",
        "private_key",
        "secretAccessKey",
    ],
)
def test_names_that_tell_of_a_secret(name: str):
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["region", "author", "row_count", "tokens", "key", "passenger", "secretary", ""])
def test_names_that_tell_of_none(name: str):
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    "word",
    [
        "a",
        "a-",
        "QUJD/+",
        "token-",
        "password=",
        'password="',
        "password=a(",
        "http://a",
        "http://a:b",
        "eyJ-",
        "\x1b]",
        "-----BEGIN ",
        "bearer ",
        "--token-",
        "cookie:",
        "\\",
        "@",
        "a://",
    ],
    ids=repr,
)
def test_no_text_takes_long_to_redact(word: str):
    """Logs hold lines of 100 KB without a space; a search that starts again at every character takes minutes."""
    given = (word * 50_000)[:50_000]
    began = time.perf_counter()
    show(given)
    assert time.perf_counter() - began < 1


def test_a_secret_with_half_a_character_in_it_is_masked_too():
    text.remember_secret("planted-\ud83d-half")
    assert "planted" not in text.show("it was planted-\ud83d-half!")
