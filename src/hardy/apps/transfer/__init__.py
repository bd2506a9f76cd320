"""Files over HTTP that survive everything: uploads by tus 1.0, downloads by ranges.

`hardy transfer serve DIR | put | get | ls | rm` is the command.
"""
