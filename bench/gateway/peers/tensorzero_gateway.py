"""TensorZero's gateway, as its Python wheel carries it: CONFIG_FILE, until it is ended.

It takes a port of its own choosing and says so; that line is all that is printed.
"""

import os
import signal
import sys

said = os.fdopen(os.dup(1), "w")
# Its log lines would go where nobody reads after the first line.
os.dup2(2, 1)

from tensorzero import tensorzero  # noqa: E402

gateway = tensorzero._start_http_gateway(
    config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False)
print(gateway.base_url, file=said, flush=True)
signal.sigwait({signal.SIGTERM, signal.SIGINT})
