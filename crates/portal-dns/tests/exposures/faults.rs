//! A portal whose calls to all its ports go through faults.

use std::sync::Arc;

use portal_dns::{ExposureStore, Exposures, Records, Routes, Services};
use portal_testkit::{Intercepted, Interceptor};

use super::fixture::Fixture;

/// A portal in this fixture whose calls go through `interceptor`.
pub(crate) fn serve(fixture: &Fixture, interceptor: &Arc<impl Interceptor + 'static>) -> Exposures {
    let mut ports = fixture.ports();
    ports.store = Intercepted::<dyn ExposureStore>::new(ports.store, interceptor.clone());
    ports.routes = Intercepted::<dyn Routes>::new(ports.routes, interceptor.clone());
    ports.services = Intercepted::<dyn Services>::new(ports.services, interceptor.clone());
    fixture.portal_with(ports, |records| Intercepted::<dyn Records>::new(Arc::new(records), interceptor.clone()))
}
