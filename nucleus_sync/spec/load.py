"""From the file `nucleus.yaml` to a Spec, or to every problem in it with its line."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from nucleus_sync.errors import SpecError, SpecProblem
from nucleus_sync.spec import leaks, references
from nucleus_sync.spec.document import Document, read
from nucleus_sync.spec.explain import explain, mended
from nucleus_sync.spec.file import START_HINT, bytes_of
from nucleus_sync.spec.loaded import LoadedSpec
from nucleus_sync.spec.locate import Complaint, Mark, Route, excerpt, lines_of, written
from nucleus_sync.spec.model import Spec, digest
from nucleus_sync.spec.node import YamlProblem, compose

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def load(path: Path, environ: Mapping[str, str]) -> LoadedSpec:
    """Read and check a spec. Raises SpecError with all problems, in the order of the file."""
    return check(bytes_of(path), path, environ)


def check(raw: bytes, path: Path, environ: Mapping[str, str]) -> LoadedSpec:
    """The same of bytes that were read from `path`."""
    spec, warnings = parse(raw, str(path), environ)
    return LoadedSpec(
        spec=spec,
        path=path,
        folder=path.absolute().parent,
        sha256=hashlib.sha256(raw).hexdigest(),
        digest=digest(spec),
        warnings=tuple(warnings),
    )


def parse(raw: bytes, file: str, environ: Mapping[str, str]) -> tuple[Spec, list[SpecProblem]]:
    """Check the bytes of a spec; `file` is only named in messages. Returns the spec and its warnings."""
    text = _text_of(raw, file)
    lines = lines_of(text)
    try:
        root = compose(text)
    except YamlProblem as problem:
        found = Complaint((), problem.message, problem.hint, problem.mark)
        raise SpecError(_problems([found], Document(), lines, file, text, environ)) from None
    if root is None:
        raise SpecError([SpecProblem("the spec is empty", file=file, hint=START_HINT)])
    document = read(root, lines, environ)
    spec, complaints = _checked(document, lines, environ)
    if spec is None:
        raise SpecError(_problems(complaints, document, lines, file, text, environ))
    return spec, _problems(references.idle(document.value), document, lines, file, text, environ)


def _checked(document: Document, lines: list[str], environ: Mapping[str, str]) -> tuple[Spec | None, list[Complaint]]:
    """The spec if nothing is wrong with it, else all that is."""
    complaints = [*document.complaints, *leaks.find(document, lines, environ)]
    spoken_for = {complaint.path for complaint in complaints if complaint.path}
    spec, errors = _validated(document.value)
    found = [*errors, *references.check(document.value)]
    complaints += [complaint for complaint in found if complaint.path not in spoken_for]
    return (None if complaints else spec), complaints


@cache
def _checker() -> TypeAdapter[Spec]:
    return TypeAdapter(Spec)


def _validated(value: object) -> tuple[Spec | None, list[Complaint]]:
    try:
        return _checker().validate_python(value), []
    except ValidationError as error:
        errors = error.errors(include_url=False)
        better = _mended(value, errors)
        more = _validated(better)[1] if better is not None else []
        return None, [*map(explain, errors), *more]


def _mended(value: object, errors: list[Any]) -> object | None:
    """The document with misspelt formats and kinds put right, so that what they hid is found as well."""
    mendings = [(explain(error), mended(error)) for error in errors]
    places = {complaint.path: better for complaint, better in mendings if better is not None}
    if not places:
        return None
    ends = {path[:-1]: better for path, better in places.items()}
    return _replaced(value, ends, ())


def _replaced(value: object, ends: Mapping[Route, object], path: Route) -> object:
    if path in ends:
        return ends[path]
    if isinstance(value, dict):
        return {key: _replaced(inner, ends, (*path, key)) for key, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner, ends, (*path, index)) for index, inner in enumerate(value)]
    return value


# --- the file -------------------------------------------------------------------------------------------------


def _text_of(raw: bytes, file: str) -> str:
    """The text, without a byte order mark. Raises SpecError where a byte or character can't be in YAML."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8-sig", "replace")
        hint = "it looks like UTF-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else None
        raise SpecError([_at_end_of(before, f"is not UTF-8: byte 0x{raw[error.start]:02x}", file, hint)]) from None
    if odd := _UNPRINTABLE.search(text):
        before = text[: odd.start()]
        raise SpecError([_at_end_of(before, f"holds the character U+{ord(odd[0]):04X}", file, "remove it")])
    return text


def _at_end_of(before: str, message: str, file: str, hint: str | None) -> SpecProblem:
    lines = lines_of(before)
    return SpecProblem(message, file=file, line=len(lines), column=len(lines[-1]) + 1, hint=hint)


# --- complaints with their places -----------------------------------------------------------------------------


def _problems(
    complaints: Iterable[Complaint],
    document: Document,
    lines: list[str],
    file: str,
    text: str,
    environ: Mapping[str, str],
) -> list[SpecProblem]:
    """Every complaint once, in the order of the file, with its line and without secrets."""
    redaction = leaks.Redaction.of(text, environ, document)
    placed: dict[tuple[Mark, str], Complaint] = {}
    for complaint in complaints:
        mark = complaint.mark or document.places.mark(complaint.path, at_key=complaint.at_key)
        placed.setdefault((mark, complaint.message), complaint)
    return [
        redaction.apply(
            SpecProblem(message, written(found.path), file, mark.line, mark.column, excerpt(lines, mark), found.hint)
        )
        for (mark, message), found in sorted(placed.items(), key=lambda entry: entry[0])
    ]
