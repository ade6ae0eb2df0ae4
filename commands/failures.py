"""What went wrong outside Quintet, in one line: disk, memory, a reader that is gone."""

from __future__ import annotations

import errno
import os
import re
import shutil

_WAYS_OUT = {
    errno.ENOSPC: "Free some space and give the same command again.",
    errno.EDQUOT: "Free some space and give the same command again.",
    errno.EFBIG: "Files this large are not allowed here: write somewhere else.",
    errno.EACCES: "Change who may write there, or name another place.",
    errno.EPERM: "Change who may write there, or name another place.",
    errno.EROFS: "Nothing can be written there: name another place.",
    errno.ENOTDIR: "A file stands where a folder is meant: name another place.",
    errno.EISDIR: "A folder stands where a file is meant: name another place.",
}
_NUMBER = re.compile(r"\[Errno (\d+)\]")
"""How a copied folder tells of each of its files."""
_RUST = re.compile(r"\(os error (\d+)\)")
"""How tokenizers and safetensors tell of the disk, in exceptions of their own."""
_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")


def said(error: BaseException) -> str | None:
    """The line for an error of the machine or of the command line; None for a fault of ours."""
    if hasattr(error, "format_message"):  # click's own: a wrong option or argument
        return str(error.format_message())
    text = (str(error).splitlines() or [""])[0]
    if isinstance(error, MemoryError) or any(words in text.lower() for words in _NO_MEMORY):
        return "Out of memory. Free some, or take less at once: fewer rows, a smaller backbone."
    if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
        return f"torch.compile failed: {text.rstrip('.')}. Begin again with --torch-compile false."
    if rust := _RUST.search(text):
        number = int(rust[1])
        return f"{os.strerror(number)}. {_WAYS_OUT.get(number, '')}".rstrip()
    if not isinstance(error, OSError):
        return None
    if isinstance(error, shutil.Error):
        return _of_folder(error)
    reason = error.strerror or text or type(error).__name__
    where = f": {error.filename}" if error.filename else ""
    return f"{reason.rstrip('.')}{where}. {_WAYS_OUT.get(error.errno or 0, '')}".rstrip()


def _of_folder(error: shutil.Error) -> str:
    """The first of the files that could not be copied."""
    every = error.args[0]
    if not isinstance(every, list) or not every:
        return str(error)
    _, target, reason = every[0]
    number = _NUMBER.search(str(reason))
    if not number:
        return f"{target}: {reason}"
    code = int(number[1])
    return f"{os.strerror(code)}: {target}. {_WAYS_OUT.get(code, '')}".rstrip()
