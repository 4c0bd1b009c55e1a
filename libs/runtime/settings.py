"""Settings from the environment: each with its unit, range, default and what it protects."""

import sys
from typing import Literal, TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "BLUETICK_"


class RuntimeSettings(BaseSettings):
    """What every service needs; services add their own fields by inheriting."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    nats_url: str = Field(
        "nats://127.0.0.1:4222",
        description="Address of the broker, with user and password if it asks for them.",
    )
    nats_monitor_url: str = Field(
        "",
        description="Monitoring address of the broker (http://host:8222), where its durability is "
        "checked at start. Empty: not checked, which is said in the log.",
    )
    nats_allow_lazy_sync: bool = Field(
        False,
        description="Take a broker that does not sync to disk before it acknowledges; "
        "acknowledged events may then be lost with the machine's power.",
    )
    nats_replicas: int = Field(
        1, ge=1, le=5, description="Copies of each stream; 3 in a cluster, so one node may be lost."
    )
    nats_publish_timeout_s: float = Field(
        3.0,
        gt=0,
        le=60,
        description="Seconds to wait for the broker's acknowledgement; bounds a caller's wait.",
    )
    events_retention_h: int = Field(
        168, ge=1, le=8760, description="Hours that events stay in the stream, for replays."
    )
    changes_retention_h: int = Field(
        168, ge=1, le=8760, description="Hours that changes stay in the stream, for late consumers."
    )
    # The rule behind the defaults is in docs/operations.md ("How much the streams must hold").
    events_bytes_max: int = Field(
        8 * 1024**3,
        ge=1024**2,
        le=64 * 1024**4,
        description="Bytes that EVENTS may hold; a full stream refuses, it never forgets.",
    )
    changes_bytes_max: int = Field(
        24 * 1024**3,
        ge=1024**2,
        le=64 * 1024**4,
        description="Bytes that CHANGES may hold, about 2.3 KB a message; as above.",
    )
    set_aside_bytes_max: int = Field(
        1024**3,
        ge=1024**2,
        le=1024**4,
        description="Bytes that the operator's quarantine may hold; full, consumers stop instead "
        "of setting more aside.",
    )
    database_url: str = Field(
        "postgresql://bluetick@127.0.0.1:5432/bluetick",
        description="Address of PostgreSQL 18: postgresql://user:password@host:port/database.",
    )
    database_pool_size: int = Field(
        4, ge=1, le=64, description="Connections per process; protects PostgreSQL's own limit."
    )
    database_statement_timeout_s: float = Field(
        20.0, gt=0, le=600, description="Seconds that one statement may take."
    )
    database_lock_timeout_s: float = Field(
        2.0,
        gt=0,
        le=600,
        description="Seconds that a statement waits for rows that somebody else has locked; then "
        "only their messages and campaigns wait on.",
    )
    internal_token: str = Field(
        "",
        description="Secret that the gateway shows to the services, 16 characters or more. Empty: "
        "the services refuse every call.",
    )
    accounts_file: str = Field("", description="JSON file with the provider accounts.")
    api_keys_file: str = Field("", description="JSON file with the hashes of the API keys.")
    listeners_file: str = Field(
        "",
        description="JSON file with the listeners: other teams' consumers of CHANGES, which status "
        "makes (docs/events.md).",
    )
    failure_codes_file: str = Field(
        "",
        description="CSV file whose rows replace or add to libs/catalogue/data/failure_codes.csv. "
        "This and the next four: see docs/failures.md; the same for ingest, status and analytics.",
    )
    failure_alternates_file: str = Field(
        "", description="CSV file whose rows go over failure_alternates.csv."
    )
    failure_topics_file: str = Field(
        "", description="CSV file whose rows go over failure_topics.csv."
    )
    remedies_file: str = Field("", description="CSV file whose rows go over remedies.csv.")
    markets_file: str = Field(
        "", description="CSV file whose rows go over markets.csv, WhatsApp's price markets."
    )
    log_format: Literal["json", "console"] = Field("json", description="json, or console to read.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level that is written."
    )
    shutdown_s: float = Field(
        20.0,
        gt=0,
        le=300,
        description="Seconds between SIGTERM and the end; bounds how long a drain may take.",
    )


SettingsT = TypeVar("SettingsT", bound=RuntimeSettings)


def load(cls: type[SettingsT]) -> SettingsT:
    """Return the settings from the environment, or name every problem on stderr and exit 2."""
    try:
        return cls()
    except ValidationError as problems:
        print("The settings cannot be used:", file=sys.stderr)
        for problem in problems.errors(include_url=False, include_input=False):
            name = "_".join(str(part) for part in problem["loc"]).upper()
            # A problem of several settings together has no name; its text says them.
            print(
                f"  {PREFIX}{name}: {problem['msg']}" if name else f"  {problem['msg']}",
                file=sys.stderr,
            )
        sys.exit(2)
