//! All faults.

macro_rules! faults {
    ($($variant:ident = $name:literal, $weight:literal;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault {
            $($variant,)*
        }

        impl Fault {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Returns the weight of the fault against the others.
            pub fn weight(self) -> u64 {
                match self { $(Self::$variant => $weight,)* }
            }
        }
    };
}

faults! {
    KillLeader = "kill-leader", 4;
    KillDescendant = "kill-descendant", 3;
    FreezeLeader = "freeze-leader", 2;
    KillGobd = "kill-gobd", 3;
    KillKeeper = "kill-keeper", 1;
    KillBoth = "kill-both", 2;
    FreezeGobd = "freeze-gobd", 3;
    Cut = "cut", 4;
    Deaf = "deaf", 4;
    KillClient = "kill-client", 3;
    FullDisk = "full-disk", 3;
    FewFiles = "few-files", 3;
    BadConfig = "bad-config", 2;
    DeletePid = "delete-pid", 1;
    DeleteSocket = "delete-socket", 2;
    DeleteLock = "delete-lock", 2;
    DeleteRuntime = "delete-runtime", 2;
    DeleteState = "delete-state", 2;
    Reload = "reload", 2;
    Sick = "sick", 3;
    HolderComes = "holder-comes", 3;
    HolderGoes = "holder-goes", 3;
    LesseeDies = "lessee-dies", 3;
    DieTogether = "die-together", 2;
    ForkStorm = "fork-storm", 1;
    Guest = "guest", 2;
    NoMarks = "no-marks", 2;
    TakeGraph = "take-graph", 2;
    DeleteStore = "delete-store", 2;
    CutStore = "cut-store", 2;
    LockStore = "lock-store", 2;
}

impl Fault {
    pub fn named(name: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().copied().find(|fault| fault.name() == name);
        found.ok_or_else(|| format!("{name:?} is no fault; there are {}", Self::names()))
    }

    pub fn names() -> String {
        Self::ALL.iter().map(|fault| fault.name()).collect::<Vec<_>>().join(", ")
    }
}
