//! A runner with the portal's own settings and as much to do as friends may ask for, on real databases.

mod fixture;

use std::time::Duration;

use chrono::TimeDelta;
use diesel::connection::SimpleConnection;
use portal_cron::{FriendShares, RunStatus};
use tokio::time::{Instant, sleep};

use crate::outage::proxy::Mode;
use fixture::{Crowd, Fixture};

/// Duration of the pause of a database.
const PAUSE: Duration = Duration::from_secs(20);
/// Longest wait of a run whose claim was not lost.
const PROMPTLY: TimeDelta = TimeDelta::seconds(30);

/// Forty friends with the fifty jobs that they may have, all due at one moment, and again a minute later: what has not
/// begun by then is missed.
async fn two_thousand_minutely_jobs_miss_nothing(fixture: Fixture) {
    let first = fixture.now().await + TimeDelta::seconds(2);
    let crowd = Crowd::due_at("f", (40, 50), first);
    fixture.insert(crowd).await;
    let running = fixture.run();
    fixture.received(4_000, Duration::from_secs(125)).await;
    drop(running);
    fixture.check_none_doubled();
    let (half, most) = (fixture.lateness(50), fixture.lateness(100));
    println!("4000 fire times: half of them at most {half} late, all of them at most {most}");
    for job in fixture.jobs(&crowd).await {
        let missed = job.state.recent.iter().find(|run| run.status == RunStatus::Missed);
        assert!(missed.is_none(), "{}: {missed:?}", job.id);
    }
    assert!(most < TimeDelta::minutes(1), "{most}");
}

/// Fire times that come while the database is away run when it is back, each once and at most `late` after that.
async fn a_database_that_is_away_misses_nothing(fixture: Fixture, late: TimeDelta, away: impl AsyncFnOnce(&Fixture)) {
    let first = fixture.now().await + TimeDelta::seconds(1);
    let crowd = Crowd { spread: TimeDelta::seconds(20), ..Crowd::due_at("f", (20, 25), first) };
    fixture.insert(crowd).await;
    let running = fixture.run();
    fixture.received(10, Duration::from_secs(30)).await;
    away(&fixture).await;
    let back = fixture.now().await;
    let firsts = fixture.first_of_each_job(500, Duration::from_secs(100)).await;
    drop(running);
    fixture.check_none_doubled();
    let last = firsts.iter().map(|message| message.at - back).max().unwrap_or_default();
    println!("all 500 fire times were received {last} after the database was back");
    for job in fixture.jobs(&crowd).await {
        let missed = job.state.recent.iter().find(|run| run.status == RunStatus::Missed);
        assert!(missed.is_none(), "{}: {missed:?}", job.id);
    }
    assert!(last < late, "a run waited for {last} after the database was back");
}

/// One friend's fifty jobs at a receiver that takes ten seconds, and another friend's job that is due a little later.
async fn a_slow_receiver_delays_another_friend_by_at_most_two_seconds(fixture: Fixture) {
    let now = fixture.now().await;
    fixture.insert(Crowd::due_at("slow", (1, 50), now)).await;
    let _running = fixture.run();
    // As many as one friend may have in flight; the others wait for them.
    fixture.received(16, Duration::from_secs(10)).await;
    let due = fixture.now().await + TimeDelta::milliseconds(1_500);
    fixture.insert(Crowd::due_at("quick", (1, 1), due)).await;
    fixture.received(17, Duration::from_secs(10)).await;
    let messages = fixture.receiver.messages();
    let quick = messages.iter().find(|message| message.job.starts_with("quick")).unwrap();
    println!("another friend's message was {} late", quick.lateness());
    assert!(quick.lateness() <= TimeDelta::seconds(2), "{}", quick.lateness());
}

/// The jobs of blocked friends, all long overdue, take no slot from an active one and are looked at once.
async fn a_hundred_thousand_jobs_of_the_blocked_delay_nobody(fixture: Fixture) {
    let now = fixture.now().await;
    let overdue = now - TimeDelta::minutes(75);
    let blocked = Crowd { status: "blocked", ..Crowd::due_at("b", (2_000, 50), overdue) };
    fixture.insert(blocked).await;
    fixture.insert(Crowd::due_at("f", (1, 1), now)).await;
    let (runner, queue) = (fixture.runner(), fixture.db.runs());
    assert_eq!(queue.backlog(now).await.unwrap().due, 100_001);
    let begun = Instant::now();
    assert_eq!(runner.tick().await.unwrap(), 1, "the first pass runs what is due of active friends");
    runner.idle().await;
    println!("the first pass over 100,000 jobs of blocked friends took {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(queue.backlog(now).await.unwrap().due, 0, "one pass parks all of them");
    let later = Instant::now();
    assert_eq!(runner.tick().await.unwrap(), 0);
    assert!(later.elapsed() < Duration::from_secs(1), "{:?}", later.elapsed());
}

/// Runs that wait for another attempt, however many, are not looked at to find what is due.
async fn a_hundred_thousand_open_runs_do_not_slow_what_is_due(fixture: Fixture) {
    let now = fixture.now().await;
    let overdue = now - TimeDelta::minutes(1);
    fixture.insert(Crowd { retrying: true, ..Crowd::due_at("r", (2_000, 50), overdue) }).await;
    fixture.insert(Crowd::due_at("f", (1, 1), now)).await;
    let queue = fixture.db.runs();
    let mut times = Vec::new();
    for _ in 0..5 {
        let begun = Instant::now();
        assert_eq!(queue.due(now, 64, FriendShares::of(16)).await.unwrap().len(), 1);
        times.push(begun.elapsed());
    }
    println!("with 100,000 open runs, finding what is due takes {times:?}");
    let best = times.into_iter().min().unwrap();
    assert!(best < Duration::from_millis(50), "{best:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_minutely_jobs_miss_nothing_on_sqlite() {
    two_thousand_minutely_jobs_miss_nothing(Fixture::on_sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_holds_the_file_for_twenty_seconds_makes_no_fire_time_missed() {
    a_database_that_is_away_misses_nothing(Fixture::on_sqlite().await, PROMPTLY, async |fixture| {
        let mut other = fixture.sqlite().unwrap();
        other.batch_execute("begin immediate").unwrap();
        sleep(PAUSE).await;
        other.batch_execute("rollback").unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_receiver_delays_another_friend_by_at_most_two_seconds_on_sqlite() {
    a_slow_receiver_delays_another_friend_by_at_most_two_seconds(Fixture::on_sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_jobs_of_the_blocked_delay_nobody_on_sqlite() {
    a_hundred_thousand_jobs_of_the_blocked_delay_nobody(Fixture::on_sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_open_runs_do_not_slow_what_is_due_on_sqlite() {
    a_hundred_thousand_open_runs_do_not_slow_what_is_due(Fixture::on_sqlite().await).await;
}

mod postgres {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "tier postgres"]
    async fn two_thousand_minutely_jobs_miss_nothing_on_postgres() {
        two_thousand_minutely_jobs_miss_nothing(Fixture::on_postgres().await).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "tier postgres"]
    async fn a_server_that_stands_still_for_twenty_seconds_makes_no_fire_time_missed() {
        a_database_that_is_away_misses_nothing(Fixture::on_postgres().await, PROMPTLY, async |fixture| {
            let proxy = fixture.proxy.as_ref().unwrap();
            proxy.turn(Mode::Paused);
            sleep(PAUSE).await;
            proxy.turn(Mode::Through);
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "tier postgres"]
    async fn a_server_that_restarts_over_and_over_makes_no_fire_time_missed() {
        // A claim whose commit was not answered belongs to nobody until its lease ends.
        let lease = TimeDelta::seconds(60) + PROMPTLY;
        a_database_that_is_away_misses_nothing(Fixture::on_postgres().await, lease, async |fixture| {
            let proxy = fixture.proxy.as_ref().unwrap();
            for _ in 0..10 {
                proxy.turn(Mode::Refusing);
                sleep(Duration::from_millis(500)).await;
                proxy.turn(Mode::Through);
                sleep(Duration::from_millis(1_300)).await;
            }
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "tier postgres"]
    async fn a_slow_receiver_delays_another_friend_by_at_most_two_seconds_on_postgres() {
        a_slow_receiver_delays_another_friend_by_at_most_two_seconds(Fixture::on_postgres().await).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "tier postgres"]
    async fn a_hundred_thousand_jobs_of_the_blocked_delay_nobody_on_postgres() {
        a_hundred_thousand_jobs_of_the_blocked_delay_nobody(Fixture::on_postgres().await).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "tier postgres"]
    async fn a_hundred_thousand_open_runs_do_not_slow_what_is_due_on_postgres() {
        a_hundred_thousand_open_runs_do_not_slow_what_is_due(Fixture::on_postgres().await).await;
    }
}
