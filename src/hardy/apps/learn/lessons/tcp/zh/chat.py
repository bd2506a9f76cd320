import socket

from hardy.net import TCPServer

present = {}  # 名字：连接；在唯一那个 worker 的内存里


async def chat(stream) -> None:
    name = (await stream.readline()).decode().strip()
    present[name] = stream
    await stream.write(f"* {', '.join(present)}\n".encode())
    async for line in stream:
        for other in list(present.values()):
            await other.write(f"{name}: ".encode() + line)
    del present[name]


class Client:
    def __init__(self, address, name: str) -> None:
        self.line = socket.create_connection(address).makefile("rw")
        self.say(name)
        print(f"{name}看到", self.line.readline().strip())

    def say(self, text: str) -> None:
        self.line.write(text + "\n")
        self.line.flush()


if __name__ == "__main__":
    with TCPServer(chat, workers=1) as server:
        anna, bo = (Client(server.address, name) for name in ("小安", "小波"))
        bo.say("吃了吗？")
        print("小安听到", anna.line.readline().strip())
        anna.say("吃了！")
        print("小波听到", [bo.line.readline().strip() for _ in range(2)])
        for client in (anna, bo):
            client.line.close()
