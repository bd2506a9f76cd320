"""An upload is interrupted at the half, and goes on from there; then the file is fetched back in parallel ranges.

Needs the extra `transfer`: pip install 'hardy[transfer]'.

Prints:
    interrupted at 50 %
    gone on from 50 %
    it is the same: True
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from hardy.apps.transfer import Effort, Remote, get, put


def stop_at_half(done: int, total: int) -> None:
    if done >= total // 2:
        raise InterruptedError  # stands for Ctrl-C, a kill, a cable that was pulled


with tempfile.TemporaryDirectory() as folder:
    os.environ["XDG_STATE_HOME"] = folder  # where the client remembers what it has begun
    film, seen = Path(folder, "film.mkv"), []
    film.write_bytes(os.urandom(32 << 20))
    serve = [sys.executable, "-m", "hardy", "transfer", "serve", tempfile.mkdtemp(dir=folder), "--port", "0"]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as server:
        with Remote(server.stdout.readline().split()[-1]) as remote:
            try:
                put(remote, film, effort=Effort(progress=stop_at_half))
            except InterruptedError:
                print("interrupted at 50 %")
            put(remote, film, effort=Effort(progress=lambda done, total: seen.append(100 * done // total)))
            print(f"gone on from {seen[0]} %")
            print("it is the same:", get(remote, film.name, f"{folder}/here")[0].read_bytes() == film.read_bytes())
        server.terminate()
