"""The settings of the service: one typed tree, from a TOML file and ``VO_...`` variables."""

from __future__ import annotations

__all__ = [
    "DatabaseSettings",
    "EngineSettings",
    "JobSettings",
    "LimitSettings",
    "PublisherSettings",
    "ReductionSettings",
    "Settings",
    "StorageSettings",
    "WebSettings",
    "load_settings",
]

import os
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from schemas.errors import SettingsError

#: The database counts a statement's time in milliseconds, with 32 bits.
_LONGEST_S: Final = 2_000_000
_SHORTEST_S: Final = 0.001
_LONGEST_KEPT_S: Final = 100 * 366 * 86_400


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _check_order(section: BaseModel, pairs: tuple[tuple[str, str], ...]) -> None:
    """See that what holds by default is within the limit.

    Raises
    ------
    ValueError
        If not; names both.
    """
    for default, hard in pairs:
        found, most = getattr(section, default), getattr(section, hard)
        if found > most:
            message = f"{default} is {found} and {hard} is {most}: expected {default} <= {hard}"
            raise ValueError(message)


class DatabaseSettings(_Section):
    """Where the archive's PostgreSQL is, for each of its three roles."""

    owner_url: str = Field("", description="libpq DSN of the role that owns the tables.")
    service_url: str = Field("", description="libpq DSN of the role that writes products.")
    reader_url: str = Field("", description="libpq DSN of the role that runs users' queries.")
    pool_size: int = Field(
        8, ge=1, description="Connections a process keeps per role; for a while it may have more."
    )


class StorageSettings(_Section):
    """Where files are."""

    root: Path = Field(Path("data/files"), description="Folder of raw frames and products.")


class EngineSettings(_Section):
    """Where making runs."""

    address: str = Field(
        "inline",
        description="'inline' (make in the asking process) or the address of a Dask scheduler.",
    )
    workers: int = Field(2, ge=1, description="Worker processes of the local cluster.")
    threads_per_worker: int = Field(1, ge=1, description="Threads of each worker.")


class LimitSettings(_Section):
    """What a single request may use."""

    make_budget_s: float = Field(
        30.0,
        gt=0,
        le=_LONGEST_S,
        description="Seconds a sync request waits for making before it answers 503.",
    )
    sync_timeout_s: float = Field(
        60.0, ge=_SHORTEST_S, le=_LONGEST_S, description="Seconds a sync query may run."
    )
    maxrec_default: int = Field(20_000, ge=0, description="Rows of an answer without MAXREC.")
    maxrec_hard: int = Field(20_000_000, ge=0, description="Rows of an answer at most.")
    answer_bytes: int = Field(
        10_000_000_000,
        ge=1_000_000,
        description="Bytes of rows that a sync answer takes from the database at most.",
    )
    upload_bytes: int = Field(
        50_000_000,
        ge=0,
        description="Bytes of a request, and of all tables fetched for it, at most.",
    )
    upload_rows: int = Field(
        1_000_000, ge=0, description="Rows of all tables uploaded with a request at most."
    )
    upload_timeout_s: float = Field(
        30.0,
        gt=0,
        le=_LONGEST_S,
        description="Seconds in which all that a request uploads by URI must have come.",
    )
    upload_hosts: tuple[str, ...] = Field(
        (),
        description="Hosts (NAME or NAME:PORT) that uploads by URI may name although their "
        "addresses are not public.",
    )
    client_requests: int = Field(
        16, ge=1, description="Requests of one client that a web process answers at a time."
    )
    long_queries: int = Field(
        4,
        ge=1,
        description=(
            "Queries of any length that a web process runs at a time; past that only short ones "
            "are let in."
        ),
    )
    long_queries_of_client: int = Field(
        3, ge=1, description="How many of these may be of one client."
    )
    short_cost: float = Field(
        50_000.0,
        gt=0,
        description="Cost, as PostgreSQL's planner counts, up to which a query is a short one.",
    )
    short_timeout_s: float = Field(
        5.0,
        ge=_SHORTEST_S,
        le=_LONGEST_S,
        description="Seconds a query may run that was let in as a short one.",
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        _check_order(self, (("maxrec_default", "maxrec_hard"),))
        return self


class JobSettings(_Section):
    """Asynchronous jobs: who runs them, and what they may use."""

    folder: Path = Field(
        Path("data/jobs"), description="Folder of uploads and results, of this archive alone."
    )
    workers: int = Field(2, ge=0, description="Processes that run jobs.")
    short_slots: int = Field(
        1, ge=1, description="Jobs of a process at a time that are expected to be short."
    )
    slots: int = Field(1, ge=1, description="Jobs of a process at a time besides, of any length.")
    short_s: float = Field(
        10.0, gt=0, le=_LONGEST_S, description="Seconds up to which a job is a short one."
    )
    duration_default_s: int = Field(
        3600,
        ge=1,
        le=_LONGEST_S,
        description="Seconds a job may run that does not ask for less or more.",
    )
    duration_hard_s: int = Field(
        86_400, ge=1, le=_LONGEST_S, description="Seconds a job may run at most."
    )
    retention_default_s: int = Field(
        7 * 86_400,
        ge=1,
        le=_LONGEST_KEPT_S,
        description="Seconds after which a job and its result are destroyed.",
    )
    retention_hard_s: int = Field(
        30 * 86_400,
        ge=1,
        le=_LONGEST_KEPT_S,
        description="Seconds after which they are destroyed at the latest.",
    )
    attempts: int = Field(
        3, ge=1, description="How often a job is begun whose process dies, before it is given up."
    )
    result_bytes: int = Field(10_000_000_000, ge=1, description="Bytes of a result at most.")
    running_per_owner: int = Field(
        3,
        ge=1,
        description="Jobs of an owner that run at a time; always fewer than there are slots.",
    )
    queued_per_owner: int = Field(
        100, ge=1, description="Jobs of an owner that run or wait to be run."
    )
    kept_per_owner: int = Field(10_000, ge=1, description="Jobs of an owner that are kept.")
    bytes_per_owner: int = Field(
        50_000_000_000,
        ge=0,
        description="Bytes of uploads and results of an owner's jobs; who has more makes no job.",
    )
    free_bytes: int = Field(
        1_000_000_000,
        ge=0,
        description="Free bytes of the disk below which no upload or result is written.",
    )
    wait_s: float = Field(
        60.0, ge=0, le=_LONGEST_S, description="Seconds that WAIT waits at most."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        pairs = (
            ("duration_default_s", "duration_hard_s"),
            ("retention_default_s", "retention_hard_s"),
        )
        _check_order(self, pairs)
        return self


class PublisherSettings(_Section):
    """Who publishes the archive."""

    authority: str = Field("vo-service.example", description="IVOA authority identifier.")
    title: str = Field("The archive that remakes itself", description="Title of the service.")
    organisation: str = Field("Example Observatory", description="Publishing organisation.")
    contact: str = Field("archive@observatory.example", description="Address of a person.")


class WebSettings(_Section):
    """How the web server listens."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on.")
    base_url: str = Field("", description="URL users see; derived from host and port if empty.")
    workers: int = Field(2, ge=1, description="Gunicorn worker processes.")
    threads: int = Field(32, ge=2, description="Threads of each worker process.")
    proxies: int = Field(
        0,
        ge=0,
        description=(
            "Reverse proxies in front, one behind the other: the client's address is what the "
            "first of them says in X-Forwarded-For. 0: that header is not believed."
        ),
    )

    @property
    def url(self) -> str:
        """Base URL without a trailing slash."""
        return (self.base_url or f"http://{self.host}:{self.port}").rstrip("/")


class ReductionSettings(_Section):
    """How targets are made."""

    parameters: dict[str, dict[str, dict[str, Any]]] = Field(
        default_factory=dict,
        description="Process parameters by instrument (or '*'), class and name.",
    )
    plugins: tuple[str, ...] = Field(
        (), description="Importable modules with further instruments or targets."
    )
    scripts: Literal["off", "allowed"] = Field(
        "off",
        description="Users' scripts that may run: none ('off'), or those that an operator has "
        "allowed with `vo-service script allow`. Running a script is running Python as the "
        "service's own user.",
    )
    script_s: float = Field(
        600.0, gt=0, le=_LONGEST_S, description="Seconds that a script may take for one target."
    )
    script_bytes: int = Field(
        4_000_000_000,
        ge=500_000_000,
        description="Bytes of memory that the process of a script may have, and bytes of a file "
        "that it may write.",
    )


class Settings(BaseSettings):
    """Everything an operator can set; see ``docs/settings.rst``."""

    model_config = SettingsConfigDict(
        env_prefix="VO_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    database: DatabaseSettings = DatabaseSettings()
    storage: StorageSettings = StorageSettings()
    engine: EngineSettings = EngineSettings()
    limits: LimitSettings = LimitSettings()
    jobs: JobSettings = JobSettings()
    publisher: PublisherSettings = PublisherSettings()
    web: WebSettings = WebSettings()
    reduction: ReductionSettings = ReductionSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment over file over defaults."""
        del dotenv_settings, file_secret_settings
        path = os.environ.get("VO_SETTINGS")
        file = () if path is None else (TomlConfigSettingsSource(settings_cls, Path(path)),)
        return (init_settings, env_settings, *file)


def load_settings() -> Settings:
    """Read the settings file named by ``VO_SETTINGS`` and the ``VO_...`` variables.

    Raises
    ------
    SettingsError
        If a key is unknown, a value has the wrong type, or the file is not there; names the key,
        what was found and what was expected.
    """
    path = os.environ.get("VO_SETTINGS")
    if path is not None and not Path(path).is_file():
        message = f"VO_SETTINGS names {path}, which is not a file: expected a TOML settings file"
        raise SettingsError(message)
    try:
        return Settings()
    except ValidationError as error:
        lines = [
            f"{'.'.join(str(p) for p in item['loc'])}: {item['msg']} (found {item['input']!r})"
            for item in error.errors()
        ]
        source = path or "the environment"
        raise SettingsError(f"settings in {source}: " + "; ".join(lines)) from error
