"""Listening sockets: by address, at a path, or handed over by systemd; and who has the port that is in use."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["describe", "inherited_sockets", "listen_tcp", "listen_unix", "remove_path"]

_FIRST_INHERITED_FD = 3
_LISTENING = "0A"
_TRIES_FOR_ONE_PORT = 20


def listen_tcp(host: str, port: int, backlog: int) -> list[socket.socket]:
    """A socket for each address of the host, all with one port.

    Raises:
        OSError: what is wrong, who has the port if the system tells, and what to do.
    """
    if isinstance(port, bool) or not isinstance(port, int):
        raise TypeError(f"port must be an int, not {type(port).__name__}")
    if not 0 <= port <= 65535:
        raise ValueError(f"port must be between 0 and 65535, not {port}")
    addresses = _resolve(host, port)
    for _ in range(_TRIES_FOR_ONE_PORT):
        made: list[socket.socket] = []
        try:
            for family, address in addresses:
                chosen = made[0].getsockname()[1] if made else port
                with contextlib.ExitStack() as undo:
                    sock = undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    if family == socket.AF_INET6:
                        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    sock.bind((address[0], chosen, *address[2:]))
                    sock.listen(backlog)
                    undo.pop_all()
                made.append(sock)
            return made
        except OSError as error:
            for each in made:
                each.close()
            if made and error.errno == errno.EADDRINUSE and port == 0:
                continue  # the free port of one family is taken in the other
            raise _explain(error, host, port) from error
    raise OSError(errno.EADDRINUSE, f"no port was free for all addresses of {host!r}")


def _resolve(host: str, port: int) -> list[tuple[int, tuple[str, ...]]]:
    wanted = host or None
    try:
        found = socket.getaddrinfo(wanted, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise OSError(
            f"cannot listen on {host!r}: there is no such host ({error}). Give an address of this machine, as in "
            "127.0.0.1, 0.0.0.0 for all, :: for all of IPv6"
        ) from error
    unique = list(dict.fromkeys((family, address) for family, _, _, _, address in found))
    if len({family for family, _ in unique}) > 1 and not _has_ipv6():
        unique = [each for each in unique if each[0] != socket.AF_INET6]
    return unique  # type: ignore[return-value]


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


def _explain(error: OSError, host: str, port: int) -> OSError:
    where = f"cannot listen on {host or 'all addresses'} port {port}"
    if error.errno == errno.EADDRINUSE:
        holder = _holder_of_port(port)
        who = f"{holder} listens there" if holder else "another program listens there (of another user, or container)"
        advice = "End it, or take another port; 0 takes a free one"
        return OSError(errno.EADDRINUSE, f"{where}: it is in use, {who}. {advice}")
    if error.errno in (errno.EACCES, errno.EPERM) and port:
        return PermissionError(
            error.errno,
            f"{where}: ports below {_first_free_port()} are privileged. Take a higher one, let systemd open it "
            "(systemd=True), or allow it: sysctl net.ipv4.ip_unprivileged_port_start="
            f"{port}, or setcap cap_net_bind_service=+ep on the interpreter",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return OSError(error.errno, f"{where}: this machine has no such address (see `ip address`)")
    return OSError(error.errno, f"{where}: {error.strerror or error}")


def _first_free_port() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    except (OSError, ValueError):
        return 1024


def _holder_of_port(port: int) -> str:
    """Who listens on a port, as far as /proc tells; "" when it does not."""
    inodes = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(fields[9])
    return _holder_of_inodes(inodes)


def _holder_of_path(path: str) -> str:
    inodes = set()
    with contextlib.suppress(OSError):
        for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
            fields = line.split(None, 7)
            if len(fields) == 8 and fields[7] == path:
                inodes.add(fields[6])
    return _holder_of_inodes(inodes)


def _holder_of_inodes(inodes: set[str]) -> str:
    wanted = {f"socket:[{inode}]" for inode in inodes}
    holders = {pid for pid, target in _sockets() if target in wanted} if wanted else set()
    if not holders:
        return ""
    # A server's workers hold it too; the oldest is the one to end, and its pid need not be the least.
    pid = min(holders, key=_started)
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        command = ""
    return f"process {pid}" + (f" ({command[:80]})" if command else "")


def _started(pid: int) -> tuple[int, int]:
    """For an order by age: clock ticks since boot, and the pid among those of one tick."""
    try:
        # Behind the name, which may hold anything: proc(5), field 22.
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]), pid
    except (OSError, IndexError):
        return sys.maxsize, pid  # it has ended


def _sockets() -> Iterator[tuple[int, str]]:
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            for fd in os.listdir(folder / "fd"):
                with contextlib.suppress(OSError):
                    yield int(folder.name), os.readlink(folder / "fd" / fd)
        except OSError:
            continue  # it has ended, or is another user's


def listen_unix(path: str, backlog: int) -> socket.socket:
    """A unix socket at a path; what a server that was killed has left there is replaced. `@name`: an abstract one.

    Raises:
        OSError: somebody listens there, something else is there, or it cannot be made.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    address = f"\0{path[1:]}" if path.startswith("@") else path
    try:
        if not path.startswith("@"):
            _clear_path(path)
        sock.bind(address)
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            holder = _holder_of_path(path)
            raise OSError(
                errno.EADDRINUSE,
                f"cannot listen on {path}: {holder or 'another program'} listens there. End it, or take another path",
            ) from error
        raise OSError(error.errno, f"cannot listen on {path}: {error.strerror or error}") from error
    return sock


def _clear_path(path: str) -> None:
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EEXIST, "there is a file that is no socket; it was left as it is")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
        except (FileNotFoundError, TimeoutError):
            pass  # it has just gone; or somebody does listen, and the bind will say so


def remove_path(sock: socket.socket, inode: int) -> None:
    """Remove the path of a unix socket of ours, unless another has taken it over."""
    path = sock.getsockname()
    if isinstance(path, str) and path and not path.startswith("\0"):
        with contextlib.suppress(OSError):
            if os.stat(path).st_ino == inode:
                os.unlink(path)


def inherited_sockets() -> list[socket.socket]:
    """The sockets that systemd, or what speaks its protocol, handed over; the environment no longer names them.

    Raises:
        OSError: there are none, or one is no listening stream socket.
    """
    count, owner = os.environ.pop("LISTEN_FDS", ""), os.environ.pop("LISTEN_PID", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if not re.fullmatch(r"[1-9]\d*", count) or owner != str(os.getpid()):
        raise OSError(
            errno.ENOENT,
            f"systemd handed no sockets to this process (LISTEN_FDS={count!r}, LISTEN_PID={owner!r}, pid {os.getpid()})"
            ": start it from a .service that has a .socket, or with systemd-socket-activate",
        )
    made = []
    for fd in range(_FIRST_INHERITED_FD, _FIRST_INHERITED_FD + int(count)):
        os.set_inheritable(fd, False)
        sock = socket.socket(fileno=fd)
        if sock.type != socket.SOCK_STREAM or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise OSError(errno.EINVAL, f"descriptor {fd}, which systemd handed over, is no listening stream socket")
        made.append(sock)
    return made


def describe(sock: socket.socket) -> str:
    """Where it listens, for people."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        text = name.decode(errors="replace") if isinstance(name, bytes) else str(name)
        return f"@{text[1:]}" if text.startswith("\0") else text
    return f"[{name[0]}]:{name[1]}" if sock.family == socket.AF_INET6 else f"{name[0]}:{name[1]}"
