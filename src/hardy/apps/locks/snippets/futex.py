from hardy import Event, Process

# What waits here sleeps on a futex: no processor time, woken by one system call.
ready = Event()
process = Process(target=ready.wait)
process.start()
ready.set()
process.join()
assert process.exitcode == 0
