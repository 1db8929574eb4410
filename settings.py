"""Every environment variable of the service: name, default, unit, meaning.

`Settings.from_environment()` is the only place that reads the environment. A value that does not fit stops the start
with a message that names the variable. README.md lists the same table; tests/test_contract.py holds the two together.
"""

import os
import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails

PROJECT_DIR = Path(__file__).resolve().parent


def _check_rate(text: str) -> str:
    """A rate as 600/minute, or nothing."""
    if text and not re.fullmatch(r"[1-9]\d{0,8} ?/ ?(second|minute|hour|day)", text):
        raise ValueError("a rate is a number of requests per second, minute, hour or day, for example 600/minute")
    return text


def _check_origins(text: str) -> str:
    """Origins separated by commas, or nothing."""
    for origin in filter(None, text.split(",")):
        if origin != "*" and not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]-]+", origin):
            raise ValueError(f"{origin!r} is not an origin such as https://a.example (no path, no spaces), nor *")
    return text


SettingPath = Annotated[Path, AfterValidator(lambda path: PROJECT_DIR / path.expanduser())]


def _said(problem: ErrorDetails) -> str:
    """What is wrong with a value, in words that need no knowledge of pydantic."""
    if problem["type"] == "string_pattern_mismatch":
        return "not an address such as http://host:8020"
    return problem["msg"].removeprefix("Value error, ")


class SettingError(ValueError):
    """A setting does not fit; the message names the variable and what it takes."""


class Settings(BaseModel):
    """The settings, frozen. Relative paths are taken from the project's folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    HOST: str = Field("127.0.0.1", description="Address that the API listens on; 0.0.0.0: all interfaces, :: all interfaces with IPv6.")
    PORT: int = Field(8010, ge=1, le=65535, description="Port of the API.")
    WEB_CONCURRENCY: int = Field(
        default_factory=lambda: min(os.cpu_count() or 1, 4),
        ge=1,
        le=64,
        description="Worker processes; the default is one per core, at most 4.",
    )
    API_KEY: SecretStr = Field(
        SecretStr(""),
        description="If set, /predict, /forecast and /monitor require it in the header X-API-Key; separate several keys "
        "with commas; empty: open to everyone.",
    )
    API_KEY_FILE: str = Field("", description="A file with further API keys, one per line, for example a Docker secret.")
    RATE_LIMIT: Annotated[str, AfterValidator(_check_rate)] = Field(
        "",
        description="How often one client may call the routes that need the API key, for example 600/minute; each worker counts on its "
        "own; empty: no limit.",
    )
    CORS_ORIGINS: Annotated[str, AfterValidator(_check_origins)] = Field(
        "",
        description="Origins whose pages may call the service from a browser, such as https://a.example,https://b.example; "
        "empty: only its own.",
    )
    TRUSTED_PROXIES: int = Field(
        0,
        ge=0,
        le=9,
        description="Number of proxies in front of the service whose X-Forwarded-For, -Proto and -Host headers are trusted; 0: none.",
    )
    ACCESS_LOG: Literal["on", "off"] = Field("on", description="Whether to write one line of JSON per request to stderr.")
    REQUEST_TIMEOUT: float = Field(30.0, gt=0, le=600, description="Seconds for a body to arrive, and for a client to receive an answer.")
    MODEL_DIR: SettingPath = Field(Path("modelFiles"), validate_default=True, description="Folder of the model.")
    REQUEST_LOG: SettingPath = Field(
        Path("log_predictions.csv"), validate_default=True, description="CSV file with one line per /predict request."
    )
    REQUEST_LOG_MAX_BYTES: int = Field(64 * 1024 * 1024, ge=0, description="Size in bytes at which the request log is rotated; 0: never.")
    REQUEST_LOG_PARTS: int = Field(5, ge=1, le=100, description="Number of old request log files to keep; .1 is the newest.")
    MLFLOW_UI: Literal["on", "off"] = Field("on", description="Whether to start the MLflow UI together with the API.")
    MLFLOW_UI_HOST: str = Field("127.0.0.1", description="Address that the MLflow UI listens on.")
    MLFLOW_UI_PORT: int = Field(8020, ge=1, le=65535, description="Port of the MLflow UI.")
    MLFLOW_UI_URL: str = Field(
        "", pattern=r"^(https?://\S+)?$", description="Address that /mlflow redirects to; empty: this host and MLFLOW_UI_PORT."
    )
    MLFLOW_TRACKING_URI: str = Field(
        f"sqlite:///{PROJECT_DIR}/mlruns/mlflow.db",
        min_length=1,
        description="Where training logs its runs: a SQLite file (default: under mlruns/) or a tracking server, whose UI is then used.",
    )
    DATA_CACHE_DIR: SettingPath = Field(
        Path("data/cache"), validate_default=True, description="Folder of the cached downloads from Yahoo Finance."
    )
    YAHOO_URL: str = Field(
        "",
        pattern=r"^(https?://\S+[^/])?$",
        description="Server to use instead of Yahoo Finance's own, for example a proxy; empty: Yahoo Finance.",
    )
    YAHOO_TIMEOUT: float = Field(10.0, gt=0, le=300, description="Timeout of one call to Yahoo Finance, in seconds.")
    YAHOO_RETRIES: int = Field(2, ge=0, le=10, description="Number of retries after a failed call to Yahoo Finance.")
    FORECAST_TTL: float = Field(
        900.0, ge=1, le=86400, description="Seconds that /forecast uses a cached download before it asks Yahoo Finance again."
    )

    @property
    def mlflow_ui_url(self) -> str:
        """The address of an MLflow UI that is not the service's own child; empty where there is none."""
        return self.MLFLOW_UI_URL or (self.mlflow_shown if self.mlflow_shown.startswith(("http://", "https://")) else "")

    @property
    def mlflow_shown(self) -> str:
        """MLFLOW_TRACKING_URI without a password, to be shown to others."""
        return re.sub(r"//[^/@]*@", "//", self.MLFLOW_TRACKING_URI)

    @cached_property
    def api_keys(self) -> list[str]:
        """The API keys of API_KEY and API_KEY_FILE, whose file is read once; none: open to everyone.

        Raises:
            SettingError: one of the two is set but has no key, the file cannot be read, or a key is not what a header can hold.
        """
        keys = [key.strip() for key in self.API_KEY.get_secret_value().split(",") if key.strip()]
        if self.API_KEY.get_secret_value() and not keys:
            raise SettingError("Wrong setting. API_KEY: there is no key in it, only commas and spaces")
        if self.API_KEY_FILE:
            try:
                found = [
                    line.strip() for line in (PROJECT_DIR / Path(self.API_KEY_FILE).expanduser()).read_text().splitlines() if line.strip()
                ]
            except (OSError, UnicodeError) as error:
                raise SettingError(
                    f"Wrong setting. API_KEY_FILE={self.API_KEY_FILE!r}: {getattr(error, 'strerror', None) or 'not a text file'}"
                ) from None
            if not found:
                raise SettingError(f"Wrong setting. API_KEY_FILE={self.API_KEY_FILE!r}: there is no key in it")
            keys += found
        if not all(re.fullmatch(r"[!-~]+", key) for key in keys):
            raise SettingError(
                "Wrong setting. API_KEY or API_KEY_FILE: a key has letters, digits and signs of ASCII, no spaces, to fit into a header"
            )
        return keys

    @classmethod
    def from_environment(cls) -> Self:
        """The settings that the environment gives; empty variables count as not set.

        Raises:
            SettingError: naming each variable that does not fit.
        """
        given = {name: os.environ[name] for name in cls.model_fields if os.environ.get(name)}
        try:
            settings = cls.model_validate(given)
        except ValidationError as error:
            problems = [f"{e['loc'][0]}={e['input']!r}: {_said(e)}" for e in error.errors(include_url=False)]
            raise SettingError("Wrong setting. " + "; ".join(problems)) from None
        settings.api_keys  # noqa: B018  # read now
        return settings
