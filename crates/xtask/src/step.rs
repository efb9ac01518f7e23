//! Running one command after the other, with times, and a summary at the end.

use std::borrow::BorrowMut;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A series of steps. It ends with the first that fails.
#[derive(Debug, Default)]
pub struct Steps {
    done: Vec<(String, Outcome)>,
    /// Lines of output that are worth repeating at the end.
    notable: Vec<String>,
}

#[derive(Debug)]
enum Outcome {
    Passed(Duration),
    Failed(Duration),
    Skipped(&'static str),
}

impl Steps {
    /// Runs a step that is a function.
    ///
    /// # Errors
    /// When it fails; the summary has been printed then.
    pub fn call(&mut self, name: &str, function: impl FnOnce() -> Result<()>) -> Result<()> {
        println!("\n=== {name}");
        let began = Instant::now();
        let result = function();
        let took = began.elapsed();
        let outcome = if result.is_ok() {
            Outcome::Passed(took)
        } else {
            Outcome::Failed(took)
        };
        self.done.push((name.to_owned(), outcome));
        if result.is_err() {
            self.summary();
        }
        result.with_context(|| format!("step {name:?} failed"))
    }

    /// Runs a step that is a command.
    ///
    /// # Errors
    /// When it cannot be run, or fails; the summary has been printed then.
    pub fn command(&mut self, name: &str, mut command: impl BorrowMut<Command>) -> Result<()> {
        self.call(name, || check(command.borrow_mut()))
    }

    /// Runs a step that is a command, of whose lines of output those that `is_notable` are repeated
    /// at the end.
    ///
    /// # Errors
    /// When it cannot be run, or fails; the summary has been printed then.
    pub fn watched(
        &mut self,
        name: &str,
        mut command: Command,
        is_notable: fn(&str) -> bool,
    ) -> Result<()> {
        let mut notable = Vec::new();
        let note = |line: &str| {
            if is_notable(line) {
                notable.push(line.trim().to_owned());
            }
        };
        let result = self.call(name, || watch(&mut command, note));
        self.notable.append(&mut notable);
        result.inspect_err(|_| self.notable.iter().for_each(|line| println!("{line}")))
    }

    /// Says that a step was left out, and why.
    pub fn skip(&mut self, name: &str, reason: &'static str) {
        println!("\n=== {name}: left out, {reason}");
        self.done.push((name.to_owned(), Outcome::Skipped(reason)));
    }

    /// Prints what was done, with times, and the notable lines last.
    pub fn summary(&self) {
        println!("\n=== summary");
        for (name, outcome) in &self.done {
            match outcome {
                Outcome::Passed(took) => println!("  passed {:>6.1}s  {name}", took.as_secs_f32()),
                Outcome::Failed(took) => println!("  FAILED {:>6.1}s  {name}", took.as_secs_f32()),
                Outcome::Skipped(reason) => println!("  left out        {name} ({reason})"),
            }
        }
        self.notable.iter().for_each(|line| println!("{line}"));
    }
}

/// Runs a command whose output goes where ours goes.
///
/// # Errors
/// When it cannot be run, or fails.
pub fn check(command: &mut Command) -> Result<()> {
    let words = describe(command);
    let status = command.status().with_context(|| format!("run {words}"))?;
    if !status.success() {
        bail!("{words}: {status}");
    }
    Ok(())
}

/// Like [`check`], and hands over each line of standard error and output as it passes by.
fn watch(command: &mut Command, mut each: impl FnMut(&str)) -> Result<()> {
    let words = describe(command);
    let (reader, writer) = std::io::pipe()?;
    command
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer);
    let mut child = command.spawn().with_context(|| format!("run {words}"))?;
    // Our copies of the writing end would keep the pipe open for ever.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    for line in BufReader::new(reader).lines() {
        let line = line?;
        each(&line);
        println!("{line}");
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("{words}: {status}");
    }
    Ok(())
}

fn describe(command: &Command) -> String {
    let words: Vec<_> = command
        .get_args()
        .map(|word| word.to_string_lossy())
        .collect();
    let program = Path::new(command.get_program());
    let name = program
        .file_name()
        .unwrap_or(command.get_program())
        .to_string_lossy();
    format!("{name} {}", words.join(" "))
}
