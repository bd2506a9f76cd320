from hardy import Barrier, Process


def boil(both_on):
    both_on.wait()  # returns when two kettles are on at the same time
    print("it boils")


if __name__ == "__main__":
    both_on = Barrier(2)
    kettles = [Process(target=boil, args=(both_on,)) for _ in range(2)]
    for kettle in kettles:
        # This waits for the first kettle before the second is on: for ever.
        kettle.start()
        kettle.join()
    print("tea is ready")
