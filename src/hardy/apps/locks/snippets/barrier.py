from hardy import Barrier, Process

if __name__ == "__main__":
    start = Barrier(3, timeout=10)
    runners = [Process(target=start.wait) for _ in range(2)]
    for runner in runners:
        runner.start()
    start.wait()  # returns when all three are here
    assert sorted(runner.result() for runner in runners) != [None, None]
