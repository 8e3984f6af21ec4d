//! Parts of a surface that stays open, as the desktop's window and the terminal's screen do: what it knows, what it asks for,
//! what its dialogs and keys mean. It draws nothing and starts no supervisor by itself; feature `surface`.

mod asks;
mod clock;
mod commands;
mod desk;
mod feed;
mod form;
mod kinds;
mod known;

pub use asks::{Answer, Ask, AskId, Asks, Job, Told};
pub use clock::{Clock, now};
pub use commands::{Choice, Command, offers};
pub use desk::{Acted, Desk, News, Runs, Shows};
pub use feed::Feed;
pub use form::{Field, Form};
pub use kinds::kinds;
pub use known::{EventLine, Known, Summary};
