//! What standard error shows while a run is under way.

use std::io::{self, IsTerminal, Write};

/// One line that changes on a terminal; a line per phase elsewhere.
pub(crate) struct Progress {
    output: Box<dyn Write + Send>,
    terminal: bool,
    /// Whether the line on the terminal has text.
    dirty: bool,
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Progress").field("terminal", &self.terminal).finish_non_exhaustive()
    }
}

impl Progress {
    pub(crate) fn standard_error() -> Self {
        Self::new(Box::new(io::stderr()), io::stderr().is_terminal())
    }

    pub(super) fn new(output: Box<dyn Write + Send>, terminal: bool) -> Self {
        Self { output, terminal, dirty: false }
    }

    /// Whether the line is on a terminal.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Something new begins.
    pub(crate) fn phase(&mut self, text: &str) {
        match self.terminal {
            true => self.update(text),
            false => self.write(&format!("{text}\n")),
        }
    }

    /// It has come this far.
    pub(crate) fn update(&mut self, text: &str) {
        if self.terminal {
            self.dirty = true;
            self.write(&format!("\r\x1b[K{text}"));
        }
    }

    /// Nothing follows; leaves an empty line on a terminal.
    pub(super) fn finish(&mut self) {
        if std::mem::take(&mut self.dirty) {
            self.write("\r\x1b[K");
        }
    }

    fn write(&mut self, text: &str) {
        // Whoever closed it does not want to know.
        let _ = self.output.write_all(text.as_bytes());
        let _ = self.output.flush();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Shown(Arc<Mutex<Vec<u8>>>);

    impl Write for Shown {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn shown(terminal: bool) -> String {
        let shown = Shown::default();
        let mut progress = Progress::new(Box::new(shown.clone()), terminal);
        progress.phase("ping");
        progress.update("ping: 10");
        progress.finish();
        drop(progress);
        String::from_utf8(shown.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_terminal_has_one_line_that_is_gone_at_the_end() {
        assert_eq!(shown(true), "\r\x1b[Kping\r\x1b[Kping: 10\r\x1b[K");
    }

    #[test]
    fn a_file_gets_a_line_per_phase() {
        assert_eq!(shown(false), "ping\n");
    }
}
