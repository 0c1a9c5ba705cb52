//! What publishers say of the builds that livepatches came from.

use crate::{Seconds, Store, StoreError, rows};
use livepatch_api::{BuildDocumentKind, BuildDocumentSummary};
use livepatch_manifest::Digest;
use sqlx::{Row, any::AnyRow};

impl Store {
    /// Keeps a document about a module, in the place of another one of its kind; false when it was there as it is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_build_document(
        &self,
        module: &Digest,
        kind: BuildDocumentKind,
        body: &str,
        actor: &str,
        now: Seconds,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "INSERT INTO build_documents (module_sha256, kind, sha256, body, actor, added_at) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (module_sha256, kind) DO UPDATE SET \
               sha256 = excluded.sha256, body = excluded.body, actor = excluded.actor, added_at = excluded.added_at \
             WHERE build_documents.sha256 <> excluded.sha256",
        )
        .bind(module.as_str())
        .bind(kind.as_str())
        .bind(Digest::of(body.as_bytes()).as_str())
        .bind(body)
        .bind(actor)
        .bind(now)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// The documents about a module, without their text.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn build_documents(&self, module: &Digest) -> Result<Vec<BuildDocumentSummary>, StoreError> {
        let rows = sqlx::query(
            "SELECT kind, sha256, CAST(LENGTH(body) AS BIGINT) AS characters, actor, added_at FROM build_documents \
             WHERE module_sha256 = $1",
        )
        .bind(module.as_str())
        .fetch_all(&self.pool)
        .await?;
        let mut documents = rows.iter().map(summary).collect::<Result<Vec<_>, _>>()?;
        documents.sort_by_key(|document| document.kind);
        Ok(documents)
    }

    /// A document's text.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn build_document(
        &self,
        module: &Digest,
        kind: BuildDocumentKind,
    ) -> Result<Option<String>, StoreError> {
        let statement = "SELECT body FROM build_documents WHERE module_sha256 = $1 AND kind = $2";
        let row = sqlx::query(statement).bind(module.as_str()).bind(kind.as_str()).fetch_optional(&self.pool);
        Ok(row.await?.map(|row| row.try_get("body")).transpose()?)
    }
}

fn summary(row: &AnyRow) -> Result<BuildDocumentSummary, StoreError> {
    let (kind, sha256): (String, String) = (row.try_get("kind")?, row.try_get("sha256")?);
    Ok(BuildDocumentSummary {
        kind: rows::parse("build_documents.kind", &kind)?,
        sha256: rows::parse("build_documents.sha256", &sha256)?,
        characters: rows::count("build_documents.body", row.try_get("characters")?)?,
        actor: row.try_get("actor")?,
        added: rows::moment("build_documents.added_at", row.try_get("added_at")?)?,
    })
}
