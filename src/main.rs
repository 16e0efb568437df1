//! Passgate's binary: see the library for how it works, and [`passgate::cli`] for what it can be told.

use std::process::ExitCode;

/// A request makes some dozens of small allocations on whatever thread it is: the system's allocator spends a sixth of
/// the time that a request takes on them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // First of all: two providers are compiled in, and whoever needs TLS before one is chosen panics.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("passgate: another TLS provider was installed before ours");
        return ExitCode::from(passgate::cli::INTERNAL);
    }
    passgate::cli::main()
}
