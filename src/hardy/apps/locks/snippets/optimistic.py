import os
import tempfile

from hardy import locked_json

path = os.path.join(tempfile.mkdtemp(), "page.json")


def read():
    with locked_json(path, default={"version": 0, "text": ""}) as page:
        return page["version"], page["text"]


def write(version, text):
    with locked_json(path, default={"version": 0, "text": ""}) as page:
        if page["version"] != version:
            return False  # somebody was quicker: read again
        page.update(version=version + 1, text=text)
        return True


version, _ = read()
assert write(version, "mine")
assert not write(version, "yours, made of the same old text")
