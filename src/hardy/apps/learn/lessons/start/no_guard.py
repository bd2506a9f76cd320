from multiprocessing import get_context


def work() -> None:
    print("working")


process = get_context("spawn").Process(target=work)  # no main guard above
process.start()
process.join()
print("exit code", process.exitcode)
