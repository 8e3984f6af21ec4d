//! The icon, for the window and the tray.

use crate::palette::DARK;
use eframe::egui::IconData;
use gob_client::screen::Tone;

const PNG: &[u8] = include_bytes!("../assets/gob-desktop.png");

/// Returns the icon of the window.
pub(crate) fn of_window() -> Option<IconData> {
    eframe::icon_data::from_png_bytes(PNG).ok()
}

/// Returns the icon with a dot in the colour of a tone, for the tray: pixels of alpha, red, green, blue.
pub(crate) fn with_dot(tone: Tone) -> Option<ksni::Icon> {
    let icon = of_window()?;
    let (width, height) = (i32::try_from(icon.width).ok()?, i32::try_from(icon.height).ok()?);
    let (center, radius) = (width * 3 / 4, width / 5);
    let dot = DARK.tone(tone).to_array();
    let pixels = icon.rgba.chunks_exact(4).zip(0_i32..);
    let data = pixels.flat_map(|(pixel, at)| {
        let (x, y) = (at % width - center, at / width - center);
        let is_dot = x * x + y * y <= radius * radius;
        let pixel = if is_dot { dot } else { <[u8; 4]>::try_from(pixel).unwrap_or_default() };
        let [red, green, blue, alpha] = pixel;
        [alpha, red, green, blue]
    });
    Some(ksni::Icon { width, height, data: data.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_icon_is_a_picture_and_has_a_dot_in_the_tray() {
        let window = of_window().unwrap();
        assert_eq!((window.width, window.height), (128, 128));
        let tray = with_dot(Tone::Bad).unwrap();
        assert_eq!(tray.data.len(), window.rgba.len());
        let at = (96 * 128 + 96) * 4;
        let [red, green, blue, _] = DARK.bad.to_array();
        assert_eq!(tray.data[at..at + 4], [255, red, green, blue]);
        assert_ne!(with_dot(Tone::Plain).unwrap().data, tray.data);
    }
}
