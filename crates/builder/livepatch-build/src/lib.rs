//! Placeholder front door.
