import socket

from hardy import Process


def answer(connection) -> None:
    with connection, connection.makefile("rw") as line:
        name = line.readline().strip()
        line.write(f"你好，{name}\n")


def serve(listener) -> None:
    while True:
        connection, _ = listener.accept()  # 等下一个客户
        Process(target=answer, args=(connection,)).start()  # 每人一个进程
        connection.close()  # 现在归孩子了


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0))  # 端口 0：随便哪个空着的
    server = Process(target=serve, args=(listener,), daemon=True)
    server.start()
    first = socket.create_connection(listener.getsockname())
    second = socket.create_connection(listener.getsockname())
    second.sendall(b"Bo\n")  # 第一个客户连上了，不出声
    print("第二个客户：", second.makefile().readline().strip())
    first.sendall(b"Anna\n")
    print("第一个客户：", first.makefile().readline().strip())
