import os
import tempfile

from hardy import locked_json

path = os.path.join(tempfile.mkdtemp(), "state.json")
with locked_json(path, default=[]) as names:  # a lock of the kernel, on a file beside it, that ends with its holder
    names.append("Anna")
with locked_json(path) as names:
    assert names == ["Anna"]
assert os.listdir(os.path.dirname(path)) == ["state.json"]
