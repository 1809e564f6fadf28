//! The same deeds over HTTP, at a Cloudflare that keeps zones and misbehaves at every call.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use portal_adapters::cloudflare::{
    CloudflareApi, CloudflareRecords, CloudflareSettings, CloudflareZone, Fault, SCRIPTED_TOKEN, ScriptedCloudflare,
    ZoneName,
};
use portal_dns::{
    DnsError, Exposures, Hostname, Opened, OwnershipMarker, Reason, RecordState, Records, Status, Target,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::deed::Deed;
use super::world::{World, close, domain, domain_name, friend, name, open, portal_over, wish};

const ZONES: [&str; 2] = ["a.net", "b.net"];
/// How long a call that is struck may take, so that lost answers do not last.
const SHORT: Duration = Duration::from_millis(300);
/// How long a call may take that nothing happens to.
const LONG: Duration = Duration::from_secs(5);

/// A world whose zones are at Cloudflare, with records in them that are not ours.
struct Ground {
    world: World,
    cloudflare: ScriptedCloudflare,
    theirs: Vec<Value>,
}

impl Ground {
    async fn new() -> Self {
        let cloudflare = ScriptedCloudflare::start(&ZONES).await.unwrap();
        for (zone, name, kind, content) in [
            ("a.net", "theirs-alice.a.net", "A", "192.0.2.7"),
            ("a.net", "theirs-alice.a.net", "TXT", "theirs"),
            ("a.net", "*.a.net", "CNAME", "elsewhere.net"),
            ("b.net", "_dmarc.b.net", "TXT", "v=DMARC1"),
        ] {
            let record = json!({"name": name, "type": kind, "content": content, "ttl": 1, "meta": {"odd": [1, null]}});
            assert!(cloudflare.put(zone, record).is_some());
        }
        let theirs = ZONES.iter().flat_map(|zone| cloudflare.records(zone)).collect();
        Self { world: World::new().await, cloudflare, theirs }
    }

    /// A portal that was just started; none of its calls takes longer than `timeout`.
    fn portal(&self, timeout: Duration) -> Exposures {
        let token = SCRIPTED_TOKEN.to_owned().into();
        let settings =
            CloudflareSettings { token, api_url: Some(self.cloudflare.url().to_owned()), timeout, replicas: 1 };
        let api = Arc::new(CloudflareApi::new(&settings).unwrap());
        let zones = ZONES.map(|zone| {
            let (domain, ttl) = (domain_name(zone), domain(zone).ttl);
            let zone = CloudflareZone { domain: domain.clone(), zone: ZoneName::Name(domain), ttl };
            Arc::new(CloudflareRecords::new(api.clone(), zone).unwrap()) as Arc<dyn Records>
        });
        portal_over(self.world.ports(), zones)
    }

    fn records(&self) -> impl Iterator<Item = Value> {
        ZONES.iter().flat_map(|zone| self.cloudflare.records(zone))
    }

    /// The records with a marker, sorted by hostname.
    fn marked(&self) -> Vec<(Hostname, RecordState)> {
        let mut marked: Vec<_> = self.records().filter_map(|record| read(&record)).collect();
        marked.sort_by(|one, other| one.0.cmp(&other.0));
        marked
    }

    fn assert_theirs(&self, context: &str) {
        let there: Vec<_> = self.records().filter(|record| read(record).is_none()).collect();
        assert_eq!(there, self.theirs, "{context}: something that is not ours was changed");
    }

    /// Fails unless everything stands as wanted and nothing else was made or changed.
    async fn assert_converged(&self, context: &str) {
        self.world.assert_converged_with(self.marked(), context).await;
        self.assert_theirs(context);
    }

    /// Lets every lease end, starts a portal, and wants its one pass to put everything right.
    async fn restart(&self, context: &str) {
        self.cloudflare.forget_faults();
        self.world.wait_long();
        let report = self.portal(LONG).pass().await.unwrap();
        assert_eq!(
            (report.errors, &*report.orphans, &*report.unlisted),
            (0, &[][..], &[][..]),
            "{context}: {report:?}"
        );
        self.assert_converged(context).await;
    }
}

/// What a record with a marker says, read here and not by the adapter.
fn read(record: &Value) -> Option<(Hostname, RecordState)> {
    let marker = OwnershipMarker::parse(record["comment"].as_str()?)?;
    let content = record["content"].as_str().unwrap();
    let target = match record["type"].as_str().unwrap() {
        "A" => Target::A(content.parse().unwrap()),
        "CNAME" => Target::Cname(domain_name(content)),
        kind => panic!("a record of type {kind} with a marker"),
    };
    let name = record["name"].as_str().unwrap();
    let wanted = domain(ZONES.iter().find(|zone| name.ends_with(*zone)).unwrap());
    assert_eq!(record["ttl"], wanted.ttl.seconds(), "{record}");
    let state = RecordState { marker, target, ttl: wanted.ttl, proxied: record["proxied"].as_bool().unwrap() };
    Some((Hostname::parse(name).unwrap(), state))
}

/// What happens at a call.
#[derive(Debug, Clone)]
enum Blow {
    /// The call goes wrong.
    Fault(Fault),
    /// The call has its effect, and the process ends before it learns of it.
    Death,
}

fn faults() -> [Fault; 9] {
    [
        Fault::Delay(2 * SHORT),
        Fault::LoseAnswer,
        Fault::CutBefore,
        Fault::CutAfter,
        Fault::TooMany(Some(1)),
        Fault::TooMany(None),
        Fault::Broken,
        Fault::BrokenAfter,
        Fault::Babble,
    ]
}

fn blows() -> impl Iterator<Item = Blow> {
    faults().into_iter().map(Blow::Fault).chain([Blow::Death])
}

/// Lets `blow` strike at call number `at` of `deed`; tells whether there was such a call.
async fn strike(deed: Deed, at: usize, blow: &Blow) -> bool {
    let context = format!("{deed:?}, {blow:?} at call {at}");
    let ground = Ground::new().await;
    let break_down = || ground.cloudflare.script((0..10).map(|_| Some(Fault::Broken)));
    deed.prepare(&ground.world, &ground.portal(LONG), break_down).await;
    ground.cloudflare.forget_faults();
    ground.cloudflare.forget_calls();
    let fault = if let Blow::Fault(fault) = blow { fault.clone() } else { Fault::LoseAnswer };
    ground.cloudflare.script((0..at).map(|_| None).chain([Some(fault)]));
    let acknowledged = match blow {
        Blow::Fault(_) => deed.act(&ground.portal(SHORT)).await,
        Blow::Death => die(&ground, deed, at).await,
    };
    let struck = ground.cloudflare.calls().len() > at;
    ground.world.assert_nothing_is_pretended(ground.marked(), &context).await;
    ground.restart(&context).await;
    if acknowledged {
        deed.assert_kept(&ground.world, &context).await;
    }
    struck
}

/// Does `deed` in a runtime of its own, which is gone as soon as call number `at` has arrived.
async fn die(ground: &Ground, deed: Deed, at: usize) -> bool {
    let doomed = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut acting = {
        let _inside = doomed.enter();
        let portal = ground.portal(LONG);
        doomed.spawn(async move { deed.act(&portal).await })
    };
    let struck = async {
        while ground.cloudflare.calls().len() <= at {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let acknowledged = tokio::select! {
        acted = &mut acting => acted.unwrap(),
        () = struck => false,
    };
    doomed.shutdown_background();
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_cloudflare_does_at_whichever_call_one_pass_after_a_restart_puts_it_right() {
    let cases = Deed::ALL.into_iter().flat_map(|deed| blows().map(move |blow| (deed, blow)));
    let runs = cases.map(|(deed, blow)| async move {
        let mut calls = 0;
        while strike(deed, calls, &blow).await {
            calls += 1;
        }
        // The zone has to be found and the record to be looked at.
        assert!(calls >= 2, "{deed:?} has only {calls} calls to fail at");
        calls
    });
    let blows: usize = stream::iter(runs).buffer_unordered(8).collect::<Vec<_>>().await.into_iter().sum();
    eprintln!("{blows} blows, and every one of them survived");
}

/// Lets `fault` strike at call number `at` of a pass over an exposure whose record is gone and a record whose exposure
/// is gone; tells whether there was such a call.
async fn strike_pass(at: usize, fault: Fault) -> bool {
    let context = format!("a pass, {fault:?} at call {at}");
    let ground = Ground::new().await;
    let portal = ground.portal(LONG);
    open(&portal, "bob", wish("other", "web", None, Some("b.net"))).await.unwrap();
    let came_back = ground.records().find(|record| read(record).is_some()).unwrap();
    close(&portal, "bob", "other").await.unwrap();
    assert!(ground.cloudflare.put("b.net", came_back).is_some());
    open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    let lost = ground.cloudflare.records("a.net").into_iter().find(|record| read(record).is_some()).unwrap();
    assert!(ground.cloudflare.take(lost.get("id").and_then(Value::as_str).unwrap()));
    ground.cloudflare.forget_calls();
    ground.cloudflare.script((0..at).map(|_| None).chain([Some(fault)]));
    ground.portal(SHORT).pass().await.unwrap();
    let struck = ground.cloudflare.calls().len() > at;
    ground.assert_theirs(&context);
    ground.restart(&context).await;
    struck
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_that_is_struck_at_any_call_is_made_good_by_the_next() {
    let runs = faults().map(|fault| async move {
        let mut calls = 0;
        while Box::pin(strike_pass(calls, fault.clone())).await {
            calls += 1;
        }
        assert!(calls >= 6, "a pass has only {calls} calls to fail at");
    });
    stream::iter(runs).buffer_unordered(8).collect::<Vec<()>>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_cloudflares_delays_the_work_and_loses_none_of_it() {
    let ground = Ground::new().await;
    let portal = ground.portal(LONG);
    ground.cloudflare.limit(6, Duration::from_secs(1));
    for who in ["alice", "bob", "a-b", "b-c"] {
        for wanted in ["one", "two"] {
            open(&portal, who, wish(wanted, "web", None, None)).await.unwrap();
        }
    }
    close(&portal, "bob", "two").await.unwrap();
    let started = Instant::now();
    while portal.list(&friend("alice")).await.unwrap().iter().any(|it| it.status != Status::Active)
        || ground.marked().len() != 7
    {
        assert!(started.elapsed() < Duration::from_mins(1), "{:?}", ground.marked());
        ground.world.wait_long();
        portal.tick().await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ground.cloudflare.limit(usize::MAX, Duration::from_secs(1));
    ground.restart("limited").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_over_a_thousand_exposures_costs_at_most_ten_calls() {
    let ground = Ground::new().await;
    // Opened in memory, then put as they stand there into the zone at Cloudflare.
    let memory = ground.world.portal();
    for index in 0..100 {
        let who = format!("f{index}");
        ground.world.add_friend(&who).await;
        for exposure in 0..10 {
            open(&memory, &who, wish(&format!("app{exposure}"), "web", None, None)).await.unwrap();
        }
    }
    let mut ids = Vec::new();
    for (host, state) in ground.world.marked() {
        let record = json!({"name": host.as_str(), "type": "A", "content": "192.0.2.1", "ttl": 300, "proxied": false, "comment": state.marker.to_string()});
        ids.push(ground.cloudflare.put("a.net", record).unwrap());
    }
    let portal = ground.portal(LONG);
    let report = portal.pass().await.unwrap();
    assert_eq!((report.checked, report.repaired, report.errors), (1000, 0, 0));
    let calls = ground.cloudflare.calls().len();
    assert!(calls <= 10, "{calls} calls");
    ground.cloudflare.forget_calls();
    // Drift costs calls where it is, and nowhere else.
    assert!(ground.cloudflare.take(&ids[17]) && ground.cloudflare.edit(&ids[940], "content", &json!("192.0.2.99")));
    let report = portal.pass().await.unwrap();
    assert_eq!((report.checked, report.repaired, report.errors), (1000, 2, 0));
    assert!(ground.cloudflare.calls().len() <= 10, "{:?}", ground.cloudflare.calls());
    ground.assert_converged("repaired").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_any_type_at_a_name_refuse_it_and_stay_as_they_are() {
    for taken in [
        vec![("A", "192.0.2.9")],
        vec![("AAAA", "2001:db8::9")],
        vec![("CNAME", "elsewhere.net")],
        vec![("TXT", "ours")],
        vec![("MX", "mail.a.net")],
        vec![("CAA", "0 issue \"ca.net\"")],
        vec![("A", "192.0.2.1"), ("A", "192.0.2.2"), ("TXT", "several")],
    ] {
        let mut ground = Ground::new().await;
        for (kind, content) in &taken {
            let record =
                json!({"name": "my-app-alice.a.net", "type": kind, "content": content, "ttl": 1, "comment": "mine"});
            assert!(ground.cloudflare.put("a.net", record).is_some());
        }
        ground.theirs = ground.records().collect();
        let portal = ground.portal(LONG);
        let refused = open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap_err();
        assert_eq!(refused.code(), "hostname-taken", "{taken:?}");
        ground.restart(&format!("{taken:?}")).await;
        assert_eq!(portal.find(&friend("alice"), &name("my-app")).await.unwrap(), None, "{taken:?}");
    }
}

/// Opens `my-app` while somebody else takes its name, after it was seen to be free; `fault` strikes the creation.
async fn outrun(ground: &mut Ground, portal: &Exposures, fault: Fault) -> Result<Opened, DnsError> {
    // The zones' ids are known then, so that the next calls are the look at the name and the creation.
    portal.pass().await.unwrap();
    ground.cloudflare.forget_calls();
    ground.cloudflare.script([None, Some(fault)]);
    let somebody = async {
        while ground.cloudflare.calls().len() < 2 {
            tokio::task::yield_now().await;
        }
        let theirs = json!({"name": "my-app-alice.a.net", "type": "A", "content": "192.0.2.9", "ttl": 1});
        assert!(ground.cloudflare.put("a.net", theirs).is_some());
        ground.records().filter(|record| read(record).is_none()).collect::<Vec<_>>()
    };
    let (opened, theirs) = tokio::join!(open(portal, "alice", wish("my-app", "web", None, None)), somebody);
    ground.theirs = theirs;
    opened
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_the_name_in_the_same_moment_has_it_alone() {
    let mut ground = Ground::new().await;
    let portal = ground.portal(SHORT);
    let refused = outrun(&mut ground, &portal, Fault::Delay(SHORT / 2)).await.unwrap_err();
    assert_eq!(refused.code(), "hostname-taken");
    ground.restart("refused").await;
    assert_eq!(portal.find(&friend("alice"), &name("my-app")).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_the_name_has_it_alone_even_if_the_answer_to_our_creation_is_lost() {
    for fault in [Fault::LoseAnswer, Fault::CutAfter, Fault::BrokenAfter] {
        let mut ground = Ground::new().await;
        let portal = ground.portal(SHORT);
        let opened = outrun(&mut ground, &portal, fault.clone()).await.unwrap();
        assert_eq!((opened.exposure.status, ground.marked().len()), (Status::Pending, 1), "{fault:?}");
        ground.world.wait_long();
        portal.pass().await.unwrap();
        let kept = portal.find(&friend("alice"), &name("my-app")).await.unwrap().unwrap();
        assert_eq!((kept.status, kept.reason), (Status::Failed, Some(Reason::HostnameTaken)), "{fault:?}");
        assert_eq!(ground.marked(), [], "{fault:?}");
        ground.assert_theirs(&format!("{fault:?}"));
        close(&portal, "alice", "my-app").await.unwrap();
        ground.restart(&format!("{fault:?}, closed")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_ours_goes_with_its_exposure_though_one_with_another_mark_is_listed_first() {
    let ground = Ground::new().await;
    let portal = ground.portal(LONG);
    open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    let ours = ground.records().find(|record| read(record).is_some()).unwrap();
    let (id, host) = (ours.get("id").and_then(Value::as_str).unwrap(), "my-app-alice.a.net");
    assert!(ground.cloudflare.take(id));
    let comment = format!("friend-portal/{}/{}", "9".repeat(32), "1".repeat(32));
    let theirs =
        json!({"name": host, "type": "A", "content": "192.0.2.9", "ttl": 300, "proxied": false, "comment": comment});
    for record in [theirs, ours] {
        assert!(ground.cloudflare.put("a.net", record).is_some());
    }
    portal.pass().await.unwrap();
    assert_eq!(portal.find(&friend("alice"), &name("my-app")).await.unwrap().unwrap().status, Status::Active);
    assert_eq!(close(&portal, "alice", "my-app").await.unwrap().status, Status::Removed);
    let left: Vec<_> = ground.marked().into_iter().map(|(_, state)| state.marker.to_string()).collect();
    assert_eq!(left, [comment]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_adds_beside_a_record_of_ours_stays_when_ours_goes() {
    let mut ground = Ground::new().await;
    let portal = ground.portal(LONG);
    open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    for (kind, content) in [("A", "192.0.2.9"), ("TXT", "beside")] {
        let record = json!({"name": "my-app-alice.a.net", "type": kind, "content": content, "ttl": 1});
        assert!(ground.cloudflare.put("a.net", record).is_some());
    }
    ground.theirs = ground.records().filter(|record| read(record).is_none()).collect();
    portal.pass().await.unwrap();
    ground.assert_theirs("after a pass");
    close(&portal, "alice", "my-app").await.unwrap();
    ground.restart("closed").await;
}
