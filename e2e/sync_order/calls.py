"""The trace that strace wrote: system calls in the order in which they began and ended."""

import os
import re

WRITES = {"write", "writev", "pwrite64", "pwritev", "pwritev2", "ftruncate", "fallocate", "copy_file_range", "sendfile", "splice"}
SENDS = {"write", "writev", "sendto", "sendmsg", "sendmmsg"}
SYNCS = {"fsync", "fdatasync"}
OPENS = {"open", "openat", "openat2", "creat"}
MOVES = {"rename", "renameat", "renameat2"}
LINKS = {"link", "linkat"}
REMOVES = {"unlink", "unlinkat", "rmdir"}
MAKES = {"mkdir", "mkdirat"}
CALLS = sorted(WRITES | SENDS | SYNCS | OPENS | MOVES | LINKS | REMOVES | MAKES | {"truncate", "sync", "syncfs", "io_uring_enter"})


class Call:
    """A system call: its text up to the result, and the lines where it begins and ends."""

    def __init__(self, thread, name, text, line):
        self.thread, self.name, self.text, self.begin = thread, name, text, line
        self.end, self.result, self.covers = None, None, None

    def paths(self):
        """The path arguments, with those that are relative to an open directory resolved."""
        found = []
        pattern = r'(?:(?:AT_FDCWD|\d+)<((?:[^<>\\]|\\.)*)>, )?"((?:[^"\\]|\\.)*)"'
        for base, path in re.findall(pattern, self.text):
            path = unescape(path)
            found.append(path if path.startswith("/") else os.path.join(unescape(base), path))
        return [os.path.normpath(path) for path in found]

    def descriptor(self):
        """The file behind the first argument."""
        match = re.match(r"\d+<(/(?:[^<>\\]|\\.)*)>(\(deleted\))?", self.text)
        return None if not match or match[2] else os.path.normpath(unescape(match[1]))

    def opened(self):
        match = re.search(r"\d+<(/(?:[^<>\\]|\\.)*)>", self.result or "")
        return os.path.normpath(unescape(match[1])) if match else None

    def socket(self):
        return re.match(r"\d+<TCP(?:v6)?:\[", self.text) is not None

    def failed(self):
        return self.result is None or self.result.startswith(("-1", "?"))


def unescape(text):
    return re.sub(r"\\(.)", r"\1", text)


def read_trace(path):
    """Beginnings and ends of calls in the order in which strace saw them.

    That a call ended before another began is certain if the lines are in that order: strace holds
    each thread at both ends of a call.
    """
    under_way = {}
    with open(path, encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file):
            match = re.match(r"(\d+) +(.*)", line)
            if not match:
                continue
            thread, rest = match.groups()
            resumed = re.match(r"<\.\.\. (\w+) resumed>(.*)", rest)
            if resumed:
                call = under_way.pop(thread, None)
                if call is None:
                    continue
                text = call.text + resumed[2]
            else:
                started = re.match(r"(\w+)\((.*)", rest)
                if not started:
                    continue
                call = Call(thread, started[1], started[2], number)
                text = started[2]
                if text.endswith("<unfinished ...>"):
                    call.text = text[: -len("<unfinished ...>")].rstrip()
                    under_way[thread] = call
                    yield "begin", call
                    continue
                yield "begin", call
            body, _, result = text.rpartition(" = ")
            call.text, call.result, call.end = body, result.strip(), number
            yield "end", call
