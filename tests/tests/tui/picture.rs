//! The README's pictures are those of the present screen.

use gob_tests::picture::{PALETTES, rows, svg};
use std::path::Path;

#[test]
fn the_pictures_of_the_readme_are_those_of_the_screen() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = std::fs::read_to_string(top.join("README.md")).unwrap();
    let rows = rows();
    for palette in PALETTES {
        let file = palette.file();
        assert!(readme.contains(&file), "README.md shows {file}");
        let committed = std::fs::read_to_string(top.join(&file)).unwrap();
        let made = svg(&rows, &palette);
        let differs = made.lines().zip(committed.lines()).find(|(made, committed)| made != committed);
        assert!(
            made == committed,
            "{file} differs first in {differs:?}; cargo run -p gob-tests --bin gob-picture writes it anew"
        );
    }
}
