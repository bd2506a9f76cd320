from hardy import Process, Queue


def count(numbers):
    for number in range(1, 6):
        numbers.put(number)
    numbers.put(None)


# 写出 square(numbers, squares) 和 add(squares)：三个孩子排成一串，count -> square -> add。

if __name__ == "__main__":
    pass
