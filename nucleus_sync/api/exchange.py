"""Sends a call until it is answered, refused, or given up: the one place where requests are repeated."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, get_origin

import msgspec

from nucleus_sync.api.calls import Call
from nucleus_sync.api.credentials import Credentials, scrub, scrub_bytes
from nucleus_sync.api.file_pieces import FilePiece
from nucleus_sync.api.http import Answer, Transport, storage_name
from nucleus_sync.api.refusal import answer_text, refusal
from nucleus_sync.api.retry import OUTAGES, Again, Failure, Policy, Safety, Verdict, next_move, retry_after
from nucleus_sync.api.throttle import Throttle
from nucleus_sync.errors import ApiError, NucleusSyncError, OutcomeUnknown, Unreachable

T = TypeVar("T")

Checkpoint = Callable[[str], None]
"""Told `before POST dataset/create` and `after …` of every sending; what it raises stops the sending."""


def no_checkpoint(_: str) -> None:
    """Nobody watches."""


@dataclass(frozen=True, slots=True)
class RetryNote:
    """A request failed in passing and is sent again after `wait` seconds; `attempt` counts from 1."""

    method: str
    path: str
    attempt: int
    wait: float
    reason: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a test wants to decide: clocks in seconds (monotonic, and since 1970), sleep, numbers from 0 to 1."""

    clock: Callable[[], float]
    wall: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    chance: Callable[[], float]


class Exchange:
    """Calls to one endpoint under one policy, and files to its storage."""

    def __init__(
        self,
        transport: Transport,
        credentials: Credentials | None,
        *,
        connections: int,
        surroundings: Surroundings,
        policy: Policy,
        on_retry: Callable[[RetryNote], None] | None,
        checkpoint: Checkpoint = no_checkpoint,
    ) -> None:
        self._transport = transport
        self._credentials = credentials
        self._around = surroundings
        self._policy = policy
        self._on_retry = on_retry
        self._checkpoint = checkpoint
        self._throttle = Throttle(connections, clock=surroundings.clock, sleep=surroundings.sleep)
        self._storage_throttle = Throttle(connections, clock=surroundings.clock, sleep=surroundings.sleep)

    def __repr__(self) -> str:
        return f"Exchange({self._transport!r})"

    @property
    def policy(self) -> Policy:
        """How long this exchange goes on."""
        return self._policy

    async def json(self, call: Call, shape: type[T], *, policy: Policy | None = None) -> T:
        """The answer as a value of `shape`."""
        answer = await self.answer(call, policy=policy)
        return self.parsed(answer.content, shape, call)

    async def field(self, call: Call, name: str, shape: type[T]) -> T:
        """One field of the answer as a value of `shape`; null stands for an empty list or object."""
        answer = await self.json(call, dict[str, Any])
        value = answer.get(name)
        kind = get_origin(shape)
        if value is None and kind in {list, dict}:
            value = kind()
        try:
            return msgspec.convert(value, shape, strict=False)
        except msgspec.ValidationError as error:
            raise ApiError(f"an answer without a usable {name}: {error}", where=call.where) from None

    def parsed(self, content: bytes, shape: type[T], call: Call) -> T:
        """A body as a value of `shape`; after a creation an unreadable one leaves the outcome unknown."""
        content = scrub_bytes(content, self._credentials)
        try:
            return msgspec.json.decode(content, type=shape, strict=False)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            reason = str(error)
        text = answer_text(content)
        kind = ApiError if call.safety is Safety.IDEMPOTENT else OutcomeUnknown
        raise kind(f"an answer that can't be read ({reason}): {text}", where=call.where, answer=text)

    async def answer(self, call: Call, *, policy: Policy | None = None) -> Answer:
        """A success (any status below 300); raises what `nucleus_sync.errors` has for everything else."""
        content = call.content()
        fresh = call.safety is not Safety.IDEMPOTENT and isinstance(content, bytes)

        async def send() -> Answer | Failure:
            return await self._transport.request(call.method, call.target, content, fresh=fresh)

        return await self._until_settled(
            send,
            _Errand(call.method, call.path, call.safety, policy or self._policy),
            self._throttle,
        )

    async def put_file(
        self, url: str, pieces: Sequence[FilePiece], headers: Mapping[str, str] | None = None, *, once: bool = True
    ) -> Answer:
        """Send bytes to a signed URL; by default one attempt, for whoever calls repeats it with a fresh one."""

        async def send() -> Answer | Failure:
            return await self._transport.put_file(url, pieces, headers or {})

        single = Policy(attempts=1, outage_attempts=1, patience=self._policy.patience)
        policy = single if once else self._policy
        errand = _Errand("PUT", storage_name(url), Safety.IDEMPOTENT, policy, is_storage=True)
        return await self._until_settled(send, errand, self._storage_throttle)

    async def get_file(self, url: str) -> bytes:
        """The bytes at an address that Nucleus has named, asked for without credentials."""

        async def send() -> Answer | Failure:
            return await self._transport.get_file(url)

        errand = _Errand("GET", storage_name(url), Safety.IDEMPOTENT, self._policy, is_storage=True)
        return (await self._until_settled(send, errand, self._storage_throttle)).content

    @property
    def now(self) -> float:
        """The clock that patience is measured with."""
        return self._around.clock()

    async def pause_or_raise(
        self, errand: tuple[str, str], error: ApiError, failure: Failure, *, attempt: int, begun: float
    ) -> None:
        """Before something made of several calls is done again: wait, or raise `error` when that is no use."""
        elapsed = self.now - begun
        chance = self._around.chance()
        move = next_move(self._policy, Safety.IDEMPOTENT, failure, attempt=attempt, elapsed=elapsed, chance=chance)
        if not isinstance(move, Again):
            raise error
        await self._pause(errand, failure.reason, attempt=attempt, wait=move.wait)

    async def _pause(self, errand: tuple[str, str], reason: str, *, attempt: int, wait: float) -> None:
        method, path = errand
        if self._on_retry is not None:
            self._on_retry(RetryNote(method, path, attempt, wait, scrub(reason, self._credentials)))
        await self._around.sleep(wait)

    async def _until_settled(
        self, send: Callable[[], Awaitable[Answer | Failure]], errand: _Errand, throttle: Throttle
    ) -> Answer:
        begun = self._around.clock()
        attempt = 0
        while True:
            attempt += 1
            async with throttle.turn():
                started = self._around.clock()
                if throttle.is_open and started - begun > errand.policy.patience:
                    raise self._error(errand, Failure("Nucleus is away", sent=False), Verdict.UNREACHABLE)
                self._checkpoint(f"before {errand.method} {errand.path}")
                came = await send()
                self._checkpoint(f"after {errand.method} {errand.path}")
                settled = self._settled(came, errand.method)
                self._learn(throttle, settled, started)
            if isinstance(settled, Answer):
                return settled
            elapsed = self._around.clock() - begun
            move = next_move(
                errand.policy, errand.safety, settled, attempt=attempt, elapsed=elapsed, chance=self._around.chance()
            )
            if not isinstance(move, Again):
                raise self._error(errand, settled, move)
            await self._pause((errand.method, errand.path), settled.reason, attempt=attempt, wait=move.wait)

    def _settled(self, came: Answer | Failure, method: str) -> Answer | Failure:
        if isinstance(came, Failure):
            return came
        if came.status < 300:
            if method != "DELETE" or not came.content.lstrip().startswith(b"<"):
                return came
            # A page of a proxy or portal in between. Other answers are read, and are found out there.
            return Failure(f"a web page instead of an answer: {answer_text(came.content)}", status=502)
        if came.status < 400:
            # Following it could carry the key to another host.
            return Failure("it redirects to another address", status=came.status)
        asked = retry_after(came.headers.get("retry-after"), self._around.wall())
        return Failure(scrub(answer_text(came.content), self._credentials), status=came.status, retry_after=asked)

    def _learn(self, throttle: Throttle, settled: Answer | Failure, started: float) -> None:
        if isinstance(settled, Answer) or (settled.status is not None and settled.status not in OUTAGES):
            throttle.worked()
            return
        if settled.status in {429, 503}:
            longest = self._policy.longest_retry_after
            throttle.slow_down(started=started, rest=min(settled.retry_after or 0.0, longest))
        if settled.status != 429 and not settled.hopeless:
            throttle.is_away(started=started)

    def _error(self, errand: _Errand, failure: Failure, verdict: Verdict) -> NucleusSyncError:
        where = f"{errand.method} {errand.path}"
        reason = scrub(failure.reason, self._credentials)
        answered = f" ({failure.status})" if failure.status is not None else ""
        match verdict:
            case Verdict.REFUSED if errand.is_storage:
                # A signed URL that is too old says 403: that is no word about the key.
                what = f"storage answered{answered}: {reason}"
                return ApiError(what, where=where, status=failure.status, answer=reason)
            case Verdict.REFUSED:
                return refusal(where, failure.status or 0, reason)
            case Verdict.UNKNOWN:
                return OutcomeUnknown(
                    f"sent, but whether it was done is unknown{answered}: {reason}",
                    where=where,
                    fix="look whether it was done before it is sent again",
                    status=failure.status,
                    answer=reason,
                )
            case Verdict.UNREACHABLE:
                return Unreachable(
                    f"no usable answer{answered}: {reason}",
                    where=where,
                    fix="check the network, NUCLEUS_ENDPOINT and Nucleus's status page, then run again",
                    status=failure.status,
                    answer=reason,
                )


@dataclass(frozen=True, slots=True)
class _Errand:
    method: str
    path: str
    safety: Safety
    policy: Policy
    is_storage: bool = False
