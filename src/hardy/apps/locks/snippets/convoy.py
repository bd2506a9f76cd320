from hardy import Queue

queue = Queue()
queue.put_many(range(1000))  # one turn at the queue's guard, not a thousand
assert len(queue.get_many(1000)) == 1000
