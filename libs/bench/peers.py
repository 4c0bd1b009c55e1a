"""What a user would have instead: a column store that scans the facts. A program.

`python -m libs.bench.peers duckdb|chdb MESSAGES` makes the facts of the large campaign, one row a
message, asks for its totals and prints them with the median time as JSON. Exit code 2: the package
is not installed.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from statistics import median

_ROUNDS = 11
_COLUMNS = ("targeted", "delivered", "pending")
_TOTALS = """
SELECT count(*), sum(CASE WHEN deliver_time_us > 0 THEN 1 ELSE 0 END),
    sum(CASE WHEN deliver_time_us = 0 THEN 1 ELSE 0 END)
FROM {table} WHERE campaign_id = 'bench-0'
"""
# As StoredMessages has them: every twentieth is not delivered.
_FACTS = """
SELECT 'bench-0' AS campaign_id, {number} AS message, 'meta' AS provider, 'spring_sale' AS template,
    1785900000000000 AS accept_time_us,
    CASE WHEN {number} % 20 = 0 THEN 0 ELSE 1785900002000000 END AS deliver_time_us
FROM {numbers}
"""
Ask = Callable[[], tuple[int, ...]]


def ask_duckdb(messages: int) -> Ask:
    """The question to a DuckDB in memory."""
    connection = import_module("duckdb").connect()
    facts = _FACTS.format(number="range", numbers=f"range({messages})")
    connection.execute(f"CREATE TABLE facts AS {facts}")
    return lambda: tuple(
        int(one) for one in connection.execute(_TOTALS.format(table="facts")).fetchone()
    )


def ask_chdb(messages: int) -> Ask:
    """The question to ClickHouse's engine, its tables in a temporary folder."""
    engine = import_module("chdb.session").Session()
    facts = _FACTS.format(number="number", numbers=f"numbers({messages})")
    engine.query("CREATE DATABASE bench")
    engine.query(
        "CREATE TABLE bench.facts ENGINE = MergeTree ORDER BY (campaign_id, message) AS " + facts
    )
    return lambda: tuple(
        int(one)
        for one in str(engine.query(_TOTALS.format(table="bench.facts"), "CSV")).strip().split(",")
    )


_PEERS = {"duckdb": ask_duckdb, "chdb": ask_chdb}


def main() -> None:
    """Ask one peer."""
    name, messages = sys.argv[1], int(sys.argv[2])
    if find_spec(name) is None:
        raise SystemExit(2)
    ask = _PEERS[name](messages)
    times = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        totals = ask()
        times.append((time.perf_counter() - started) * 1000)
    print(json.dumps({"p50_ms": median(times), **dict(zip(_COLUMNS, totals, strict=True))}))


if __name__ == "__main__":
    main()
