import socket

from hardy.net import TCPServer


async def add(stream) -> None:
    # 每行两个数，比如 "3 4"。回答它们的和；别的一律回答 "?"。
    pass


if __name__ == "__main__":
    with TCPServer(add, workers=2) as server:
        with socket.create_connection(server.address) as connection, connection.makefile("rw") as line:
            for question in ("3 4", "10 -3", "what?"):
                line.write(question + "\n")
                line.flush()
                print(question, "->", line.readline().strip())
