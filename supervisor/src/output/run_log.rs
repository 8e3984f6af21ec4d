//! The files of one run: both streams, their rotated files, the index.
//!
//! Owns sizes and offsets, so that a write need not stat the files, and the open descriptors. A disk that
//! takes nothing costs this run's bytes, which are counted, and a new try a second.

mod handing;
mod side;

use super::OutputConfig;
use super::batch::Segment;
use super::budget::disk_bytes;
use super::exchange::Counters;
use super::index::{Index, Stream};
use super::rotation::{create, open, rotated};
use super::tap::Tap;
use gob_core::RunKey;
use gob_protocol::logindex::log_path;
pub(super) use handing::RunLogState;
use side::{Side, Stamps};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Time to the next try after a failed write.
const RETRY: Duration = Duration::from_secs(1);

/// Time between two checks that a written file was not deleted.
const LOOK: Duration = Duration::from_secs(1);

/// The reason and the begin of failing writes.
#[derive(Debug)]
struct Fault {
    /// The time of the next try.
    retry: Instant,
    dropped: u64,
}

/// One run.
#[derive(Debug)]
pub(super) struct RunLog {
    pub(super) key: RunKey,
    pub(super) tap: Arc<Tap>,
    /// The size of its files on the disk, as the budget counts it.
    pub(super) cost: u64,
    sides: [Side; 2],
    index: Index,
    fault: Option<Fault>,
    /// The index could not be written, which was logged.
    index_failed: bool,
    /// The time of the last check that its files are in their place.
    seen: Instant,
    /// The last loss (`Counters::losses`) that it was checked for.
    losses: u64,
    /// Its descriptors are open.
    pub(super) is_open: bool,
}

impl RunLog {
    /// Makes its files, or takes in existing ones.
    pub(super) fn open(key: RunKey, tap: Arc<Tap>, config: &OutputConfig, losses: u64) -> Self {
        let sides = [Side::default(), Side::default()];
        let mut log = Self {
            key,
            tap,
            cost: 0,
            sides,
            index: Index::default(),
            fault: None,
            index_failed: false,
            seen: Instant::now(),
            losses,
            is_open: true,
        };
        if let Err(error) = log.create_files(config) {
            log.fail(&error, 0);
        }
        log.cost = log.disk_bytes();
        log
    }

    fn create_files(&mut self, config: &OutputConfig) -> io::Result<()> {
        let mut old = false;
        for stream in [Stream::Stdout, Stream::Stderr] {
            let path = self.path(config, stream);
            let created = create(&path)?;
            old |= created.is_none();
            self.side(stream).file = Some(created.map_or_else(|| open(&path), Ok)?);
        }
        if old { self.recover(config) } else { Ok(()) }
    }

    /// Takes in files that an earlier supervisor began.
    fn recover(&mut self, config: &OutputConfig) -> io::Result<()> {
        let starts = self.index.recover(&self.index_path(config))?;
        for (stream, start) in [Stream::Stdout, Stream::Stderr].into_iter().zip(starts) {
            let path = self.path(config, stream);
            let side = self.side(stream);
            side.start = start;
            side.size = side.file.as_ref().map_or(Ok(0), |file| file.metadata().map(|stat| stat.len()))?;
            side.rotated.clear();
            let older = (1..).map_while(|n| std::fs::symlink_metadata(rotated(&path, n)).ok());
            side.rotated.extend(older.map(|stat| stat.len()));
        }
        Ok(())
    }

    /// Appends bytes of one stream with their times.
    pub(super) fn append(
        &mut self,
        segments: &[Segment],
        mut bytes: &[u8],
        config: &OutputConfig,
        counters: &Counters,
    ) {
        let Some(stream) = segments.first().map(|segment| segment.stream) else { return };
        let mut stamps = Stamps::new(segments);
        let losses = counters.losses.load(Ordering::Acquire);
        if losses != self.losses {
            self.find_again(stamps.time(), config, losses);
        } else if self.seen.elapsed() >= LOOK {
            self.look(stamps.time(), config);
        }
        let made = self.index.make(|| index_path(&self.key, config));
        self.look_at_index(made);
        while !bytes.is_empty() {
            let written = match self.fault {
                Some(Fault { retry, .. }) if Instant::now() < retry => Err(None),
                Some(_) | None => self.write(stream, bytes, stamps.time(), config).map_err(Some),
            };
            match written {
                Ok(count) => {
                    let end = self.side(stream).end();
                    let mut offset = end - count as u64;
                    for (time, len) in stamps.take(count) {
                        self.index.push(stream, time, offset, len);
                        offset += len as u64;
                    }
                    counters.written.fetch_add(count as u64, Ordering::Relaxed);
                    bytes = bytes.get(count..).unwrap_or_default();
                    if count > 0
                        && let Some(fault) = self.fault.take()
                    {
                        tracing::info!(key = ?self.key, dropped = fault.dropped, "logs are written again");
                    }
                }
                Err(error) => {
                    counters.dropped.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                    if let Some(error) = error {
                        self.fail(&error, bytes.len());
                    } else if let Some(fault) = &mut self.fault {
                        fault.dropped += bytes.len() as u64;
                    }
                    return;
                }
            }
        }
        if self.index.is_full() {
            self.flush(config);
        }
    }

    /// Writes some of `bytes`; 0 when a rotation came first.
    fn write(&mut self, stream: Stream, bytes: &[u8], time: i64, config: &OutputConfig) -> io::Result<usize> {
        self.is_open = true;
        let [stdout, stderr] = &mut self.sides;
        let (side, key) = (if stream == Stream::Stdout { stdout } else { stderr }, &self.key);
        let count = side.write(bytes, || path(key, config, stream), config.rotate_bytes)?;
        if count == 0 {
            self.rotate(stream, time, config)?;
        }
        Ok(count)
    }

    fn rotate(&mut self, stream: Stream, time: i64, config: &OutputConfig) -> io::Result<()> {
        // The records of the old file must stand before the mark of the new one, also in the file.
        self.flush(config);
        let path = self.path(config, stream);
        let keep = usize::try_from(config.keep).unwrap_or(usize::MAX);
        let gone = self.side(stream).rotate(&path, keep)?;
        let start = self.side(stream).start;
        self.index.mark(stream, time, start);
        self.flush(config);
        if gone {
            let first = self.sides.each_ref().map(Side::first);
            let compacted = self.index.compact(&self.index_path(config), first);
            self.look_at_index(compacted);
        }
        Ok(())
    }

    /// Writes the collected records.
    pub(super) fn flush(&mut self, config: &OutputConfig) {
        let key = &self.key;
        let flushed = self.index.flush(|| index_path(key, config));
        self.look_at_index(flushed);
    }

    /// Output without its records is still there, so a failure costs no bytes.
    fn look_at_index(&mut self, result: io::Result<()>) {
        match result {
            Ok(()) => self.index_failed = false,
            Err(error) if !self.index_failed => {
                self.index_failed = true;
                tracing::warn!(key = ?self.key, %error, "cannot write the index of logs");
            }
            Err(_) => {}
        }
    }

    /// As [`Self::look`], after a loss that was healed: a failure of before is no reason to wait.
    pub(super) fn find_again(&mut self, time: i64, config: &OutputConfig, losses: u64) {
        self.losses = losses;
        if let Some(fault) = &mut self.fault {
            fault.retry = Instant::now();
        }
        self.look(time, config);
    }

    /// Begins deleted or cut files anew. Their content is lost; offsets go on.
    fn look(&mut self, time: i64, config: &OutputConfig) {
        self.seen = Instant::now();
        let keep = usize::try_from(config.keep).unwrap_or(usize::MAX);
        let index_is_lost = !self.index.is_at(&self.index_path(config));
        if index_is_lost {
            self.index = Index::default();
        }
        for stream in [Stream::Stdout, Stream::Stderr] {
            let path = self.path(config, stream);
            let side = self.side(stream);
            let is_lost = !side.is_at(&path);
            if is_lost {
                if let Err(error) = side.begin_anew(&path, keep) {
                    self.fail(&error, 0);
                    continue;
                }
                self.is_open = true;
                tracing::warn!(log = %path.display(), "somebody deleted or cut a log; it begins anew");
            }
            if is_lost || index_is_lost {
                let start = self.side(stream).start;
                self.index.mark(stream, time, start);
            }
        }
        self.flush(config);
    }

    /// Deletes the oldest rotated file, if there is one.
    pub(super) fn drop_oldest(&mut self, config: &OutputConfig) -> io::Result<bool> {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let path = self.path(config, stream);
            if self.side(stream).drop_oldest(&path)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Closes its descriptors; the next bytes open the files again.
    pub(super) fn close(&mut self) {
        self.sides.iter_mut().for_each(|side| side.file = None);
        self.index.close();
        self.is_open = false;
    }

    /// Returns the present size of its files on the disk.
    pub(super) fn disk_bytes(&self) -> u64 {
        let files = self.sides.iter().flat_map(|side| side.rotated.iter().copied().chain([side.size]));
        disk_bytes(files.chain([self.index.size()]))
    }

    fn fail(&mut self, error: &io::Error, dropped: usize) {
        if self.fault.is_none() {
            tracing::warn!(key = ?self.key, %error, "cannot write logs; output is dropped until that works again");
        }
        let before = self.fault.take().map_or(0, |fault| fault.dropped);
        self.fault = Some(Fault { retry: Instant::now() + RETRY, dropped: before + dropped as u64 });
    }

    fn side(&mut self, stream: Stream) -> &mut Side {
        let [stdout, stderr] = &mut self.sides;
        if stream == Stream::Stdout { stdout } else { stderr }
    }

    fn path(&self, config: &OutputConfig, stream: Stream) -> PathBuf {
        path(&self.key, config, stream)
    }

    fn index_path(&self, config: &OutputConfig) -> PathBuf {
        index_path(&self.key, config)
    }
}

fn path(key: &RunKey, config: &OutputConfig, stream: Stream) -> PathBuf {
    config.log_dir.join(log_path(&key.name, key.run, stream))
}

fn index_path(key: &RunKey, config: &OutputConfig) -> PathBuf {
    config.log_dir.join(key.name.on_disk()).join(format!("{}.idx", key.run))
}
