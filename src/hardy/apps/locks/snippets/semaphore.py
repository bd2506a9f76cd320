from hardy import BoundedSemaphore

seats = BoundedSemaphore(2)
with seats, seats:
    assert not seats.acquire(block=False)  # a third must wait
assert seats.acquire(block=False)
seats.release()
