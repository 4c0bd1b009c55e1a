"""Puts the parts of webhooks together: who keeps endpoints, and who sends."""

from functools import partial

from libs.runtime.chores import run_chore
from libs.runtime.clock import Clock
from libs.runtime.database import Database
from libs.runtime.lifecycle import Scope
from libs.runtime.secret_box import SecretBox
from libs.runtime.secret_keys import SEALING_CHARACTERS_MIN, parse_keys
from services.status.adapters.webhook_poster import WebhookPoster
from services.status.adapters.webhook_rows import WebhookRows
from services.status.adapters.webhook_rpc import WebhookRpc
from services.status.keep_webhooks import KeepWebhooks, forget_dead_letters, new_owner
from services.status.put_webhooks import Tools
from services.status.settings import StatusSettings
from services.status.watch_changes import Feed
from services.status.webhook_ports import Sending

_POLL_S = 1.0


def open_webhooks(
    scope: Scope, settings: StatusSettings, database: Database, feed: Feed, clock: Clock
) -> WebhookRpc:
    """Begin to send, if this replica does; return the calls that keep endpoints."""
    rows = WebhookRows(database)
    box = SecretBox(parse_keys(settings.account_keys, SEALING_CHARACTERS_MIN))
    poster = WebhookPoster(
        clock,
        is_closed=settings.status_webhook_is_closed_network,
        timeout_s=settings.status_webhook_timeout_s,
    )
    scope.defer(poster.close)
    if settings.status_webhook_is_sending:
        sending = Sending(
            owner=new_owner(),
            feed=feed,
            store=rows,
            poster=poster,
            sealer=box,
            clock=clock,
            concurrent_max=settings.status_webhook_concurrent_max,
            waiting_max=settings.status_webhook_waiting_max,
            poll_s=_POLL_S,
        )
        keeper = KeepWebhooks(sending)
        run_chore(scope, "webhooks", partial(keeper.run, scope.stopping))
        scope.defer(keeper.settle)
    dead_days = settings.status_webhook_dead_days
    run_chore(
        scope, "dead_letters", partial(forget_dead_letters, rows, clock, dead_days, scope.stopping)
    )
    tools = Tools(
        store=rows,
        sealer=box,
        feed=feed,
        check=poster.check,
        is_closed=settings.status_webhook_is_closed_network,
    )
    return WebhookRpc(tools, clock)
