from __future__ import annotations

import hashlib
import re

import pytest

from gateway.control import issuing


@pytest.mark.parametrize(("make", "prefix"), [(issuing.new_key, "lg-"), (issuing.new_token, "lga-")])
def test_a_secret_holds_256_random_bits_and_its_hash_covers_all_of_it(make, prefix) -> None:  # type: ignore[no-untyped-def]
    made = make()
    assert re.fullmatch(prefix + r"[A-Za-z0-9_-]{43}", made.secret)
    assert made.hash == "sha256:" + hashlib.sha256(made.secret.encode()).hexdigest()
    assert make().secret != made.secret
    assert made.secret not in repr(made)
