//! `registry completions` and `registry man`: what other programs want to know about the command line.

use std::io::Write;

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

/// Writes the script that completes the command line in `shell`.
pub(crate) fn completions(shell: Shell, mut command: Command, output: &mut impl Write) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "registry", &mut script);
    // Whoever closed standard output does not want to know.
    let _ = output.write_all(&script);
}

/// Writes one manual page for everything: the command, then each of its sub-commands.
pub(crate) fn man(command: Command, output: &mut impl Write) {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let mut page = Vec::new();
    let man = Man::new(command.clone()).section("1");
    // Writing to memory cannot fail.
    let _ = man.render_title(&mut page);
    let _ = man.render_name_section(&mut page);
    let _ = man.render_synopsis_section(&mut page);
    sections(&command, &mut page);
    page.extend_from_slice(ENDING.as_bytes());
    let _ = output.write_all(&page);
}

/// What no command line definition says.
const ENDING: &str = r#".SH ENVIRONMENT
.TP
\fBREGISTRY_CONFIGURATION_PATH\fR
The configuration file where the command line names none.
.TP
\fBREGISTRY_\fIKEY\fR, \fBREGISTRY_\fIKEY\fB_FILE\fR
The value of a key of the configuration, or a file with it: \fBREGISTRY_HTTP_ADDR\fR is http.addr.
.SH EXIT STATUS
.TP
0
Stopped by a signal with every request answered, or done.
.TP
1
The configuration is refused, the start or the command failed, or requests were cut off while stopping.
.TP
2
The command line makes no sense.
"#;

/// What `registry help …` says about each sub-command, under a heading of its own.
fn sections(command: &Command, page: &mut Vec<u8>) {
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        if sub.has_subcommands() {
            sections(sub, page);
            continue;
        }
        let man = Man::new(sub.clone());
        let name = sub.get_bin_name().unwrap_or(sub.get_name()).to_uppercase();
        let _ = writeln!(page, ".SH {name}");
        let mut text = Vec::new();
        let _ = man.render_synopsis_section(&mut text);
        let _ = man.render_description_section(&mut text);
        let _ = man.render_options_section(&mut text);
        // One heading is enough; the parts are paragraphs below it.
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            page.extend_from_slice(if line.starts_with(b".SH") { b".PP\n" } else { line });
        }
    }
}
