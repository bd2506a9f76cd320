import hardy
from hardy import Barrier, DeadlockError, Lock, Process


def take_both(mine, other, both_hold):
    try:
        with mine:
            both_hold.wait()
            with other:
                return "both"
    except DeadlockError:
        return "told"


if __name__ == "__main__":
    hardy.deadlock(action="raise", after=0.2)
    left, right, both_hold = Lock(), Lock(), Barrier(2)
    one = Process(target=take_both, args=(left, right, both_hold))
    two = Process(target=take_both, args=(right, left, both_hold))
    one.start()
    two.start()
    assert sorted([one.result(), two.result()]) == ["both", "told"]
