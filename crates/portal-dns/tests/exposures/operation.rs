//! Operations of friends that are interrupted by faults.

use portal_dns::{Exposures, Status};

use super::fixture::{Fixture, close, friend, name, open, wish};

/// Operation of a friend on `my-app`, which may be exposed already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Expose,
    ChangeService,
    ChangePort,
    ChangeDomain,
    Remove,
    Revive,
}

impl Operation {
    pub(crate) const ALL: [Self; 6] =
        [Self::Expose, Self::ChangeService, Self::ChangePort, Self::ChangeDomain, Self::Remove, Self::Revive];

    /// Brings about what the operation begins with, through a portal whose zone of `a.net` `break_down` breaks, in a fixture
    /// with a route in it that is not ours.
    pub(crate) async fn prepare(self, fixture: &Fixture, portal: &Exposures, break_down: impl FnOnce()) {
        let theirs = "{apiVersion: traefik.io/v1alpha1, kind: IngressRoute, metadata: {name: theirs}, spec: {routes: [{kind: Rule, match: 'Host(`theirs-alice.a.net`)', services: [{name: web, port: 80}]}]}}";
        fixture.cluster.load_yaml("theirs", theirs, "friend-alice").unwrap();
        open(portal, "bob", wish("other", "web", None, None)).await.unwrap();
        if self != Self::Expose {
            open(portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
        }
        if self == Self::Revive {
            break_down();
            let left = close(portal, "alice", "my-app").await.unwrap();
            assert_eq!(left.status, Status::Removing);
        }
    }

    /// Does it; tells whether it was acknowledged.
    pub(crate) async fn act(self, portal: &Exposures) -> bool {
        let (service, port, domain) = match self {
            Self::Remove => return close(portal, "alice", "my-app").await.is_ok(),
            Self::Expose | Self::Revive => ("web", None, None),
            Self::ChangeService => ("api", None, None),
            Self::ChangePort => ("web", Some(9090), None),
            Self::ChangeDomain => ("web", None, Some("b.net")),
        };
        open(portal, "alice", wish("my-app", service, port, domain)).await.is_ok()
    }

    /// Fails unless what was acknowledged is so.
    pub(crate) async fn assert_kept(self, fixture: &Fixture, context: &str) {
        let found = fixture.portal().find(&friend("alice"), &name("my-app")).await.unwrap();
        if self == Self::Remove {
            assert_eq!(found, None, "{context}: an acknowledged removal came back");
            return;
        }
        let Some(kept) = found else { panic!("{context}: an acknowledged exposure is missing") };
        let shown = (kept.status, kept.spec.service.as_str(), kept.spec.port.number(), kept.spec.domain.as_str());
        let expected = match self {
            Self::ChangeService => (Status::Active, "api", 8080, "a.net"),
            Self::ChangePort => (Status::Active, "web", 9090, "a.net"),
            Self::ChangeDomain => (Status::Active, "web", 80, "b.net"),
            _ => (Status::Active, "web", 80, "a.net"),
        };
        assert_eq!(shown, expected, "{context}");
    }
}
