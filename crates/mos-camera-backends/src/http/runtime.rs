//! The one runtime of all HTTP clients: a worker thread, and few more where names have to be looked up.

use std::future::Future;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};

use super::HttpError;

/// Names that are looked up at once, each by a blocking call of the C library.
const LOOKUPS: usize = 8;

/// Lets a task run, on the runtime that all cameras share; it lives as long as the process and counts the same few threads
/// whatever the number of cameras.
pub fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Result<(), HttpError> {
    static SHARED: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let runtime = SHARED.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(LOOKUPS)
            .thread_name("mos-http")
            .enable_all()
            .build()
            .map_err(|error| error.to_string())
    });
    let runtime = runtime
        .as_ref()
        .map_err(|error| HttpError::Client(error.clone()))?;
    runtime.spawn(task);
    Ok(())
}
