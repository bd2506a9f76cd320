import socket

from hardy import Process


def answer(connection) -> None:
    with connection, connection.makefile("rw") as line:
        name = line.readline().strip()
        line.write(f"hello, {name}\n")


def serve(listener) -> None:
    while True:
        connection, _ = listener.accept()  # waits for the next client
        Process(target=answer, args=(connection,)).start()  # each has a process to itself
        connection.close()  # the child has it now


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0))  # port 0: any that is free
    server = Process(target=serve, args=(listener,), daemon=True)
    server.start()
    first = socket.create_connection(listener.getsockname())
    second = socket.create_connection(listener.getsockname())
    second.sendall(b"Bo\n")  # the first client is connected, and silent
    print("second client:", second.makefile().readline().strip())
    first.sendall(b"Anna\n")
    print("first client:", first.makefile().readline().strip())
