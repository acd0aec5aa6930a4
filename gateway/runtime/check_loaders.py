"""What the check process can load, by the kind of need: the loaders of all packages in one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.backends import similarity
from gateway.offload import models

LOADERS: Final[Mapping[str, models.Loader]] = {**models.LOADERS, "similarity": similarity.load}
