//! Everything bad that can happen.

/// What a fault wants of gob that a build may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// What was deleted is made anew.
    Healing,
    /// What a supervisor has left that died with its keeper is found and ended.
    Recovery,
}

impl Needs {
    pub fn named(name: &str) -> Result<Self, String> {
        match name {
            "healing" => Ok(Self::Healing),
            "recovery" => Ok(Self::Recovery),
            _ => Err(format!("{name:?} is neither healing nor recovery")),
        }
    }
}

macro_rules! faults {
    ($($variant:ident = $name:literal, $weight:literal, $needs:expr;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault {
            $($variant,)*
        }

        impl Fault {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// How often it comes, against the others.
            pub fn weight(self) -> u64 {
                match self { $(Self::$variant => $weight,)* }
            }

            pub fn needs(self) -> Option<Needs> {
                match self { $(Self::$variant => $needs,)* }
            }
        }
    };
}

faults! {
    KillLeader = "kill-leader", 4, None;
    KillDescendant = "kill-descendant", 3, None;
    FreezeLeader = "freeze-leader", 2, None;
    KillGobd = "kill-gobd", 3, None;
    KillKeeper = "kill-keeper", 1, None;
    KillBoth = "kill-both", 2, Some(Needs::Recovery);
    FreezeGobd = "freeze-gobd", 3, None;
    Cut = "cut", 4, None;
    Deaf = "deaf", 4, None;
    KillClient = "kill-client", 3, None;
    FullDisk = "full-disk", 3, None;
    FewFiles = "few-files", 3, None;
    BadConfig = "bad-config", 2, None;
    DeletePid = "delete-pid", 1, None;
    DeleteSocket = "delete-socket", 2, Some(Needs::Healing);
    DeleteLock = "delete-lock", 2, Some(Needs::Healing);
    DeleteRuntime = "delete-runtime", 2, Some(Needs::Healing);
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
