"""The gateway: every call is identified, resolved, answered, settled and recorded on one straight path.

Where things are (a row may import the rows below it, never above):

- `cli`        the `lockgate` command
- `runtime`    the composition root: supervisor, workers, reload, drain
- `dataplane`  the request's path: server, exchange, one story per endpoint family, streams
- `backends`   the upstream side: HTTP client, pools, probes; embedded and fake servers
- `store`      the journal: one record per request, written before and after the upstream is called
- `policy`     decisions without I/O: who, where to, again or elsewhere, what a stream's bytes mean
- `telemetry`  metrics and log lines, derived from records
- `config`     files to `Config` to `Snapshot`
- `wire`       the formats callers and backends speak
- `errors`, `clock`
"""

from gateway import compiled

compiled.choose()
