"""Where settings come from, what wins, and what is told when one cannot be understood."""

from pathlib import Path
from typing import Any

import pytest

from mage_mcp import text
from mage_mcp.base_url import mage_url
from mage_mcp.errors import MageNotConfigured
from mage_mcp.settings import DEFAULT_TOOLSETS, PUBLIC_API_KEY, TOOLSETS, Settings, login_command
from mage_mcp.settings_load import load_settings

SECRETS = {"MAGE_PASSWORD": "planted-password", "MAGE_TOKEN": "planted-token", "MAGE_API_KEY": "planted-key"}


@pytest.fixture(autouse=True)
def _nobodys_own_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the file of who runs the tests nor their secrets, and none of these stay registered."""
    monkeypatch.setattr("mage_mcp.settings_load.default_config_file", lambda: tmp_path / "config.toml")
    monkeypatch.setattr(text, "_known", set())
    monkeypatch.setattr(text, "_known_pattern", None)


def load(environ: dict[str, str] | None = None, **flags: Any) -> Settings:
    return load_settings(flags, environ or {})


def refused(environ: dict[str, str] | None = None, **flags: Any) -> str:
    with pytest.raises(MageNotConfigured) as caught:
        load(environ, **flags)
    return str(caught.value)


def written(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(content, encoding="utf-8")
    return path


def test_nothing_set_is_a_server_that_starts_with_the_defaults():
    settings = load()
    (cluster,) = settings.clusters
    assert cluster.url == ""
    assert cluster.password is None
    assert cluster.api_key.get_secret_value() == PUBLIC_API_KEY
    assert (settings.toolsets, settings.confirm, settings.log_level) == (DEFAULT_TOOLSETS, "ask", "WARNING")
    assert not settings.read_only
    assert not settings.demo
    assert settings.sources == {}


def test_flags_win_over_the_environment_and_each_value_knows_where_it_came_from():
    environ = {"MAGE_URL": "http://one.test", "MAGE_CONFIRM": "person", "MAGE_EMAIL": "bob@example.com"}
    settings = load(environ, url="http://two.test", confirm=None)
    assert settings.clusters[0].url == "http://two.test"
    assert settings.confirm == "person"
    assert settings.clusters[0].email == "bob@example.com"
    assert settings.sources | {"url": "--url", "confirm": "MAGE_CONFIRM", "email": "MAGE_EMAIL"} == settings.sources


def test_the_environment_wins_over_the_file(tmp_path: Path):
    written(tmp_path, 'confirm = "never"\nlog_level = "ERROR"\n')
    settings = load({"MAGE_CONFIRM": "person"})
    assert settings.confirm == "person"
    assert settings.log_level == "ERROR"


@pytest.mark.parametrize("blank", ["", "  ", "${user_config.url}", " ${user_config.mage_url} ", "${input:url}"])
def test_what_a_host_passes_for_a_field_left_blank_counts_as_unset(blank: str):
    names = ("URL", "EMAIL", "PASSWORD", "TOKEN", "API_KEY", "TOOLSETS", "READ_ONLY", "CONFIRM", "LOG_LEVEL", "CONFIG")
    assert load({f"MAGE_{name}": blank for name in names}) == load()


def test_a_password_may_begin_like_a_placeholder():
    password = load({"MAGE_PASSWORD": "${not one"}).clusters[0].password
    assert password is not None
    assert password.get_secret_value() == "${not one"


@pytest.mark.parametrize(
    ("pasted", "base"),
    [
        ("http://localhost:6789", "http://localhost:6789"),
        ("http://localhost:6789/", "http://localhost:6789"),
        ("localhost:6789", "http://localhost:6789"),
        ("127.0.0.1:6789/pipelines", "http://127.0.0.1:6789"),
        ("[::1]:6789", "http://[::1]:6789"),
        ("mage.example.com", "https://mage.example.com"),
        ("HTTPS://mage.example.com", "https://mage.example.com"),
        ("https://host.test/ws/pipelines/x/edit?sideview=tree#top", "https://host.test/ws"),
        ("https://host.test/ws/pipelines/x/runs/12", "https://host.test/ws"),
        ("https://host.test/a/b/overview?tab=today", "https://host.test/a/b"),
        ("https://host.test/ws/api/status", "https://host.test/ws"),
        ("https://host.test/ws//", "https://host.test/ws"),
        ("https://host.test/ws?next=/pipelines", "https://host.test/ws"),
        ("https://host.test/sign-in?redirect_url=%2F", "https://host.test"),
        ("https://mage_1.test:8443", "https://mage_1.test:8443"),
        ("", ""),
    ],
)
def test_a_url_pasted_from_the_browser_becomes_the_base(pasted: str, base: str):
    assert mage_url(pasted) == base
    assert mage_url(base) == base


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host.test",
        "file:///etc/passwd",
        "http://",
        "https:///ws",
        "http:/localhost:6789",
        "http://exa mple.test",
        "http://host.test:port",
        "http://host.test:99999",
        "http://[::1",
        "http:// ",
        "javascript:alert(1)",
        "://x",
        "/",
        "http://host.test<script>",
        "http://\u202ehost.test",
    ],
)
def test_what_is_no_url_of_a_mage_is_refused_with_an_example(url: str):
    for sentence in (refused({"MAGE_URL": url}), refused(url=url)):
        assert "is not a URL of a Mage server. It looks like http://localhost:6789." in sentence
    assert sentence.startswith("--url ")


@pytest.mark.parametrize(
    "url",
    [
        "https://bob:planted@host.test",
        "https://planted@host.test/ws",
        "bob:planted@host.test",
        "http://@host.test",
        "bob:planted@localhost:6789",
    ],
)
def test_credentials_in_a_url_are_refused_and_not_repeated(url: str):
    sentence = refused({"MAGE_URL": url})
    assert "planted" not in sentence
    assert "MAGE_EMAIL and MAGE_PASSWORD" in sentence or "is not a URL" in sentence


def test_toolsets_are_chosen_by_name_in_their_own_order():
    assert load({"MAGE_TOOLSETS": "runs, pipelines,"}).toolsets == ("pipelines", "runs")
    assert load({"MAGE_TOOLSETS": "all"}).toolsets == TOOLSETS
    assert load({"MAGE_TOOLSETS": ","}).toolsets == DEFAULT_TOOLSETS
    sentence = refused({"MAGE_TOOLSETS": "runs,nonsense,all"})
    assert "MAGE_TOOLSETS names unknown toolsets: all, nonsense. Known: clusters, pipelines, runs" in sentence


@pytest.mark.parametrize(
    ("name", "value", "choices"),
    [
        ("confirm", "always", "ask, person, never"),
        ("log_level", "LOUD", "DEBUG, INFO, WARNING, ERROR"),
        ("read_only", "banana", "true or false"),
    ],
)
def test_a_value_that_is_none_of_the_choices_is_told_with_the_choices(name: str, value: str, choices: str):
    variable = f"MAGE_{name.upper()}"
    sentence = refused({variable: value})
    assert sentence.startswith(f"{variable} is '{value}'.")
    assert choices in sentence


def test_choices_are_taken_in_any_case():
    settings = load({"MAGE_LOG_LEVEL": "debug", "MAGE_CONFIRM": "Person", "MAGE_READ_ONLY": "TRUE"})
    assert (settings.log_level, settings.confirm, settings.read_only) == ("DEBUG", "person", True)


@pytest.mark.parametrize("yes", ["true", "1", "yes", "on", "True"])
@pytest.mark.parametrize("name", ["read_only", "protected"])
def test_safety_only_tightens(yes: str, name: str, tmp_path: Path):
    variable = f"MAGE_{name.upper()}"

    def holds(settings: Settings) -> bool:
        return all(getattr(cluster, name) for cluster in settings.clusters)

    assert holds(load({variable: yes}))
    assert holds(load({variable: yes}, **{name: None}))
    assert holds(load({variable: yes}, **{name: False}))
    assert holds(load({variable: "false"}, **{name: True}))
    assert holds(load(**{name: True}))
    assert not holds(load({variable: "no"}, **{name: None}))
    written(tmp_path, f'{name} = true\n[clusters.prod]\nurl = "https://p.test"\n{name} = false\n')
    assert holds(load({variable: "false", "MAGE_URL": "http://own.test"}, **{name: False}))
    written(
        tmp_path, f'[clusters.prod]\nurl = "https://p.test"\n{name} = true\n[clusters.dev]\nurl = "https://d.test"\n'
    )
    assert [getattr(cluster, name) for cluster in load({variable: "false"}).clusters] == [True, False]
    assert holds(load({variable: yes}))


def test_secrets_show_nowhere_but_are_known_to_the_redaction():
    settings = load({**SECRETS, "MAGE_EMAIL": "bob@example.com"})
    for shown in (repr(settings), str(settings), settings.model_dump_json(), repr(settings.clusters[0])):
        assert "planted" not in shown
    for secret in SECRETS.values():
        assert text.redact(f"<{secret}>") == f"<{text.MASK}>"
    password = settings.clusters[0].password
    assert password is not None
    assert password.get_secret_value() == "planted-password"


def test_mages_public_key_is_no_secret():
    load({"MAGE_API_KEY": PUBLIC_API_KEY})
    assert text.redact(PUBLIC_API_KEY) == PUBLIC_API_KEY


def test_settings_cannot_be_changed_afterwards():
    settings = load({"MAGE_READ_ONLY": "1"})
    with pytest.raises(ValueError, match="frozen"):
        settings.read_only = False  # type: ignore[misc]
    with pytest.raises(ValueError, match="frozen"):
        settings.clusters[0].read_only = False  # type: ignore[misc]


# The file


def test_several_clusters_come_from_the_file_with_their_secrets_from_the_environment(tmp_path: Path):
    path = written(
        tmp_path,
        '[clusters.prod]\nurl = "https://host.test/ws/overview"\nemail = "bob@example.com"\n'
        'password_env = "PROD_PASSWORD"\nread_only = true\n[clusters.dev]\nurl = "localhost:6789"\n',
    )
    settings = load({"PROD_PASSWORD": "planted-password"}, config=str(path))
    assert [(c.name, c.url, c.read_only) for c in settings.clusters] == [
        ("prod", "https://host.test/ws", True),
        ("dev", "http://localhost:6789", False),
    ]
    assert settings.clusters[0].password is not None
    assert "planted" not in text.redact("planted-password")
    assert [c.label for c in settings.clusters] == ["cluster 'prod'", "cluster 'dev'"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("clusters = [1]\n", "is no table"),
        ("[clusters]\nprod = 'x'\n", "is no table"),
        ("[clusters.prod]\nurl = true\nca_bundle = 5\npassword = 'planted'\n", "no text: ca_bundle"),
        ("[clusters.prod]\npassword = 12345678\n", "no text: password"),
        ("[clusters.prod]\ntoken = ['planted']\n", "no text: token"),
        ("[clusters.prod]\nheaders = 'planted'\n", "no text: headers"),
        ("[clusters.prod]\nurl = 'http://bob:planted@host.test'\n", "holds a user name or password"),
        ("[clusters.prod]\npasword = 'planted'\n", "unknown key 'pasword'. Did you mean 'password'?"),
        ("nonsense = 1\n", "unknown key 'nonsense'. Known at the top:"),
        ("[cluster.prod]\nurl = 'http://a.test'\n", "unknown key 'cluster'. Did you mean 'clusters'?"),
        ("[clusters.prod]\nurl = 6789\n", "no text: url"),
        ("confirm = ['x']\n", "It takes one of"),
        ("confirm = 'sometimes'\n", "config.toml is 'sometimes'. It takes one of: ask, person, never."),
        ("toolsets = 5\n", "names unknown toolsets: 5"),
        ("read_only = 'banana'\n", "read_only in the config file is 'banana'. It takes true or false"),
        ("password = 'planted'\n", "unknown key 'password'"),
        ("[clusters.prod]\nread_only = 'banana'\n", "read_only of [clusters.prod]"),
        ("this is no toml", "is no valid TOML: Expected '=' after a key"),
        ("[clusters.prod\n", "(at line 1, column 15). Correct it there."),
        ("\x00", "is no valid TOML"),
    ],
)
def test_a_file_that_cannot_be_understood_is_told_without_its_values(tmp_path: Path, content: str, told: str):
    path = written(tmp_path, content)
    sentence = refused(config=str(path))
    assert told in sentence
    assert "planted" not in sentence
    assert "12345678" not in sentence


def test_a_named_file_must_be_there_and_the_users_own_need_not(tmp_path: Path):
    load()
    missing = refused(config=str(tmp_path / "missing.toml"))
    assert "missing.toml cannot be read (No such file or directory). Correct --config or MAGE_CONFIG." in missing
    assert "cannot be read" in refused({"MAGE_CONFIG": str(tmp_path)})


def test_what_a_cluster_has_of_its_own_knows_its_source_too(tmp_path: Path):
    path = written(
        tmp_path,
        'read_only = true\n[clusters.prod]\nurl = "http://prod.test"\npassword_env = "PROD_PASSWORD"\n'
        'token_env = "planted-token"\nprotected = true\n[clusters.stage]\ncloud_email = "own@stage.test"\n',
    )
    settings = load({"PROD_PASSWORD": "planted-password", "MAGE_CLOUD_EMAIL": "shared@example.com"})
    prod, stage = settings.clusters
    where = f"[clusters.prod] in {path}"
    assert settings.source_of("url", prod) == settings.source_of("protected", prod) == where
    assert settings.source_of("password", prod) == f"PROD_PASSWORD, which {where} names"
    assert settings.source_of("token", prod) == ""
    assert settings.source_of("token_env", prod) == where
    assert settings.source_of("cloud_email", prod) == "MAGE_CLOUD_EMAIL"
    assert settings.source_of("cloud_email", stage) == f"[clusters.stage] in {path}"
    assert settings.source_of("read_only", stage) == settings.source_of("read_only") == "the config file"
    assert "planted" not in str(settings.sources)


def test_the_cluster_of_the_environment_has_the_sources_of_the_environment(tmp_path: Path):
    written(tmp_path, '[clusters.prod]\nurl = "http://prod.test"\n')
    settings = load({"MAGE_URL": "http://one.test"})
    default, prod = settings.clusters
    assert settings.source_of("url", default) == "MAGE_URL"
    assert settings.source_of("email", prod) == ""
    assert settings.source_of("url", prod) == f"[clusters.prod] in {tmp_path / 'config.toml'}"


@pytest.mark.parametrize("url", ["https://bob:planted@cloud.test/api/v1", "https://planted@cloud.test"])
def test_a_cloud_url_with_a_login_in_it_is_refused_without_showing_it(tmp_path: Path, url: str):
    said = refused({"MAGE_CLOUD_URL": url})
    assert (
        said == "MAGE_CLOUD_URL holds a user name or password. Use MAGE_CLOUD_EMAIL and MAGE_CLOUD_PASSWORD for these."
    )
    written(tmp_path, f"[clusters.prod]\ncloud_url = '{url}'\n")
    said = refused()
    assert said.startswith("`cloud_url` of [clusters.prod] holds a user name or password. Use `cloud_email` of")
    assert "planted" not in said


def test_the_command_to_log_in_is_whole_where_it_is_typed(tmp_path: Path):
    own = written(tmp_path, '[clusters.prod]\nurl = "https://prod.test"\n')
    (prod,) = load().clusters
    assert login_command(prod) == "mage-mcp login --cluster prod"
    named = own.rename(tmp_path / "my clusters.toml")
    (prod,) = load(config=str(named)).clusters
    assert login_command(prod, cloud=True) == f"mage-mcp login --cluster prod --cloud --config '{named}'"
    one = load({"MAGE_URL": "https://one.test/base", "MAGE_CLOUD_URL": "https://cloud.test"}).cluster
    assert login_command(one) == "mage-mcp login --url https://one.test/base"
    assert login_command(one, cloud=True) == "MAGE_CLOUD_URL=https://cloud.test mage-mcp login --cloud"
    assert login_command(load().cluster, cloud=True) == "mage-mcp login --cloud"
