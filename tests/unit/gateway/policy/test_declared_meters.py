from __future__ import annotations

from pathlib import Path

from gateway.config import load
from gateway.config.entries import Entry
from gateway.policy import declared_meters

NOW_NS = 1_800_000_000 * 10**9  # 2027-01-15
FILES = """
backends: {b: {kind: fake}}
models: {org/m: {backend: b, price: free, meters: [{cap: 9 requests, window: 60s}]}}
meters: [{cap: 5 concurrent}]
tenants:
  acme:
    models: ["*"]
    meters: [{cap: $100, window: month}, {cap: $1, window: day, per: end_user}]
    projects: {web: {meters: [{cap: $10, window: week, at: {50%: refuse}}]}}
    keys:
      app: {hash: "sha256:ONE", meters: [{cap: 100 requests, window: lifetime}]}
      bare: {hash: "sha256:TWO"}
""".replace("ONE", "1" * 64).replace("TWO", "2" * 64)


def entry(kind: str, tenant: str, name: str, document: bytes) -> Entry:
    return Entry(kind, name, document, 1, 1, 1, "alice", 1, tenant=tenant)  # type: ignore[arg-type]


def test_each_meter_of_the_files_is_the_bucket_it_counts_in_now(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(FILES)
    config = load.load(tmp_path, environ={})
    found = declared_meters.of_files(config, NOW_NS)
    assert {bucket: meter.cap for bucket, meter in found.items()} == {
        "gateway:|concurrent||": 5,
        "model:org%2Fm|requests|60s|": 9,
        "tenant:acme|usd|month@UTC|2027-01": 100 * 10**9,
        "project:acme/web|usd|week@UTC|2027-W02": 5 * 10**9,
        "key:acme/app|requests|lifetime|": 100,
    }
    assert list(declared_meters.of_files(config, NOW_NS, "key:acme/")) == ["key:acme/app|requests|lifetime|"]


def test_each_meter_of_an_entry_is_too_and_what_cannot_be_is_passed_over() -> None:
    budget = b'{"meters":[{"cap":"$1","window":"month","at":{"80%":"warn"}}]}'
    entries = [
        entry("tenant", "", "globex", b'{"models":["*"],' + budget[1:]),
        entry("key", "globex", "app", budget),
        entry("key", "globex", "two", budget),
        entry("key", "globex", "bare", b'{"hash":"sha256:00"}'),
        entry("key", "globex", "odd", b'{"meters":[{"cap":"none"}]}'),
        entry("key", "globex", "torn", b'{"meters":'),
        entry("project", "globex", "web", b'{"meters":[]}'),
    ]
    found = declared_meters.of_entries(entries, NOW_NS)
    ends = "|usd|month@UTC|2027-01"
    assert list(found) == [f"tenant:globex{ends}", f"key:globex/app{ends}", f"key:globex/two{ends}"]
    assert {meter.cap for meter in found.values()} == {10**9}
    assert list(declared_meters.of_entries(entries, NOW_NS, "key:globex/t")) == [f"key:globex/two{ends}"]
