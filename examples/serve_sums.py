"""A protocol of one's own, served by two processes: `add 2 3` is answered by `5`.

The same in a file `sums.py`: `hardy serve sums:handle --workers 2`, and then `nc 127.0.0.1 8000`.

Prints:
    add 2 3 -> 5
    max 7 5 6 -> 7
    sing -> cannot sing
"""

import socket

from hardy import TCPServer
from hardy.net import Stream

CAN = {"add": sum, "max": max}


async def handle(stream: Stream) -> None:
    async for line in stream:
        word, *numbers = line.decode(errors="replace").split() or [""]
        try:
            answer = str(CAN[word](map(int, numbers)))
        except (KeyError, ValueError):
            answer = f"cannot {word}"
        await stream.write(f"{answer}\n".encode())


if __name__ == "__main__":
    questions = ["add 2 3", "max 7 5 6", "sing"]
    with TCPServer(handle, workers=2) as server, socket.create_connection(server.address) as client:
        client.sendall("".join(f"{question}\n" for question in questions).encode())
        with client.makefile() as answers:
            for question in questions:
                print(question, "->", answers.readline().strip())
