use std::sync::Arc;

use portal_adapters::SystemClock;
use portal_adapters::cloudflare::{SCRIPTED_TOKEN, ScriptedCloudflare};
use portal_core::{BackendError, Clock, error_text};
use portal_dns::DomainName;

use super::{Tokens, read, zones};
use crate::config::{Secret, Settings, parse};

const TWO_DOMAINS: &str = r#"
page = { enabled = false }
[database]
url = "sqlite:portal.db"

[[domains]]
name = "example.org"
target = { cname = "tunnel.example.net" }
[domains.cloudflare]
token = "TOKEN"
zone_id = "0a1b"

[[domains]]
name = "apps.example.net"
target = { a = "192.0.2.7" }
[domains.rfc2136]
server = "192.0.2.53:53"
zone = "example.net"
key_name = "portal"
key_secret = "c2VjcmV0"
"#;

fn settings(text: &str) -> Settings {
    parse(text).unwrap()
}

#[test]
fn every_domain_gets_the_records_of_its_provider() {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let zones = zones(&settings(TWO_DOMAINS), &clock).unwrap();
    let names: Vec<_> = zones.iter().map(|zone| (zone.domain.name.as_str(), zone.domain.proxied)).collect();
    assert_eq!(names, [("example.org", true), ("apps.example.net", false)]);
}

#[test]
fn everything_that_a_provider_refuses_is_told_with_its_key() {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let text = TWO_DOMAINS.replace("0a1b", "../0a1b").replace("c2VjcmV0", "no base64!");
    let problems = zones(&settings(&text), &clock).err().unwrap();
    let keys: Vec<_> = problems.0.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["domains[0].cloudflare.zone_id", "domains[1].rfc2136.key_secret"]);
}

#[test]
fn zones_of_one_token_share_its_budget() {
    let mut tokens = Tokens { replicas: 2, apis: Vec::new() };
    let [one, same, other] = [("one", "a.net"), ("one", "b.net"), ("other", "c.net")].map(|(token, domain)| {
        let domain = DomainName::parse(domain).unwrap();
        tokens.api(&Secret { value: token.to_owned().into(), file: None }, None, &domain).unwrap()
    });
    assert!(Arc::ptr_eq(&one, &same) && !Arc::ptr_eq(&one, &other));
    assert_eq!(one.current().calls_left(), 550);
    let told: Vec<_> = tokens.budgets().iter().map(|budget| (budget.domains(), budget.calls_left())).collect();
    assert_eq!(told, [("a.net,b.net".to_owned(), 550), ("c.net".to_owned(), 550)]);
}

/// Reads the only domain through a Cloudflare that serves `example.org`.
async fn check(token: &str) -> Result<(), BackendError> {
    let cloudflare = ScriptedCloudflare::start(&["example.org"]).await.unwrap();
    let (text, _) = TWO_DOMAINS.split_at(TWO_DOMAINS.rfind("[[domains]]").unwrap());
    let address = format!("api_url = \"{}\"", cloudflare.url());
    let text = text.replace("TOKEN", token).replace("zone_id = \"0a1b\"", &address);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let zones = zones(&settings(&text), &clock).unwrap();
    read(zones.first().unwrap()).await
}

#[tokio::test]
async fn a_zone_is_read() {
    assert!(check(SCRIPTED_TOKEN).await.is_ok());
}

#[tokio::test]
async fn a_zone_that_cannot_be_read_says_why() {
    let error = check("stolen").await.unwrap_err();
    let text = error_text(&error);
    assert!(text.starts_with("the dns provider refused the portal: "), "{text}");
    assert!(text.contains("10000") && !text.contains("stolen"), "{text}");
}

#[tokio::test]
async fn a_token_that_is_replaced_in_its_file_is_used_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "stolen").unwrap();
    let cloudflare = ScriptedCloudflare::start(&["example.org"]).await.unwrap();
    let (text, _) = TWO_DOMAINS.split_at(TWO_DOMAINS.rfind("[[domains]]").unwrap());
    let address = format!("api_url = \"{}\"", cloudflare.url());
    let token_file = format!("token_file = \"{}\"", file.display());
    let text = text.replace("token = \"TOKEN\"", &token_file).replace("zone_id = \"0a1b\"", &address);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let zones = zones(&settings(&text), &clock).unwrap();
    assert!(read(&zones[0]).await.is_err());
    std::fs::write(&file, SCRIPTED_TOKEN).unwrap();
    assert!(read(&zones[0]).await.is_ok());
}
