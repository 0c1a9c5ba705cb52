//! What operators block for a while: livepatches and kernels by a signed word that every poll reads, machines and tags by
//! what their check-in is answered with.

use crate::{clock, refusal::Refusal, site::Site};
use livepatch_api::{BlockKind, BlockSummary};
use livepatch_manifest::{Digest, Manifest};
use livepatch_schedule::key_of;
use livepatch_trust::Publisher;
use std::{collections::BTreeSet, sync::Arc};

/// The blocks that hold now.
pub(crate) async fn holding(site: &Site) -> Result<Vec<BlockSummary>, Refusal> {
    Ok(site.database.store().await?.blocks(clock::seconds()).await?)
}

/// Whether one of these blocks keeps a livepatch from every machine.
pub(crate) fn covers(blocks: &[BlockSummary], manifest: &Manifest) -> bool {
    blocks.iter().any(|block| match block.kind {
        BlockKind::Patch => block.subject == manifest.name,
        BlockKind::Kernel => {
            block.subject == manifest.kernel.release.as_str()
                || block.subject == manifest.kernel.build_id.to_string()
        }
        BlockKind::Machine | BlockKind::Tag => false,
    })
}

/// The block that keeps every livepatch from a machine, if one does.
pub(crate) fn of_machine<'a>(
    blocks: &'a [BlockSummary],
    machine: &str,
    tags: &[String],
) -> Option<&'a BlockSummary> {
    blocks.iter().find(|block| match block.kind {
        BlockKind::Machine => block.subject == machine,
        BlockKind::Tag => tags.contains(&block.subject),
        BlockKind::Patch | BlockKind::Kernel => false,
    })
}

/// Signs what these blocks say about what is published, and about what is going to be: a livepatch for a blocked kernel is
/// blocked before it is there.
pub(crate) fn steer(
    publisher: &mut Publisher,
    blocks: &[BlockSummary],
    coming: &[(&Manifest, &Digest)],
) -> Result<(), Refusal> {
    let here = publisher.published().map(|entry| (&entry.manifest, &entry.sha256));
    let blocked: BTreeSet<String> = here
        .chain(coming.iter().copied())
        .filter(|(manifest, _)| covers(blocks, manifest))
        .map(|(_, sha256)| key_of(sha256))
        .collect();
    let mut steering = publisher.steering().clone();
    steering.blocked = blocked;
    publisher.steer(&steering, clock::now())?;
    Ok(())
}

/// Brings the signed word up to the blocks that hold now: after a change, and when one has ended by itself.
pub(crate) async fn apply(site: &Arc<Site>) -> Result<(), Refusal> {
    let blocks = holding(site).await?;
    site.with_publisher(move |publisher| steer(publisher, &blocks, &[])).await
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    fn block(kind: BlockKind, subject: &str) -> BlockSummary {
        BlockSummary {
            id: String::new(),
            kind,
            subject: subject.into(),
            reason: String::new(),
            actor: String::new(),
            created: String::new(),
            expires: None,
        }
    }

    #[test]
    fn machines_are_blocked_by_id_and_by_tag() {
        let blocks =
            [block(BlockKind::Tag, "lab"), block(BlockKind::Machine, "m-1"), block(BlockKind::Patch, "m-2")];
        let found = |machine: &str, tags: &[&str]| {
            let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
            of_machine(&blocks, machine, &tags).map(|block| block.kind)
        };
        assert_eq!(found("m-1", &[]), Some(BlockKind::Machine));
        assert_eq!(found("m-2", &["web", "lab"]), Some(BlockKind::Tag));
        assert_eq!(found("m-2", &["web"]), None);
    }
}
