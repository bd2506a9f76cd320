import socket

from hardy.net import TCPServer


async def add(stream) -> None:
    async for line in stream:
        try:
            first, second = map(int, line.split())
            await stream.write(f"{first + second}\n".encode())
        except ValueError:
            await stream.write(b"?\n")


if __name__ == "__main__":
    with TCPServer(add, workers=2) as server:
        with socket.create_connection(server.address) as connection, connection.makefile("rw") as line:
            for question in ("3 4", "10 -3", "what?"):
                line.write(question + "\n")
                line.flush()
                print(question, "->", line.readline().strip())
