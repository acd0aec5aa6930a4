"""nginx as a proxy with a key check: the practical limit of what stands between a caller and a model server."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.bench.lab import Lab, Target
from tests.bench.processes import SERVER_CORE, Missing, free_port, running, wait_for_port

KEY = "sk-bench-0123456789abcdef0123456789abcdef"
CONFIG = """\
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
{user}
events {{ worker_connections 16384; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 100000000;
    client_max_body_size 20m;
    client_body_buffer_size 2m;
    map_hash_bucket_size 128;
    map $http_authorization $known {{ default 0; "Bearer {key}" 1; }}
    upstream model_server {{
        server 127.0.0.1:{upstream};
        keepalive 256;
        keepalive_requests 100000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            if ($known = 0) {{ return 401; }}
            proxy_pass http://model_server;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Authorization "Bearer sk-upstream";
            proxy_buffering off;
        }}
    }}
}}
"""
SUMMARY = "proxy_pass with a key check (map on Authorization), one worker, keep-alive, access log and buffering off"


def binary() -> str:
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if not found:
        raise Missing("nginx is not installed")
    return found


def version() -> str:
    done = subprocess.run([binary(), "-v"], capture_output=True, text=True, check=False)
    return done.stderr.strip().rpartition("/")[2]


@contextlib.contextmanager
def serving(lab: Lab) -> Iterator[Target]:
    folder, port = lab.path("nginx"), free_port()
    folder.mkdir()
    config = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(CONFIG.format(folder=folder, user=user, key=KEY, upstream=lab.upstream_port, port=port))
    log = folder / "log"
    command: list[str | Path] = [binary(), "-p", folder, "-c", config, "-e", folder / "error.log"]
    with running(command, core=SERVER_CORE, log=log) as process:
        wait_for_port(process, port, log)
        yield Target("nginx", port, process.pid, [f"Authorization: Bearer {KEY}"])
