//! What was imported about vulnerabilities, which of them cannot be livepatched, and what makes them harmless.

use crate::{Seconds, Store, StoreError};
use livepatch_api::{CveRefusal, MitigationView};
use livepatch_manifest::Digest;
use sqlx::{Row, any::AnyRow};
use std::collections::BTreeMap;

/// A document to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CveDocument {
    /// What kind it is: `ubuntu-tracker`, `changelog`, …
    pub source: String,
    /// A path or an address.
    pub name: String,
    /// Of a changelog: `debian/bookworm/linux`; else empty.
    pub family: String,
    /// Its text; empty when it is taken back.
    pub body: String,
}

impl Store {
    /// Keeps documents in the place of those with the same source and name; how many were new or different.
    ///
    /// # Errors
    /// [`StoreError::Database`]; nothing was kept then.
    pub async fn keep_cve_documents(
        &self,
        documents: &[CveDocument],
        now: Seconds,
    ) -> Result<u32, StoreError> {
        let mut transaction = self.write().await?;
        let mut changed = 0;
        for document in documents {
            let digest = Digest::of(document.body.as_bytes());
            let known =
                sqlx::query("SELECT sha256, family FROM cve_documents WHERE source = $1 AND name = $2")
                    .bind(&document.source)
                    .bind(&document.name)
                    .fetch_optional(&mut *transaction)
                    .await?;
            if let Some(row) = known {
                let (sha256, family): (String, String) = (row.try_get("sha256")?, row.try_get("family")?);
                if sha256 == digest.as_str() && family == document.family {
                    continue;
                }
            }
            let head = sqlx::query("UPDATE cve_head SET change = change + 1 WHERE id = 1 RETURNING change")
                .fetch_one(&mut *transaction)
                .await?;
            let change: i64 = head.try_get("change")?;
            sqlx::query(
                "INSERT INTO cve_documents (source, name, family, sha256, body, change, imported_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (source, name) DO UPDATE SET \
                   family = excluded.family, sha256 = excluded.sha256, body = excluded.body, change = excluded.change, \
                   imported_at = excluded.imported_at",
            )
            .bind(&document.source)
            .bind(&document.name)
            .bind(&document.family)
            .bind(digest.as_str())
            .bind(&document.body)
            .bind(change)
            .bind(now)
            .execute(&mut *transaction)
            .await?;
            changed += 1;
        }
        transaction.commit().await?;
        Ok(changed)
    }

    /// Documents that came or changed after a change, in order, at most `limit`; each with its own change.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn cve_documents_after(
        &self,
        change: i64,
        limit: u32,
    ) -> Result<Vec<(i64, CveDocument)>, StoreError> {
        let rows = sqlx::query(
            "SELECT change, source, name, family, body FROM cve_documents WHERE change > $1 ORDER BY change LIMIT $2",
        )
        .bind(change)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        let document = |row: &AnyRow| {
            let document = CveDocument {
                source: row.try_get("source")?,
                name: row.try_get("name")?,
                family: row.try_get("family")?,
                body: row.try_get("body")?,
            };
            Ok((row.try_get("change")?, document))
        };
        rows.iter().map(document).collect()
    }

    /// Notes that a vulnerability cannot be livepatched in a family; an earlier word about it is replaced.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn refuse_cve(&self, refusal: &CveRefusal) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO cve_refusals (cve, family, code, reason, mitigation, decided_by, decided_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (cve, family) DO UPDATE SET code = excluded.code, \
               reason = excluded.reason, mitigation = excluded.mitigation, decided_by = excluded.decided_by, \
               decided_at = excluded.decided_at",
        )
        .bind(&refusal.cve)
        .bind(&refusal.family)
        .bind(&refusal.code)
        .bind(&refusal.reason)
        .bind(refusal.mitigation.as_deref().unwrap_or_default())
        .bind(&refusal.decided_by)
        .bind(refusal.decided_at)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Everything that cannot be livepatched, by vulnerability and family.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn cve_refusals(&self) -> Result<Vec<CveRefusal>, StoreError> {
        let statement = "SELECT cve, family, code, reason, mitigation, decided_by, decided_at FROM cve_refusals \
                         ORDER BY cve, family";
        let rows = sqlx::query(statement).fetch_all(&self.pool).await?;
        let refusal = |row: &AnyRow| {
            let mitigation: String = row.try_get("mitigation")?;
            Ok(CveRefusal {
                cve: row.try_get("cve")?,
                family: row.try_get("family")?,
                code: row.try_get("code")?,
                reason: row.try_get("reason")?,
                mitigation: (!mitigation.is_empty()).then_some(mitigation),
                decided_by: row.try_get("decided_by")?,
                decided_at: row.try_get("decided_at")?,
            })
        };
        rows.iter().map(refusal).collect()
    }

    /// Keeps a mitigation against these vulnerabilities in the place of one with the same name. `document`: as JSON.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn issue_mitigation(
        &self,
        name: &str,
        cves: &[String],
        document: &str,
        issued_by: &str,
        now: Seconds,
    ) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        sqlx::query(
            "INSERT INTO mitigations (name, document, issued_by, issued_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (name) DO UPDATE SET document = excluded.document, issued_by = excluded.issued_by, \
               issued_at = excluded.issued_at",
        )
        .bind(name)
        .bind(document)
        .bind(issued_by)
        .bind(now)
        .execute(&mut *transaction)
        .await?;
        for cve in cves {
            let first = "INSERT INTO first_mitigations (cve, at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
            sqlx::query(first).bind(cve).bind(now).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Forgets a mitigation; whether there was one.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn retire_mitigation(&self, name: &str) -> Result<bool, StoreError> {
        let gone =
            sqlx::query("DELETE FROM mitigations WHERE name = $1").bind(name).execute(&self.pool).await?;
        Ok(gone.rows_affected() > 0)
    }

    /// When a mitigation was first issued against each vulnerability, those that are retired among them.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn first_mitigations(&self) -> Result<BTreeMap<String, Seconds>, StoreError> {
        let rows = sqlx::query("SELECT cve, at FROM first_mitigations").fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok((row.try_get("cve")?, row.try_get("at")?))).collect()
    }

    /// The mitigations that are issued, by name.
    ///
    /// # Errors
    /// [`StoreError::Database`], and when a document is damaged.
    pub async fn mitigations(&self) -> Result<Vec<MitigationView>, StoreError> {
        let statement = "SELECT document, issued_by, issued_at FROM mitigations ORDER BY name";
        let rows = sqlx::query(statement).fetch_all(&self.pool).await?;
        let view = |row: &AnyRow| {
            let document: String = row.try_get("document")?;
            Ok(MitigationView {
                mitigation: serde_json::from_str(&document).map_err(|error| sqlx::Error::ColumnDecode {
                    index: "document".into(),
                    source: error.into(),
                })?,
                issued_by: row.try_get("issued_by")?,
                issued_at: row.try_get("issued_at")?,
            })
        };
        rows.iter().map(view).collect()
    }
}
