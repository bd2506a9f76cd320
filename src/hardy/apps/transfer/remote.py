"""`Remote`: a server as its client sees it, with its answers turned into errors."""

from __future__ import annotations

import ssl
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import httpx

from hardy.apps.transfer import errors
from hardy.apps.transfer.errors import TransferError
from hardy.apps.transfer.names import to_url

__all__ = ["Remote", "check", "time_to_read"]

_MEANINGS: dict[int, tuple[type[TransferError], str]] = {
    401: (errors.Unauthorized, "it needs a token, or does not know this one (--token)"),
    403: (errors.Forbidden, "that is not allowed"),
    404: (errors.NoSuchFile, "there is no such file or upload"),
    409: (errors.NameTaken, "another file has that name"),
    410: (errors.UploadExpired, "the upload was given up"),
    423: (errors.UploadBusy, "another request is writing to the same upload"),
    460: (errors.ChecksumMismatch, "what came is not what its checksum is of"),
    507: (errors.DiskFull, "its disk or its quota is full; what came stays"),
}
_CONNECT_S, _ANSWER_S = 30.0, 120.0
_TIMEOUT = httpx.Timeout(_CONNECT_S, read=_ANSWER_S)
# A server that reads all of a file again before it answers does that at this rate at least.
_SLOWEST_READ_BYTES_PER_S = 20e6


class Remote:
    """A server that speaks as `hardy transfer serve` does. A context manager.

    Args:
        url: its address.
        token: of the server; "": none.
        ca: path of the certificate that its own is to be signed by; None: those that the system trusts.
    """

    def __init__(self, url: str, *, token: str = "", ca: str | None = None) -> None:
        found = urlsplit(url)
        if found.scheme not in ("http", "https") or not found.netloc or found.path not in ("", "/"):
            raise errors.BadRequest(f"the server is given by its address, as in http://127.0.0.1:8000/, not {url!r}")
        self.url = f"{found.scheme}://{found.netloc}"
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        verify = ssl.create_default_context(cafile=ca) if ca else True
        self.http = httpx.Client(base_url=self.url, headers=headers, timeout=_TIMEOUT, verify=verify, trust_env=False)

    def list(self, folder: str = "", *, recursive: bool = False) -> list[dict[str, Any]]:
        """What the folder holds, each with name, url, size, modified (seconds since the epoch) and folder."""
        path = f"/files/{to_url(folder.strip('/'))}/" if folder.strip("/") else "/files/"
        found: list[dict[str, Any]] = self.ask("GET", path, params={"recursive": "1"} if recursive else None).json()
        return found

    def is_folder(self, name: str) -> bool:
        """Whether it is a folder there."""
        return self.ask("HEAD", f"/files/{to_url(name)}").is_redirect

    def remove(self, name: str) -> None:
        """Remove a file."""
        self.ask("DELETE", f"/files/{to_url(name)}")

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """The answer.

        Raises:
            TransferError: the server said no, and why.
            OSError: it could not be reached.
        """
        try:
            answer = self.http.request(method, path, **more)
        except httpx.TransportError as error:
            raise ConnectionError(f"{self.url} cannot be reached: {error or type(error).__name__}") from error
        check(answer)
        return answer

    def __enter__(self) -> Remote:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.http.close()


def time_to_read(size: int) -> httpx.Timeout:
    """For a request that is answered when the server has read a file of that size: to compare its SHA-256."""
    return httpx.Timeout(_CONNECT_S, read=_ANSWER_S + size / _SLOWEST_READ_BYTES_PER_S)


def check(answer: httpx.Response) -> None:
    """Raise what the server meant.

    Raises:
        TransferError: of the kind that the server named.
    """
    if answer.status_code < 400:
        return
    # The answer to HEAD has no body to say it.
    kind, meaning = _MEANINGS.get(answer.status_code, (TransferError, "it gave no reason"))
    detail = f"the server answered {answer.status_code} to {answer.request.url.path!r}: {meaning}"
    try:
        said = answer.json()
        detail = str(said["detail"])
        named = getattr(errors, str(said["error"]), None)
        if isinstance(named, type) and issubclass(named, TransferError):
            kind = named
    except (ValueError, KeyError, TypeError):
        pass  # not our server, or a HEAD, which has no body
    error = kind(detail)
    error.status = answer.status_code
    raise error
