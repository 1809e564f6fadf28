//! Location and limits of the database.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use portal_core::Invalid;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::tls::Tls;

const FIELD: &str = "database.url";

/// Location and limits of the database.
#[derive(Debug, Clone)]
pub struct DbSettings {
    /// `sqlite:PATH`, or `postgres://USER:PASSWORD@HOST:PORT/NAME`, where `?sslmode=` is `disable`, `require` or
    /// `verify-full` (the last two both check the server's certificate and name) and `sslrootcert=` names a PEM file
    /// of the authorities that may have signed it, instead of the public ones. Without `sslmode`, only a server on
    /// this very machine is spoken to in clear text.
    pub url: SecretString,
    /// File of the URL of a PostgreSQL server. It is read again for every new connection, since a password may change
    /// while the portal runs.
    pub url_file: Option<PathBuf>,
    /// Most connections: readers on SQLite, all of them on PostgreSQL.
    pub connections: u32,
    /// Longest wait for a free connection, or for a new one.
    pub acquire_timeout: Duration,
    /// Longest duration of a statement, and longest wait for a lock.
    pub statement_timeout: Duration,
    /// Longest duration of one statement of a migration, and longest wait for another portal that migrates.
    pub migration_timeout: Duration,
}

/// Longest wait of a migration for a lock on a table. Statements of running portals queue behind that wait, so it is
/// much shorter than a migration may take.
pub(super) const MIGRATION_LOCK_TIMEOUT: Duration = Duration::from_secs(30);

impl DbSettings {
    /// Eight connections, two seconds for one of them, five seconds per statement, an hour per statement of a migration.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: SecretString::from(url.into()),
            url_file: None,
            connections: 8,
            acquire_timeout: Duration::from_secs(2),
            statement_timeout: Duration::from_secs(5),
            migration_timeout: Duration::from_hours(1),
        }
    }

    /// Reads the url; no message repeats it, since it may hold a password.
    pub(super) fn target(&self) -> Result<Target, Invalid> {
        let text = self.url.expose_secret();
        if let Some(path) = text.strip_prefix("sqlite:") {
            return match path {
                // A portal that forgets everything when it ends is a mistake. Tests have `Db::in_memory`.
                "" | ":memory:" => Err(Invalid::new(FIELD, "database.url must name a file after sqlite:")),
                path => Ok(Target::Sqlite(PathBuf::from(path))),
            };
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return self.postgres(text).map(|postgres| Target::Postgres(Box::new(postgres)));
        }
        Err(Invalid::new(FIELD, "database.url must begin with sqlite: or postgres://"))
    }

    /// Returns the server that the URL's file names now; `None` without a file, or if it names none.
    pub(super) fn read_again(&self) -> Option<PostgresTarget> {
        let text = std::fs::read_to_string(self.url_file.as_ref()?).ok()?;
        self.postgres(text.trim()).ok()
    }

    fn postgres(&self, text: &str) -> Result<PostgresTarget, Invalid> {
        let mut url = Url::parse(text).map_err(|error| Invalid::new(FIELD, format!("database.url: {error}")))?;
        // These two are decided here; the others are for tokio-postgres.
        let (ours, rest): (Vec<_>, Vec<_>) =
            url.query_pairs().into_owned().partition(|(key, _)| key == "sslmode" || key == "sslrootcert");
        let given = |wanted: &str| ours.iter().rev().find(|(key, _)| key == wanted).map(|(_, value)| value.as_str());
        let authorities = given("sslrootcert").map(Path::new);
        url.set_query(None);
        if !rest.is_empty() {
            url.query_pairs_mut().extend_pairs(rest);
        }
        let mut config = tokio_postgres::Config::from_str(url.as_str())
            .map_err(|error| Invalid::new(FIELD, format!("database.url: {error}")))?;
        let tls = match given("sslmode") {
            // The traffic does not leave the machine.
            None if authorities.is_none() && is_local(&config) => None,
            Some("disable") => None,
            None | Some("require" | "verify-full") => Some(Tls::new(authorities)?),
            Some(_) => {
                return Err(Invalid::new(FIELD, "sslmode in database.url must be disable, require or verify-full"));
            }
        };
        let ssl_mode = match tls {
            Some(_) => tokio_postgres::config::SslMode::Require,
            None => tokio_postgres::config::SslMode::Disable,
        };
        config.ssl_mode(ssl_mode).connect_timeout(self.acquire_timeout).application_name("friend-portal");
        config.tcp_user_timeout(self.statement_timeout).keepalives_idle(Duration::from_secs(30));
        config.options(self.server_limits(config.get_options()));
        Ok(PostgresTarget { config, tls })
    }

    /// Limits that the server enforces, so that no lock outlives the portal's interest in it.
    fn server_limits(&self, given: Option<&str>) -> String {
        let limit = self.statement_timeout.as_millis();
        format!(
            "-c statement_timeout={limit} -c lock_timeout={limit} -c idle_in_transaction_session_timeout={limit} {}",
            given.unwrap_or_default()
        )
    }
}

fn is_local(config: &tokio_postgres::Config) -> bool {
    config.get_hosts().iter().all(|host| match host {
        tokio_postgres::config::Host::Tcp(name) => matches!(name.as_str(), "localhost" | "127.0.0.1" | "::1"),
        tokio_postgres::config::Host::Unix(_) => true,
    })
}

/// Which database a url means.
#[derive(Debug)]
pub(super) enum Target {
    Sqlite(PathBuf),
    Postgres(Box<PostgresTarget>),
}

/// Address of a PostgreSQL server.
#[derive(Debug, Clone)]
pub(super) struct PostgresTarget {
    pub(super) config: tokio_postgres::Config,
    /// TLS settings; `None` for clear text.
    pub(super) tls: Option<Tls>,
}

#[cfg(test)]
mod tests {
    use super::{DbSettings, Target};

    #[track_caller]
    fn check(url: &str, expected: Result<&str, &str>) {
        let read = DbSettings::new(url).target().map(|target| match target {
            Target::Sqlite(path) => path.display().to_string(),
            Target::Postgres(target) => if target.tls.is_some() { "tls" } else { "clear" }.to_owned(),
        });
        match (read, expected) {
            (Ok(read), Ok(expected)) => assert_eq!(read, expected, "{url}"),
            (Err(refused), Err(part)) => assert!(refused.message.contains(part), "{url}: {refused}"),
            (read, _) => panic!("{url}: {read:?}"),
        }
    }

    #[test]
    fn the_file_of_a_url_is_read_again_for_a_password_that_changed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let settings = DbSettings {
            url_file: Some(file.path().to_path_buf()),
            ..DbSettings::new("postgres://portal:old@127.0.0.1/portal")
        };
        assert!(settings.read_again().is_none(), "an empty file names no server");
        std::fs::write(file.path(), "postgres://portal:new@127.0.0.1/portal\n").unwrap();
        let target = settings.read_again().unwrap();
        assert_eq!(target.config.get_password(), Some(&b"new"[..]));
    }

    #[test]
    fn a_url_names_a_file_or_a_server() {
        check("sqlite:/var/lib/portal.db", Ok("/var/lib/portal.db"));
        check("sqlite:portal.db", Ok("portal.db"));
        check("sqlite:", Err("must name a file"));
        check("sqlite::memory:", Err("must name a file"));
        check("mysql://host/portal", Err("must begin with"));
        check("", Err("must begin with"));
    }

    #[test]
    fn clear_text_needs_to_be_asked_for_unless_the_server_is_local() {
        check("postgres://portal@127.0.0.1/portal", Ok("clear"));
        check("postgresql://portal@%2Frun%2Fpostgresql/portal", Ok("clear"));
        check("postgres://portal@db.example/portal", Ok("tls"));
        check("postgres://portal@db.example/portal?sslmode=disable", Ok("clear"));
        check("postgres://portal@db.example/portal?sslmode=require", Ok("tls"));
        check("postgres://portal@127.0.0.1/portal?sslmode=verify-full", Ok("tls"));
        check("postgres://portal@db.example/portal?sslmode=prefer", Err("sslmode"));
    }

    #[test]
    fn a_file_of_authorities_asks_for_tls_and_must_hold_some() {
        check("postgres://portal@127.0.0.1/portal?sslrootcert=/no/such/file", Err("sslrootcert"));
        let no_certificates = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        check(&format!("postgres://portal@127.0.0.1/portal?sslrootcert={no_certificates}"), Err("holds none"));
    }

    #[test]
    fn no_refusal_repeats_the_password() {
        for url in ["postgres://portal:geheim@db.example:99999/portal", "postgres://p:geheim@h/n?frobnicate=1"] {
            let refused = DbSettings::new(url).target().unwrap_err();
            assert!(!refused.message.contains("geheim"), "{refused}");
        }
        let settings = DbSettings::new("postgres://portal:geheim@127.0.0.1/portal");
        assert!(!format!("{settings:?} {:?}", settings.target().unwrap()).contains("geheim"));
    }
}
