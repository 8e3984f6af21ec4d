#!/usr/bin/env python3
"""A worker for a lane of gob's queue, outside the supervisor, with the standard library only:

    gobctl queue width mail 0
    docs/examples/queue-worker.py mail

It claims one job after the other and runs its command: `queue_claim` with `wait_ms`, so that nobody polls; `queue_heartbeat`
while the command runs; `queue_finish` at its end. Delivery is at least once, never twice at once:

- Killed with -9, its command dies with it, and the supervisor gives the job back when the connection ends.
- Without a supervisor the command goes on. The claim outlives the supervisor: the worker connects again and says which attempt
  it has. If nobody answers for so long that the job may be somebody else's, or the answer is `job-not-claimed`, it ends the command.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time

from client import Client, Lost, Refused

WORKER_ID = f"{socket.gethostname()}-{os.getpid()}"
WAIT_MS = 30_000
HEARTBEAT = float(os.environ.get("QUEUE_HEARTBEAT", "10"))
# The supervisor takes a job back after [queue] stale_after, 60s, without a heartbeat; the command has to be gone before that.
GIVE_UP = 45.0
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


def say(text):
    print(text, flush=True)


class NotOurs(Exception):
    """The attempt is over, or somebody else's."""


class Queue:
    """The queue, over one connection after the other."""

    def __init__(self, lane):
        self.lane, self.client, self.heard = lane, None, time.monotonic()

    def ask(self, request, payload, timeout=10.0):
        """Sends a request on this connection, or on a new one."""
        try:
            if self.client is None:
                self.client = Client(owner="queue-worker")
            answer = self.client.request(request, {**payload, "worker_id": WORKER_ID}, timeout)
        except Refused as refused:
            if refused.code in ("job-not-claimed", "job-not-found"):
                raise NotOurs(str(refused)) from None
            if refused.code not in ("shutting-down", "busy"):
                raise
            raise Lost(str(refused)) from None
        except TimeoutError as error:
            # With the connection the claim would end. Only a late claim must not be missed: closed, its job goes back.
            if request == "queue_claim":
                self.close()
            raise Lost(str(error)) from None
        except (Lost, OSError) as error:
            self.close()
            raise Lost(str(error)) from None
        self.heard = time.monotonic()
        return answer

    def close(self):
        if self.client is not None:
            self.client.close()
        self.client = None

    def claim(self):
        """Waits for a job, for as long as it takes."""
        while True:
            try:
                answer = self.ask("queue_claim", {"lane": self.lane, "wait_ms": WAIT_MS}, WAIT_MS / 1000 + 10)
                if answer["job"] is not None:
                    return answer["job"]
            except Lost:
                time.sleep(0.2)

    def heartbeat(self, job):
        """Says that the work goes on; raises NotOurs when it must not. Without a supervisor it may, for a while."""
        try:
            self.ask("queue_heartbeat", {"job_id": job["id"], "attempt": job["attempt"]})
            return True
        except Lost:
            if time.monotonic() - self.heard > GIVE_UP:
                raise NotOurs("no supervisor has answered for too long") from None
            return False

    def finish(self, job, error):
        """Says how it ended, until that is on the disk."""
        end = {"job_id": job["id"], "attempt": job["attempt"], "success": error is None}
        while True:
            try:
                return self.ask("queue_finish", end if error is None else {**end, "error": error})["job"]["status"]
            except Lost:
                if time.monotonic() - self.heard > GIVE_UP:
                    raise NotOurs("no supervisor has answered for too long") from None
                time.sleep(0.2)


def die_with(parent):
    """Lets the kernel kill the command when this worker dies, also by -9: another worker gets the job at once."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def work(queue, job):
    """Runs a job's command, and returns the reason why it failed, or None."""
    env = {**os.environ, "GOB_JOB_ID": job["id"], "GOB_ATTEMPT": str(job["attempt"])}
    parent = os.getpid()
    try:
        process = subprocess.Popen(
            job["command"], cwd=job["cwd"], env=env, stdin=subprocess.DEVNULL, preexec_fn=lambda: die_with(parent)
        )
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    try:
        beats = HEARTBEAT
        while True:
            try:
                code = process.wait(beats)
                return None if code == 0 else f"exited {code}" if code > 0 else f"killed by signal {-code}"
            except subprocess.TimeoutExpired:
                beats = HEARTBEAT if queue.heartbeat(job) else 0.2
    finally:
        # Reached with a live command when the job is not ours any more.
        if process.poll() is None:
            process.kill()
            process.wait()


def main(arguments):
    if len(arguments) != 1:
        sys.exit("usage: queue-worker.py LANE")
    # Both end this worker at once, and the kernel its command with it; with the connection the job goes back, without counting.
    # An exception made by a signal would be lost where Python runs a destructor.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    queue = Queue(arguments[0])
    while True:
        job = queue.claim()
        say(f"claimed {job['id']} attempt {job['attempt']}")
        try:
            error = work(queue, job)
            say(f"{job['id']} is {queue.finish(job, error)}")
        except NotOurs as reason:
            say(f"left {job['id']}: {reason}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Refused as refused:
        sys.exit(f"error: {refused} ({refused.code})")
