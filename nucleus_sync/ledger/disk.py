"""What the disk under the ledger can do: space, permissions, network file systems."""

from __future__ import annotations

import os
from pathlib import Path

from nucleus_sync.errors import LedgerError

ROOM = 32 * 1024 * 1024
"""Bytes that must be free before anything is sent."""

_SHARES = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "beegfs", "davfs"}
_FUSE_SHARES = {"fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone", "fuse.glusterfs", "fuse.ceph"}
_NETWORK = frozenset(_SHARES | _FUSE_SHARES)


def network_filesystem(path: Path, mounts: str | None = None) -> str | None:
    """The type of the network file system that `path` lies on, if it is one and the system tells.

    `mounts` is the text of /proc/self/mounts.
    """
    if mounts is None:
        try:
            mounts = Path("/proc/self/mounts").read_text(errors="surrogateescape")
        except OSError:
            return None
    place = path.absolute()
    best = ("", "")
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        folder = fields[1].replace("\\040", " ")
        if len(folder) >= len(best[0]) and place.is_relative_to(folder):
            best = (folder, fields[2])
    return best[1] if best[1] in _NETWORK else None


def make_private_file(path: Path) -> None:
    """Create the file with mode 0600 in a folder with mode 0700, unless they exist. Raises LedgerError."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise unwritable(path, error) from error


def assure_room(folder: Path, room: int = ROOM) -> None:
    """Write and flush a little, and see that `room` bytes are free. Raises LedgerError when the disk says no."""
    import tempfile  # not needed by commands that send nothing

    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(4096))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        raise unwritable(folder, error) from error
    blocks = os.statvfs(folder)
    free = blocks.f_bavail * blocks.f_frsize
    if free < room:
        raise LedgerError(
            f"the disk is nearly full: {free // 1048576} MiB free, {room // 1048576} MiB wanted",
            where=str(folder),
            fix="free some space; nothing was sent",
        )


def unwritable(path: Path, error: OSError) -> LedgerError:
    """The error for a ledger's place that can't be written."""
    return LedgerError(
        f"the ledger's place can't be written: {error.strerror or error}",
        where=str(path),
        fix="make it writable or free some space, or set another place with settings.ledger",
    )
