//! Random histories of one partition: every operation is done to a real redis-server and a real
//! archive, and to a model of what must come of it (`expected`), and after each of them everything
//! that anybody can see is compared (`walk`).
//!
//! What happens: appends with repeated ids, by members and strangers; changes of membership;
//! readers who resume from where they are, or from where nobody ever was; two gateways, each step
//! of whose repairs may come late; two archivers, each of whose steps may be a zombie's; trimming;
//! Redis killed and started again with a tail of its file cut off; Redis emptied.
//!
//! A short walk in CI; `CHINWAG_MODEL_CASES=2000 cargo nextest run -p chinwag-store --test model`
//! for a long one.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a history that breaks a promise ends the test, which reads a setting of its own"
)]

mod archiver;
mod expected;
mod gateway;
mod reader;
mod step;
mod system;
mod walk;
