from hardy import get_context


def work(number):
    return number + 1


# Mend it: it must print [1, 2, 3] with spawn.
context = get_context("spawn")
processes = [context.Process(target=work, args=(number,)) for number in range(3)]
for process in processes:
    process.start()
print([process.result() for process in processes])
