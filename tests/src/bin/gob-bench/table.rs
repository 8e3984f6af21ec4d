//! The table: gob, its floor, the ratio, the target.

/// The direction of a good figure.
#[derive(Clone, Copy)]
pub enum Target {
    /// The ratio to the floor is at most this.
    RatioAtMost(f64),
    /// The ratio to the floor is at least this.
    RatioAtLeast(f64),
    /// The figure itself is at most this.
    AtMost(f64),
    /// None: it explains others.
    Told,
}

struct Row {
    figure: String,
    unit: &'static str,
    gob: f64,
    floor: Option<(f64, &'static str)>,
    target: Target,
}

/// All rows, in the order in which they were measured.
#[derive(Default)]
pub struct Table {
    rows: Vec<Row>,
    skipped: Vec<String>,
}

impl Table {
    /// Adds a figure with its floor and the floor's name.
    pub fn against(
        &mut self,
        figure: &str,
        unit: &'static str,
        (gob, floor): (f64, f64),
        floor_name: &'static str,
        target: Target,
    ) {
        let floor = Some((floor, floor_name));
        self.rows.push(Row { figure: figure.to_owned(), unit, gob, floor, target });
        eprintln!("measured: {figure}");
    }

    /// Adds a figure that has a limit of its own.
    pub fn alone(&mut self, figure: &str, unit: &'static str, gob: f64, at_most: f64) {
        let target = Target::AtMost(at_most);
        self.rows.push(Row { figure: figure.to_owned(), unit, gob, floor: None, target });
        eprintln!("measured: {figure}");
    }

    /// Notes a missing figure with the reason.
    pub fn skip(&mut self, figure: &str, why: &str) {
        self.skipped.push(format!("SKIPPED: {figure}: {why}"));
    }

    /// Prints it as Markdown.
    pub fn print(&self) {
        println!("| figure | gob | floor | ratio | target | |");
        println!("|---|---:|---:|---:|---:|---|");
        for row in &self.rows {
            let ratio = row.floor.map(|(floor, _)| row.gob / floor);
            let floor = row
                .floor
                .map_or("–".to_owned(), |(n, name)| format!("{} {} ({name})", number(n), row.unit));
            let (target, met) = match (row.target, ratio) {
                (Target::RatioAtMost(most), Some(ratio)) => (format!("≤ {most} ×"), ratio <= most),
                (Target::RatioAtLeast(least), Some(ratio)) => (format!("≥ {least} ×"), ratio >= least),
                (Target::AtMost(most), _) => (format!("≤ {} {}", number(most), row.unit), row.gob <= most),
                (Target::Told, _) => ("–".to_owned(), true),
                (Target::RatioAtMost(_) | Target::RatioAtLeast(_), None) => {
                    unreachable!("a ratio has a floor")
                }
            };
            let ratio = ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
            let verdict = match (matches!(row.target, Target::Told), met) {
                (true, _) => "–",
                (false, true) => "met",
                (false, false) => "MISSED",
            };
            println!(
                "| {} | {} {} | {floor} | {ratio} | {target} | {verdict} |",
                row.figure,
                number(row.gob),
                row.unit
            );
        }
        self.skipped.iter().for_each(|line| println!("{line}"));
    }
}

fn number(value: f64) -> String {
    match value {
        v if v >= 1000.0 || v == v.trunc() => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// Returns the medians of two measurements, whose samples alternate so that both see the same machine.
pub fn medians(samples: usize, gob: impl FnMut() -> f64, floor: impl FnMut() -> f64) -> (f64, f64) {
    let (ours, theirs) = alternate(samples, gob, floor);
    (median(&ours), median(&theirs))
}

/// Returns the samples themselves.
pub fn alternate<T>(
    samples: usize,
    mut gob: impl FnMut() -> T,
    mut floor: impl FnMut() -> T,
) -> (Vec<T>, Vec<T>) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // The first pair warms caches up and does not count.
    for at in 0..=samples {
        let pair = if at % 2 == 0 {
            (gob(), floor())
        } else {
            let floor = floor();
            (gob(), floor)
        };
        if at > 0 {
            ours.push(pair.0);
            theirs.push(pair.1);
        }
    }
    (ours, theirs)
}

/// Returns the value in the middle.
pub fn median(values: &[f64]) -> f64 {
    sorted(values)[values.len() / 2]
}

/// Returns the value that one in a hundred exceeds.
pub fn p99(values: &[f64]) -> f64 {
    sorted(values)[values.len() * 99 / 100]
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    values
}
