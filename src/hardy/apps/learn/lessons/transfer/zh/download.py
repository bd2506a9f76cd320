import socket

from hardy.net import TCPServer

FILE = b"All happy families are alike; each unhappy family is unhappy in its own way.\n" * 10_000


async def give(stream) -> None:
    start = int(await stream.readline())  # 客户端说它已经有多少
    await stream.write(f"{len(FILE)}\n".encode())
    for at in range(start, len(FILE), 65536):
        await stream.write(FILE[at : at + 65536])  # 客户端慢就等着


def fetch(address, have: bytes, give_up_after: int) -> tuple[bytes, int]:
    with socket.create_connection(address) as connection, connection.makefile("rb") as answer:
        connection.sendall(f"{len(have)}\n".encode())
        size = int(answer.readline())
        while len(have) < size and give_up_after > 0:
            piece = answer.read(min(50_000, size - len(have)))
            have, give_up_after = have + piece, give_up_after - 1
        return have, size


if __name__ == "__main__":
    have, size, tries = b"", 1, 0
    with TCPServer(give, workers=2) as server:
        while len(have) < size:
            have, size = fetch(server.address, have, give_up_after=6)  # 然后连接断了
            tries += 1
            print(f"第 {tries} 次连接后：{100 * len(have) // size} %")
    print("是同一个文件：", have == FILE)
