"""Files that are there whole or not at all, and shards of features: safetensors or npz."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

import ml_dtypes
import numpy as np

__all__ = [
    "DTYPES",
    "FORMATS",
    "ShardReader",
    "checksum",
    "open_shard",
    "remove_leftovers",
    "shard_writer",
    "whole_file",
    "write_json",
]

DTYPES = {
    "float32": np.dtype(np.float32),
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
}
FORMATS = ("safetensors", "npz")
_CODES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}


# Files that are there whole or not at all.


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that appears under its name only when the block has ended without an error.

    Raises:
      OSError: naming the file, for whatever the file system has against it.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make the names of a folder outlast a power cut, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        pass  # some network file systems cannot
    finally:
        os.close(handle)


def remove_leftovers(folder: Path, names: Sequence[str]) -> None:
    """Remove what a killed process has left of these files."""
    wanted = set(names)
    for path in folder.glob("*.tmp"):
        if path.name.rsplit(".", 2)[0] in wanted:
            path.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write JSON as a whole file."""
    with whole_file(path) as file:
        file.write(json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n")


def checksum(file: IO[bytes]) -> str:
    """The SHA-256 of all of an open file."""
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256")  # type: ignore[arg-type]
    return digest.hexdigest()


# Shards.


class ShardWriter(Protocol):
    """Takes the features of one clip after the other."""

    def add(self, key: str, features: np.ndarray) -> None:
        """Write features ``(frames, channels)``, contiguous."""

    def close(self) -> None:
        """Write what stands behind or before them all."""


def shard_writer(kind: str, file: IO[bytes], keys: Sequence[str], dtype: str) -> ShardWriter:
    """A writer of the features of some or all of these clips, of one dtype, into an open file."""
    return _Npz(file) if kind == "npz" else _Safetensors(file, keys, dtype)


class _Safetensors:
    """One tensor a clip, written as they come: the package writes only what is in memory at once.

    The format is 8 bytes with the length of a header, a header in JSON that may end in spaces, and
    the tensors. The header is written last, into room that was left for it.
    """

    def __init__(self, file: IO[bytes], keys: Sequence[str], dtype: str) -> None:
        self._file, self._code, self._end = file, _CODES[dtype], 0
        self._header: dict[str, Any] = {}
        largest = {
            key: {"dtype": "BF16", "shape": [2**63, 2**63], "data_offsets": [2**63, 2**63]}
            for key in keys
        }
        self._room = len(json.dumps(largest).encode()) // 8 * 8 + 8
        file.seek(8 + self._room)

    def add(self, key: str, features: np.ndarray) -> None:
        begin, self._end = self._end, self._end + features.nbytes
        self._header[key] = {
            "dtype": self._code,
            "shape": list(features.shape),
            "data_offsets": [begin, self._end],
        }
        self._file.write(features.reshape(-1).view(np.uint8).data)

    def close(self) -> None:
        text = json.dumps(self._header, separators=(",", ":")).encode()
        self._file.seek(0)
        self._file.write(self._room.to_bytes(8, "little") + text.ljust(self._room))


class _Npz:
    """One array a clip, as ``np.load`` reads them, written as they come."""

    def __init__(self, file: IO[bytes]) -> None:
        self._archive = zipfile.ZipFile(file, "w")

    def add(self, key: str, features: np.ndarray) -> None:
        # With the date that a ZipInfo has by itself, which is always the same.
        with self._archive.open(zipfile.ZipInfo(f"{key}.npy"), "w", force_zip64=True) as member:
            np.lib.format.write_array(member, features, allow_pickle=False)

    def close(self) -> None:
        self._archive.close()


class ShardReader(Protocol):
    """Gives the features of a clip."""

    def __getitem__(self, key: str) -> np.ndarray:
        """Features ``(frames, channels)``."""


def open_shard(path: Path) -> ShardReader:
    """The features of a shard: of safetensors mapped into memory, read-only, of npz read anew.

    Raises:
      ValueError: if the file is not there or is no such file.
    """
    try:
        if path.suffix == ".npz":
            return np.load(path, allow_pickle=False)
        return _Mapped(path)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        cause = getattr(error, "strerror", None) or error
        raise ValueError(f"cannot read the shard {path}: {cause}") from error


class _Mapped:
    """The tensors of a safetensors file where they lie; the package's NumPy reader copies them."""

    def __init__(self, path: Path) -> None:
        self._bytes = np.memmap(path, np.uint8, "r").view(np.ndarray)
        self._begin = 8 + int.from_bytes(self._bytes[:8].tobytes(), "little")
        self._header: Mapping[str, Any] = json.loads(self._bytes[8 : self._begin].tobytes())
        ends = [held["data_offsets"][1] for key, held in self._header.items() if key[:2] != "__"]
        wanted = self._begin + max(ends, default=0)
        if len(self._bytes) < wanted:
            raise ValueError(f"it is damaged: {len(self._bytes)} of {wanted} bytes are there")

    def __getitem__(self, key: str) -> np.ndarray:
        held = self._header[key]
        begin, end = (self._begin + offset for offset in held["data_offsets"])
        dtype = next(DTYPES[name] for name, code in _CODES.items() if code == held["dtype"])
        return self._bytes[begin:end].view(dtype).reshape(held["shape"])
