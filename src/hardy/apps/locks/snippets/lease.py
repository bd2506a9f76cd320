from hardy import TaskQueue

tasks = TaskQueue()
tasks.put("letter")
lease = tasks.take()
with lease as letter:  # ours until the block ends; if we die, it goes to another
    assert letter == "letter"
    assert lease.deliveries == 1
