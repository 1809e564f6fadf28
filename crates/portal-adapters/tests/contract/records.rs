//! Records of a zone: in memory, at a scripted Cloudflare, and in the tier `dns` on a real name server.

mod bind;
mod embedded;
mod scripted;

mod memory {
    portal_testkit::records_contract!(super::embedded::zone());
}

mod cloudflare {
    portal_testkit::records_contract!(super::scripted::zone());
}

mod dns {
    portal_testkit::records_contract!(
        #[ignore = "tier dns"]
        super::bind::zone()
    );
}
