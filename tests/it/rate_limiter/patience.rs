//! Waiting for a limited time.


