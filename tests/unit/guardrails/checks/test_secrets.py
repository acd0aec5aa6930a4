import pytest

from guardrails.checks.secrets import RULES, secrets
from tests.support.finding import found

CHECK = secrets()
# Put together here, so that no scanner takes this file for one that holds keys.
LETTERS = "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zAbCdEfGhIjKlMnOpQrStUvWxYz0123456789"
HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("code", "part"),
    [
        ("AWS_ACCESS_KEY", "AK" + "IAABCDEFGH12345678"),
        ("GITHUB_TOKEN", "gh" + "p_" + LETTERS[:36]),
        ("GITLAB_TOKEN", "gl" + "pat-" + LETTERS[:20]),
        ("SLACK_TOKEN", "xo" + "xb-123456-" + LETTERS[:24]),
        ("OPENAI_KEY", "s" + "k-proj-" + LETTERS[:48]),
        ("ANTHROPIC_KEY", "s" + "k-ant-api03-" + LETTERS[:48]),
        ("GOOGLE_API_KEY", "AI" + "za" + LETTERS[:35]),
        ("STRIPE_KEY", "s" + "k_live_" + LETTERS[:24]),
        ("SENDGRID_KEY", "S" + "G." + LETTERS[:22] + "." + LETTERS[:43]),
        ("NPM_TOKEN", "np" + "m_" + LETTERS[:36]),
        ("HUGGINGFACE_TOKEN", "h" + "f_" + LETTERS[:34]),
        ("TWILIO_KEY", "S" + "K" + HEX[:32]),
        ("LOCKGATE_KEY", "l" + "g-" + LETTERS[:43]),
        ("JWT", "ey" + "J" + LETTERS[:20] + "." + LETTERS[:30] + "." + LETTERS[:20]),
        ("URL_PASSWORD", "postgres://user:s3cretpw@"),
    ],
)
def test_each_key_is_found_by_its_form(code: str, part: str) -> None:
    assert (code, part) in found(CHECK, f"it is {part} and not more")


def test_a_private_key_is_found_whole_and_by_its_first_line_alone() -> None:
    begin = "-----BEGIN RSA " + "PRIVATE KEY-----"
    whole = f"{begin}\nMIIEabc\nxyz=\n-----END RSA " + "PRIVATE KEY-----"
    assert ("PRIVATE_KEY", whole) in found(CHECK, f"here: {whole} done")
    assert ("PRIVATE_KEY", begin) in found(CHECK, f"here: {begin}\nMII")


@pytest.mark.parametrize(
    "text", ["password = 'hunter2x9!'", 'api_key: "' + LETTERS[:32] + '"', "DB_PASSWORD=Hy^ed03Sc#cs"]
)
def test_a_value_that_is_named_a_secret_and_looks_random_is_found(text: str) -> None:
    assert [code for code, _ in found(CHECK, text)] == ["NAMED_SECRET"]


@pytest.mark.parametrize(
    "text",
    [
        "password = os.environ['PASSWORD']",
        "token: my_token_variable",
        "password=changeme",
        "api_key = $API_KEY_FROM_ENV_1",
        "secret: <your secret here>",
        "The password must have 8 characters.",
        "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
        "sk-learn and sk-image",
    ],
)
def test_code_and_placeholders_are_not_found(text: str) -> None:
    assert found(CHECK, text) == []


def test_every_rule_has_a_name_of_its_kind() -> None:
    assert all(rule.code.isupper() for rule in RULES)
