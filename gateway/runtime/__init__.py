"""The composition root: the processes of one gateway, and what joins them.

    supervisor        `lockgate serve`: configuration, sockets, state directory, journals, ops listener; no request
    ├─ worker × N     the data plane: one event loop, one listening socket, one journal each
    ├─ child × M      servers of `embedded` and `fake` backends, on unix sockets
    └─ control        administration, where there is an admin token

- `supervisor` start, reload, drain · `workers`, `children`, `processes`, `backoff` who runs, who is replaced and when
- `worker` what a worker process is · `upstreams`, `worker_gauges`, `loop_lag`, `hosting` its parts
- `control_channel` what supervisor and worker say to each other · `watch`, `configuration` when and what to reload
- `in_force`, `reloading` what is in force, and how it changes · `overlaying`, `control_mirror` what was made by API ·
  `controlling`, `control_process` the control process · `administering`, `declared_files` what it and commands stand on
- `ops`, `journals`, `library_logs` what can be seen · `sockets`, `state_dir`, `resources` what the machine gives
"""
