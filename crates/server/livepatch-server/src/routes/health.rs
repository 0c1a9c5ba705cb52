//! Whether the server serves.

/// Always 200 while it answers at all: the static plane needs nothing else.
pub(crate) async fn health() -> &'static str {
    "ok\n"
}
