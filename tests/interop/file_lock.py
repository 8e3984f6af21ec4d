#!/usr/bin/env python3
"""Takes a lock file again and again, by the protocol of docs/LOCKS.md and nothing else.

    file_lock.py LOCK STAMP ROUNDS SEED [SLOW]

An implementation that shares no code with gob: tests run both at once on one file. In each round the holder makes STAMP, a
symbolic link to its pid, and removes it before it gives the lock back: a STAMP that is there already, of a process that lives,
means that two held the lock. Exit 1 then. A process that is killed leaves its stamp and its lock behind. Each SLOWth record is
written later than a file without one may stay, as on a disk that is busy.
"""

import fcntl
import json
import os
import random
import socket
import sys
import time

STALE_MS = 30_000
UNREADABLE_S = 1.0
HOST = socket.gethostname()


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # A process that has ended and was not waited for takes signals, too; one whose main thread alone has ended is no other
    # to look at, but for the number of its threads.
    try:
        with open(f"/proc/{pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    state, threads = fields[0], int(fields[17])
    return threads > 1 if state == "Z" else state != "X"


def read(path):
    try:
        with open(path, "rb") as file:
            return (os.fstat(file.fileno()).st_ino, file.read(65536))
    except FileNotFoundError:
        return None


class FileLock:
    """Exclusive creation. A stale file is removed under an flock of its directory, so that two never remove one each."""

    def __init__(self, path, slow=0):
        self.path = path
        self.own = None
        self.unreadable = None
        self.slow = slow
        self.made = 0

    def try_acquire(self):
        seen = read(self.path)
        if seen is None:
            self.unreadable = None
            return self.create()
        if not self.is_stale(seen):
            return False
        self.under_flock(lambda: self.remove(seen))
        return self.create()

    def under_flock(self, call):
        directory = os.open(os.path.dirname(self.path) or ".", os.O_RDONLY)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            return call()
        finally:
            os.close(directory)

    def remove(self, seen):
        if read(self.path) == seen:
            os.unlink(self.path)

    def create(self):
        record = {"pid": os.getpid(), "timestamp": int(time.time() * 1000), "host": HOST, "process": "python"}
        text = json.dumps(record).encode()
        try:
            fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            return False
        self.made += 1
        if self.slow and self.made % self.slow == 0:
            time.sleep(UNREADABLE_S * 1.3)
        # Others see an empty file until this line has run, and take it for broken after a second.
        os.write(fd, text)
        self.own = (os.fstat(fd).st_ino, text)
        mine = self.under_flock(lambda: read(self.path) == self.own)
        os.close(fd)
        return mine

    def is_stale(self, seen):
        try:
            record = json.loads(seen[1])
            pid, timestamp, host = record["pid"], record["timestamp"], record["host"]
        except (ValueError, KeyError, TypeError):
            if self.unreadable is None or self.unreadable[0] != seen:
                self.unreadable = (seen, time.monotonic())
            return time.monotonic() - self.unreadable[1] >= UNREADABLE_S
        # A later file may have the inode of this one.
        self.unreadable = None
        return time.time() * 1000 - timestamp > STALE_MS or (host == HOST and not alive(pid))

    def release(self):
        self.remove(self.own)
        self.own = None


def stamp(path):
    """Marks the lock as held by this process; returns a pid that holds it, too.

    The mark is a symbolic link to the pid: it is made with its text in one step, so that a maker that is killed leaves none without.
    """
    while True:
        try:
            os.symlink(str(os.getpid()), path)
            return None
        except FileExistsError:
            other = int(os.readlink(path))
            if alive(other):
                return other
            os.unlink(path)


def main():
    path, mark, rounds, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    dice = random.Random(seed)
    lock = FileLock(path, int(sys.argv[5]) if len(sys.argv) > 5 else 0)
    for _ in range(rounds):
        while not lock.try_acquire():
            time.sleep(dice.uniform(0, 0.004))
        other = stamp(mark)
        if other is not None:
            print(f"held by {other}, too", flush=True)
            sys.exit(1)
        time.sleep(dice.uniform(0, 0.002))
        os.unlink(mark)
        lock.release()
        print("round", flush=True)


main()
