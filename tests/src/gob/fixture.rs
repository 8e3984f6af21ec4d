//! The fixture's scripts, and its reports.

use super::Gob;
use crate::script::{Facts, Step};
use crate::wait::{self, DEADLINE};
use std::fs;

impl Gob {
    /// Sets the fixture's script for a graph.
    pub fn script(&self, graph: &str, steps: &[Step]) {
        self.write_script(graph, "fixture.json", steps);
    }

    /// Sets the fixture's script for one run of a graph.
    pub fn script_of_run(&self, graph: &str, run: u64, steps: &[Step]) {
        self.write_script(graph, &format!("fixture.{run}.json"), steps);
    }

    fn write_script(&self, graph: &str, file: &str, steps: &[Step]) {
        fs::create_dir_all(self.graph_dir(graph)).expect("the graph's directory");
        let bytes = serde_json::to_vec(steps).expect("a script");
        fs::write(self.graph_dir(graph).join(file), bytes).expect("a script");
    }

    /// Makes a FIFO on which [`Step::WaitFor`] can wait.
    pub fn fifo(&self, graph: &str, name: &str) {
        fs::create_dir_all(self.graph_dir(graph)).expect("the graph's directory");
        let mode = nix::sys::stat::Mode::from_bits_truncate(0o600);
        nix::unistd::mkfifo(&self.graph_dir(graph).join(name), mode).expect("a FIFO");
    }

    /// Releases a fixture that waits on a FIFO, after waiting until it has come there.
    pub fn release(&self, graph: &str, name: &str) {
        fs::write(self.graph_dir(graph).join(name), b"go").expect("the FIFO");
    }

    /// Returns the facts of a fixture's run at its begin.
    #[must_use]
    pub fn facts(&self, graph: &str, run: u64) -> Facts {
        let path = self.graph_dir(graph).join(format!("facts.{run}.json"));
        assert!(wait::until(DEADLINE, || path.exists()), "no {}", path.display());
        serde_json::from_slice(&fs::read(path).expect("facts")).expect("facts")
    }

    /// Returns the processes that a run of the fixture has made.
    #[must_use]
    pub fn children(&self, graph: &str, run: u64) -> Vec<i32> {
        let text = fs::read_to_string(self.graph_dir(graph).join(format!("pids.{run}"))).unwrap_or_default();
        text.lines().map(|line| line.parse().expect("a pid")).collect()
    }
}
