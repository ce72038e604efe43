"""The key shows itself nowhere."""

from __future__ import annotations

import asyncio
import logging
import traceback
from base64 import b64encode
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from nucleus_sync.api.client import Api, ApiKey, Credentials, LimitedKey
from nucleus_sync.api.credentials import scrub, scrub_bytes
from nucleus_sync.api.exchange import RetryNote
from nucleus_sync.api.file_pieces import FilePiece
from nucleus_sync.api.retry import Policy
from nucleus_sync.errors import CredentialsError

from .conftest import KEY, FastTime
from .recorder import DROP, Recorder, Reply, Request

SIGNATURE = "X-Amz-Signature=c0ffee"
ENCODED = b64encode(f"{KEY}:".encode()).decode()


def _echo(request: Request) -> Reply:
    """A server that says back all that it was sent."""
    return Reply(400, {"error": f"bad request: {request.head.decode('latin-1')} {KEY}"})


SCRIPTS: dict[str, Any] = {
    "echo": _echo,
    "echo 500": lambda request: Reply(500, request.head),
    "echo 401": lambda request: Reply(401, request.head),
    "echo 404": lambda request: Reply(404, request.head),
    "echo in a success": lambda request: Reply(200, request.head),
    "drop": lambda _: DROP,
    "garbage": lambda _: Reply(200, b"\x00\xff"),
}
CALLS: dict[str, Callable[[Api], Awaitable[Any]]] = {
    "read": lambda api: api.datasets.all(),
    "create": lambda api: api.datasets.create("a"),
    "trigger": lambda api: api.uploads.trigger_items("ds_1", "r", True),
    "check": lambda api: api.check(),
    "model": lambda api: api.models.add("m", "m"),
}


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("credentials", [ApiKey(KEY), LimitedKey(KEY)], ids=["full", "limited"])
async def test_no_error_note_repr_or_log_holds_the_key(
    recorder: Recorder,
    time: FastTime,
    caplog: pytest.LogCaptureFixture,
    credentials: Credentials,
    call: str,
    script: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    recorder.script = SCRIPTS[script]
    notes: list[RetryNote] = []
    async with Api(
        recorder.url,
        credentials,
        policy=Policy(attempts=2, outage_attempts=2),
        clock=time.clock,
        sleep=time.sleep,
        on_retry=notes.append,
    ) as api:
        texts = [repr(api), repr(vars(api)), repr(credentials), str(credentials), repr(api.jobs)]
        try:
            await CALLS[call](api)
        except Exception as error:
            texts += [str(error), repr(error), repr(vars(error)), "".join(traceback.format_exception(error))]
    texts += [repr(notes), caplog.text]
    assert [text for text in texts if KEY in text or ENCODED in text] == []


async def test_no_error_or_note_holds_a_signature(
    api: Api,
    recorder: Recorder,
    notes: list[RetryNote],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    spool = tmp_path / "s"
    spool.write_bytes(b"{}\n")
    refusal = f"<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message><Sent>{SIGNATURE}</Sent></Error>"
    recorder.routes(
        {
            "GET": {"signed_url": f"{recorder.url}/bucket/secret-key?{SIGNATURE}"},
            "PUT": Reply(403, refusal.encode()),
        }
    )
    with pytest.raises(Exception, match="SignatureDoesNotMatch") as caught:
        await api.uploads.ndjson("ds_1", [FilePiece(spool, 3)], "r")
    told = f"{caught.value}{vars(caught.value)}{''.join(traceback.format_exception(caught.value))}{notes}"
    assert SIGNATURE not in told
    assert "secret-key" not in told


@pytest.mark.parametrize("secret", ["", " ", "two words", "line\nbreak", "ключ", "tab\t"])
@pytest.mark.parametrize("kind", [ApiKey, LimitedKey])
def test_what_is_no_key_is_refused_without_being_shown(kind: type[Any], secret: str) -> None:
    with pytest.raises(CredentialsError) as caught:
        kind(secret)
    assert not secret.strip() or secret not in str(caught.value)


async def test_cancelling_does_not_show_the_key(api: Api, recorder: Recorder) -> None:
    recorder.replies([])
    call = asyncio.create_task(api.datasets.all())
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await call
    assert KEY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("key", ["k", "short", "embedde"])
def test_a_very_short_key_garbles_no_answer(key: str) -> None:
    answer = f'{{"nextPageToken": "{key}{key}"}}'
    assert scrub_bytes(answer.encode(), ApiKey(key)) == answer.encode()
    assert scrub(answer, LimitedKey(key)) == answer
