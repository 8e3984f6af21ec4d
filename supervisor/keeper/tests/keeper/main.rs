//! The keeper with real processes, one file per behaviour.

#[cfg(test)]
mod home;
#[cfg(test)]
mod inherits;
#[cfg(test)]
mod locks;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod restart;
