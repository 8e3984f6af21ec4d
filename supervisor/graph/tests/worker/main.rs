//! The worker from its clients' side: real processes, real sockets, each test in directories of its own.

#[cfg(test)]
mod clients;
#[cfg(test)]
mod document;
#[cfg(test)]
mod durability;
#[cfg(test)]
mod gone;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod import;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod query;
#[cfg(test)]
mod query_limits;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod unfit;
