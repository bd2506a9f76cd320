import os
import signal

from hardy import ProcessPoolExecutor, WorkerDied


def invert(number: int) -> float:
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)  # 比如：内存用完了
    return 1 / number


if __name__ == "__main__":
    with ProcessPoolExecutor(2) as executor:
        futures = [executor.submit(invert, number) for number in (0, 1, 2, 4)]
        for number, future in zip((0, 1, 2, 4), futures, strict=True):
            try:
                print(number, "->", future.result())
            except ZeroDivisionError as error:
                print(number, "-> 它自己的错：", error)
            except WorkerDied as error:
                print(number, "->", type(error).__name__, "，池照常工作")
