import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from bluetick.v1 import common_pb2 as pb

from libs.runtime.broker import Broker
from libs.runtime.lifecycle import Scope
from libs.runtime.settings import RuntimeSettings
from services.ingest.settings import IngestSettings
from services.ingest.wiring import build
from tests.ingest import test_mailgun, test_postmark, test_sendgrid
from tests.ingest.sns_signing import envelope, signer
from tests.ingest.stored_events import stored_events

KEY, PEM = signer("first")
SECRETS = {
    "sendgrid": {"public_key": [test_sendgrid.public_text(test_sendgrid.KEYS[0])]},
    "ses": {"certificate": [PEM]},
    "mailgun": {"signing_key": test_mailgun.KEYS},
    "postmark": {"basic_user": ["hook"], "basic_pass": ["pass"]},
}


@pytest.fixture
async def door(
    broker: Broker, broker_settings: RuntimeSettings, tmp_path: Path
) -> AsyncIterator[httpx.AsyncClient]:
    accounts = [
        {"provider": name, "account": "acct_1", "tenant": "demo", "secrets": secrets}
        for name, secrets in SECRETS.items()
    ]
    file = tmp_path / "accounts.json"
    file.write_text(json.dumps({"accounts": accounts}))
    scope = Scope()
    settings = IngestSettings(
        nats_url=broker_settings.nats_url,
        nats_monitor_url=broker_settings.nats_monitor_url,
        accounts_file=str(file),
        ingest_http_host="127.0.0.1",
        ingest_http_port=0,
        ingest_grpc_host="127.0.0.1",
        ingest_grpc_port=0,
    )
    http_port, _ = await build(scope, settings)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{http_port}/callbacks") as client:
        yield client
    await scope.close()


async def test_each_email_provider_has_its_door(door: httpx.AsyncClient, broker: Broker) -> None:
    """What is proven is stored, and nothing else is."""
    mail = {"messageId": "ses-1", "destination": ["jane@example.net"]}
    signed = test_sendgrid.TestCredentials().signed()
    bodies = {
        "sendgrid": (signed.body, dict(signed.headers)),
        "ses": (envelope({"eventType": "Delivery", "mail": mail}, KEY), {}),
        "mailgun": (test_mailgun.dump(test_mailgun.data()), {"content-type": "application/json"}),
        "postmark": (test_postmark.dump("Delivery"), test_postmark.basic("hook:pass")),
    }
    for name, (body, headers) in bodies.items():
        path = f"{name}/acct_1"
        assert (await door.post(path, content=body, headers=headers)).status_code == 200
        assert (await door.post(path, content=b"{}")).status_code == 401
        assert (await door.get(path)).status_code == 405

    stored = await stored_events(broker)
    assert {event.provider for event in stored} == SECRETS.keys()
    assert {event.kind for event in stored} == {pb.EVENT_KIND_DELIVERED}
    assert len(stored) == 4
