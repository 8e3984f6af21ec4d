//! The order of a project file's jobs: those that a job depends on come before it.

use super::{FileJob, Gobfile};

/// Jobs in an order in which they can be started, by their places in the file.
pub type Order = Vec<usize>;

impl Gobfile {
    /// Returns these jobs and all that they depend on, dependencies first, otherwise in the order given.
    #[must_use]
    pub fn order(&self, wanted: impl IntoIterator<Item = usize>) -> Order {
        let mut walk = Walk::new(&self.jobs);
        for place in wanted {
            walk.visit(place);
        }
        walk.done
    }
}

impl Gobfile {
    /// Returns jobs, and all that they depend on, in waves: the jobs of each depend on jobs of earlier ones alone.
    #[must_use]
    pub fn waves(&self, wanted: impl IntoIterator<Item = usize>) -> Vec<Order> {
        let (mut waves, mut wave_of) = (Vec::<Order>::new(), vec![0; self.jobs.len()]);
        for place in self.order(wanted) {
            let needs = self.jobs.get(place).map_or(&[][..], |job| &job.depends_on);
            let wave = needs.iter().filter_map(|need| wave_of.get(*need)).max().map_or(0, |last| last + 1);
            if let Some(slot) = wave_of.get_mut(place) {
                *slot = wave;
            }
            if waves.len() <= wave {
                waves.resize(wave + 1, Vec::new());
            }
            if let Some(jobs) = waves.get_mut(wave) {
                jobs.push(place);
            }
        }
        waves
    }
}

/// Returns a cycle, its first job once more at its end; empty when there is none.
pub(super) fn cycle(jobs: &[FileJob]) -> Vec<usize> {
    let mut walk = Walk::new(jobs);
    for place in 0..jobs.len() {
        if walk.visit(place) {
            return walk.cycle;
        }
    }
    Vec::new()
}

/// A walk in depth, without recursion: a file may chain thousands of jobs.
struct Walk<'a> {
    jobs: &'a [FileJob],
    done: Vec<usize>,
    is_done: Vec<bool>,
    cycle: Vec<usize>,
}

impl<'a> Walk<'a> {
    fn new(jobs: &'a [FileJob]) -> Self {
        Self { jobs, done: Vec::new(), is_done: vec![false; jobs.len()], cycle: Vec::new() }
    }

    /// Visits a job after its dependencies; true where it meets a cycle.
    fn visit(&mut self, place: usize) -> bool {
        let mut path = vec![(place, 0)];
        let mut on_path = vec![false; self.jobs.len()];
        mark(&mut on_path, place, true);
        while let Some((at, next)) = path.last_mut() {
            let at = *at;
            if self.is_done.get(at).copied().unwrap_or(true) {
                mark(&mut on_path, at, false);
                path.pop();
                continue;
            }
            let need = self.jobs.get(at).and_then(|job| job.depends_on.get(*next)).copied();
            *next += 1;
            match need {
                Some(need) if on_path.get(need) == Some(&true) => {
                    let from = path.iter().skip_while(|(at, _)| *at != need).map(|(at, _)| *at);
                    self.cycle = from.chain([need]).collect();
                    return true;
                }
                Some(need) => {
                    mark(&mut on_path, need, true);
                    path.push((need, 0));
                }
                None => {
                    mark(&mut self.is_done, at, true);
                    self.done.push(at);
                }
            }
        }
        false
    }
}

fn mark(flags: &mut [bool], place: usize, value: bool) {
    if let Some(flag) = flags.get_mut(place) {
        *flag = value;
    }
}
