//! Whether this machine's turn has come, by the signed schedule of a release and the signed steering of its rollout.

use crate::{
    agent::Agent,
    records::{Confirmed, Identity},
    refusal::Refusal,
    service::Repository,
};
use livepatch_schedule::{Hold, Request, hold};
use livepatch_trust::Published;

impl Agent {
    /// Why the machine has to wait with this livepatch; `None` when it may have it now.
    pub(crate) fn hold(
        &self,
        repository: &dyn Repository,
        published: &Published,
        identity: &Identity,
    ) -> Result<Option<Hold>, Refusal> {
        let sha256 = &published.manifest.module.sha256;
        let confirmed = self.state.load::<Confirmed>()?;
        let request = Request {
            machine_id: &identity.machine_id,
            tier: &identity.tier,
            sha256,
            confirmed: confirmed.is_some_and(|confirmed| confirmed.digests.contains(sha256)),
            now: self.environment.clock.now().as_second(),
        };
        Ok(hold(published.schedule.as_ref(), repository.steering(), request))
    }
}
