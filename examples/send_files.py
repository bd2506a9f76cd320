"""An upload that is interrupted goes on from there; fetched back, it is the same. (pip install 'hardy[transfer]')

Prints:
    interrupted
    gone on from there: True
    it is the same: True
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from hardy.apps.transfer import Effort, Remote, get, put


def stop_at_half(done: int, total: int) -> None:
    reached.append(done)
    if done >= total // 2:
        raise InterruptedError  # stands for Ctrl-C, a kill, a cable that was pulled


with tempfile.TemporaryDirectory() as folder:
    os.environ["XDG_STATE_HOME"] = folder  # where the client remembers what it has begun
    film, reached, seen = Path(folder, "film.mkv"), [], []
    film.write_bytes(os.urandom(32 << 20))
    serve = [sys.executable, "-m", "hardy", "transfer", "serve", tempfile.mkdtemp(dir=folder), "--port", "0"]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as server:
        with Remote(server.stdout.readline().split()[-1]) as remote:
            try:
                put(remote, film, effort=Effort(progress=stop_at_half))
            except InterruptedError:
                print("interrupted")
            put(remote, film, effort=Effort(progress=lambda done, total: seen.append(done)))
            print("gone on from there:", seen[0] == reached[-1])
            print("it is the same:", get(remote, film.name, f"{folder}/here")[0].read_bytes() == film.read_bytes())
        server.terminate()
