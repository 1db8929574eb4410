"""Every environment variable of the service: name, default, unit, meaning.

`Settings.from_environment()` is the only code that reads them. A wrong value stops the start with a message that names the variable.
docs/reference/settings.md is made from it; README.md has the most common ones.
"""

import os
import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails

PROJECT_DIR = Path(__file__).resolve().parent
SQLITE = "sqlite:///"
MAX_SHOWN = 60  # characters of a wrong value in a message
PATH_PREFIX = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")  # such as /stocks
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")  # a name, or an address of IPv4 or IPv6


def _shown(value: object) -> str:
    """Return a value for a message, shortened if it is long."""
    text = str(value)
    return repr(text) if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]!r}..."


def _check_rate(text: str) -> str:
    """Accept a rate such as 600/minute, or nothing."""
    if text and not re.fullmatch(r"[1-9]\d{0,8} ?/ ?(second|minute|hour|day)", text):
        raise ValueError("must be a number of requests per second, minute, hour or day, for example 600/minute")
    return text


def _check_origins(text: str) -> str:
    """Accept origins separated by commas, or nothing."""
    for origin in filter(None, text.split(",")):
        if origin != "*" and not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]-]+", origin):
            raise ValueError(f"{_shown(origin)} is neither an origin such as https://a.example (no path, no spaces) nor *")
    return text


def _in_project(path: Path) -> Path:
    """Resolve a relative path from the project's folder."""
    return PROJECT_DIR / path.expanduser()


def _resolve_sqlite(uri: str) -> str:
    """Resolve the file of a SQLite address from the project's folder, as all paths; other addresses stay as they are."""
    return f"{SQLITE}{_in_project(Path(uri.removeprefix(SQLITE)))}" if uri.startswith(SQLITE) else uri


def _check_hosts(text: str) -> str:
    """Accept host names or addresses separated by commas, or nothing."""
    for host in filter(None, text.split(",")):
        if not HOST.fullmatch(host):
            raise ValueError(f"{_shown(host)} is not a host such as stocks.example, 192.0.2.1 or [2001:db8::1] (no port, no spaces)")
    return text


def _check_prefix(text: str) -> str:
    """Accept a path prefix such as /stocks, or nothing."""
    if text and not PATH_PREFIX.fullmatch(text):
        raise ValueError("must be a path such as /stocks: it begins with / and does not end with it; letters, digits and - _ . ~")
    return text


SettingPath = Annotated[Path, AfterValidator(_in_project)]

# Our own words for pydantic's problems; {...} are from the problem's context.
PROBLEMS = {
    "string_pattern_mismatch": "must be an address such as http://host:8020",
    "string_too_short": "must not be empty",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "int_type": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "list_type": "must be a list",
    "string_type": "must be a text",
    "missing": "is missing",
    "greater_than_equal": "must be at least {ge:g}",
    "greater_than": "must be greater than {gt:g}",
    "less_than_equal": "must be at most {le:g}",
    "literal_error": "must be {expected}",
}


def explain(problem: ErrorDetails) -> str:
    """Describe what is wrong with a value."""
    words = PROBLEMS.get(problem["type"])
    return words.format(**problem.get("ctx", {})) if words else problem["msg"].removeprefix("Value error, ")


class SettingError(ValueError):
    """A setting is wrong; the message names the variable and what it accepts."""


class Settings(BaseModel):
    """The settings. They are frozen. Relative paths are resolved from the project's folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    HOST: str = Field(
        "127.0.0.1", description="Address that the API listens on. 0.0.0.0 is every IPv4 interface; :: is every IPv4 and IPv6 interface."
    )
    PORT: int = Field(8010, ge=1, le=65535, description="Port of the API.")
    WEB_CONCURRENCY: int = Field(
        default_factory=lambda: min(os.cpu_count() or 1, 4),
        ge=1,
        le=64,
        description="Number of worker processes. Default: one per core, at most 4.",
    )
    SERVER_WORKER: Literal["direct", "stock"] = Field(
        "direct",
        description="Worker class. direct: the custom worker with the direct path; stock: gunicorn's own gevent worker, Flask alone.",
    )
    API_KEY: SecretStr = Field(
        SecretStr(""),
        description="API keys for /predict, /forecast, /backtest/<symbol>, /models and /monitor, separated by commas. "
        "Clients send one in the header X-API-Key. Empty: no key is needed.",
    )
    API_KEY_FILE: str = Field("", description="File with further API keys, one per line, for example a Docker secret.")
    RATE_LIMIT: Annotated[str, AfterValidator(_check_rate)] = Field(
        "",
        description="Requests that one client may send to the endpoints that need an API key, for example 600/minute. Empty: no limit.",
    )
    RATE_LIMIT_STORAGE: str = Field(
        "memory://",
        min_length=1,
        description="Where RATE_LIMIT counts. memory://: each worker on its own; memcached://HOST:PORT: all workers together "
        "(pip install pymemcache).",
    )
    CORS_ORIGINS: Annotated[str, AfterValidator(_check_origins)] = Field(
        "",
        description="Origins whose pages may call the API from a browser, for example https://a.example,https://b.example. "
        "Empty: only its own page.",
    )
    TRUSTED_PROXIES: int = Field(
        0,
        ge=0,
        le=9,
        description="Number of proxies in front whose X-Forwarded-For, -Proto, -Host and -Prefix are trusted. 0: none.",
    )
    SCRIPT_NAME: Annotated[str, AfterValidator(_check_prefix)] = Field(
        "",
        description="Path prefix at which a proxy publishes the service, for example /stocks. X-Forwarded-Prefix of a trusted proxy wins.",
    )
    ACCESS_LOG: Literal["on", "off"] = Field("on", description="Whether each request is logged as a JSON line on stderr.")
    REQUEST_TIMEOUT: float = Field(
        30.0, gt=0, le=600, description="Seconds in which a request's body must arrive, and its answer must be read."
    )
    MODEL_DIR: SettingPath = Field(Path("modelFiles"), validate_default=True, description="Folder of the published models.")
    MAX_MODELS: int = Field(
        32,
        ge=1,
        le=10_000,
        description="Number of symbols' own models that a worker keeps loaded, 1.5 MB each. The least recently used one is evicted.",
    )
    REQUEST_LOG: SettingPath = Field(
        Path("log_predictions.csv"), validate_default=True, description="CSV file with one line per /predict and /forecast request."
    )
    REQUEST_LOG_MAX_BYTES: int = Field(
        64 * 1024 * 1024, ge=0, description="Size of the request log, in bytes, at which a new file is started. 0: never."
    )
    REQUEST_LOG_PARTS: int = Field(5, ge=1, le=100, description="Number of old request logs to keep. The newest has .1 after its name.")
    MLFLOW_UI: Literal["on", "off"] = Field("on", description="Whether the API starts the MLflow UI.")
    MLFLOW_UI_HOST: str = Field("127.0.0.1", description="Address that the MLflow UI listens on.")
    MLFLOW_UI_PORT: int = Field(8020, ge=1, le=65535, description="Port of the MLflow UI.")
    MLFLOW_UI_ALLOWED_HOSTS: Annotated[str, AfterValidator(_check_hosts)] = Field(
        "",
        description="Hosts at which browsers may open the MLflow UI, besides the addresses of its machine, for example stocks.example. "
        "Empty: those that MLflow allows.",
    )
    MLFLOW_UI_URL: str = Field(
        "", pattern=r"^(https?://\S+)?$", description="Where /mlflow redirects to. Empty: MLFLOW_UI_PORT on the host of the request."
    )
    MLFLOW_TRACKING_URI: Annotated[str, AfterValidator(_resolve_sqlite)] = Field(
        f"{SQLITE}{PROJECT_DIR}/mlruns/mlflow.db",
        min_length=1,
        description="Where training logs its runs: a SQLite file (default: in mlruns/), or a tracking server, whose UI /mlflow then opens.",
    )
    DATA_CACHE_DIR: SettingPath = Field(
        Path("data/cache"), validate_default=True, description="Folder of the cached downloads from Yahoo Finance."
    )
    YAHOO_URL: str = Field(
        "",
        pattern=r"^(https?://\S+[^/])?$",
        description="Server to use instead of Yahoo Finance, for example a proxy. Empty: Yahoo Finance.",
    )
    YAHOO_TIMEOUT: float = Field(10.0, gt=0, le=300, description="Seconds that one call to Yahoo Finance may take.")
    YAHOO_RETRIES: int = Field(2, ge=0, le=10, description="Retries after a failed call to Yahoo Finance.")
    FORECAST_TTL: float = Field(900.0, ge=1, le=86400, description="Seconds for which /forecast uses a download before it downloads again.")

    @property
    def mlflow_ui_url(self) -> str:
        """The address of an MLflow UI that the API does not start itself; empty if there is none."""
        return self.MLFLOW_UI_URL or (self.mlflow_shown if self.mlflow_shown.startswith(("http://", "https://")) else "")

    @property
    def mlflow_shown(self) -> str:
        """MLFLOW_TRACKING_URI without its password, for messages."""
        return re.sub(r"//[^/@]*@", "//", self.MLFLOW_TRACKING_URI)

    @cached_property
    def api_keys(self) -> list[str]:
        """The keys of API_KEY and API_KEY_FILE. The file is read once. Empty: no key is needed.

        Raises:
            SettingError: one of the two is set but has no key, the file cannot be read, or a key does not fit into a header.
        """
        keys = [key.strip() for key in self.API_KEY.get_secret_value().split(",") if key.strip()]
        if self.API_KEY.get_secret_value() and not keys:
            raise SettingError("Wrong setting. API_KEY: it has no key, only commas and spaces")
        if self.API_KEY_FILE:
            try:
                found = [
                    line.strip() for line in (PROJECT_DIR / Path(self.API_KEY_FILE).expanduser()).read_text().splitlines() if line.strip()
                ]
            except (OSError, UnicodeError) as error:
                raise SettingError(
                    f"Wrong setting. API_KEY_FILE={_shown(self.API_KEY_FILE)}: {getattr(error, 'strerror', None) or 'not a text file'}"
                ) from None
            if not found:
                raise SettingError(f"Wrong setting. API_KEY_FILE={_shown(self.API_KEY_FILE)}: it has no key")
            keys += found
        if not all(re.fullmatch(r"[!-~]+", key) for key in keys):
            raise SettingError("Wrong setting. API_KEY or API_KEY_FILE: a key must be printable ASCII without spaces, to fit into a header")
        return keys

    @classmethod
    def from_environment(cls) -> Self:
        """Read the settings from the environment. An empty variable counts as not set.

        Raises:
            SettingError: some are wrong; the message names each.
        """
        given = {name: os.environ[name] for name in cls.model_fields if os.environ.get(name)}
        try:
            settings = cls.model_validate(given)
        except ValidationError as error:
            problems = [f"{e['loc'][0]}={_shown(e['input'])}: {explain(e)}" for e in error.errors(include_url=False)]
            raise SettingError("Wrong setting. " + "; ".join(problems)) from None
        settings.api_keys  # noqa: B018 - reads the file now
        return settings
