from __future__ import annotations

from gateway.config.model_telemetry import Otlp, Telemetry


def test_where_spans_go_is_printed_without_address_and_headers() -> None:
    otlp = Otlp(endpoint="https://otlp.example.com/t0ken", headers={"authorization": "Bearer s3cret"})
    shown = repr(Telemetry(otlp=otlp))
    assert "Otlp(endpoint='…', protocol='http', sample=1.0, errors='always')" in shown
    assert "t0ken" not in shown
    assert "s3cret" not in shown
