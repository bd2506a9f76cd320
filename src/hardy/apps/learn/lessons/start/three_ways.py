import time

from hardy import get_context

mood = "as the file says"


def tell(method: str) -> None:
    print(f"{method:10} the child sees: {mood}")


if __name__ == "__main__":
    mood = "as the parent changed it"
    for method in ("fork", "spawn", "forkserver"):
        began = time.perf_counter()
        process = get_context(method).Process(target=tell, args=(method,))
        process.start()
        process.join()
        print(f"{method:10} took {1000 * (time.perf_counter() - began):.1f} ms")
