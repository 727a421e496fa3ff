//! The table of what operations cost.

use std::fmt::Write;

use super::Taken;

/// What an operation took.
#[derive(Debug, Clone)]
pub struct Row {
    /// The operation.
    pub operation: &'static str,
    /// What the process had seen before.
    pub state: State,
    /// Calls of Distribution 3.1, where they were counted.
    pub theirs: Option<usize>,
    /// The most calls that we allow ourselves.
    pub budget: usize,
    /// The most rounds that we allow ourselves, where that is promised.
    pub rounds: Option<usize>,
    /// What it took.
    pub ours: Taken,
    /// Why it is not less, where one could ask.
    pub why: &'static str,
}

impl Row {
    /// What exceeds the budget, if anything does.
    pub fn excess(&self) -> Option<String> {
        let (calls, rounds) = (self.ours.total(), self.ours.rounds.unwrap_or_default());
        let slow = self.rounds.is_some_and(|most| rounds > most);
        // Nothing is done without a call: none means that they were not counted.
        (calls == 0 || calls > self.budget || slow).then(|| {
            let Self { operation, state, budget, ours, .. } = self;
            format!(
                "{operation} ({state:?}): {calls} calls in {rounds} rounds ({ours}), not {budget} in {:?}",
                self.rounds
            )
        })
    }
}

/// What a process had seen before an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing.
    Cold,
    /// The same, or what led to it.
    Warm,
}

/// The rows as a table.
pub fn markdown(rows: &[Row]) -> String {
    let mut text = String::from(
        "| operation | | Distribution | ours | rounds | of which | |\n|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let state = match row.state {
            State::Cold => "cold",
            State::Warm => "warm",
        };
        let theirs = row.theirs.map_or_else(|| "–".to_owned(), |calls| calls.to_string());
        let rounds = row.ours.rounds.map_or_else(|| "–".to_owned(), |rounds| rounds.to_string());
        let (operation, ours, why) = (row.operation, row.ours.total(), row.why);
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {operation} | {state} | {theirs} | **{ours}** | {rounds} | {} | {why} |",
            row.ours
        );
    }
    text
}
