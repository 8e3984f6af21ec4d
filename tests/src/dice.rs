//! Numbers from a seed (xorshift), for proofs that can be run again.

/// See the module.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// Creates the numbers of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(2).wrapping_add(1))
    }

    /// Returns the next number below a bound, which is not 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
