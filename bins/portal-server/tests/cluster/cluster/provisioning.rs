//! A provisioned namespace, as its friend sees it.

use portal_k8s::{Provisioned, Provisioning};
use portal_runtime::admin;
use serde_json::json;

use crate::fixture::{Fixture, somebody, until};
use crate::kubectl::{apply, file};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn secrets_are_counted_for_a_portal_that_may_not_read_them() -> anyhow::Result<()> {
    let friend = somebody()?;
    let namespaces = admin::namespaces(Some(&file("provisioner.kubeconfig")?)).await?;
    assert_eq!(namespaces.provision(&Provisioning::default().manifests(&friend, &[])).await?, Provisioned::Done);
    let fixture = Fixture::of(friend, &file("portal.kubeconfig")?).await?;
    let secrets = async || Ok::<_, anyhow::Error>(fixture.portal.api.get("/me").await?.body["stats"]["secrets"].take());
    until("none is counted", async || Ok(secrets().await? == 0)).await?;
    for name in ["one", "two"] {
        let namespace = &fixture.namespace;
        apply(&format!("{{apiVersion: v1, kind: Secret, metadata: {{name: {name}, namespace: {namespace}}}}}")).await?;
    }
    until("both are counted", async || Ok(secrets().await? == 2)).await?;
    fixture.delete("secret", "one").await?;
    until("one is left", async || Ok(secrets().await? == 1)).await?;
    let shown = fixture.portal.api.namespace().await?;
    assert_eq!(shown["quota"]["hard"]["secrets"], json!("20"));
    Ok(())
}
