"""Two programs that share no parent, and one lock by name. When its holder dies, it is free at once.

Prints:
    the other program has the lock; may we? False
    who has it? the other program: True
    the other program is killed; may we? True
    who has it? we: True
"""

import os
import signal
import subprocess
import sys
import warnings

from hardy import NamedLock, OwnerDiedWarning

if len(sys.argv) > 1:
    with NamedLock(sys.argv[1]):
        print("mine", flush=True)
        signal.pause()

elif __name__ == "__main__":
    warnings.simplefilter("ignore", OwnerDiedWarning)  # given to one who waited while the holder died
    name = f"example {os.getpid()}"
    lock = NamedLock(name)
    with subprocess.Popen([sys.executable, __file__, name], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        other.stdout.readline()
        print("the other program has the lock; may we?", lock.acquire(timeout=0.1))
        print("who has it? the other program:", lock.owner_pid() == other.pid)
        other.kill()
        print("the other program is killed; may we?", lock.acquire(timeout=5))
        print("who has it? we:", lock.owner_pid() == os.getpid())
        lock.release()
