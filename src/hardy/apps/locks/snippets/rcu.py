import os
import tempfile

from hardy import AtomicFile

path = os.path.join(tempfile.mkdtemp(), "settings")
with AtomicFile(path) as file:
    file.write(b"colour=red")
with open(path) as reader:
    with AtomicFile(path) as file:
        file.write(b"colour=blue")
    assert reader.read() == "colour=red"  # who reads already sees the old one, whole
with open(path) as reader:
    assert reader.read() == "colour=blue"
