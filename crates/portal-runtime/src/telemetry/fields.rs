//! Fields of spans and events as texts.

use std::error::Error;
use std::fmt::{self, Debug};

use tracing::field::{Field, Visit};
use tracing_subscriber::field::{RecordFields, VisitOutput as _};
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{DefaultVisitor, Writer};

/// Start of the names of fields that the `log` crate adds.
const FROM_LOG: &str = "log.";

/// `name=value` each, as tracing-subscriber's default format has them.
///
/// A span's fields are written when it begins, whether or not a line is ever written in it, and every request is a span.
/// The default format puts each part of a field through a style, which is a twentieth of the cost of a request.
pub(super) struct TextFields;

impl<'a> FormatFields<'a> for TextFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'a>, fields: R) -> fmt::Result {
        let mut text = Text { writer, is_first: true, result: Ok(()) };
        fields.record(&mut text);
        text.result
    }
}

struct Text<'a> {
    writer: Writer<'a>,
    is_first: bool,
    result: fmt::Result,
}

impl Text<'_> {
    /// Leaves a field to tracing-subscriber.
    fn write_by_default(&mut self, field: &Field, write: impl FnOnce(&mut DefaultVisitor<'_>)) {
        let mut visitor = DefaultVisitor::new(self.writer.by_ref(), self.is_first);
        write(&mut visitor);
        self.result = self.result.and(visitor.finish());
        // What the `log` crate adds is left out.
        self.is_first &= field.name().starts_with(FROM_LOG);
    }

    fn write_name(&mut self, name: &str) -> fmt::Result {
        if !self.is_first {
            self.writer.write_char(' ')?;
        }
        self.is_first = false;
        self.writer.write_str(name)?;
        self.writer.write_char('=')
    }

    /// Returns `true` for a field without a form of its own. With colours every field has one.
    fn is_ordinary(&self, name: &str) -> bool {
        !(self.writer.has_ansi_escapes() || name == "message" || name.starts_with(FROM_LOG) || name.starts_with("r#"))
    }
}

impl Visit for Text<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if !(self.is_ordinary(field.name()) && is_plain(value)) {
            return self.write_by_default(field, |visitor| visitor.record_str(field, value));
        }
        let written = self.write_name(field.name()).and_then(|()| write!(self.writer, "\"{value}\""));
        self.result = self.result.and(written);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.write_by_default(field, |visitor| visitor.record_error(field, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if !self.is_ordinary(field.name()) {
            return self.write_by_default(field, |visitor| visitor.record_debug(field, value));
        }
        let written = self.write_name(field.name()).and_then(|()| write!(self.writer, "{value:?}"));
        self.result = self.result.and(written);
    }
}

/// Returns `true` for a text that stands between quotes as it is.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::fs;
    use std::sync::Arc;

    use portal_core::{Backend, BackendError};
    use tempfile::NamedTempFile;
    use tracing::subscriber::with_default;
    use tracing_subscriber::fmt::format::DefaultFields;

    use super::TextFields;

    /// A request with all kinds of fields, and lines in it and beside it.
    fn log() {
        let span = tracing::info_span!(
            "request", request_id = "r-1", http.method = %"GET", http.route = tracing::field::Empty,
            quoted = "a \"b\" \\ \u{1b}[0m \u{fc}", r#type = 1.5, count = -2, is_new = true
        );
        span.record("http.route", "/me");
        let cause = BackendError::failed(Backend::Cluster, "no such table: runs");
        let error = BackendError::unavailable(Backend::Database, cause);
        span.in_scope(|| tracing::warn!(error = &error as &dyn Error, name = "x", list = ?[1, 2], "a \u{1b} request"));
        tracing::warn!(log.line = 7, text = "alone");
        tracing::warn!("{} lines", 2);
    }

    #[test]
    fn texts_are_those_of_tracing_subscriber() {
        for is_ansi in [false, true] {
            let [ours, default] = [NamedTempFile::new().unwrap(), NamedTempFile::new().unwrap()];
            let lines = |file: &NamedTempFile| {
                let writer = Arc::new(file.reopen().unwrap());
                tracing_subscriber::fmt().without_time().with_ansi(is_ansi).with_writer(writer)
            };
            with_default(lines(&ours).fmt_fields(TextFields).finish(), log);
            with_default(lines(&default).fmt_fields(DefaultFields::new()).finish(), log);
            let [ours, default] = [ours, default].map(|file| fs::read_to_string(file.path()).unwrap());
            assert_eq!(ours, default);
            assert_eq!(ours.lines().count(), 3, "{ours}");
        }
    }
}
