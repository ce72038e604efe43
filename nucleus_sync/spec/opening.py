"""A spec under the environment that it is used in: checked now, or known to be sound since it was checked before."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from nucleus_sync.spec import kept
from nucleus_sync.spec.access import Credentials, keys_in
from nucleus_sync.spec.file import bytes_of
from nucleus_sync.spec.loaded import LoadedSpec


class OpenedSpec(NamedTuple):
    """A spec whose settings are those that the environment asks for."""

    loaded: LoadedSpec
    credentials: Credentials


def open_spec(path: Path, environ: Mapping[str, str]) -> OpenedSpec:
    """Raises SpecError with all problems, CredentialsError for a folder of secrets that isn't there."""
    raw = bytes_of(path)
    mark = kept.mark_of(raw, path, environ)
    known = kept.recall(mark) if mark else None
    if known:
        sha256 = hashlib.sha256(raw).hexdigest()
        loaded = LoadedSpec(known.spec, path, path.absolute().parent, sha256, known.digest)
        return OpenedSpec(loaded, Credentials(known.endpoint, *keys_in(os.environ), verify=known.verify))
    from nucleus_sync.spec.load import check

    opened = under_environment(check(raw, path, environ))
    if mark and not opened.loaded.warnings:
        found = opened.credentials
        kept.keep(mark, kept.Kept(opened.loaded.spec, opened.loaded.digest, found.endpoint, found.verify))
    return opened


def under_environment(loaded: LoadedSpec) -> OpenedSpec:
    """What a spec is under the variables of this process. Raises SpecError, CredentialsError."""
    from nucleus_sync.spec.environment import credentials, override, read_environment

    environment = read_environment(loaded.folder)
    return OpenedSpec(replace(loaded, spec=override(loaded.spec, environment)), credentials(environment))
