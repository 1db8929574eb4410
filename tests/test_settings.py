"""The settings: defaults, values of the environment, and errors for invalid ones."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from settings import PROJECT_DIR, SettingError, Settings

PROMISED = {
    "HOST": "127.0.0.1",
    "PORT": 8010,
    "API_KEY_FILE": "",
    "RATE_LIMIT": "",
    "CORS_ORIGINS": "",
    "TRUSTED_PROXIES": 0,
    "SCRIPT_NAME": "",
    "ACCESS_LOG": "on",
    "REQUEST_TIMEOUT": 30.0,
    "MODEL_DIR": PROJECT_DIR / "modelFiles",
    "REQUEST_LOG": PROJECT_DIR / "log_predictions.csv",
    "REQUEST_LOG_MAX_BYTES": 64 * 2**20,
    "REQUEST_LOG_PARTS": 5,
    "MLFLOW_UI": "on",
    "MLFLOW_UI_HOST": "127.0.0.1",
    "MLFLOW_UI_PORT": 8020,
    "MLFLOW_UI_ALLOWED_HOSTS": "",
    "MLFLOW_UI_URL": "",
    "MLFLOW_TRACKING_URI": f"sqlite:///{PROJECT_DIR}/mlruns/mlflow.db",
    "DATA_CACHE_DIR": PROJECT_DIR / "data" / "cache",
    "YAHOO_URL": "",
    "YAHOO_TIMEOUT": 10.0,
    "YAHOO_RETRIES": 2,
    "FORECAST_TTL": 900.0,
}


@pytest.mark.parametrize(("name", "value"), PROMISED.items())
def test_default_is_the_documented_one(name, value):
    assert getattr(Settings.from_environment(), name) == value


@pytest.mark.parametrize(("cores", "workers"), [(1, 1), (2, 2), (64, 4), (None, 1)])
def test_default_is_one_worker_per_core_and_four_at_most(monkeypatch, cores, workers):
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert workers == Settings.from_environment().WEB_CONCURRENCY


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("HOST", "0.0.0.0", "0.0.0.0"),
        ("PORT", "65535", 65535),
        ("WEB_CONCURRENCY", "64", 64),
        ("RATE_LIMIT", "600/minute", "600/minute"),
        ("RATE_LIMIT", "1 / day", "1 / day"),
        ("CORS_ORIGINS", "https://a.example,http://[::1]:3000", "https://a.example,http://[::1]:3000"),
        ("CORS_ORIGINS", "*", "*"),
        ("TRUSTED_PROXIES", "2", 2),
        ("SCRIPT_NAME", "/stocks", "/stocks"),
        ("SCRIPT_NAME", "/team-1/stocks_v1.0", "/team-1/stocks_v1.0"),
        ("MLFLOW_UI_ALLOWED_HOSTS", "stocks.example,192.0.2.1,[2001:db8::1]", "stocks.example,192.0.2.1,[2001:db8::1]"),
        ("MLFLOW_UI", "off", "off"),
        ("MLFLOW_UI_URL", "https://mlflow.example/ui", "https://mlflow.example/ui"),
        ("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("YAHOO_URL", "http://127.0.0.1:9", "http://127.0.0.1:9"),
        ("YAHOO_TIMEOUT", "0.5", 0.5),
        ("YAHOO_RETRIES", "0", 0),
        ("FORECAST_TTL", "1.5", 1.5),
        ("REQUEST_LOG_MAX_BYTES", "0", 0),
        ("REQUEST_LOG_PARTS", "100", 100),
        ("MODEL_DIR", "/srv/models", Path("/srv/models")),
        ("MODEL_DIR", "other/models", PROJECT_DIR / "other" / "models"),
        ("REQUEST_LOG", "../log.csv", PROJECT_DIR / ".." / "log.csv"),
        ("DATA_CACHE_DIR", "~/cache", Path.home() / "cache"),
    ],
)
def test_value_is_read_from_the_environment(monkeypatch, name, text, value):
    monkeypatch.setenv(name, text)
    assert getattr(Settings.from_environment(), name) == value


def test_relative_path_does_not_depend_on_the_working_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODEL_DIR", "models")
    assert Settings.from_environment().MODEL_DIR == PROJECT_DIR / "models"
    assert Settings.from_environment().REQUEST_LOG == PROJECT_DIR / "log_predictions.csv"


@pytest.mark.parametrize(("name", "value"), PROMISED.items())
def test_empty_variable_counts_as_unset(monkeypatch, name, value):
    monkeypatch.setenv(name, "")
    assert getattr(Settings.from_environment(), name) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PORT", "0"),
        ("REQUEST_LOG_MAX_BYTES", "-1"),
        ("REQUEST_LOG_MAX_BYTES", "64M"),
        ("REQUEST_LOG_PARTS", "0"),
        ("REQUEST_LOG_PARTS", "101"),
        ("PORT", "65536"),
        ("PORT", "80.5"),
        ("PORT", "http"),
        ("WEB_CONCURRENCY", "0"),
        ("WEB_CONCURRENCY", "65"),
        ("RATE_LIMIT", "0/minute"),
        ("RATE_LIMIT", "often"),
        ("RATE_LIMIT", "10/fortnight"),
        ("CORS_ORIGINS", "a.example"),
        ("CORS_ORIGINS", "https://a.example/"),
        ("CORS_ORIGINS", "https://a.example, https://b.example"),
        ("TRUSTED_PROXIES", "-1"),
        ("TRUSTED_PROXIES", "10.0.0.1"),
        ("SCRIPT_NAME", "stocks"),
        ("SCRIPT_NAME", "/"),
        ("SCRIPT_NAME", "/stocks/"),
        ("SCRIPT_NAME", "//stocks"),
        ("SCRIPT_NAME", "/my stocks"),
        ("SCRIPT_NAME", "/../stocks"),
        ("SCRIPT_NAME", "http://host/stocks"),
        ("MLFLOW_UI_ALLOWED_HOSTS", "stocks.example:8020"),
        ("MLFLOW_UI_ALLOWED_HOSTS", "a.example, b.example"),
        ("MLFLOW_UI_ALLOWED_HOSTS", "*"),
        ("MLFLOW_UI_ALLOWED_HOSTS", "2001:db8::1"),
        ("ACCESS_LOG", "yes"),
        ("REQUEST_TIMEOUT", "0"),
        ("MLFLOW_UI", "yes"),
        ("MLFLOW_UI_PORT", "-1"),
        ("MLFLOW_UI_URL", "mlflow.example"),
        ("MLFLOW_UI_URL", "javascript:alert(1)"),
        ("MLFLOW_UI_URL", "http://a b"),
        ("YAHOO_URL", "ftp://x"),
        ("YAHOO_URL", "http://127.0.0.1:9/"),
        ("YAHOO_TIMEOUT", "0"),
        ("YAHOO_TIMEOUT", "301"),
        ("YAHOO_TIMEOUT", "nan"),
        ("YAHOO_TIMEOUT", "inf"),
        ("YAHOO_TIMEOUT", "ten"),
        ("YAHOO_RETRIES", "-1"),
        ("YAHOO_RETRIES", "11"),
        ("FORECAST_TTL", "0"),
        ("FORECAST_TTL", "86401"),
    ],
)
def test_invalid_value_is_rejected_naming_variable_and_value(monkeypatch, name, text):
    monkeypatch.setenv(name, text)
    with pytest.raises(SettingError) as caught:
        Settings.from_environment()
    assert str(caught.value).startswith(f"Wrong setting. {name}={text!r}: ")
    assert "\n" not in str(caught.value)


def test_api_keys_are_read_from_variable_and_file(monkeypatch, tmp_path):
    assert Settings.from_environment().api_keys == []
    monkeypatch.setenv("API_KEY", " one,two ,")
    assert Settings.from_environment().api_keys == ["one", "two"]
    (tmp_path / "keys").write_text("three\r\n\n  four\n")
    monkeypatch.setenv("API_KEY_FILE", str(tmp_path / "keys"))
    assert Settings.from_environment().api_keys == ["one", "two", "three", "four"]
    monkeypatch.delenv("API_KEY")
    assert Settings.from_environment().api_keys == ["three", "four"]


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "No such file or directory"), (b" \n", "it has no key"), (b"\xff\xfe", "not a text file"), (b"a b\n", "without spaces")],
)
def test_file_without_usable_keys_stops_the_start(monkeypatch, tmp_path, content, message):
    if content is not None:
        (tmp_path / "keys").write_bytes(content)
    monkeypatch.setenv("API_KEY_FILE", str(tmp_path / "keys"))
    with pytest.raises(SettingError, match=message) as caught:
        Settings.from_environment()
    assert "API_KEY" in str(caught.value)


@pytest.mark.parametrize("text", [",", " , "])
def test_blank_keys_are_rejected(monkeypatch, text):
    monkeypatch.setenv("API_KEY", text)
    with pytest.raises(SettingError, match=r"API_KEY: it has no key"):
        Settings.from_environment()


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://user:password@host:8020/x", "http://host:8020/x"),
        ("https://token@host", "https://host"),
        ("http://host/a@b", "http://host/a@b"),
        ("sqlite:////tmp/a@b/mlflow.db", "sqlite:////tmp/a@b/mlflow.db"),
    ],
)
def test_password_of_the_tracking_server_is_not_shown(uri, shown):
    settings = Settings(MLFLOW_TRACKING_URI=uri)
    assert settings.mlflow_shown == shown
    assert settings.mlflow_ui_url == (shown if shown.startswith("http") else "")


@pytest.mark.parametrize("key", ["sécret-key", "secret key", "secret\tkey"])
def test_key_unusable_in_a_header_is_rejected_and_not_shown(monkeypatch, key):
    monkeypatch.setenv("API_KEY", key)
    with pytest.raises(SettingError, match="API_KEY") as caught:
        Settings.from_environment()
    assert "cret" not in str(caught.value)


def test_keys_are_not_shown_with_the_settings():
    settings = Settings(API_KEY="secret-key")
    assert "secret-key" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


def test_all_invalid_values_are_named_together(monkeypatch):
    for name in ("PORT", "YAHOO_RETRIES"):
        monkeypatch.setenv(name, "x")
    with pytest.raises(SettingError, match=r"PORT='x': .*; YAHOO_RETRIES='x': "):
        Settings.from_environment()


def test_settings_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        Settings().PORT = 1  # type: ignore[misc]  # the test writes to a frozen field


def test_unknown_setting_is_rejected():
    with pytest.raises(ValidationError, match="PROT"):
        Settings(PROT=1)  # type: ignore[call-arg]  # the test misspells a setting


def test_every_setting_has_a_description():
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("RATE_LIMIT", "10", "must be a number of requests"),
        ("YAHOO_URL", "foo", "must be an address such as"),
        ("CORS_ORIGINS", "x", "is neither an origin"),
    ],
)
def test_errors_are_in_plain_words(monkeypatch, name, value, said):
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingError, match=said) as caught:
        Settings.from_environment()
    assert "Value error" not in str(caught.value)
    assert "pattern" not in str(caught.value)


WRONG = ["abc", "1.5", "-1", "999999999", "9" * 5000, "nan", "inf", " ", "http://x y", "*:8", "\N{ARABIC-INDIC DIGIT THREE}"]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_no_setting_is_refused_in_the_words_of_pydantic(monkeypatch, name):
    for value in WRONG:
        monkeypatch.setenv(name, value)
        said = ""
        try:
            Settings.from_environment()
        except SettingError as error:
            said = str(error).replace(value, "")
        assert not re.search(r"Input|[Uu]nable|valid |parse|pydantic|Value error", said), said
        assert len(said) < 300


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("sqlite:///mlruns/own.db", f"sqlite:///{PROJECT_DIR}/mlruns/own.db"),
        ("sqlite:////tmp/own.db", "sqlite:////tmp/own.db"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
    ],
)
def test_relative_sqlite_file_is_in_the_project_folder(given, expected, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", given)
    assert expected == Settings.from_environment().MLFLOW_TRACKING_URI
