//! Reads the project file of a job's directory before the job begins. A file that can't be used blocks nothing: it is told
//! in the log, and the job goes on.

use crate::disks::Disks;
use gob_config::gobfile::Gobfile;
use gob_core::{Ban, Begins};
use gob_host::gobfile::{path_in, read};
use std::path::Path;

/// Returns what the project file of the job's directory says of the job.
pub(crate) async fn ban(job: Begins, disks: &Disks) -> Ban {
    let dir = job.cwd.to_string();
    let path = path_in(Path::new(&dir)).to_string_lossy().into_owned();
    let found = disks.ask(&job.cwd, vec![path.clone()], {
        let path = path.clone();
        move |at| {
            at.enter("read", &path).map_err(|silent| silent.to_string())?;
            let text = read(Path::new(&dir)).map_err(|error| error.to_string())?;
            let file = text.map(|text| Gobfile::parse(&text, std::env::var("HOME").ok().as_deref(), &path));
            file.transpose().map_err(|rejected| rejected.to_string())
        }
    });
    let reason = match found.await.map_err(|silent| silent.to_string()).and_then(|file| file) {
        Ok(file) => file.and_then(|file| file.blocked(&job.command).map(str::to_owned)),
        Err(error) => {
            tracing::warn!(%path, %error, "a project file can't be used, and blocks nothing");
            None
        }
    };
    Ban { job, reason }
}
