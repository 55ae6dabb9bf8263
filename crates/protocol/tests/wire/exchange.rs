//! Recorded requests together with their answers.

use super::fixture::{Fixture, all};

/// Requests with the answers that were recorded for them.
pub fn exchanges() -> Vec<(Fixture, Option<Fixture>)> {
    let (requests, mut answers): (Vec<_>, Vec<_>) =
        all().into_iter().partition(|fixture| fixture.name.ends_with("_req"));
    requests
        .into_iter()
        .map(|request| {
            let answer = request.name.replace("_req", "_rsp");
            let at = answers.iter().position(|fixture| fixture.name == answer);
            (request, at.map(|at| answers.swap_remove(at)))
        })
        .collect()
}
