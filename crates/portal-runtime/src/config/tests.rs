use std::collections::{BTreeSet, HashMap};

use actix_web::http::header::HeaderName;
use config::{Config, File, FileFormat};
use portal_api::{ClientAddresses, LimitSettings};
use portal_core::Retention;
use portal_k8s::Provisioning;
use secrecy::ExposeSecret;

use super::{EngineKind, Problems, Provider, Settings, overlaid, parse};

const SMALL: &str = r#"
page = { enabled = false }
[database]
url = "sqlite:portal.db"
"#;

const DELIVERY: &str = r#"
[delivery]
webhook_url = "http://localhost/"
signature = "legacy"
webhook_secret = "0123456789abcdef0123456789abcdef"
"#;

/// The example with its files replaced by values, since they are not on this machine.
fn example() -> String {
    include_str!("../../../../portal.example.toml")
        .replace(
            "webhook_secret_file = \"/run/secrets/webhook-secret\"",
            "webhook_secret = \"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"",
        )
        .replace("token_file = \"/run/secrets/cloudflare-token\"", "token = \"t\"")
        .replace("key_secret_file = \"/run/secrets/tsig-key\"", "key_secret = \"a2V5\"")
}

#[track_caller]
fn problems(text: &str) -> Vec<(String, String)> {
    let Err(Problems(problems)) = parse(text) else { panic!("accepted: {text}") };
    problems.into_iter().map(|problem| (problem.key, problem.message)).collect()
}

#[track_caller]
fn check(text: &str, key: &str, part_of_message: &str) {
    let found = problems(&format!("{SMALL}{text}"));
    let named = found.iter().any(|(at, message)| at == key && message.contains(part_of_message));
    assert!(named, "{key}: {part_of_message} is not in {found:?}");
}

#[test]
fn the_example_is_a_configuration() {
    let settings = parse(&example()).unwrap();
    assert_eq!(settings.domains.len(), 2);
    assert!(matches!(settings.domains[0].provider, Provider::Cloudflare { proxied: true, .. }));
    assert!(matches!(settings.domains[1].provider, Provider::Rfc2136 { .. }));
}

#[test]
fn the_documents_show_configurations() {
    let documents = [
        include_str!("../../../../docs/agents.md"),
        include_str!("../../../../docs/login.md"),
        include_str!("../../../../docs/operations.md"),
    ];
    for document in documents {
        for block in document.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            // A block shows the sections that it is about.
            let database = if block.contains("[database]") { "" } else { SMALL };
            let delivery = if block.contains("[delivery]") { "" } else { DELIVERY };
            let agent =
                if block.starts_with("[agents.") { "[[agents]]\nid = \"main\"\nworkspace = \"/\"\n" } else { "" };
            let Err(Problems(mut wrong)) = parse(&format!("{database}{delivery}{agent}{block}")) else { continue };
            // Their files are not on this machine.
            wrong.retain(|problem| !problem.key.ends_with("_file"));
            assert!(wrong.is_empty(), "{block}: {}", Problems(wrong));
        }
    }
}

#[test]
fn a_database_is_all_that_is_needed_without_a_page() {
    let settings = parse(SMALL).unwrap();
    assert_eq!(settings.provisioning, Provisioning::default());
    let with_page = SMALL.replace("false", "true");
    let [(key, message)] = &problems(&with_page)[..] else { panic!("not one problem") };
    assert!(key == "server.public_url" && message.contains("page.enabled = false"), "{key}: {message}");
    assert!(parse(&format!("{with_page}[server]\npublic_url = \"https://portal.example.org\"\n")).is_ok());
}

#[test]
fn the_example_shows_what_namespaces_are_made_of_by_default() {
    assert_eq!(parse(&example()).unwrap().provisioning, Provisioning::default());
}

#[test]
fn the_example_shows_the_default_retention() {
    assert_eq!(parse(&example()).unwrap().retention, Retention::default());
}

#[test]
fn a_quota_that_is_given_replaces_the_default_one() {
    let settings = parse(&format!("{SMALL}[provisioning.quota]\n\"requests.storage\" = \"5Gi\"\npods = 2\n")).unwrap();
    let expected = [("pods", "2"), ("requests.storage", "5Gi")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(settings.provisioning, Provisioning { quota: expected.into(), ..Provisioning::default() });
}

#[test]
fn an_agent_has_the_account_of_the_section_or_one_of_its_own() {
    let text = |account: &str, agents: &[&str]| {
        let agents: Vec<_> = agents.iter().map(|agent| format!("[[agents]]\nworkspace = \"/a\"\n{agent}")).collect();
        let agents = agents.join("\n");
        format!("{SMALL}{DELIVERY}[provisioning]\n{account}\n{agents}")
    };
    let accounts = |text: String| {
        let agents = parse(&text).unwrap().agents.into_iter();
        agents.map(|agent| agent.service_account.map(|account| account.to_string())).collect::<Vec<_>>()
    };
    let (shared, own) = ("agent_service_account = \"openclaw/main\"", "service_account = \"openclaw/other\"");
    let (main, other) = ("id = \"main\"", format!("id = \"other\"\n{own}"));
    assert_eq!(accounts(text("", &[main])), [None]);
    assert_eq!(accounts(text(shared, &[main])), [Some("openclaw/main".to_owned())]);
    let both = [Some("openclaw/main".to_owned()), Some("openclaw/other".to_owned())];
    assert_eq!(accounts(text(shared, &[main, &other])), both);
    // An agent must not deploy for the friends of another because nobody named its account.
    let [(key, message)] = &problems(&text(shared, &[main, "id = \"other\""]))[..] else { panic!("not one problem") };
    assert_eq!(key, "provisioning.agent_service_account");
    assert!(message.contains("the account of other too"), "{message}");
}

#[test]
fn hooks_that_cannot_be_read_are_one_problem() {
    let agent = "[[agents]]\nid = \"main\"\nworkspace = \"/\"\n";
    let hook = "[agents.hook]\nurl = \"http://localhost/hooks\"\ntoken_file = \"/not/there\"\n";
    let keys = |text: &str| problems(text).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(keys(&format!("{SMALL}{agent}{hook}")), ["agents[0].hook.token_file"]);
    assert_eq!(keys(&format!("{SMALL}{agent}")), ["delivery.webhook_url"]);
}

#[test]
fn every_problem_is_told_at_once() {
    let found = problems("[server]\nlisten = \"here\"\nreplicas = 0\n[log]\nformat = \"loud\"\n[colour]\nx = 1\n");
    let keys: BTreeSet<&str> = found.iter().map(|(key, _)| key.as_str()).collect();
    let expected = ["server.listen", "server.replicas", "log.format", "colour", "database.url"];
    assert_eq!(keys, BTreeSet::from(expected));
}

#[test]
fn only_sections_are_called_sections() {
    let (_, message) = problems(&format!("{SMALL}[colour]\nx = 1\n")).pop().unwrap();
    assert!(message.ends_with("delivery, domains"), "{message}");
}

#[test]
fn a_problem_names_its_key_and_its_rule() {
    check("[colour]\nx = 1", "colour", "the sections are server, limits, log, database");
    check("[server]\nlisten = \"nowhere\"", "server.listen", "`nowhere` is not an address");
    check("[server]\nlisen = \"127.0.0.1:1\"", "server", "unknown field `lisen`");
    check("[server]\nallowed_origins = [\"example.org\"]", "server.allowed_origins", "not an origin");
    check("[server]\ndrain_seconds = 61", "server.drain_seconds", "0 to 60");
    check("[limits]\nin_flight = 0", "limits.in_flight", "at least 1");
    check("[limits]\nreads_burst = 0", "limits.reads_burst", "at least 1");
    check("[limits]\nguesses_per_minute = 0", "limits.guesses_per_minute", "at least 1");
    check("[limits]\nbody_bytes = 1", "limits.body_bytes", "at least 2097152");
    check("[log]\nfilter = \"=loud=\"", "log.filter", "");
    check("[cluster]\nmax_staleness_seconds = 5", "cluster.max_staleness_seconds", "20 to 600");
    check("[provisioning]\ningress_namespace = \"Traefik\"", "provisioning.ingress_namespace", "name of a namespace");
    check("[provisioning]\nagent_service_account = \"main\"", "provisioning.agent_service_account", "namespace/name");
    check("[provisioning.quota]\npods = \"-1\"", "provisioning.quota.pods", "`-1` is not an amount");
    check("[provisioning.quota]\n\"limits.cpu\" = \"much\"", "provisioning.quota.limits.cpu", "not an amount");
    check("[provisioning.container_max]\ncpu = \"50m\"", "provisioning.container_default.cpu", "must not be more");
    check("[jobs]\nchannels = [\"Signal\"]", "jobs.channels", "lower-case");
    check("[jobs]\nin_flight = 0", "jobs.in_flight", "1 to 4096");
    check("[[agents]]\nid = \"Main\"\nworkspace = \"/a\"", "agents[0].id", "agent must be");
    check("[[agents]]\nid = \"main\"\nworkspace = \"a\"", "agents[0].workspace", "absolute");
    check("[[agents]]\nid = \"main\"\nworkspace = \"/a\"", "delivery.webhook_url", "missing");
    let hook = |rest: &str| format!("[[agents]]\nid = \"main\"\nworkspace = \"/a\"\n[agents.hook]\n{rest}");
    let token = "token_file = \"/nowhere\"\n";
    check(&hook(&format!("{token}url = \"http://gw/hooks\"")), "agents[0].hook.token_file", "cannot be read");
    for url in ["gw/hooks", "ws://gw/hooks", "http://user:pw@gw/hooks", "http://gw/hooks?token=t"] {
        check(&hook(&format!("{token}url = \"{url}\"")), "agents[0].hook.url", "such as http://127.0.0.1:18789/hooks");
    }
    let gateway = |rest: &str| format!("[[agents]]\nid = \"main\"\nworkspace = \"/a\"\n[agents.gateway]\n{rest}");
    check(&gateway(&format!("{token}url = \"http://gw\"")), "agents[0].gateway.url", "such as ws://127.0.0.1:18789/");
    check(&gateway(&format!("{token}url = \"ws://gw\"")), "agents[0].gateway.token_file", "cannot be read");
    let key = format!("{token}url = \"ws://gw\"\ndevice_key_file = \"/dev/null\"");
    check(&gateway(&key), "agents[0].gateway.device_key", "must not be empty");
    let engine = |engine: &str| format!("[[agents]]\nid = \"main\"\nworkspace = \"/a\"\nengine = \"{engine}\"");
    check(&engine("openclaw"), "agents[0].engine", "needs agents.gateway");
    check(&engine("cron"), "agents[0].engine", "embedded and openclaw");
    check("[retention]\naudit_days = 0", "retention.audit_days", "1 to 3650 days");
    check("[retention]\nruns_per_job = 0", "retention.runs_per_job", "1 to 100000");
    check("[delivery]\nwebhook_url = \"ftp://example.org\"", "delivery.webhook_url", "http or https");
    check("[delivery]\nwebhook_url = \"http://localhost/\"", "delivery.webhook_secret", "missing");
    let signed = |rest: &str| format!("[delivery]\nwebhook_url = \"http://localhost/\"\n{rest}");
    let hex = "webhook_secret = \"0123456789abcdef0123456789abcde\"";
    check(&signed(hex), "delivery.webhook_secret", "whsec_");
    check(&signed(&format!("signature = \"legacy\"\n{hex}")), "delivery.webhook_secret", "at least 32 bytes");
    check(&signed(&format!("signature = \"none\"\n{hex}")), "delivery.signature", "standard or legacy");
    check(&signed("bearer_token_file = \"/nowhere\""), "delivery.bearer_token_file", "cannot be read");
    check("[time]\nzoneinfo = \"/nowhere\"", "time.zoneinfo", "name the release");
}

#[test]
fn an_agent_with_hooks_needs_no_webhook() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "hook-token\n").unwrap();
    let hook = format!("[agents.hook]\nurl = \"http://127.0.0.1:1/hooks\"\ntoken_file = {:?}\n", file.path());
    let agents = |rest: &str| format!("{SMALL}[[agents]]\nid = \"main\"\nworkspace = \"/a\"\n{hook}{rest}");
    let settings = parse(&agents("")).unwrap();
    let hook = settings.agents[0].hook.as_ref().unwrap();
    assert_eq!((hook.token.value.expose_secret(), hook.fresh_session), ("hook-token", false));
    assert!(settings.delivery.is_none() && !format!("{settings:?}").contains("hook-token"));
    let found = problems(&agents("[[agents]]\nid = \"other\"\nworkspace = \"/b\"\n"));
    assert!(
        matches!(&found[..], [(key, why)] if key == "delivery.webhook_url" && why.contains("agent other")),
        "{found:?}"
    );
}

#[test]
fn an_agent_whose_gateway_keeps_the_jobs_needs_no_webhook() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "gateway-token\n").unwrap();
    let gateway = format!("[agents.gateway]\nurl = \"ws://127.0.0.1:1/\"\ntoken_file = {:?}\n", file.path());
    let agent = "[[agents]]\nid = \"main\"\nworkspace = \"/a\"\n";
    let settings = parse(&format!("{SMALL}{agent}engine = \"openclaw\"\n{gateway}")).unwrap();
    assert_eq!((settings.agents[0].engine, settings.delivery.is_none()), (EngineKind::Openclaw, true));
    assert!(!format!("{settings:?}").contains("gateway-token"));
    let found = problems(&format!("{SMALL}{agent}{gateway}"));
    assert!(matches!(&found[..], [(key, _)] if key == "delivery.webhook_url"), "{found:?}");
}

#[test]
fn a_domain_has_one_provider_and_one_target() {
    let domain = |rest: &str| format!("[[domains]]\nname = \"example.org\"\n{rest}");
    check(&domain("target = { a = \"192.0.2.1\" }"), "domains[0]", "exactly one of cloudflare and rfc2136");
    check(&domain("target = {}\ncloudflare = { token = \"t\" }"), "domains[0].target", "exactly one");
    check(&domain("target = { a = \"::1\" }\ncloudflare = { token = \"t\" }"), "domains[0].target", "IPv4");
    check(&domain("target = { mx = \"x\" }\ncloudflare = { token = \"t\" }"), "domains[0].target", "not cname");
    check(&domain("ttl = 1\ntarget = { a = \"192.0.2.1\" }"), "domains[0].ttl", "30 to 86400");
    check(&domain("target = { a = \"192.0.2.1\" }\ncloudflare = {}"), "domains[0].cloudflare.token", "missing");
    check(
        &domain("target = { a = \"192.0.2.1\" }\nrfc2136 = { server = \"x\", key_name = \"k\", key_secret = \"s\" }"),
        "domains[0].rfc2136.server",
        "not an address",
    );
}

#[test]
fn limits_are_on_by_default_and_can_be_switched_off() {
    let limits = parse(SMALL).unwrap().limits;
    assert_eq!((limits.per_friend, limits.connections_per_address), (Some(LimitSettings::default()), None));
    assert_eq!(parse(&example()).unwrap().limits.per_friend, Some(LimitSettings::default()));
    let off = parse(&format!("{SMALL}[limits]\nenabled = false\n")).unwrap().limits;
    assert_eq!(off.per_friend, None);
}

#[test]
fn clients_are_known_where_the_proxies_are() {
    let clients = |server: &str| parse(&format!("{SMALL}[server]\n{server}\n")).unwrap().server.clients;
    assert_eq!(clients(""), ClientAddresses::Unknown);
    assert_eq!(clients("trusted_proxies = []"), ClientAddresses::Known { proxies: Vec::new(), header: None });
    let proxies = ["10.0.0.0/8", "192.0.2.1/32"].map(|network| network.parse().unwrap()).to_vec();
    let named = "trusted_proxies = [\"10.0.0.0/8\", \"192.0.2.1\"]";
    let header = |name| Some(HeaderName::from_static(name));
    let known = ClientAddresses::Known { proxies: proxies.clone(), header: header("x-forwarded-for") };
    assert_eq!(clients(named), known);
    let known = ClientAddresses::Known { proxies, header: header("x-real-ip") };
    assert_eq!(clients(&format!("{named}\nclient_address_header = \"X-Real-IP\"")), known);
    check("[server]\ntrusted_proxies = [\"traefik\"]", "server.trusted_proxies", "`traefik` is not a network");
    let header = |name: &str| format!("[server]\nclient_address_header = \"{name}\"");
    check(&header("X-Real-IP"), "server.client_address_header", "needs server.trusted_proxies");
    check(&header("Forwarded"), "server.client_address_header", "must be a header that holds addresses");
}

#[test]
fn secrets_are_not_printed() {
    let settings = parse(&example()).unwrap();
    let printed = format!("{settings:?}");
    assert!(!printed.contains("a2V5") && !printed.contains("\"w\""), "{printed}");
}

#[test]
fn a_secret_file_that_cannot_be_read_is_a_problem_of_its_own() {
    let found = problems("[database]\nurl_file = \"/nowhere/at/all\"\n");
    assert!(found.iter().any(|(key, message)| key == "database.url_file" && message.contains("cannot be read")));
}

/// The key paths of a document, list indexes left out.
fn keys(value: &toml::Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                found.insert(path.clone());
                keys(value, &path, found);
            }
        }
        toml::Value::Array(items) => items.iter().for_each(|item| keys(item, path, found)),
        _ => {}
    }
}

/// The fields of the struct that serde names when it meets an unknown one.
fn fields_of(text: &str) -> BTreeSet<String> {
    let found = problems(text);
    let message = found.iter().map(|(_, message)| message).find(|message| message.contains("expected")).unwrap();
    let (_, expected) = message.split_once("expected").unwrap();
    let (fields, _) = expected.split_once(" for key").unwrap_or((expected, ""));
    fields.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_example_has_every_key() {
    let uncommented: String = include_str!("../../../../portal.example.toml")
        .lines()
        .map(|line| {
            line.strip_prefix("# ").filter(|rest| rest.contains(" = ") || rest.starts_with('[')).unwrap_or(line)
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    let unknown = problems(&uncommented).into_iter().find(|(_, message)| message.contains("unknown"));
    assert_eq!(unknown, None, "portal.example.toml has a key that does not exist");
    let mut shown = BTreeSet::new();
    keys(&toml::from_str(&uncommented).unwrap(), "", &mut shown);
    let required = "name = \"example.org\"\ntarget = {}\n";
    let rfc2136 = "server = \"x\"\nkey_name = \"x\"\n";
    for (section, document) in [
        ("server", "[server]\nzzz = 1".to_owned()),
        ("limits", "[limits]\nzzz = 1".to_owned()),
        ("log", "[log]\nzzz = 1".to_owned()),
        ("database", "[database]\nzzz = 1".to_owned()),
        ("cluster", "[cluster]\nzzz = 1".to_owned()),
        ("provisioning", "[provisioning]\nzzz = 1".to_owned()),
        ("documents", "[documents]\nzzz = 1".to_owned()),
        ("jobs", "[jobs]\nzzz = 1".to_owned()),
        ("delivery", "[delivery]\nzzz = 1".to_owned()),
        ("agents", "[[agents]]\nzzz = 1".to_owned()),
        ("agents.gateway", "[[agents]]\nid = \"a\"\nworkspace = \"/\"\n[agents.gateway]\nzzz = 1".to_owned()),
        ("agents.hook", "[[agents]]\nid = \"a\"\nworkspace = \"/\"\n[agents.hook]\nzzz = 1".to_owned()),
        ("domains", "[[domains]]\nzzz = 1".to_owned()),
        ("domains.tls", format!("[[domains]]\n{required}[domains.tls]\nzzz = 1")),
        ("domains.cloudflare", format!("[[domains]]\n{required}[domains.cloudflare]\nzzz = 1")),
        ("domains.rfc2136", format!("[[domains]]\n{required}[domains.rfc2136]\n{rfc2136}zzz = 1")),
    ] {
        for field in fields_of(&document) {
            assert!(shown.contains(&format!("{section}.{field}")), "portal.example.toml lacks {section}.{field}");
        }
    }
}

/// Reads a configuration with variables of these names and values.
fn with_variables(text: &str, variables: &[(&str, &str)]) -> Result<Settings, Problems> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    overlaid(Config::builder().add_source(File::from_str(text, FileFormat::Toml)), variables.collect())
}

#[test]
fn a_variable_overlays_its_key_and_is_named_where_its_value_is_refused() {
    let settings = with_variables(SMALL, &[("PORTAL_SERVER__LISTEN", "127.0.0.1:1"), ("PORTAL_CONFIG", "x")]).unwrap();
    assert_eq!(settings.server.listen.port(), 1);
    let refused = with_variables(SMALL, &[("PORTAL_SERVER__LISTEN", "nowhere")]).unwrap_err();
    assert_eq!(refused.0[0].key, "PORTAL_SERVER__LISTEN");
    assert!(refused.0[0].message.contains("`nowhere` is not an address"), "{refused}");
}

#[test]
fn variables_of_a_section_that_does_not_exist_are_named() {
    let refused = with_variables(SMALL, &[("PORTAL_COLOUR__X", "1")]).unwrap_err();
    assert!(refused.0[0].message.contains("PORTAL_COLOUR__X"), "{refused}");
}

#[test]
fn a_variable_that_is_no_setting_is_named() {
    for name in ["PORTAL_WEBHOOK_SECRET", "PORTAL_LISTEN", "PORTAL_PORT_80"] {
        let refused = with_variables(SMALL, &[(name, "x")]).unwrap_err();
        assert!(matches!(&*refused.0, [problem] if problem.key == name), "{refused}");
    }
    let both = with_variables("page = { enabled = false }", &[("PORTAL_WEBHOOK_SECRET", "x")]).unwrap_err();
    let keys: Vec<_> = both.0.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["PORTAL_WEBHOOK_SECRET", "database.url"], "all problems are reported at once");
}

#[test]
fn variables_that_kubernetes_sets_for_services_are_left_out() {
    let names = [
        "PORTAL_PORT",
        "PORTAL_SERVICE_HOST",
        "PORTAL_SERVICE_PORT",
        "PORTAL_SERVICE_PORT_HTTP",
        "PORTAL_PORT_80_TCP",
        "PORTAL_PORT_80_TCP_PROTO",
        "PORTAL_PORT_80_TCP_PORT",
        "PORTAL_PORT_80_TCP_ADDR",
        "PORTAL_PAGE_SERVICE_HOST",
        "PORTAL_PAGE_PORT_53_UDP_ADDR",
    ];
    let variables = names.map(|name| (name, "tcp://10.43.0.1:80"));
    assert!(with_variables(SMALL, &variables).is_ok());
    let listed: HashMap<_, _> = names.iter().map(|name| ((*name).to_owned(), String::new())).collect();
    let (settings, others) = super::variables::split(listed);
    assert!(settings.is_empty() && others.is_empty(), "{others:?}");
}

#[test]
fn the_shipped_configurations_can_be_run() {
    parse(include_str!("../../../../deploy/examples/sqlite/portal.toml")).unwrap();
    let url = [("PORTAL_DATABASE__URL", "postgres://portal@db/portal")];
    let settings = with_variables(include_str!("../../../../deploy/base/portal.toml"), &url).unwrap();
    assert_eq!(settings.server.listen.to_string(), "0.0.0.0:8080", "kubelet and ingress reach the pod's own address");
}
