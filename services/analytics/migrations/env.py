from functools import partial

from libs.runtime.migrate import env_main
from services.analytics.adapters.make_tables import make_family_tables
from services.analytics.adapters.tables import FAMILY_TABLES, SCHEMA, metadata

env_main(SCHEMA, metadata, after=partial(make_family_tables, tables=FAMILY_TABLES))
