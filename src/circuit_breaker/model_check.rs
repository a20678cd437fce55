//! The breaker under a model checker: see [`crate::model_check`].
