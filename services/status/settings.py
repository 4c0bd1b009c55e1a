"""Settings of status: its ports, its batches, its sweeper."""

from pydantic import Field, field_validator

from libs.runtime.secret_keys import SEALING_CHARACTERS_MIN, parse_keys
from libs.runtime.settings import RuntimeSettings


class StatusSettings(RuntimeSettings):
    """What status needs beyond what every service needs."""

    status_grpc_host: str = Field(
        "0.0.0.0",  # noqa: S104 the gateway is another machine
        description="Address that the gRPC server binds.",
    )
    status_grpc_port: int = Field(
        50062, ge=0, le=65535, description="Port of the gRPC server; 0: any free one."
    )
    status_probe_host: str = Field(
        "0.0.0.0",  # noqa: S104 probes come from outside the container
        description="Address that health and metrics bind.",
    )
    status_probe_port: int = Field(
        9101, ge=0, le=65535, description="Port of health and metrics; 0: any free one."
    )
    status_analytics_target: str = Field(
        "dns:///127.0.0.1:50063",
        description="gRPC address of analytics, which finds the messages behind a number.",
    )
    status_lanes: int = Field(
        2,
        ge=1,
        le=16,
        description="Transactions at once, each with a connection of its own: while PostgreSQL "
        "writes for one lane, another merges.",
    )
    status_lane_linger_ms: int = Field(
        20,
        ge=0,
        le=1_000,
        description="Milliseconds from the beginning of one transaction of a lane to that of the "
        "next, unless that is full; what comes after a pause does not wait.",
    )
    status_lane_lock_timeout_s: float = Field(
        1.0,
        gt=0,
        le=60,
        description="Seconds for which a lane waits for rows that somebody else has locked; then "
        "it goes on without the messages concerned.",
    )
    status_batches_max: int = Field(
        4, ge=1, le=64, description="Batches of broker messages in hand at once; bounds memory."
    )
    status_batch_messages_max: int = Field(
        64, ge=1, le=1_000, description="Broker messages pulled together; bounds a drain."
    )
    status_batch_bytes_max: int = Field(
        512 * 1024, ge=1024, le=64 * 1024**2, description="Bytes pulled together; bounds memory."
    )
    status_batch_events_max: int = Field(
        2_000,
        ge=1,
        le=100_000,
        description="Events from which on a transaction takes no further ones; one broker message "
        "more than that at most. More of them at once, and PostgreSQL and we wait for each other.",
    )
    status_outbox_entries_max: int = Field(
        1_000,
        ge=1,
        le=1_000_000,
        description="Change batches that may wait to be published; from then on no more are made.",
    )
    status_unrecorded_days: int = Field(
        30,
        ge=8,
        le=3_650,
        description="Days after which a message is removed that no sender recorded: other software "
        "sends from the same accounts. Longer than the week for which providers retry.",
    )
    status_report_missing_days: int = Field(
        30,
        ge=1,
        le=3_650,
        description="Days after the hand-over to WhatsApp after which a message without a report "
        "on its end counts as undelivered (DELIVERY_REPORT_MISSING); a later report lifts it.",
    )
    status_report_missing_sms_days: int = Field(
        30, ge=1, le=3_650, description="As BLUETICK_STATUS_REPORT_MISSING_DAYS, for SMS."
    )
    status_report_missing_email_days: int = Field(
        30, ge=1, le=3_650, description="As BLUETICK_STATUS_REPORT_MISSING_DAYS, for email."
    )
    status_change_batch_bytes_max: int = Field(
        384 * 1024,
        ge=1024,
        le=4 * 1024**2,
        description="Bytes of changes in one broker message; with the largest single change it "
        "must stay below what the broker takes.",
    )
    status_reply_window_h: int = Field(
        72,
        ge=0,
        le=720,
        description="Hours after a send within which an act that names no message (a reply without "
        "a quote) is counted on the last message sent to that address; 0: on none. A new value "
        "holds for what is told from then on.",
    )
    status_replay_limit_s: float = Field(
        20.0,
        gt=0,
        le=600,
        description="Seconds that one ReplayQuarantine works at most; what is left then stays for "
        "the next call.",
    )
    status_silent_after_h: int = Field(
        24,
        ge=1,
        le=168,
        description="Hours after which an accepted message without any callback counts as silent "
        "in the health of callbacks, unless the caller says otherwise.",
    )
    status_watch_heartbeat_s: float = Field(
        15.0,
        ge=0.1,
        le=300,
        description="Seconds without a change after which a watch of changes gets a sign of life.",
    )
    status_watch_kept_bytes_max: int = Field(
        16 * 1024**2,
        ge=1024**2,
        le=1024**3,
        description="Bytes of the end of CHANGES that are kept for those who watch there, all "
        "tenants together; who is further behind reads from the broker on its own.",
    )
    account_keys: str = Field(
        "",
        description="Keys that seal the secrets of stored accounts and webhook endpoints: "
        '"id:secret,id:secret", the secrets 32 characters or more (`openssl rand -base64 32`). The '
        "first seals, all open. Empty: none can be put by call.",
    )
    status_webhook_is_sending: bool = Field(
        True,
        description="Whether this replica sends webhooks; endpoints are shared by those that do.",
    )
    status_webhook_is_closed_network: bool = Field(
        False,
        description="Webhooks may go to private addresses, by http, and to any port: only where no "
        "tenant is a stranger.",
    )
    status_webhook_timeout_s: float = Field(
        15.0,
        gt=0,
        le=60,
        description="Seconds for one request of a webhook, look-up and answer included.",
    )
    status_webhook_concurrent_max: int = Field(
        8, ge=1, le=64, description="Requests at once to one webhook endpoint."
    )
    status_webhook_waiting_max: int = Field(
        1_000,
        ge=1,
        le=100_000,
        description="Changes of one webhook endpoint that are tried again; from then on the stream "
        "keeps what follows.",
    )
    status_webhook_dead_days: int = Field(
        30,
        ge=1,
        le=365,
        description="Days for which changes are kept that a webhook endpoint did not take.",
    )
    status_sweep_interval_s: float = Field(
        1.0, gt=0, le=3600, description="Seconds between two looks for changes left behind."
    )
    status_sweep_age_s: float = Field(
        5.0,
        gt=0,
        le=3600,
        description="Age at which a change batch counts as left behind; longer than a publish may "
        "take, so that the sweeper does not overtake it.",
    )
    status_sweep_batches_max: int = Field(
        100, ge=1, le=1_000, description="Change batches swept in one transaction."
    )

    @field_validator("account_keys")
    @classmethod
    def _are_sealing_keys(cls, text: str) -> str:
        parse_keys(text, SEALING_CHARACTERS_MIN)
        return text
