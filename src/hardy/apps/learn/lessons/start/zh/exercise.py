from hardy import get_context


def work(number):
    return number + 1


# 改好它：要用 spawn 打印出 [1, 2, 3]。
context = get_context("spawn")
processes = [context.Process(target=work, args=(number,)) for number in range(3)]
for process in processes:
    process.start()
print([process.result() for process in processes])
