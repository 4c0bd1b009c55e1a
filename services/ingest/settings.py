"""Settings of ingest: every limit of its two doors."""

from pydantic import Field, field_validator

from libs.runtime.secret_keys import SEALING_CHARACTERS_MIN, parse_keys
from libs.runtime.settings import RuntimeSettings
from libs.runtime.sizes import BODY_BYTES_MAX


class IngestSettings(RuntimeSettings):
    """What ingest needs beyond what every service needs."""

    # Providers and the gateway are other machines: both doors listen on all addresses.
    ingest_http_host: str = Field(
        "0.0.0.0",  # noqa: S104
        description="Address that the callback door binds.",
    )
    ingest_http_port: int = Field(
        8080, ge=0, le=65535, description="Port of the callback door; 0: any free one."
    )
    ingest_grpc_host: str = Field(
        "0.0.0.0",  # noqa: S104
        description="Address that the gRPC server binds.",
    )
    ingest_grpc_port: int = Field(
        50061, ge=0, le=65535, description="Port of the gRPC server; 0: any free one."
    )
    ingest_body_bytes_max: int = Field(
        BODY_BYTES_MAX, ge=1024, le=16 * 1024 * 1024,
        description="Bytes of one callback body; Meta sends up to 3 MiB. More is answered 413.",
    )  # fmt: skip
    ingest_request_timeout_s: float = Field(
        5.0, gt=0, le=60,
        description="Seconds that a request, headers and body, may take to come in; then the "
        "connection is closed. Sheds slow senders.",
    )  # fmt: skip
    ingest_requests_in_flight_max: int = Field(
        6_000, ge=1, le=100_000,
        description="Callbacks worked on at once; more are answered 503. Bounds memory and wait. "
        "Shared as INGEST_BYTES_IN_FLIGHT_MAX is.",
    )  # fmt: skip
    ingest_connections_max: int = Field(
        4_000, ge=1, le=100_000,
        description="Open connections. With more, those yield that were idle for longest. Bounds "
        "file descriptors and memory.",
    )  # fmt: skip
    ingest_connections_per_address_max: int = Field(
        2_000, ge=1, le=100_000,
        description="Open connections from one address; likewise. Behind a proxy all are from its.",
    )  # fmt: skip
    ingest_idle_timeout_s: float = Field(
        75.0, gt=0, le=3_600,
        description="Seconds after an answer until a connection without another request is closed.",
    )  # fmt: skip
    ingest_head_bytes_max: int = Field(
        32 * 1024, ge=4_096, le=192 * 1024,
        description="Bytes of a request's line and headers; more are answered 431.",
    )  # fmt: skip
    ingest_headers_max: int = Field(
        100, ge=20, le=10_000, description="Headers of a request; more are answered 431."
    )
    ingest_bytes_in_flight_max: int = Field(
        96 * 1024 * 1024, ge=1024, le=4 * 1024**3,
        description="Bytes of bodies held at once; more are answered 503. Bounds memory. No "
        "account holds more than what is free for all others, and no address more than what is "
        "left of its account's: a third, if nobody else is there.",
    )  # fmt: skip
    ingest_turn_ms: float = Field(
        20.0, gt=0, le=1_000,
        description="Milliseconds of work until callbacks wait for their turn, and whoever has "
        "spent least of late comes first. Bounds what one account takes from the others.",
    )  # fmt: skip
    ingest_large_bodies_at_once_max: int = Field(
        2, ge=1, le=100,
        description="Bodies of more than 256 KiB worked on at once, until they are stored.",
    )  # fmt: skip
    ingest_large_bodies_share: float = Field(
        0.5, ge=0.05, le=1.0,
        description="Part of the door's time that such bodies get while there are others.",
    )  # fmt: skip
    ingest_refusals_per_s_max: float = Field(
        200.0, ge=1.0, le=1_000_000.0,
        description="Refusals (4xx) a second that one address hears at once; beyond, each waits, "
        "2 s at most. Floods then cost their sender connections instead of us time.",
    )  # fmt: skip
    ingest_retry_after_s: int = Field(
        2, ge=1, le=3600, description="Seconds that a 503 asks the provider to wait."
    )
    ingest_answer_patience_ms: float = Field(
        250.0, gt=0, le=5000,
        description="Milliseconds that events gather at most while the broker has not answered "
        "the message before; then theirs leaves beside it. Without one under way they leave at "
        "once. An answer that is lost holds nobody up for longer.",
    )  # fmt: skip
    ingest_batch_events_max: int = Field(
        2_000, ge=1, le=100_000, description="Events in one broker message."
    )
    ingest_batch_bytes_max: int = Field(
        512 * 1024, ge=1024, le=8 * 1024 * 1024, description="Bytes of one broker message."
    )
    ingest_batches_in_flight_max: int = Field(
        8, ge=1, le=256,
        description="Broker messages waiting for their acknowledgement at once.",
    )  # fmt: skip
    ingest_pending_bytes_max: int = Field(
        64 * 1024 * 1024, ge=1024, le=4 * 1024**3,
        description="Bytes waiting for the broker; more are answered 503. Bounds memory.",
    )  # fmt: skip
    ingest_submit_timeout_s: float = Field(
        5.0, gt=0, le=60,
        description="Seconds that a callback waits in all to become durable; then 503.",
    )  # fmt: skip
    ingest_door_report_interval_s: float = Field(
        10.0, gt=0, le=3600,
        description="Seconds between two reports of what went through each account's door, for "
        "the health of its callbacks; a crash loses one interval's counts, never a callback.",
    )  # fmt: skip
    public_url: str = Field(
        "",
        description="Address that providers call (some sign it). Empty: the door's own.",
    )
    signature_age_max_s: int = Field(
        0, ge=0, le=31_536_000,
        description="Oldest signed callback that is taken, seconds, where the provider signs a "
        "time; 0: any age.",
    )  # fmt: skip
    ingest_time_ahead_max_s: int = Field(
        120, ge=0, le=86_400,
        description="How far ahead of its receipt a provider's time is believed, seconds; beyond "
        "it the time of receipt stands, and the event is marked.",
    )  # fmt: skip
    ingest_link_timeout_s: float = Field(
        3.0, gt=0, le=60,
        description="Seconds to wait for PostgreSQL when a tracked link is registered or first "
        "followed; then 503.",
    )  # fmt: skip
    ingest_links_cached_max: int = Field(
        20_000, ge=1, le=10_000_000,
        description="Destinations of tracked links kept in memory, about 0.5 KB each; these work "
        "while PostgreSQL is down.",
    )  # fmt: skip
    link_keys: str = Field(
        "",
        description='Keys of tracked links: "id:secret,id:secret", the secrets 16 characters or '
        "more. The first signs, all are trusted. Empty: no link is wrapped or followed.",
    )
    link_base_url: str = Field(
        "",
        description="Address that tracked links begin with, as short as can be. Empty: "
        "BLUETICK_PUBLIC_URL.",
    )

    account_keys: str = Field(
        "",
        description="Keys that seal the secrets of stored accounts and webhook endpoints: "
        '"id:secret,id:secret", the secrets 32 characters or more (`openssl rand -base64 32`). The '
        "first seals, all open. Empty: none can be put by call.",
    )
    ingest_accounts_interval_s: float = Field(
        1.0, gt=0, le=60,
        description="Seconds between two looks for accounts that were put or changed by call; "
        "bounds how long a replica works with the old ones.",
    )  # fmt: skip

    @field_validator("link_keys")
    @classmethod
    def _are_keys(cls, text: str) -> str:
        parse_keys(text)
        return text

    @field_validator("account_keys")
    @classmethod
    def _are_sealing_keys(cls, text: str) -> str:
        parse_keys(text, SEALING_CHARACTERS_MIN)
        return text
