//! A display of a test's own, and the window on it.

use gob_tests::Gob;
use gob_tests::wait::{self, DEADLINE};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Returns whether a program is on PATH.
pub(crate) fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// An X server without a screen.
pub(crate) struct Screen {
    server: Child,
    display: String,
    dir: PathBuf,
}

impl Screen {
    pub(crate) fn open(gob: &Gob) -> Self {
        Self::sized(gob, "1180x760x24")
    }

    /// Opens a display of this size; the server picks its number.
    pub(crate) fn sized(gob: &Gob, size: &str) -> Self {
        let dir = gob.dir().join("screen");
        fs::create_dir_all(&dir).unwrap();
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", size, "-nolisten", "tcp", "-fbdir"])
            .arg(&dir)
            // Mesa keeps its shaders there, else in the user's home, whatever HOME says.
            .env("XDG_CACHE_HOME", &dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(gob.state_dir().join("xvfb.log")).unwrap())
            .spawn()
            .expect("Xvfb");
        let mut number = Vec::new();
        let mut out = server.stdout.take().unwrap();
        let mut byte = [0];
        while out.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
            number.extend(byte);
        }
        let display = format!(":{}", String::from_utf8(number).unwrap());
        assert!(display.len() > 1, "Xvfb did not start: {}", gob.logs());
        Self { server, display, dir }
    }

    /// Opens the window and waits until its first worker is there, which is selected.
    pub(crate) fn window(&self, gob: &Gob) -> Window<'_> {
        let window = self.window_with(gob, &[]);
        window.wait_row(0);
        window
    }

    /// Opens the window and waits until it is drawn.
    pub(crate) fn window_with(&self, gob: &Gob, env: &[(&str, &str)]) -> Window<'_> {
        let trace = gob.dir().join("frames");
        let mut command = desktop(gob, Some(&self.display));
        let log = fs::File::create(gob.state_dir().join("desktop.log")).unwrap();
        command.env("GOB_DESKTOP_TRACE", &trace).envs(env.iter().copied()).stdout(Stdio::null()).stderr(log);
        let process = command.spawn().expect("gob-desktop");
        let window = Window { screen: self, process, trace, has_ended: false };
        assert!(wait::until(DEADLINE, || window.frames() >= 1), "no window: {}", gob.logs());
        // Without a window manager no window has the keyboard by itself.
        let name = "^gob$";
        self.xdotool(&["search", "--sync", "--onlyvisible", "--name", name, "windowfocus", "--sync"]);
        window
    }

    fn xdotool(&self, args: &[&str]) {
        let output =
            Command::new("xdotool").args(args).env("DISPLAY", &self.display).output().expect("xdotool");
        assert!(output.status.success(), "xdotool {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Returns the pixels of the screen, three bytes each, with their width and height.
    fn pixels(&self) -> (u32, u32, Vec<u8>) {
        // The format of xwd(1), XWDFile.h: numbers of four bytes, the highest first.
        let file = fs::read(self.dir.join("Xvfb_screen0")).unwrap();
        let number = |at: usize| u32::from_be_bytes(file[4 * at..4 * at + 4].try_into().unwrap()) as usize;
        let (header, width, height, line, colors) = (number(0), number(4), number(5), number(12), number(19));
        let start = header + 12 * colors;
        let mut pixels = Vec::with_capacity(3 * width * height);
        for y in 0..height {
            for pixel in file[start + y * line..][..4 * width].chunks_exact(4) {
                pixels.extend([pixel[2], pixel[1], pixel[0]]);
            }
        }
        (width as u32, height as u32, pixels)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.server.kill().ok();
        self.server.wait().ok();
    }
}

/// Returns the program in the world of a test.
pub(crate) fn desktop(gob: &Gob, display: Option<&str>) -> Command {
    // Beside the programs of this world, which it starts.
    let program = gob.bin("gob-desktop");
    // Another one may be measured than the one of this profile.
    let built =
        std::env::var_os("GOB_TEST_DESKTOP").unwrap_or_else(|| env!("CARGO_BIN_EXE_gob-desktop").into());
    if !program.exists() && fs::hard_link(&built, &program).is_err() {
        fs::copy(&built, &program).unwrap();
    }
    let mut command = Command::new(program);
    command.env_clear().envs(gob.env());
    command.env("LIBGL_ALWAYS_SOFTWARE", "1").stdin(Stdio::null());
    command.env("XDG_CACHE_HOME", gob.dir().join("cache"));
    // No bus of the person who runs the tests.
    command.env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", gob.dir().join("no-bus").display()));
    if let Some(display) = display {
        command.env("DISPLAY", display);
    }
    command
}

/// The times of a frame in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameTimes {
    /// Since the start of the process.
    pub(crate) at: f64,
    /// Since the frame before.
    pub(crate) since: f64,
    /// Of its drawing.
    pub(crate) took: f64,
}

/// The window.
pub(crate) struct Window<'s> {
    screen: &'s Screen,
    process: Child,
    trace: PathBuf,
    has_ended: bool,
}

impl Window<'_> {
    /// Returns its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Returns the number of frames that were drawn so far.
    pub(crate) fn frames(&self) -> usize {
        fs::read(&self.trace).map_or(0, |text| text.iter().filter(|byte| **byte == b'\n').count())
    }

    /// Returns the times of all frames.
    pub(crate) fn times(&self) -> Vec<FrameTimes> {
        let text = fs::read_to_string(&self.trace).unwrap_or_default();
        let whole = text.lines().filter_map(|line| {
            let mut numbers = line.split(' ').map(|number| number.parse::<f64>().map(|micros| micros / 1e3));
            let (at, since, took) = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
            Some(FrameTimes { at, since, took })
        });
        whole.collect()
    }

    /// Acts, and waits for a frame that is drawn after that.
    pub(crate) fn draws_after(&self, act: impl FnOnce()) {
        let before = self.frames();
        act();
        assert!(wait::until(DEADLINE, || self.frames() > before), "nothing is drawn");
    }

    /// Presses a key.
    pub(crate) fn key(&self, key: &str) {
        self.screen.xdotool(&["key", key]);
    }

    /// Types a text.
    pub(crate) fn type_in(&self, text: &str) {
        self.screen.xdotool(&["type", "--delay", "20", text]);
    }

    /// Clicks.
    pub(crate) fn click(&self, x: u32, y: u32) {
        let (x, y) = (x.to_string(), y.to_string());
        self.screen.xdotool(&["mousemove", "--sync", &x, &y, "click", "1"]);
    }

    /// Waits until the row of this number is the selected one.
    pub(crate) fn wait_row(&self, number: usize) {
        // The left end of a row, where no text is, and the colour of a selected one.
        let ((x, y), selected) = ((14, 90 + 52 * number), [0x24, 0x3b, 0x5a]);
        let is_selected = wait::until(DEADLINE, || {
            let (width, _, pixels) = self.screen.pixels();
            pixels[3 * (y * width as usize + x)..][..3] == selected
        });
        assert!(is_selected, "row {number} is not selected");
    }

    /// Takes a picture, and checks that something is on it.
    pub(crate) fn see(&self, name: &str, what: &str) {
        let (mut width, mut height, mut pixels) = (0, 0, Vec::new());
        // The last drawing may be on its way to the screen.
        let is_drawn = wait::until(DEADLINE, || {
            (width, height, pixels) = self.screen.pixels();
            let colors: std::collections::HashSet<&[u8]> = pixels.chunks_exact(3).collect();
            colors.len() > 30
        });
        wait::while_time_passes(std::time::Duration::from_millis(300));
        (width, height, pixels) = self.screen.pixels();
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("window");
        fs::create_dir_all(&dir).unwrap();
        let file = fs::File::create(dir.join(format!("{name}.png"))).unwrap();
        let mut encoder = png::Encoder::new(file, width, height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
        assert!(is_drawn, "the screen is empty: {what}");
    }

    /// Waits for its end; returns the exit code.
    pub(crate) fn end(&mut self) -> Option<i32> {
        let handle = gob_tests::process::Handle::open(self.pid() as i32).unwrap();
        assert!(handle.wait_gone(DEADLINE), "it goes on");
        self.has_ended = true;
        self.process.wait().unwrap().code()
    }
}

impl Drop for Window<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.process.kill().ok();
            self.process.wait().ok();
        }
    }
}
