//! The same operations over HTTP, at a Cloudflare that keeps zones and misbehaves at every call.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use parking_lot::Mutex;
use portal_adapters::cloudflare::{
    CloudflareApi, CloudflareRecords, CloudflareSettings, CloudflareZone, Fault, SCRIPTED_TOKEN, ScriptedCloudflare,
    ZoneName,
};
use portal_dns::{
    DnsError, Exposures, Hostname, Opened, OwnershipMarker, Reason, RecordState, Records, Status, Target,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::fixture::{Fixture, close, domain, domain_name, friend, name, open, portal_over, wish};
use super::operation::Operation;

const ZONES: [&str; 2] = ["a.net", "b.net"];
/// Time limit of calls with faults, so that lost answers do not last.
const SHORT: Duration = Duration::from_millis(300);
/// Time limit of calls without faults.
const LONG: Duration = Duration::from_secs(5);

/// A fixture whose zones are at Cloudflare, with records in them that are not ours.
struct HttpFixture {
    fixture: Fixture,
    cloudflare: ScriptedCloudflare,
    theirs: Vec<Value>,
    /// A part of each portal, which lives as long as anything that the portal still does.
    portals: Mutex<Vec<Weak<dyn Records>>>,
}

impl HttpFixture {
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
        Self { fixture: Fixture::new().await, cloudflare, theirs, portals: Mutex::default() }
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
        self.portals.lock().push(Arc::downgrade(&zones[0]));
        portal_over(self.fixture.ports(), zones)
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
        self.fixture.assert_converged_with(self.marked(), context).await;
        self.assert_theirs(context);
    }

    /// Fails unless our record was taken back and nothing of the others was changed; then removes the exposure.
    async fn assert_gave_way(&self, portal: &Exposures, context: &str) {
        let left = portal.find(&friend("alice"), &name("my-app")).await.unwrap().unwrap();
        assert_eq!((left.status, left.reason), (Status::Failed, Some(Reason::HostnameTaken)), "{context}");
        assert_eq!(self.marked(), [], "{context}");
        self.assert_theirs(context);
        close(portal, "alice", "my-app").await.unwrap();
        self.restart(&format!("{context}, closed")).await;
    }

    /// Waits until portals that were dropped have ended what they did after their answers.
    async fn quiet(&self) {
        let began = Instant::now();
        while self.portals.lock().iter().any(|portal| portal.strong_count() > 0) {
            assert!(began.elapsed() < Duration::from_mins(1), "a dropped portal goes on");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Waits until each exposure's record was looked at once more after the answer.
    async fn established(&self) {
        let began = Instant::now();
        while !self.fixture.stores.exposures.page(None, 1000).await.unwrap().iter().all(|intent| intent.established) {
            assert!(began.elapsed() < Duration::from_mins(1), "the name was not looked at once more");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Lets every lease end, starts a portal, and wants its one pass to put everything right.
    async fn restart(&self, context: &str) {
        self.cloudflare.forget_faults();
        self.fixture.wait_long();
        let report = self.portal(LONG).pass().await.unwrap();
        assert_eq!(
            (report.errors, &*report.orphans, &*report.unlisted),
            (0, &[][..], &[][..]),
            "{context}: {report:?}"
        );
        self.assert_converged(context).await;
    }
}

/// Parses a record with a marker, independently of the adapter.
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

/// Event at a call.
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

/// Lets `blow` strike at call number `at` of `operation`; tells whether there was such a call.
async fn strike(operation: Operation, at: usize, blow: &Blow) -> bool {
    let context = format!("{operation:?}, {blow:?} at call {at}");
    let http = HttpFixture::new().await;
    let break_down = || http.cloudflare.script((0..10).map(|_| Some(Fault::Broken)));
    operation.prepare(&http.fixture, &http.portal(LONG), break_down).await;
    http.quiet().await;
    http.cloudflare.forget_faults();
    http.cloudflare.forget_calls();
    let fault = if let Blow::Fault(fault) = blow { fault.clone() } else { Fault::LoseAnswer };
    http.cloudflare.script((0..at).map(|_| None).chain([Some(fault)]));
    let acknowledged = match blow {
        Blow::Fault(_) => operation.act(&http.portal(SHORT)).await,
        Blow::Death => die(&http, operation, at).await,
    };
    http.quiet().await;
    let struck = http.cloudflare.calls().len() > at;
    http.fixture.assert_nothing_is_pretended(http.marked(), &context).await;
    http.restart(&context).await;
    if acknowledged {
        operation.assert_kept(&http.fixture, &context).await;
    }
    struck
}

/// Does `operation` in a runtime of its own, which is gone as soon as call number `at` has arrived.
async fn die(http: &HttpFixture, operation: Operation, at: usize) -> bool {
    let doomed = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut acting = {
        let _inside = doomed.enter();
        let portal = http.portal(LONG);
        doomed.spawn(async move { operation.act(&portal).await })
    };
    let struck = async {
        while http.cloudflare.calls().len() <= at {
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
    let cases = Operation::ALL.into_iter().flat_map(|operation| blows().map(move |blow| (operation, blow)));
    let runs = cases.map(|(operation, blow)| async move {
        let mut calls = 0;
        while strike(operation, calls, &blow).await {
            calls += 1;
        }
        // The zone has to be found and the record to be looked at.
        assert!(calls >= 2, "{operation:?} has only {calls} calls to fail at");
        calls
    });
    let blows: usize = stream::iter(runs).buffer_unordered(8).collect::<Vec<_>>().await.into_iter().sum();
    eprintln!("{blows} blows, and every one of them survived");
}

/// Lets `fault` strike at call number `at` of a pass over an exposure whose record is gone and a record whose exposure
/// is gone; tells whether there was such a call.
async fn strike_pass(at: usize, fault: Fault) -> bool {
    let context = format!("a pass, {fault:?} at call {at}");
    let http = HttpFixture::new().await;
    let portal = http.portal(LONG);
    open(&portal, "bob", wish("other", "web", None, Some("b.net"))).await.unwrap();
    let came_back = http.records().find(|record| read(record).is_some()).unwrap();
    close(&portal, "bob", "other").await.unwrap();
    assert!(http.cloudflare.put("b.net", came_back).is_some());
    open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    let lost = http.cloudflare.records("a.net").into_iter().find(|record| read(record).is_some()).unwrap();
    drop(portal);
    http.quiet().await;
    assert!(http.cloudflare.take(lost.get("id").and_then(Value::as_str).unwrap()));
    http.cloudflare.forget_calls();
    http.cloudflare.script((0..at).map(|_| None).chain([Some(fault)]));
    http.portal(SHORT).pass().await.unwrap();
    let struck = http.cloudflare.calls().len() > at;
    http.assert_theirs(&context);
    http.restart(&context).await;
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
    let http = HttpFixture::new().await;
    let portal = http.portal(LONG);
    http.cloudflare.limit(6, Duration::from_secs(1));
    for who in ["alice", "bob", "a-b", "b-c"] {
        for wanted in ["one", "two"] {
            open(&portal, who, wish(wanted, "web", None, None)).await.unwrap();
        }
    }
    close(&portal, "bob", "two").await.unwrap();
    let started = Instant::now();
    while portal.list(&friend("alice")).await.unwrap().iter().any(|it| it.status != Status::Active)
        || http.marked().len() != 7
    {
        assert!(started.elapsed() < Duration::from_mins(1), "{:?}", http.marked());
        http.fixture.wait_long();
        portal.tick().await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    http.cloudflare.limit(usize::MAX, Duration::from_secs(1));
    http.restart("limited").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_over_a_thousand_exposures_costs_at_most_ten_calls() {
    let http = HttpFixture::new().await;
    // Opened in memory, then put as they stand there into the zone at Cloudflare.
    let memory = http.fixture.portal();
    for index in 0..100 {
        let who = format!("f{index}");
        http.fixture.add_friend(&who).await;
        for exposure in 0..10 {
            open(&memory, &who, wish(&format!("app{exposure}"), "web", None, None)).await.unwrap();
        }
    }
    let mut ids = Vec::new();
    for (host, state) in http.fixture.marked() {
        let record = json!({"name": host.as_str(), "type": "A", "content": "192.0.2.1", "ttl": 300, "proxied": false, "comment": state.marker.to_string()});
        ids.push(http.cloudflare.put("a.net", record).unwrap());
    }
    let portal = http.portal(LONG);
    let report = portal.pass().await.unwrap();
    assert_eq!((report.checked, report.repaired, report.errors), (1000, 0, 0));
    let calls = http.cloudflare.calls().len();
    assert!(calls <= 10, "{calls} calls");
    http.cloudflare.forget_calls();
    // Drift costs calls where it is, and nowhere else.
    assert!(http.cloudflare.take(&ids[17]) && http.cloudflare.edit(&ids[940], "content", &json!("192.0.2.99")));
    let report = portal.pass().await.unwrap();
    assert_eq!((report.checked, report.repaired, report.errors), (1000, 2, 0));
    assert!(http.cloudflare.calls().len() <= 10, "{:?}", http.cloudflare.calls());
    http.assert_converged("repaired").await;
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
        let mut http = HttpFixture::new().await;
        for (kind, content) in &taken {
            let record =
                json!({"name": "my-app-alice.a.net", "type": kind, "content": content, "ttl": 1, "comment": "mine"});
            assert!(http.cloudflare.put("a.net", record).is_some());
        }
        http.theirs = http.records().collect();
        let portal = http.portal(LONG);
        let refused = open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap_err();
        assert_eq!(refused.code(), "hostname-taken", "{taken:?}");
        http.restart(&format!("{taken:?}")).await;
        assert_eq!(portal.find(&friend("alice"), &name("my-app")).await.unwrap(), None, "{taken:?}");
    }
}

/// Opens `my-app` while somebody else takes its name, after it was seen to be free; `faults` strike the creation and
/// the calls after it.
async fn outrun(http: &mut HttpFixture, portal: &Exposures, faults: &[Fault]) -> Result<Opened, DnsError> {
    // The zones' ids are known then, so that the next calls are the look at the name and the creation.
    portal.pass().await.unwrap();
    http.cloudflare.forget_calls();
    http.cloudflare.script([None].into_iter().chain(faults.iter().cloned().map(Some)));
    let somebody = async {
        while http.cloudflare.calls().len() < 2 {
            tokio::task::yield_now().await;
        }
        let theirs = json!({"name": "my-app-alice.a.net", "type": "A", "content": "192.0.2.9", "ttl": 1});
        assert!(http.cloudflare.put("a.net", theirs).is_some());
        http.records().filter(|record| read(record).is_none()).collect::<Vec<_>>()
    };
    let (opened, theirs) = tokio::join!(open(portal, "alice", wish("my-app", "web", None, None)), somebody);
    http.theirs = theirs;
    opened
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_the_name_in_the_same_moment_has_it_alone() {
    let mut http = HttpFixture::new().await;
    let portal = http.portal(SHORT);
    let opened = outrun(&mut http, &portal, &[Fault::Delay(SHORT / 2)]).await.unwrap();
    assert_eq!(opened.exposure.status, Status::Active, "the look that finds out comes after the answer");
    let began = Instant::now();
    while portal.find(&friend("alice"), &name("my-app")).await.unwrap().unwrap().status == Status::Active {
        assert!(began.elapsed() < Duration::from_mins(1), "the name was not looked at once more");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    http.assert_gave_way(&portal, "looked").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_the_name_has_it_alone_after_a_pass_if_the_look_after_the_answer_fails() {
    let mut http = HttpFixture::new().await;
    let portal = http.portal(SHORT);
    let opened = outrun(&mut http, &portal, &[Fault::Delay(SHORT / 2), Fault::LoseAnswer]).await.unwrap();
    assert_eq!(opened.exposure.status, Status::Active);
    while http.cloudflare.calls().len() < 3 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    http.fixture.wait_long();
    http.portal(LONG).pass().await.unwrap();
    http.assert_gave_way(&portal, "not looked").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_established_by_the_look_after_the_answer() {
    let http = HttpFixture::new().await;
    let portal = http.portal(LONG);
    open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    http.established().await;
    // The first pass also asks for the zone that no exposure has needed yet.
    portal.pass().await.unwrap();
    http.cloudflare.forget_calls();
    portal.pass().await.unwrap();
    assert_eq!(http.cloudflare.calls().len(), 2, "each zone is listed, and nothing else");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_the_name_has_it_alone_even_if_the_answer_to_our_creation_is_lost() {
    for fault in [Fault::LoseAnswer, Fault::CutAfter, Fault::BrokenAfter] {
        let mut http = HttpFixture::new().await;
        let portal = http.portal(SHORT);
        let opened = outrun(&mut http, &portal, std::slice::from_ref(&fault)).await.unwrap();
        assert_eq!((opened.exposure.status, http.marked().len()), (Status::Pending, 1), "{fault:?}");
        http.fixture.wait_long();
        portal.pass().await.unwrap();
        http.assert_gave_way(&portal, &format!("{fault:?}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_ours_goes_with_its_exposure_though_one_with_another_mark_is_listed_first() {
    let http = HttpFixture::new().await;
    let portal = http.portal(LONG);
    open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    http.established().await;
    let ours = http.records().find(|record| read(record).is_some()).unwrap();
    let (id, host) = (ours.get("id").and_then(Value::as_str).unwrap(), "my-app-alice.a.net");
    assert!(http.cloudflare.take(id));
    let comment = format!("friend-portal/{}/{}", "9".repeat(32), "1".repeat(32));
    let theirs =
        json!({"name": host, "type": "A", "content": "192.0.2.9", "ttl": 300, "proxied": false, "comment": comment});
    for record in [theirs, ours] {
        assert!(http.cloudflare.put("a.net", record).is_some());
    }
    portal.pass().await.unwrap();
    assert_eq!(portal.find(&friend("alice"), &name("my-app")).await.unwrap().unwrap().status, Status::Active);
    assert_eq!(close(&portal, "alice", "my-app").await.unwrap().status, Status::Removed);
    let left: Vec<_> = http.marked().into_iter().map(|(_, state)| state.marker.to_string()).collect();
    assert_eq!(left, [comment]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_adds_beside_a_record_of_ours_stays_when_ours_goes() {
    let mut http = HttpFixture::new().await;
    let portal = http.portal(LONG);
    open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    http.established().await;
    for (kind, content) in [("A", "192.0.2.9"), ("TXT", "beside")] {
        let record = json!({"name": "my-app-alice.a.net", "type": kind, "content": content, "ttl": 1});
        assert!(http.cloudflare.put("a.net", record).is_some());
    }
    http.theirs = http.records().filter(|record| read(record).is_none()).collect();
    portal.pass().await.unwrap();
    http.assert_theirs("after a pass");
    close(&portal, "alice", "my-app").await.unwrap();
    http.restart("closed").await;
}
