from hardy import Process


def greet() -> None:
    print("子进程向你问好")


if __name__ == "__main__":
    process = Process(target=greet)  # 函数本身：后面没有括号
    process.start()
    process.join()
