from hardy import Process, Queue


def echo(questions, answers):
    for number in questions:
        answers.put(number)


if __name__ == "__main__":
    questions, answers = Queue(), Queue()
    process = Process(target=echo, args=(questions, answers))
    process.start()
    for number in range(1000):  # two busy sides hardly ever sleep
        questions.put(number)
        assert answers.get() == number
    questions.close()
    process.join()
