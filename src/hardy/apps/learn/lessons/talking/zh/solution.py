from hardy import Process, Queue


def count(numbers):
    for number in range(1, 6):
        numbers.put(number)
    numbers.put(None)


def square(numbers, squares):
    while (number := numbers.get()) is not None:
        squares.put(number * number)
    squares.put(None)


def add(squares):
    total = 0
    while (number := squares.get()) is not None:
        total += number
    print("平方和是", total)


if __name__ == "__main__":
    numbers, squares = Queue(), Queue()
    children = [
        Process(target=count, args=(numbers,)),
        Process(target=square, args=(numbers, squares)),
        Process(target=add, args=(squares,)),
    ]
    for child in children:
        child.start()
    for child in children:
        child.join()
