/**
 * The pings that prove that a slow supervisor is alive (CLI, Defaults): while a request without a time limit of its own is
 * unanswered, a ping every 5 s, and the supervisor is given up once one was not answered for 10 s.
 */
import { PING_EVERY_MS } from "./limits.js";

/** The pings of one connection; one at a time is unanswered. */
export class Pulse {
  private requests = 0;
  private timer: NodeJS.Timeout | undefined;
  private askedAt: number | null = null;

  constructor(
    /** Sends a ping; false where none can be sent now. */
    private readonly ping: () => boolean,
    private readonly stalled: (silentMs: number) => void,
    private readonly silenceMs: number,
  ) {}

  /** A request begins to wait. */
  begin(): void {
    this.requests += 1;
    if (this.timer !== undefined) return;
    // A ping that is still unanswered was sent in an earlier wait, and nothing was expected since.
    if (this.askedAt !== null) this.askedAt = performance.now();
    this.sleep(this.every);
  }

  /** A request waits no more. */
  end(): void {
    this.requests -= 1;
    if (this.requests === 0) this.stop();
  }

  /** The ping was answered. */
  answered(): void {
    this.askedAt = null;
  }

  /** Any answer came: it proves the same. */
  heard(): void {
    if (this.askedAt !== null) this.askedAt = performance.now();
  }

  stop(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  private get every(): number {
    return Math.min(PING_EVERY_MS, this.silenceMs);
  }

  private sleep(ms: number): void {
    this.timer = setTimeout(() => this.beat(), ms);
  }

  private beat(): void {
    const now = performance.now();
    if (this.askedAt === null) {
      if (this.ping()) this.askedAt = now;
      this.sleep(this.askedAt === null ? this.every : Math.min(this.every, this.silenceMs));
      return;
    }
    const silent = now - this.askedAt;
    if (silent < this.silenceMs) {
      this.sleep(Math.max(1, Math.min(this.every, this.silenceMs - silent)));
      return;
    }
    // A process that was itself suspended reads first what has come meanwhile.
    setImmediate(() => {
      if (this.requests > 0 && this.askedAt !== null && performance.now() - this.askedAt >= this.silenceMs) {
        this.stalled(Math.round(silent));
      }
    });
    this.sleep(this.every);
  }
}
