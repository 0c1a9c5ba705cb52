//! The certificates whose keys may sign modules.

use crate::{Seconds, Store, StoreError, rows};
use livepatch_manifest::Digest;
use sqlx::Row;

/// A registered certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCertificate {
    /// SHA-256 of its DER form.
    pub fingerprint: Digest,
    /// PEM.
    pub pem: String,
}

impl Store {
    /// Registers a certificate; true when it was not registered before.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn add_certificate(
        &self,
        certificate: &StoredCertificate,
        now: Seconds,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "INSERT INTO certificates (fingerprint, pem, added_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        )
        .bind(certificate.fingerprint.as_str())
        .bind(&certificate.pem)
        .bind(now)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Every registered certificate, oldest first: always the same order, since its digest is part of tokens.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn certificates(&self) -> Result<Vec<StoredCertificate>, StoreError> {
        let rows = sqlx::query("SELECT fingerprint, pem FROM certificates ORDER BY added_at, fingerprint")
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| {
                let fingerprint = rows::parse("certificates.fingerprint", row.try_get("fingerprint")?)?;
                Ok(StoredCertificate { fingerprint, pem: row.try_get("pem")? })
            })
            .collect()
    }
}
