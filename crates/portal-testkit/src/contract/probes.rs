//! Probes of backends.

use crate::fixture::ProbeFixture;

pub async fn a_probe_has_one_name(fixture: &ProbeFixture) {
    let name = fixture.probe.name();
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
    assert!(!name.is_empty() && name.bytes().all(is_word), "{name:?} is no stable word");
    let required = fixture.probe.required();
    fixture.backend.stop().await;
    assert_eq!((fixture.probe.name(), fixture.probe.required()), (name, required), "neither depends on the backend");
}

pub async fn a_probe_fails_only_while_its_backend_is_gone(fixture: &ProbeFixture) {
    for round in 0..2 {
        fixture.probe.probe().await.unwrap_or_else(|error| panic!("round {round}: {error:?}"));
        fixture.backend.stop().await;
        assert!(fixture.probe.probe().await.is_err(), "round {round}: nothing answers");
        fixture.backend.start().await;
    }
    fixture.probe.probe().await.unwrap();
}
