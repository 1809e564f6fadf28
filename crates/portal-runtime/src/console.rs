//! Standard output of the commands.

use std::io::{self, Write};

use crate::command_error::CommandError;

/// Writes lines to standard output.
pub(crate) fn print(lines: &[String]) -> Result<(), CommandError> {
    let mut output = io::stdout().lock();
    let written = lines.iter().try_for_each(|line| writeln!(output, "{line}")).and_then(|()| output.flush());
    written.map_err(|error| CommandError::other("standard output cannot be written", error))
}
