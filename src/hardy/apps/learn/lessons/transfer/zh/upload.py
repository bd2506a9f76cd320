import hashlib
import os
import socket
import tempfile

from hardy.net import TCPServer

SHELF = tempfile.TemporaryDirectory()


async def take(stream) -> None:
    name, size, digest = (await stream.readline()).decode().split()
    new = os.path.join(SHELF.name, f".{os.path.basename(name)}.{os.getpid()}.new")
    try:
        with open(new, "wb") as file:
            file.write(data := await stream.readexactly(int(size)))  # 正式的服务器会一块一块地收
        whole = hashlib.sha256(data).hexdigest() == digest
        if whole:
            os.replace(new, os.path.join(SHELF.name, os.path.basename(name)))  # 这下它在了，完完整整
    finally:
        if os.path.exists(new):
            os.unlink(new)
    await stream.write(b"stored\n" if whole else b"damaged, and thrown away\n")


def send(address, data: bytes, digest: str) -> str:
    with socket.create_connection(address) as connection:
        connection.sendall(f"photo.jpg {len(data)} {digest}\n".encode() + data)
        return connection.makefile().readline().strip()


if __name__ == "__main__":
    data = bytes(range(256)) * 1000
    with SHELF, TCPServer(take, workers=2) as server:
        print("路上出了错：", send(server.address, data[::-1], hashlib.sha256(data).hexdigest()))
        print("架子上：", os.listdir(SHELF.name))
        print("再来一次：", send(server.address, data, hashlib.sha256(data).hexdigest()))
        print("架子上：", os.listdir(SHELF.name))
