"""A configuration checked without being put in force."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from gateway.control.checking import Checking
from gateway.control.gates import needs
from gateway.control.routes.paging import answered
from gateway.control.routes.shapes import Taken
from gateway.control.service import Asked


class FilesBody(Taken):
    """A configuration: names of files and their texts."""

    files: dict[str, str] = Field(json_schema_extra={"example": {"gateway.yaml": "tenants: {}"}})


class CheckAnswer(BaseModel):
    ok: bool
    problems: list[str]
    doubts: list[str]
    description: list[str]


class CheckRoutes:
    """What is asked of configurations that are not in force."""

    def __init__(self, checking: Checking) -> None:
        self._checking = checking

    async def check_files(self, _: Annotated[Asked, needs("operator")], body: FilesBody) -> Response:
        """What is wrong with a configuration, what is doubtful, and what it would run. Nothing is changed."""
        return answered(await self._checking.check(body.files))


def router(checking: Checking) -> APIRouter:
    """The path."""
    at = APIRouter(prefix="/admin/check", tags=["check"])
    at.post("", response_model=CheckAnswer)(CheckRoutes(checking).check_files)
    return at
