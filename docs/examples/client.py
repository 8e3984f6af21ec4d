#!/usr/bin/env python3
"""A client of gobd in Python, with the standard library only. As a program:

    docs/examples/client.py start notes
    docs/examples/client.py events
    docs/examples/client.py stop notes
    docs/examples/client.py lock build make all

It shows what a client has to do (protocol/PROTOCOL.md): find the socket, check who answers, say hello, match answers to
requests by id, have a deadline for each, and after a lost connection subscribe again from the last event. It does not
start the supervisor; `gobctl ping` does.
"""

import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
import time

OWNER = os.environ.get("GOB_OWNER", "python")


class Refused(Exception):
    """The supervisor said no. Programs match on `code` alone."""

    def __init__(self, error):
        super().__init__(error["message"])
        self.code, self.hint = error["code"], error.get("hint")
        self.details = error.get("details", {})


class Lost(Exception):
    """The connection ended; what was asked may have been done or not."""


def directory(own, xdg, default):
    """A directory of gob's: its own variable, or below XDG's, or the default. An empty variable is as if it was not set."""
    if os.environ.get(own):
        if not os.path.isabs(os.environ[own]):
            sys.exit(f"error: {own} must be an absolute path")
        return os.environ[own]
    if os.path.isabs(os.environ.get(xdg, "")):
        return os.path.join(os.environ[xdg], "gob")
    return default


def holder():
    """Socket and pid of the supervisor that the lock file of the state directory names; twice None where it names none."""
    state = directory("GOB_STATE_DIR", "XDG_STATE_HOME", os.path.expanduser("~/.local/state/gob"))
    try:
        with open(os.path.join(state, "gobd.lock"), encoding="utf-8") as lock:
            line = json.load(lock)
            return str(line["socket"]), int(line["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None, None


def socket_paths():
    """Where the supervisor may be: in the own runtime directory, then where the lock file says."""
    yield os.path.join(directory("GOB_RUNTIME_DIR", "XDG_RUNTIME_DIR", f"/tmp/gob-{os.getuid()}"), "daemon.sock")
    path, _ = holder()
    if path:
        yield path


def is_believed(path, pid):
    """Whether the process that answers on this socket is the supervisor, and not another one of this user."""
    if pid == 0:
        return True  # It is in another pid namespace, which shows nothing of it.
    own = {pid}
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as status:
            own.update(int(word) for line in status if line.startswith("NSpid:") for word in line.split()[1:])
    except OSError:
        pass
    for _ in range(2):  # A new supervisor may have followed meanwhile.
        named, expected = holder()
        if named != path or expected in own:
            return True
    return False


def connect(timeout):
    """A connection to the first of them that accepts, with its path."""
    refused = None
    for path in socket_paths():
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(timeout)
        try:
            connection.connect(path)
            return connection, path
        except OSError as error:
            connection.close()
            refused = refused or error
    raise refused


class Client:
    """One connection. Not for several threads at once."""

    def __init__(self, owner=OWNER, timeout=5.0):
        self.socket, path = connect(timeout)
        try:
            # Whoever listens there has to be the same user, before anything is said.
            credentials = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            pid, uid, _ = struct.unpack("3i", credentials)
            if uid != os.getuid():
                raise Lost("another user listens on this socket")
            self.buffer, self.next_id, self.events = b"", 1, []
            client = {"name": "client.py", "version": "1"}
            hello = {"protocol": 1, "client": client, "owner": owner}
            self.server = self.request("hello", hello, timeout)["server"]
            if not is_believed(path, pid):
                raise Lost(f"{path} is served by pid {pid}, which is not the supervisor that gobd.lock names")
        except BaseException:
            self.socket.close()
            raise

    def request(self, type_name, payload=None, timeout=10.0):
        """Sends a request and waits for its answer; events that come before it are kept for `event`."""
        request_id, self.next_id = self.next_id, self.next_id + 1
        line = json.dumps({"id": request_id, "type": type_name, "payload": payload or {}})
        deadline = time.monotonic() + timeout
        try:
            self.socket.settimeout(timeout)
            self.socket.sendall(line.encode() + b"\n")
        except TimeoutError:
            # Half a line may be on its way: nothing can follow it.
            self.socket.close()
            raise Lost(f"{type_name} could not be sent within {timeout} s") from None
        except OSError as error:
            raise Lost(str(error)) from error
        while True:
            frame = self._frame(deadline, f"no answer to {type_name} within {timeout} s")
            if "event" in frame:
                self.events.append(frame)
            elif frame.get("id") == request_id:
                if frame["success"]:
                    return frame.get("data", {})
                raise Refused(frame["error"])
            # Else it is the late answer to a request that was given up.

    def workers(self, **filters):
        """All workers, page by page: an answer may end early and say after which name to go on."""
        found, after = [], {}
        while True:
            page = self.request("list", {**filters, **after})
            found += page["workers"]
            if "next" not in page:
                return found
            after = {"after": page["next"]}

    def event(self):
        """Waits for the next event, for as long as it takes."""
        while not self.events:
            frame = self._frame(None, "")
            if "event" in frame:
                return frame
        return self.events.pop(0)

    def _frame(self, deadline, too_late):
        while b"\n" not in self.buffer:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError(too_late)
            try:
                self.socket.settimeout(left)
                chunk = self.socket.recv(65536)
            except TimeoutError:
                raise TimeoutError(too_late) from None
            except OSError as error:
                raise Lost(str(error)) from error
            if not chunk:
                raise Lost("the supervisor closed the connection")
            self.buffer += chunk
        # Cut at the line feed first, decode afterwards: a read may end inside a character.
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def close(self):
        self.socket.close()


def events():
    """Events for ever, across lost connections; None stands for a gap, after which a program asks for the list again."""
    since = instance = client = None
    while True:
        try:
            client = Client()
            payload = {} if since is None else {"since": since, "instance": instance}
            answer = client.request("subscribe", payload)
            if answer.get("gap"):
                yield None
            if since is None or answer.get("gap"):
                since = answer["seq"]
            instance = answer["instance"]
            while True:
                event = client.event()
                since = event["seq"]
                yield None if event["event"] == "lagged" else event
        except (Lost, TimeoutError, ConnectionError, FileNotFoundError):
            if client is not None:
                client.close()
            time.sleep(0.2)


@contextlib.contextmanager
def lock(name, shared=False, priority=0, timeout=None):
    """Holds a lock of the supervisor, after a wait of `timeout` seconds at most; gives its token, which grows with each grant.

    The lock belongs to a connection of its own. When that is lost, so is the lock: what must not be done twice has to compare
    tokens (docs/LOCKS.md).
    """
    client = Client()
    try:
        wanted = {"lock": name, "mode": "shared" if shared else "exclusive", "priority": priority}
        if timeout is not None:
            wanted["timeout_ms"] = int(timeout * 1000)
        # The supervisor's deadline is the shorter one, so that it is its answer that comes.
        patience = 365 * 86_400 if timeout is None else timeout + 5
        token = client.request("lock_acquire", wanted, timeout=patience)["token"]
        try:
            yield token
        finally:
            with contextlib.suppress(Lost, TimeoutError):
                client.request("lock_release", {"lock": name, "token": token})
    finally:
        client.close()


def show(event):
    if event is None:
        print("gap", flush=True)
        return
    worker = event.get("worker", {})
    print(event["seq"], event["event"], worker.get("name", "-"), worker.get("state", "-"), flush=True)


def main(arguments):
    if arguments == ["events"]:
        for event in events():
            show(event)
    elif len(arguments) == 2 and arguments[0] == "start":
        # The supervisor's deadline is the shorter one, so that it is its answer that comes.
        answer = Client().request("start", {"graph": arguments[1], "timeout_ms": 30_000}, timeout=32)
        worker = answer["worker"]
        print(answer["outcome"], worker["name"], "of", worker["owner"], "at", worker["endpoint"])
    elif len(arguments) == 2 and arguments[0] == "stop":
        answer = Client().request("stop", {"name": arguments[1]}, timeout=20)
        print("stopped", arguments[1], "signalled", len(answer["receipt"]["signalled"]))
    elif len(arguments) > 2 and arguments[0] == "lock":
        with lock(arguments[1], timeout=30) as token:
            sys.exit(subprocess.call(arguments[2:], env={**os.environ, "GOB_LOCK_TOKEN": str(token)}))
    else:
        sys.exit("usage: client.py start GRAPH | stop NAME | events | lock NAME CMD...")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Refused as refused:
        sys.exit(f"error: {refused} ({refused.code})")
    except (Lost, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
