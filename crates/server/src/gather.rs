//! From the outside world to settings: reads the file, the environment and the flags.

use std::env;
use std::fs;
use std::path::Path;

use crate::args::Run;
use crate::ending::Ending;
use crate::secret;
use crate::settings::{Role, Settings, Written};

/// The settings of a run.
///
/// # Errors
/// All problems at once, or a file that cannot be read.
pub fn run(run: &Run) -> Result<Settings, Ending> {
    let mut written = Written::defaults();
    if let Some(path) = &run.common.config {
        file(&mut written, path)?;
    }
    environment(&mut written);
    for (flag, key, value) in run.flags() {
        written.flag(flag, key, value);
    }
    for assignment in &run.common.set {
        written.assignment("--set", assignment);
    }
    Ok(Settings::mean(written, run.role)?)
}

/// Checks a file together with the environment, as far as that is possible without knowing what
/// will be run with it.
///
/// # Errors
/// All problems at once, or a file that cannot be read.
pub fn check(path: &Path) -> Result<(), Ending> {
    let mut written = Written::defaults();
    file(&mut written, path)?;
    environment(&mut written);
    let settings = Settings::mean(written, Role::Up)?;
    Ok(secret::check(&settings)?)
}

fn file(written: &mut Written, path: &Path) -> Result<(), Ending> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path)
        .map_err(|error| Ending::File(format!("cannot read {name}: {error}")))?;
    written.file(&name, &text);
    Ok(())
}

/// Variables that are not Unicode are not ours: ours have names and values of ASCII.
fn environment(written: &mut Written) {
    let variables = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let mut variables: Vec<_> = variables.collect();
    variables.sort();
    written.environment(variables);
}
