"""What pydantic found, in words for people who never heard of pydantic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any

from nucleus_sync.spec import shape
from nucleus_sync.spec.evaluation import Evaluation, ExclusionRule, Expect
from nucleus_sync.spec.locate import Complaint
from nucleus_sync.spec.source import NOT_YET, Source

Error = Any
"""One entry of `ValidationError.errors()`."""
Said = tuple[str, str | None]
"""Message and hint."""


def explain(error: Error) -> Complaint:
    """Say what is wrong with one value, and what is allowed."""
    spot = shape.follow(error["loc"])
    kind = error["type"]
    if kind == "extra_forbidden":
        return _unknown_key(spot, error)
    if kind == "missing":
        return _missing_key(spot, error)
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _wrong_tag(spot, error)
    if spot.part is not None and spot.path[-2:-1] == ("expect",):
        return _not_a_metric(spot)
    message, hint = _words(kind)(error)
    return Complaint(spot.path, message, hint, at_key=spot.at_key)


def near_miss(word: str, allowed: Sequence[str]) -> str | None:
    """The allowed word that was probably meant."""
    folded = {other.casefold(): other for other in allowed}
    begun = [other for other in folded if len(word) > 2 and other.startswith(word.casefold())]
    close = begun or get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else None


def suggestion(word: str, allowed: Sequence[str]) -> str:
    """The near miss, if there is one, and what is allowed."""
    meant = near_miss(word, allowed)
    did_you_mean = f"did you mean {meant!r}? " if meant else ""
    return f"{did_you_mean}allowed: {', '.join(allowed)}" if allowed else did_you_mean.strip()


def show(value: object) -> str:
    """A value as the spec would have it, cut if it is long."""
    match value:
        case bool():
            text = "true" if value else "false"
        case None:
            text = "null"
        case str():
            text = repr(value)
        case _:
            text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def kind_of(value: object) -> str:
    """What a value is, with its article, and the value where it is short: `the number 12`."""
    match value:
        case None:
            return "nothing"
        case bool() | int() | float():
            return show(value) if isinstance(value, bool) else f"the number {show(value)}"
        case str():
            return f"the text {show(value)}"
        case list():
            return "a list"
        case dict():
            return "a mapping"
        case _:
            return "this"


# --- keys -----------------------------------------------------------------------------------------------------


def _unknown_key(spot: shape.Spot, error: Error) -> Complaint:
    parent = shape.follow(error["loc"][:-1])
    allowed = shape.keys(parent.part) if parent.part else []
    key = str(spot.path[-1])
    return Complaint(spot.path, f"unknown key {key!r}", suggestion(key, allowed) or None, at_key=True)


def _missing_key(spot: shape.Spot, error: Error) -> Complaint:
    key = str(spot.path[-1])
    parent = shape.follow(error["loc"][:-1])
    known = shape.keys(parent.part) if parent.part else []
    present = {name: inner for name, inner in error["input"].items() if name not in known}
    if typo := _misspelt(key, present):
        # The same words as for the unknown key itself: the two are one mistake, and said once.
        return _unknown_key(shape.Spot((*parent.path, typo), None), error)
    hint = "write version: 1 at the top" if spot.path == ("version",) else f"needed: {', '.join(_needed(parent))}"
    return Complaint(spot.path[:-1], f"{key!r} is missing", hint, at_key=True)


def _needed(spot: shape.Spot) -> list[str]:
    keys = spot.part.known_keys() if spot.part else {}
    return [name for name, field in keys.items() if field.required]


def _wrong_tag(spot: shape.Spot, error: Error) -> Complaint:
    tag = _tag(error)
    value = error["input"]
    if not isinstance(value, dict):
        message, hint = _mapping(error)
        return Complaint(spot.path, message, hint)
    allowed = _tags_at(tag)
    listed = f"allowed: {', '.join(allowed)}"
    if value.get(tag) is None:
        if typo := _misspelt(tag, value):
            return Complaint((*spot.path, typo), f"unknown key {typo!r}", f"did you mean {tag!r}?", at_key=True)
        return Complaint(spot.path, f"{tag!r} is missing", listed, at_key=True)
    word = value[tag]
    if isinstance(word, str) and word in NOT_YET:
        return Complaint((*spot.path, tag), f"{tag} {word!r} is not supported yet by this version", listed)
    known = suggestion(word, allowed) if isinstance(word, str) else listed
    return Complaint((*spot.path, tag), f"unknown {tag} {show(word)}", known)


def mended(error: Error) -> dict[str, Any] | None:
    """The mapping that a `_wrong_tag` error is about as it was probably meant, so that the rest can be checked."""
    value = error["input"]
    if error["type"] not in ("union_tag_invalid", "union_tag_not_found") or not isinstance(value, dict):
        return None
    tag = _tag(error)
    key = tag if value.get(tag) is not None else _misspelt(tag, value)
    word = value.get(key) if key else None
    meant = near_miss(word, _tags_at(tag)) if isinstance(word, str) else None
    if meant is None:
        return None
    return {tag: meant} | {other: inner for other, inner in value.items() if other not in (tag, key)}


def _tag(error: Error) -> str:
    return str(error["ctx"]["discriminator"]).strip("'")


def _misspelt(tag: str, value: dict[str, Any]) -> str | None:
    return next((key for key in value if near_miss(key, [tag])), None)


def _tags_at(tag: str) -> list[str]:
    unions = {"format": Source, "kind": Evaluation, "type": ExclusionRule}
    return list(shape.members(unions[tag]))


def _not_a_metric(spot: shape.Spot) -> Complaint:
    metrics = [key for key in shape.keys(Expect) if key not in ("no_worse_than", "by")]
    key = str(spot.path[-1])
    hint = f'{suggestion(key, metrics)}; a label takes {{AP: ">= 0.60"}}'
    return Complaint(spot.path, f"no metric {key!r}", hint, at_key=True)


# --- values ---------------------------------------------------------------------------------------------------


def _text(error: Error) -> Said:
    value = error["input"]
    if isinstance(value, dict) and all(entry is None for entry in value.values()) and value:
        return "must be text, not a mapping", f'put quotes around a template: "{{{next(iter(value))}}}"'
    if isinstance(value, int | float):
        return f"must be text, not {kind_of(value)}", f'put quotes around it: "{show(value)}"'
    return f"must be text, not {kind_of(value)}", None


def _switch(error: Error) -> Said:
    return f"must be true or false, not {kind_of(error['input'])}", "write true or false, without quotes"


def _whole(error: Error) -> Said:
    return f"must be a whole number, not {kind_of(error['input'])}", None


def _list(error: Error) -> Said:
    value = error["input"]
    inside = value if isinstance(value, str) and value.isidentifier() else f'"{value}"'
    hint = f"write a list: [{inside}]" if isinstance(value, str) else "write a list: [first, second]"
    return f"must be a list, not {kind_of(value)}", hint


def _mapping(error: Error) -> Said:
    return f"must be a mapping (key: value), not {kind_of(error['input'])}", None


def _word(error: Error) -> Said:
    value = error["input"]
    allowed = [word.strip("'") for word in error["ctx"]["expected"].replace(" or ", ", ").split(", ")]
    hint = suggestion(value, allowed) if isinstance(value, str) else f"allowed: {', '.join(allowed)}"
    return f"{show(value)} is not allowed here", hint


def _bound(sentence: str, key: str) -> Callable[[Error], Said]:
    return lambda error: (f"must be {sentence} {error['ctx'][key]:g}, not {show(error['input'])}", None)


def _own(error: Error) -> Said:
    return error["ctx"]["message"], error["ctx"].get("hint")


def _empty(_: Error) -> Said:
    return "must not be empty", None


def _other(error: Error) -> Said:
    return f"{show(error['input'])} is not allowed here", None


_WORDS: dict[str, Callable[[Error], Said]] = {
    "spec": _own,
    "string_type": _text,
    "bool_type": _switch,
    "int_type": _whole,
    "list_type": _list,
    "tuple_type": _list,
    "dict_type": _mapping,
    "model_type": _mapping,
    "model_attributes_type": _mapping,
    "literal_error": _word,
    "string_too_short": _empty,
    "too_short": _empty,
    "greater_than_equal": _bound("at least", "ge"),
    "less_than_equal": _bound("at most", "le"),
}


def _words(kind: str) -> Callable[[Error], Said]:
    return _WORDS.get(kind, _other)
