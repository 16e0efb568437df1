"""Takes Passgate's word for who is calling."""

import os
import secrets
from typing import Annotated
from urllib.parse import unquote

from fastapi import Depends, Header, HTTPException
from pydantic import BaseModel

KEY = os.environ.get("PASSGATE_KEY", "")
if len(KEY) < 32:
    raise SystemExit("PASSGATE_KEY wants 32 characters or more: `openssl rand -hex 32`")


class Caller(BaseModel):
    id: str
    email: str | None
    name: str | None
    groups: list[str]


class Told(BaseModel):
    """What Passgate tells. Values are percent-encoded UTF-8; a header that is absent says nothing."""

    x_forwarded_user: str | None = None
    x_forwarded_email: str | None = None
    x_forwarded_preferred_username: str | None = None
    x_forwarded_groups: str | None = None
    x_passgate_key: str = ""


def caller(told: Annotated[Told, Header()]) -> Caller | None:
    """Whom Passgate names, if anybody."""
    if told.x_forwarded_user is None:
        return None
    # As bytes: of text only ASCII can be compared.
    if not secrets.compare_digest(told.x_passgate_key.encode(), KEY.encode()):
        raise HTTPException(403, "This did not come through Passgate.")
    groups = told.x_forwarded_groups
    return Caller(
        id=told.x_forwarded_user,
        email=text(told.x_forwarded_email),
        name=text(told.x_forwarded_preferred_username),
        groups=[unquote(group) for group in groups.split(",")] if groups else [],
    )


def signed_in(caller: Annotated[Caller | None, Depends(caller)]) -> Caller:
    """The same, for what only those who are signed in may see, should its route at Passgate ask for less."""
    if caller is None:
        raise HTTPException(401, "Sign in first.", {"WWW-Authenticate": 'Bearer realm="api"'})
    return caller


def text(value: str | None) -> str | None:
    return None if value is None else unquote(value)


Anybody = Annotated[Caller | None, Depends(caller)]
SignedIn = Annotated[Caller, Depends(signed_in)]
