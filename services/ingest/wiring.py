"""Puts ingest together: the only file that knows use cases, adapters and settings."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from bluetick.v1.admin_service_pb2_grpc import add_AdminServiceServicer_to_server
from bluetick.v1.ingest_service_pb2_grpc import add_IngestServiceServicer_to_server
from bluetick.v1.key_service_pb2_grpc import add_KeyServiceServicer_to_server

from libs.catalogue.standing import configure
from libs.runtime import logs
from libs.runtime.accounts import Accounts, load_accounts
from libs.runtime.clock import Clock, SystemClock
from libs.runtime.database import Database
from libs.runtime.footing import open_broker, settle
from libs.runtime.lifecycle import Scope
from libs.runtime.probe_http import QuietServer, answer_probe, serve_until_closed
from libs.runtime.rpc_server import Add, RpcServer
from libs.runtime.secret_box import SecretBox
from libs.runtime.secret_keys import SEALING_CHARACTERS_MIN, parse_keys
from libs.runtime.settings import PREFIX
from libs.runtime.sizes import EVENT_ENVELOPE_BYTES
from services.ingest.account_book import AccountBook
from services.ingest.adapters.account_store import AccountRows
from services.ingest.adapters.admin_rpc import AdminRpc, KeyRpc
from services.ingest.adapters.callback_desk import DoorLimits
from services.ingest.adapters.callback_door import CallbackDoor
from services.ingest.adapters.connection_book import ConnectionLimits
from services.ingest.adapters.event_publisher import EventPublisher, PublishLimits
from services.ingest.adapters.http_server import door_config
from services.ingest.adapters.key_store import KeyRows
from services.ingest.adapters.link_door import LinkDoor
from services.ingest.adapters.link_store import LinkStore
from services.ingest.adapters.message_pieces import PieceLimits
from services.ingest.adapters.replay_answers import serve_replays
from services.ingest.adapters.request_body import BodyLimits
from services.ingest.adapters.rpc_service import IngestRpc
from services.ingest.adapters.short_way import ShortWay
from services.ingest.adapters.sns_certificates import SnsCertificates
from services.ingest.adapters.turns import TurnLimits
from services.ingest.domain.link_token import LinkKeyring
from services.ingest.follow_accounts import AccountFollower
from services.ingest.log_events import LogEvent
from services.ingest.providers.registry import check_accounts
from services.ingest.record_callback import DoorBook, EventSink
from services.ingest.report_doors import DoorReports
from services.ingest.settings import IngestSettings

# Generated function that adds it, servicer, full name.
Service = tuple[Add, Any, str]

_log = logs.get_logger()


async def build(
    scope: Scope, settings: IngestSettings, clock: Clock | None = None
) -> tuple[int, int]:
    """Start everything; return the ports of the callback door and of the gRPC server.

    What is built last closes first: the doors, then the publisher, then the broker.

    Raises:
        CatalogueProblem: a table of the operator's cannot be used.
        AccountsProblem: the accounts file cannot be used.
        BrokerUnsuitable, SizesUnfit: see libs/runtime/footing.py.
        OSError, RuntimeError: a port is taken.
    """
    clock = clock or SystemClock()
    configure(settings)
    database = open_database(scope, settings)
    accounts, admin = open_accounts(scope, settings, database, clock)
    broker = await open_broker(scope, settings, "ingest", needs=_largest_messages(settings))
    publisher = EventPublisher(broker, _publish_limits(settings))
    scope.defer(publisher.close)
    scope.readiness.need("events", lambda: publisher.fault)
    scope.spawn(publisher.ask_while_refused(scope.stopping), "refused_events")
    await serve_replays(broker, accounts, publisher)
    doors = open_reports(scope, settings, publisher, clock)
    links = open_links(settings, database)
    ours = (open_senders_rpc(settings, accounts, publisher, clock, links), *admin)
    grpc_port = await open_grpc(scope, settings, ours)
    door = LinkDoor(
        keyring=LinkKeyring(parse_keys(settings.link_keys)),
        directory=links,
        events=publisher,
        clock=clock,
        visits_in_flight_max=settings.ingest_requests_in_flight_max,
        retry_after_s=settings.ingest_retry_after_s,
    )
    http_port = await _open_door(scope, settings, accounts, publisher, clock, door, doors)
    settle(scope)
    opened: LogEvent = "doors.opened"
    _log.info(opened, http_port=http_port, grpc_port=grpc_port, accounts=len(accounts))
    return http_port, grpc_port


def open_reports(
    scope: Scope, settings: IngestSettings, publisher: EventPublisher, clock: Clock
) -> DoorReports:
    """Return what counts at the doors, and reports it until ``scope`` closes."""
    doors = DoorReports(publisher, clock)
    # Closed after the doors and before the publisher: the last seconds are reported too.
    scope.defer(doors.report_if_possible)
    scope.spawn(doors.run(settings.ingest_door_report_interval_s, scope.stopping), "door_reports")
    return doors


def open_database(scope: Scope, settings: IngestSettings) -> Database:
    """Return the pool; it connects when it is first used, and closes with ``scope``.

    The callback door must open, and stay open, while there is no database.
    """
    database = Database.lazy(
        settings.database_url,
        pool_size=settings.database_pool_size,
        statement_timeout_s=settings.ingest_link_timeout_s,
        application="bluetick-ingest",
    )
    scope.defer(database.close)
    return database


def open_accounts(
    scope: Scope, settings: IngestSettings, database: Database, clock: Clock
) -> tuple[AccountBook, Sequence[Service]]:
    """Return the accounts, kept like what is stored, and the services that change them.

    With a key to open them, ingest is not ready before it has read the stored accounts once. From
    then on it works with what it knows, whatever becomes of the database.

    Raises:
        AccountsProblem: the accounts file cannot be used.
    """
    of_file = load_accounts(settings.accounts_file)
    check_accounts(of_file)
    box = SecretBox(parse_keys(settings.account_keys, SEALING_CHARACTERS_MIN))
    book = AccountBook(of_file, box)
    rows, keys = AccountRows(database), KeyRows(database)
    follower = AccountFollower(book, rows, clock)
    scope.readiness.need("accounts", lambda: "" if book.is_whole else "they were not read yet")
    scope.spawn(
        follower.run(settings.ingest_accounts_interval_s, scope.stopping), "follow_accounts"
    )
    servicer = AdminRpc(
        book=book, follower=follower, accounts=rows, keys=keys, sealer=box, clock=clock
    )
    return book, (
        (add_AdminServiceServicer_to_server, servicer, "bluetick.v1.AdminService"),
        (add_KeyServiceServicer_to_server, KeyRpc(keys), "bluetick.v1.KeyService"),
    )


def open_links(settings: IngestSettings, database: Database) -> LinkStore:
    """Return the store of tracked links."""
    return LinkStore(
        database,
        timeout_s=settings.ingest_link_timeout_s,
        cached_max=settings.ingest_links_cached_max,
    )


def open_senders_rpc(
    settings: IngestSettings,
    accounts: Accounts,
    events: EventSink,
    clock: Clock,
    links: LinkStore,
) -> Service:
    """Return the service of senders."""
    # Calls that ingest does not serve stay as generated and answer UNIMPLEMENTED.
    servicer = IngestRpc(  # type: ignore[abstract]
        accounts=accounts,
        events=events,
        clock=clock,
        public_url=_public_url(settings),
        body_bytes_max=settings.ingest_body_bytes_max,
        signature_age_s_max=settings.signature_age_max_s,
        time_ahead_s_max=settings.ingest_time_ahead_max_s,
        links=links,
        keyring=LinkKeyring(parse_keys(settings.link_keys)),
        link_base_url=(settings.link_base_url or _public_url(settings)).rstrip("/"),
    )
    return add_IngestServiceServicer_to_server, servicer, "bluetick.v1.IngestService"


async def open_grpc(scope: Scope, settings: IngestSettings, services: Sequence[Service]) -> int:
    """Open the gRPC server and return its port; it closes with ``scope``."""
    server = RpcServer(internal_token=settings.internal_token, services=services)
    return await server.start(settings.ingest_grpc_host, settings.ingest_grpc_port, scope)


async def _open_door(
    scope: Scope,
    settings: IngestSettings,
    accounts: Accounts,
    publisher: EventPublisher,
    clock: Clock,
    links: LinkDoor,
    doors: DoorBook,
) -> int:
    door = CallbackDoor(
        accounts=accounts,
        events=publisher,
        clock=clock,
        limits=_door_limits(settings),
        public_url=_public_url(settings),
        probes=partial(answer_probe, scope=scope),
        outside=SnsCertificates(),
        links=links,
        doors=doors,
    )
    config = door_config(
        door,
        host=settings.ingest_http_host,
        port=settings.ingest_http_port,
        limits=_connection_limits(settings),
        refusals=door.desk.refusals,
        drain_s=max(1, int(settings.ingest_submit_timeout_s) + 1),
        short_way=ShortWay(door.desk, publisher),
    )
    server = QuietServer(config)
    await serve_until_closed(server, scope, "callback_door")
    listener = server.servers[0].sockets[0]
    return int(listener.getsockname()[1])


def _public_url(settings: IngestSettings) -> str:
    return settings.public_url or f"http://127.0.0.1:{settings.ingest_http_port}"


def _connection_limits(settings: IngestSettings) -> ConnectionLimits:
    return ConnectionLimits(
        connections_max=settings.ingest_connections_max,
        connections_per_address_max=settings.ingest_connections_per_address_max,
        idle_timeout_s=settings.ingest_idle_timeout_s,
        request_timeout_s=settings.ingest_request_timeout_s,
        head_bytes_max=settings.ingest_head_bytes_max,
        headers_max=settings.ingest_headers_max,
    )


def _door_limits(settings: IngestSettings) -> DoorLimits:
    return DoorLimits(
        body=BodyLimits(
            body_bytes_max=settings.ingest_body_bytes_max,
            bytes_in_flight_max=settings.ingest_bytes_in_flight_max,
        ),
        turn=TurnLimits(
            turn_s=settings.ingest_turn_ms / 1000,
            large_bodies_at_once_max=settings.ingest_large_bodies_at_once_max,
            large_bodies_share=settings.ingest_large_bodies_share,
            wait_s_max=settings.ingest_submit_timeout_s,
        ),
        requests_in_flight_max=settings.ingest_requests_in_flight_max,
        refusals_per_s_max=settings.ingest_refusals_per_s_max,
        retry_after_s=settings.ingest_retry_after_s,
        signature_age_s_max=settings.signature_age_max_s,
        time_ahead_s_max=settings.ingest_time_ahead_max_s,
    )


def _largest_messages(settings: IngestSettings) -> list[tuple[str, int]]:
    prefix = f"{PREFIX}INGEST_"
    return [
        # A body that cannot be read travels whole.
        (f"{prefix}BODY_BYTES_MAX", settings.ingest_body_bytes_max + EVENT_ENVELOPE_BYTES),
        (f"{prefix}BATCH_BYTES_MAX", settings.ingest_batch_bytes_max + EVENT_ENVELOPE_BYTES),
    ]


def _publish_limits(settings: IngestSettings) -> PublishLimits:
    return PublishLimits(
        pieces=PieceLimits(
            batch_events_max=settings.ingest_batch_events_max,
            batch_bytes_max=settings.ingest_batch_bytes_max,
        ),
        answer_patience_s=settings.ingest_answer_patience_ms / 1000,
        batches_in_flight_max=settings.ingest_batches_in_flight_max,
        pending_bytes_max=settings.ingest_pending_bytes_max,
        submit_timeout_s=settings.ingest_submit_timeout_s,
    )
