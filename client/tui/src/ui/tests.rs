use super::*;

#[test]
fn a_scroll_stays_within_its_lines() {
    let mut scroll = Scroll::default();
    assert_eq!(scroll.fit(10, 4), 0);
    scroll.by(99);
    assert_eq!(scroll.fit(10, 4), 6);
    scroll.by(-99);
    assert_eq!(scroll.fit(2, 4), 0);
}
