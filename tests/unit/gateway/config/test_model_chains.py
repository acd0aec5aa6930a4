from gateway.config.model_chains import WebhookTarget


def test_a_webhook_does_not_show_its_secret_nor_its_address() -> None:
    shown = repr(WebhookTarget(url="https://hooks.example.com/T0KEN", secret="s3cret"))
    assert "s3cret" not in shown
    assert "T0KEN" not in shown
