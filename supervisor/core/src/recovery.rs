//! The processes of dead supervisors of this state directory that a new one ends: which may be killed, on which evidence, and how
//! thoroughly they are searched for. Pure functions of facts; the shell reads the facts and kills.
//!
//! | the process | its fate |
//! |---|---|
//! | this supervisor, or its keeper | spared |
//! | carries a tag that this supervisor gave | spared |
//! | carries a tag of this state directory, or of a recorded supervisor | ended, by its tag |
//! | carries the marker of a recorded supervisor, and is not older than that | ended, by its marker |
//! | holds the lock of a graph that a recorded supervisor took, and is not older than that | ended, by the lock |
//! | any other, whatever its number, arguments or user | spared |

use serde::{Deserialize, Serialize};

/// Facts about the supervisor before this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before {
    /// It noted at its end that nothing was left.
    pub ended_in_order: bool,
    /// The journal knows it.
    pub is_known: bool,
    /// This supervisor has the same keeper, which has swept.
    pub same_keeper: bool,
}

/// The search for what is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Search {
    /// Nothing is left.
    Nothing,
    /// One scan of the tags makes sure that nothing is left.
    Tags,
    /// Tags and markers are read, until two scans in a row find nothing.
    Markers,
}

impl Search {
    /// Decides how to search.
    pub const fn after(before: Before) -> Self {
        if before.ended_in_order {
            Self::Nothing
        } else if before.is_known && !before.same_keeper {
            Self::Markers
        } else {
            Self::Tags
        }
    }

    /// The scans in a row that have to find nothing; `has_found` once a scan has found a process. One that forks and ends
    /// during a scan can slip through it, so where processes are to be expected, one clean scan is not enough.
    pub const fn clean_scans(self, has_found: bool) -> u32 {
        match self {
            Self::Nothing => 0,
            Self::Tags if has_found => 2,
            Self::Tags => 1,
            Self::Markers => 2,
        }
    }
}

/// Facts about a process that may be of a dead supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suspect {
    /// It is this supervisor, or its keeper.
    pub is_ourselves: bool,
    /// Its tag, if it has one.
    pub tag: Option<TagOf>,
    /// Its marker.
    pub marked: Marked,
    /// The lock of a graph that a recorded supervisor took and that it inherited. A process that took its own mark and marker
    /// off (`su`, `env -i`) keeps that, and with it the graph from being served.
    pub locks: Option<Trace>,
}

/// The supervisor that a mark on a process leads to, and the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    /// The start of that supervisor.
    pub supervisor: u64,
    /// The start of the process; `None` where it can't be told.
    pub process: Option<u64>,
}

impl Trace {
    /// Whether the process can be one of that supervisor's: all of those started after it, and an older one has the mark by chance.
    const fn fits(self) -> bool {
        matches!(self.process, Some(process) if process >= self.supervisor)
    }
}

/// The origin of a tag. Only one supervisor of a state directory lives at a time, so that no other can have given it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TagOf {
    /// It names this state directory.
    pub this_directory: bool,
    /// It is of the life of a recorded supervisor.
    pub recorded: bool,
    /// This supervisor gave it.
    pub this_life: bool,
}

/// The marker in the environment of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marked {
    /// It was not read yet: reading it is slow.
    Unread,
    /// There is none, or not one of a recorded supervisor.
    No,
    /// It is that of a recorded supervisor.
    By(Trace),
}

/// The proof that a process is of a dead supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// Its tag.
    Tag,
    /// Its marker.
    Marker,
    /// The lock of a graph.
    Lock,
}

/// A judgement on a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It is left alone.
    Spare,
    /// It is ended.
    End(Evidence),
    /// The marker decides, and is to be read.
    ReadMarker,
}

impl Suspect {
    /// Decides from the facts. Markers count only where they are searched for.
    pub const fn judge(self, by_marker: bool) -> Judgement {
        if self.is_ourselves {
            return Judgement::Spare;
        }
        match self.tag {
            Some(TagOf { this_life: true, .. }) => return Judgement::Spare,
            Some(TagOf { this_directory: true, .. } | TagOf { recorded: true, .. }) => {
                return Judgement::End(Evidence::Tag);
            }
            Some(TagOf { .. }) | None => {}
        }
        match self.marked {
            Marked::Unread if by_marker => return Judgement::ReadMarker,
            Marked::By(origin) if by_marker && origin.fits() => return Judgement::End(Evidence::Marker),
            Marked::Unread | Marked::No | Marked::By(_) => {}
        }
        match self.locks {
            Some(origin) if origin.fits() => Judgement::End(Evidence::Lock),
            Some(_) | None => Judgement::Spare,
        }
    }
}

/// Returns whether a process may be killed through a handle that was opened after the first judgement: the second one, behind the
/// handle, has to rest on the same proof.
pub fn may_kill<T: PartialEq>(before: &T, behind_handle: Option<&T>, has_ended: bool) -> bool {
    !has_ended && behind_handle == Some(before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const NO_TAG: Option<TagOf> = None;
    const FOREIGN: Option<TagOf> = Some(TagOf { this_directory: false, recorded: false, this_life: false });
    const HERE: Option<TagOf> = Some(TagOf { this_directory: true, recorded: false, this_life: false });
    const RECORDED: Option<TagOf> = Some(TagOf { this_directory: false, recorded: true, this_life: false });
    const OURS: Option<TagOf> = Some(TagOf { this_directory: true, recorded: true, this_life: true });

    const fn by(process: Option<u64>) -> Marked {
        Marked::By(Trace { supervisor: 100, process })
    }

    #[test]
    fn a_process_is_ended_on_proof_alone() {
        use Judgement::{End, ReadMarker, Spare};
        let (tag, marker) = (End(Evidence::Tag), End(Evidence::Marker));
        // The tag, the marker, and the judgements where markers are read and where they are not.
        let rows: Vec<(Option<TagOf>, Marked, Judgement, Judgement)> = Vec::from([
            (NO_TAG, Marked::Unread, ReadMarker, Spare),
            (NO_TAG, Marked::No, Spare, Spare),
            (NO_TAG, by(Some(99)), Spare, Spare),
            (NO_TAG, by(Some(100)), marker, Spare),
            (NO_TAG, by(Some(101)), marker, Spare),
            (NO_TAG, by(None), Spare, Spare),
            (FOREIGN, Marked::Unread, ReadMarker, Spare),
            (FOREIGN, Marked::No, Spare, Spare),
            (FOREIGN, by(Some(101)), marker, Spare),
            (HERE, Marked::Unread, tag, tag),
            (HERE, Marked::No, tag, tag),
            (RECORDED, Marked::Unread, tag, tag),
            (RECORDED, by(Some(99)), tag, tag),
            (OURS, Marked::Unread, Spare, Spare),
            (OURS, by(Some(101)), Spare, Spare),
        ]);
        for (tag, marked, with_markers, without) in rows {
            let suspect = Suspect { is_ourselves: false, tag, marked, locks: None };
            assert_eq!(suspect.judge(true), with_markers, "{suspect:?}");
            assert_eq!(suspect.judge(false), without, "{suspect:?}");
            let ourselves = Suspect { is_ourselves: true, ..suspect };
            assert_eq!([true, false].map(|by_marker| ourselves.judge(by_marker)), [Spare, Spare]);
        }
    }

    #[test]
    fn a_lock_that_was_inherited_is_proof_where_there_is_no_other() {
        use Judgement::{End, Spare};
        for (tag, process, judgement) in [
            (NO_TAG, Some(100), End(Evidence::Lock)),
            (FOREIGN, Some(101), End(Evidence::Lock)),
            (NO_TAG, Some(99), Spare),
            (NO_TAG, None, Spare),
            (HERE, Some(99), End(Evidence::Tag)),
            (OURS, Some(101), Spare),
        ] {
            let locks = Some(Trace { supervisor: 100, process });
            let suspect = Suspect { is_ourselves: false, tag, marked: Marked::No, locks };
            assert_eq!(
                [true, false].map(|by_marker| suspect.judge(by_marker)),
                [judgement; 2],
                "{suspect:?}"
            );
            assert_eq!(Suspect { is_ourselves: true, ..suspect }.judge(true), Spare);
        }
    }

    #[test]
    fn the_same_proof_has_to_stand_behind_the_handle() {
        for (before, behind, has_ended, may) in [
            (1, Some(1), false, true),
            (1, Some(1), true, false),
            // The number is another process's by now, of another run or of none.
            (1, Some(2), false, false),
            (1, None, false, false),
        ] {
            assert_eq!(may_kill(&before, behind.as_ref(), has_ended), may, "{before} {behind:?} {has_ended}");
        }
    }

    #[test]
    fn the_search_is_as_thorough_as_the_end_was_bad() {
        for (ended_in_order, is_known, same_keeper, search, scans) in [
            (true, true, false, Search::Nothing, [0, 0]),
            (true, false, false, Search::Nothing, [0, 0]),
            (false, false, false, Search::Tags, [1, 2]),
            (false, true, true, Search::Tags, [1, 2]),
            (false, true, false, Search::Markers, [2, 2]),
        ] {
            let before = Before { ended_in_order, is_known, same_keeper };
            assert_eq!(Search::after(before), search, "{before:?}");
            assert_eq!([false, true].map(|has_found| search.clean_scans(has_found)), scans, "{before:?}");
        }
    }
}
