//! A portal whose calls to all its ports go through faults.

use std::sync::Arc;

use portal_dns::{ExposurePorts, ExposureStore, Exposures, Records, Routes, Services};
use portal_testkit::{Intercepted, Interceptor};

use super::fixture::Fixture;

/// A portal in this fixture whose calls go through `interceptor`.
pub(crate) fn serve(fixture: &Fixture, interceptor: &Arc<impl Interceptor + 'static>) -> Exposures {
    let ports = fixture.ports();
    let ports = ExposurePorts {
        store: Intercepted::<dyn ExposureStore>::new(ports.store, interceptor.clone()),
        routes: Intercepted::<dyn Routes>::new(ports.routes, interceptor.clone()),
        services: Intercepted::<dyn Services>::new(ports.services, interceptor.clone()),
        ..ports
    };
    fixture.portal_with(ports, |records| Intercepted::<dyn Records>::new(Arc::new(records), interceptor.clone()))
}
