import time

from hardy import get_context

mood = "文件里写的"


def tell(method: str) -> None:
    print(f"{method:10} 子进程看到：{mood}")


if __name__ == "__main__":
    mood = "父进程改过的"
    for method in ("fork", "spawn", "forkserver"):
        began = time.perf_counter()
        process = get_context(method).Process(target=tell, args=(method,))
        process.start()
        process.join()
        print(f"{method:10} 用了 {1000 * (time.perf_counter() - began):.1f} ms")
