//! Log lines as JSON objects.

use std::error::Error;
use std::fmt;

use portal_core::error_text;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope, SpanRef};

/// A span's fields as the members of a JSON object, without its braces: a further one is appended. The format of
/// tracing-subscriber reads all fields again to add one.
pub(super) struct JsonMembers;

impl<'a> FormatFields<'a> for JsonMembers {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'a>, fields: R) -> fmt::Result {
        let mut members = Map::new();
        fields.record(&mut Fields(&mut members));
        let object = Value::Object(members).to_string();
        let members = object.strip_prefix('{').and_then(|object| object.strip_suffix('}'));
        writer.write_str(members.unwrap_or_default())
    }

    fn add_fields(&self, current: &'a mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        if !current.fields.is_empty() {
            current.fields.push(',');
        }
        self.format_fields(current.as_writer(), fields)
    }
}

/// One JSON object per event: `timestamp`, `level`, `target`, the event's fields, `span` and `spans`.
///
/// The format of tracing-subscriber writes an error without its causes.
pub(super) struct JsonLines;

impl<S> FormatEvent<S, JsonMembers> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonMembers>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let mut line = Map::new();
        event.record(&mut Fields(&mut line));
        // After the event's fields: a field of one of these names must not replace them.
        line.insert("timestamp".to_owned(), timestamp.into());
        line.insert("level".to_owned(), event.metadata().level().as_str().into());
        line.insert("target".to_owned(), event.metadata().target().into());
        let spans: Vec<Value> =
            context.event_scope().into_iter().flat_map(Scope::from_root).map(|span| fields(&span)).collect();
        if let Some(innermost) = spans.last() {
            line.insert("span".to_owned(), innermost.clone());
            line.insert("spans".to_owned(), spans.into());
        }
        writeln!(writer, "{}", Value::Object(line))
    }
}

/// Returns the span's name and fields.
fn fields<'a, R: LookupSpan<'a>>(span: &SpanRef<'a, R>) -> Value {
    let extensions = span.extensions();
    let written = extensions.get::<FormattedFields<JsonMembers>>();
    let mut fields: Map<String, Value> =
        written.and_then(|written| serde_json::from_str(&format!("{{{written}}}")).ok()).unwrap_or_default();
    fields.insert("name".to_owned(), span.name().into());
    fields.into()
}

/// Writes an event's fields into an object.
struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn set(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.set(field, error_text(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::fs;
    use std::sync::Arc;

    use portal_core::{Backend, BackendError};
    use serde_json::{Value, json};
    use tempfile::NamedTempFile;

    use super::{JsonLines, JsonMembers};

    #[test]
    fn a_line_names_every_cause_of_an_error_and_the_request_it_belongs_to() {
        let file = NamedTempFile::new().unwrap();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(JsonMembers)
            .event_format(JsonLines)
            .with_writer(Arc::new(file.reopen().unwrap()))
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let route = tracing::field::Empty;
            let span = tracing::info_span!("request", request_id = "r-1", http.method = %"GET", http.route = route);
            span.record("http.route", "/me \"x\" \u{fc}");
            let cause = BackendError::failed(Backend::Cluster, "no such table: runs");
            let error = BackendError::unavailable(Backend::Database, cause);
            span.in_scope(|| tracing::warn!(error = &error as &dyn Error, attempt = 2, "a request failed"));
        });
        let text = fs::read_to_string(file.path()).unwrap();
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["error"], "the database is unavailable: the cluster failed: no such table: runs");
        assert_eq!((&line["message"], &line["level"]), (&json!("a request failed"), &json!("WARN")));
        assert_eq!(line["attempt"], 2);
        assert_eq!(
            line["span"],
            json!({
                "name": "request", "request_id": "r-1", "http.method": "GET", "http.route": "/me \"x\" \u{fc}",
            })
        );
        assert!(line["timestamp"].as_str().unwrap().starts_with("20"), "{text}");
    }
}
