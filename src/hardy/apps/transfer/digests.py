"""Checksums, as tus and HTTP write them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from typing import Any

from hardy.apps.transfer.errors import BadRequest

__all__ = ["ALGORITHMS", "Checksum", "hash_file", "parse_checksum", "parse_sha256", "read_repr_digest", "repr_digest"]

ALGORITHMS = ("sha256", "sha1", "md5")
_BLOCK_BYTES = 1 << 20
_REPR_DIGEST = re.compile(r"(?:^|[,\s])sha-256=:([A-Za-z0-9+/=]+):")


class Checksum:
    """The checksum that a piece is to have, compared as its bytes come."""

    def __init__(self, algorithm: str, expected: bytes) -> None:
        self.algorithm = algorithm
        self._expected = expected
        self._digest: Any = hashlib.new(algorithm, usedforsecurity=False)

    def update(self, block: bytes) -> None:
        """Take in what came."""
        self._digest.update(block)

    def matches(self) -> bool:
        """Whether what came is what was meant."""
        return bool(self._digest.digest() == self._expected)


def parse_checksum(header: str) -> Checksum:
    """What the header Upload-Checksum says.

    Raises:
        BadRequest: the algorithm is not offered, or it cannot be read.
    """
    algorithm, _, encoded = header.strip().partition(" ")
    if algorithm not in ALGORITHMS:
        raise BadRequest(f"the checksum algorithm {algorithm!r:.40} is not offered; these are: {', '.join(ALGORITHMS)}")
    try:
        expected = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest(f"Upload-Checksum is the algorithm and base64, not {header!r:.80}") from None
    return Checksum(algorithm, expected)


def parse_sha256(text: str) -> str:
    """A SHA-256 in hexadecimal, from hexadecimal or base64.

    Raises:
        BadRequest: it is neither.
    """
    if re.fullmatch(r"[0-9a-fA-F]{64}", text):
        return text.lower()
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != hashlib.sha256().digest_size:
        raise BadRequest(f"a SHA-256 is 64 hexadecimal digits, or 32 bytes in base64, not {text!r:.80}")
    return raw.hex()


def read_repr_digest(header: str) -> str:
    """The SHA-256 in the header Repr-Digest, in hexadecimal; "" when there is none. Source: RFC 9530."""
    found = _REPR_DIGEST.search(header)
    if header and not found:
        raise BadRequest(f"Repr-Digest is taken as sha-256=:base64:, not {header!r:.80}")
    return parse_sha256(found[1]) if found else ""


def repr_digest(sha256: str) -> str:
    """The header Repr-Digest for a SHA-256 in hexadecimal."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"


def hash_file(descriptor: int) -> str:
    """The SHA-256 of a file, in hexadecimal, whatever the position of its descriptor."""
    digest, at = hashlib.sha256(), 0
    while block := os.pread(descriptor, _BLOCK_BYTES, at):
        digest.update(block)
        at += len(block)
    return digest.hexdigest()
