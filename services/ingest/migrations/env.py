"""Alembic's entry: the migrations of schema ``ingest``."""

from libs.runtime.migrate import env_main
from services.ingest.adapters.tables import SCHEMA, metadata

env_main(SCHEMA, metadata)
