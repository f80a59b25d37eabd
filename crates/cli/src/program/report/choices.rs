//! What was chosen for the training.

use nearlin::Criterion;
use serde::Serialize;

use super::Finite;
use crate::program::setup::Setup;
use crate::table::Task;

#[derive(Debug, Serialize)]
pub(super) struct Width {
    tried: usize,
    error: Finite,
    limit: Finite,
    excess: Finite,
    rows: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct Metric {
    form: &'static str,
    bias: Finite,
    rows: usize,
    rounds: Vec<MetricRound>,
    /// Null where there were none.
    network: Option<NetworkRounds>,
    importances: Vec<Importance>,
}

#[derive(Debug, Serialize)]
struct MetricRound {
    form: &'static str,
    round: usize,
    ridge: Finite,
    error: Finite,
    /// Null for regression.
    wrong: Option<Finite>,
}

#[derive(Debug, Serialize)]
struct NetworkRounds {
    form: &'static str,
    rows: usize,
    judged: usize,
    errors: Vec<Finite>,
    kept: usize,
}

#[derive(Debug, Serialize)]
struct Importance {
    column: String,
    part: Finite,
}

impl Width {
    pub(super) fn of(setup: &Setup) -> Option<Self> {
        let choice = setup.width?;
        let (error, limit) = (Finite(choice.error), Finite(choice.limit));
        let excess = Finite(choice.excess);
        Some(Self { tried: choice.tried, error, limit, excess, rows: choice.rows })
    }
}

impl Metric {
    pub(super) fn of(setup: &Setup) -> Option<Self> {
        let choice = setup.metric.as_ref()?;
        let task = setup.problem.target.task();
        let round = |round: &nearlin::MetricRound| MetricRound {
            form: round.form.name(),
            round: round.round,
            ridge: Finite(round.ridge),
            error: Finite(round.error),
            wrong: (task == Task::Classification).then_some(Finite(round.wrong)),
        };
        let network = |rounds: &nearlin::NetworkRounds| NetworkRounds {
            form: rounds.form.name(),
            rows: rounds.rows,
            judged: rounds.judged,
            errors: rounds.errors.iter().copied().map(Finite).collect(),
            kept: rounds.kept,
        };
        let importances = setup.importances().into_iter();
        // The metric itself knows whether it is a matrix, not how that was made.
        let learned = choice.rounds[choice.best].form;
        let form = choice.network.as_ref().map_or(learned, |rounds| rounds.form);
        Some(Self {
            form: form.name(),
            bias: Finite(choice.metric.bias()),
            rows: choice.rows,
            rounds: choice.rounds.iter().map(round).collect(),
            network: choice.network.as_ref().map(network),
            importances: importances
                .map(|(column, part)| Importance { column: column.to_owned(), part: Finite(part) })
                .collect(),
        })
    }
}

#[derive(Debug, Serialize)]
pub(super) struct RidgePath {
    criterion: &'static str,
    rows: usize,
    points: Vec<RidgePoint>,
}

#[derive(Debug, Serialize)]
struct RidgePoint {
    ridge: Finite,
    error: Finite,
    /// Null where that was not looked at.
    effective_parameters: Option<Finite>,
}

impl From<&nearlin::RidgePath> for RidgePath {
    fn from(path: &nearlin::RidgePath) -> Self {
        let point = |point: &nearlin::RidgePoint| RidgePoint {
            ridge: Finite(point.ridge),
            error: Finite(point.error),
            effective_parameters: (path.criterion != Criterion::HeldOut)
                .then_some(Finite(point.effective_parameters)),
        };
        Self {
            criterion: path.criterion.name(),
            rows: path.rows,
            points: path.points.iter().map(point).collect(),
        }
    }
}
