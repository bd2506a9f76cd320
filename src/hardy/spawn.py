"""Starting with a new interpreter: the stdlib's `multiprocessing.spawn`, which hardy's processes go by."""

from multiprocessing.spawn import (
    freeze_support,
    get_command_line,
    get_executable,
    get_preparation_data,
    import_main_path,
    set_executable,
)

from hardy._stdlib.fallback import names_of_stdlib

__all__ = [
    "freeze_support",
    "get_command_line",
    "get_executable",
    "get_preparation_data",
    "import_main_path",
    "set_executable",
]

__getattr__ = names_of_stdlib(__name__)
