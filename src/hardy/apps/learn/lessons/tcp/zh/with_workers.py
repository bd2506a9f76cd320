import os
import signal
import socket
import time

from hardy.net import TCPServer


async def shout(stream) -> None:
    async for line in stream:
        await stream.write(line.upper())


def ask(address, text: str) -> str:
    with socket.create_connection(address) as connection, connection.makefile("rw") as line:
        line.write(text + "\n")
        line.flush()
        return line.readline().strip()


if __name__ == "__main__":
    with TCPServer(shout, workers=2) as server:
        print(ask(server.address, "有人吗？is anybody there?"))
        victim = server.workers[0]
        os.kill(victim, signal.SIGKILL)
        while victim in server.workers or len(server.workers) < 2:
            time.sleep(0.05)
        print("一个 worker 被杀了；另一个顶上来了")
        print(ask(server.address, "还在吗？still there?"))
