//! Named locks with their holders and waiters; lanes of the queue with their jobs.

use super::about::Drawn;
use super::paint::put;
use super::{Scene, Ui};
use gob_client::protocol::lock::{Lock, LockParty};
use gob_client::protocol::queue::{Lane, QueueJob, QueueStatus};
use gob_client::screen::times::{short_duration, since};
use gob_client::screen::{Tone, command, text};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use std::time::Duration;

impl Ui {
    pub(super) fn locks_list(&mut self, buf: &mut Buffer, area: Rect) {
        let look = self.look;
        let Some(status) = &self.shared.locks else {
            return put(buf, area, "The locks are not known yet.", look.faint());
        };
        let held = |lock: &&Lock| !lock.holders.is_empty() || !lock.waiters.is_empty();
        let lines: Vec<Drawn> =
            status.locks.iter().filter(held).flat_map(|lock| self.lock_lines(lock)).collect();
        if lines.is_empty() {
            return put(buf, area, "No lock is held.", look.faint());
        }
        let first = self.locks.fit(lines.len(), usize::from(area.height));
        self.put_lines(buf, area, lines.into_iter().skip(first));
    }

    fn lock_lines(&self, lock: &Lock) -> Vec<Drawn> {
        let look = self.look;
        let line = |party: &LockParty, word: &str, tone: Tone| {
            let age = short_duration(Duration::from_millis(party.age_ms));
            let parts = vec![
                (format!("{}  ", text::escape(lock.lock.as_str())), look.strong()),
                (format!("{word}  "), look.tone(tone)),
                (format!("{} for {age}", text::escape(&party.to_string())), Style::new()),
                (format!("  {}", party.mode.as_str()), look.faint()),
            ];
            (parts, Vec::new())
        };
        let holders = lock.holders.iter().map(|party| line(party, "held by", Tone::Plain));
        let waiters = lock.waiters.iter().map(|party| line(party, "waited for by", Tone::Busy));
        holders.chain(waiters).collect()
    }

    pub(super) fn queue_list(&mut self, buf: &mut Buffer, area: Rect, scene: &Scene<'_>) {
        let look = self.look;
        let Some(queue) = &self.shared.queue else {
            return put(buf, area, "The queue is not known yet.", look.faint());
        };
        if queue.lanes.is_empty() {
            return put(
                buf,
                area,
                "There is no lane: gobctl queue add LANE -- COMMAND makes one.",
                look.faint(),
            );
        }
        let mut lines: Vec<Drawn> = Vec::new();
        for lane in &queue.lanes {
            lines.push(self.lane_line(lane));
            lines.extend(
                queue.jobs.iter().filter(|job| job.lane == lane.lane).map(|job| self.job_line(job, scene)),
            );
        }
        if queue.next.is_some() {
            lines.push((vec![("more: gobctl queue list shows them".to_owned(), look.faint())], Vec::new()));
        }
        let first = self.queue.fit(lines.len(), usize::from(area.height));
        self.put_lines(buf, area, lines.into_iter().skip(first));
    }

    fn lane_line(&self, lane: &Lane) -> Drawn {
        let look = self.look;
        let counts = &lane.counts;
        let mut parts = vec![
            (format!("{}  ", text::escape(lane.lane.as_str())), look.strong()),
            (format!("width {}  ", lane.width), look.faint()),
        ];
        if lane.paused {
            parts.push(("paused  ".to_owned(), look.tone(Tone::Busy)));
        }
        if lane.away.is_some() {
            // Its numbers are those of this machine.
            parts.push(("database away; here:  ".to_owned(), look.tone(Tone::Bad)));
        }
        let numbers = [
            (counts.pending, "pending", Tone::Faint),
            (counts.running, "running", Tone::Plain),
            (counts.failed, "failed", Tone::Bad),
            (counts.completed, "completed", Tone::Faint),
            (counts.cancelled, "cancelled", Tone::Faint),
        ];
        for (number, word, tone) in numbers.into_iter().filter(|(number, _, _)| *number > 0) {
            parts.push((format!("{number} {word}  "), look.tone(tone)));
        }
        (parts, Vec::new())
    }

    fn job_line(&self, job: &QueueJob, scene: &Scene<'_>) -> Drawn {
        let look = self.look;
        let tone = match job.status {
            QueueStatus::Running => Tone::Plain,
            QueueStatus::Failed => Tone::Bad,
            QueueStatus::Pending | QueueStatus::Completed | QueueStatus::Cancelled => Tone::Faint,
        };
        let at = job.finished_at.or(job.started_at).unwrap_or(job.created_at);
        let why = job.error.as_ref().map(|why| format!("  {}", text::escape(why))).unwrap_or_default();
        let parts = vec![
            (format!("  {} {}  ", look.dot(tone), text::name(job.id.as_str())), Style::new()),
            (format!("{} {}  ", job.status.as_str(), short_duration(since(at, scene.now))), look.tone(tone)),
            (text::escape(&command(&job.command)), Style::new()),
            (why, look.tone(Tone::Bad)),
        ];
        (parts, Vec::new())
    }
}
