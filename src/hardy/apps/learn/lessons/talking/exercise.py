from hardy import Process, Queue


def count(numbers):
    for number in range(1, 6):
        numbers.put(number)
    numbers.put(None)


# Write square(numbers, squares) and add(squares): three children in a row, count -> square -> add.

if __name__ == "__main__":
    pass
