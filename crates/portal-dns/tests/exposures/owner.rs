//! One owner per hostname, whatever names and friends it can be made of.

use portal_dns::{Exposures, Status};
use proptest::prelude::*;

use super::fixture::{Fixture, close, open, wish};

/// Opens `my`-style names of both friends at once and returns how many got the hostname.
async fn race(one: (&Exposures, &str, &str), other: (&Exposures, &str, &str)) -> usize {
    let (first, second) = tokio::join!(
        open(one.0, one.2, wish(one.1, "web", None, None)),
        open(other.0, other.2, wish(other.1, "web", None, None)),
    );
    let won = |opened: &Result<portal_dns::Opened, portal_dns::DnsError>| match opened {
        Ok(opened) => opened.exposure.status == Status::Active,
        Err(refused) => {
            assert_eq!(refused.code(), "hostname-taken");
            false
        }
    };
    [won(&first), won(&second)].into_iter().filter(|won| *won).count()
}

#[tokio::test(start_paused = true)]
async fn two_friends_whose_names_make_one_hostname_cannot_share_it() {
    let fixture = Fixture::new().await;
    let (here, there) = (fixture.portal(), fixture.portal());
    for _ in 0..20 {
        assert_eq!(race((&here, "a-b", "c"), (&there, "a", "b-c")).await, 1);
        assert_eq!(fixture.marked().len(), 1);
        fixture.assert_converged("one owner").await;
        let _ = close(&here, "c", "a-b").await;
        let _ = close(&there, "b-c", "a").await;
        fixture.assert_converged("none").await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every way to cut one label in two is tried by its own friend; exactly one of them owns the hostname, and only
    /// when that one gives it up can another have it.
    #[test]
    fn a_label_has_one_owner_however_it_is_cut(label in "[a-z0-9](-?[a-z0-9]){2,9}-[a-z0-9](-?[a-z0-9]){0,5}") {
        let cuts: Vec<(&str, &str)> = label
            .match_indices('-')
            .filter_map(|(at, _)| label.split_at_checked(at))
            .map(|(name, rest)| (name, rest.trim_start_matches('-')))
            .filter(|(name, _)| name.len() <= 20)
            .collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let fixture = Fixture::new().await;
            for (_, friend) in &cuts {
                fixture.add_friend(friend).await;
            }
            let portal = fixture.portal();
            let attempts = cuts.iter().map(|(name, friend)| open(&portal, friend, wish(name, "web", None, None)));
            let outcomes = futures::future::join_all(attempts).await;
            let owners: Vec<_> = cuts.iter().zip(&outcomes).filter(|(_, opened)| opened.is_ok()).collect();
            assert_eq!(owners.len(), 1, "{cuts:?}");
            fixture.assert_converged("one owner").await;
            let ((name, friend), _) = owners.first().unwrap();
            close(&portal, friend, name).await.unwrap();
            for (next, who) in cuts.iter().filter(|cut| *cut != owners.first().unwrap().0) {
                open(&portal, who, wish(next, "web", None, None)).await.unwrap();
                close(&portal, who, next).await.unwrap();
            }
            fixture.assert_converged("none").await;
        });
    }
}
