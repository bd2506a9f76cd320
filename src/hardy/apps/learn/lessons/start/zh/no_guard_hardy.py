from hardy import get_context


def work() -> None:
    print("干活")


process = get_context("spawn").Process(target=work)  # 上面没有 main 保护
process.start()
process.join()
print("退出码", process.exitcode)
