//! What jobs might have gained elsewhere: the ends that the planner compared, set right by how its predictions fared in this run.

use std::collections::BTreeMap;

use crate::device::DeviceId;
use crate::plan::{Choice, Prediction};
use crate::report::Page;
use crate::report::chart::{DataTable, Unit};
use crate::report::figures::{counted, time_ms, whole};
use crate::timeline::{JobLine, device_of};

/// Jobs with the largest regret that are listed.
const WORST: usize = 10;

/// What predictions on one device were multiplied by is not believed beyond this, one way or the other.
const FACTOR_MAX: f64 = 1e3;

/// By kind and device, which is none for a split.
type Factors<'a> = BTreeMap<(&'a str, Option<DeviceId>), f64>;

/// How much later a job ended than it would have elsewhere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Regret<'a> {
    pub job: &'a JobLine,
    /// By so much; 0 where what was chosen was as good.
    pub ms: f64,
    /// The best of the other choices, if there was any.
    pub other: Option<Other<'a>>,
}

/// A choice that was not taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Other<'a> {
    pub choice: &'a Choice,
    /// From the plan to the end, as predicted.
    pub predicted: Prediction,
    /// By what that was multiplied.
    pub factor: f64,
}

impl Other<'_> {
    pub fn end_ms(&self) -> f64 {
        self.predicted.ms * self.factor
    }
}

/// Of every job of which something was predicted. From its plan to its end, waiting included, each took so much longer than was predicted
/// of what was chosen. The end of another choice is multiplied by the same where it is on the same device; else by the middle one of
/// what jobs of the kind that ran on the other device took beyond their predictions; by nothing where none did. What lies within the
/// interval of the other prediction is regretted of none.
pub(super) fn regrets(jobs: &[JobLine]) -> Vec<Regret<'_>> {
    let factors = factors(jobs);
    jobs.iter().filter_map(|job| regret(job, &factors)).collect()
}

fn regret<'a>(job: &'a JobLine, factors: &Factors<'_>) -> Option<Regret<'a>> {
    let foreseen = job.foreseen.as_deref()?;
    let (here, own) = (device_of(&foreseen.choice), ratio(job));
    let others = foreseen.others.iter().map(|(choice, predicted)| {
        let device = device_of(choice);
        let of_kind = || factors.get(&(job.kind, device)).copied();
        let factor = own.filter(|_| device == here).or_else(of_kind).unwrap_or(1.0);
        Other { choice, predicted: *predicted, factor }
    });
    let best = others.min_by(|a, b| a.end_ms().total_cmp(&b.end_ms()));
    // Within what is uncertain about the other end, nobody can say which of the two is earlier.
    let clear = best.filter(|best| job.since_plan_ms > best.predicted.high_ms * best.factor);
    let ms = clear.map_or(0.0, |best| (job.since_plan_ms - best.end_ms()).max(0.0));
    Some(Regret { job, ms, other: best })
}

/// What a job took beside what was predicted of what was chosen, waiting within both.
fn ratio(job: &JobLine) -> Option<f64> {
    let ratio = job.since_plan_ms / job.foreseen.as_ref()?.end_ms;
    (ratio.is_finite() && ratio > 0.0).then(|| ratio.clamp(1.0 / FACTOR_MAX, FACTOR_MAX))
}

/// The middle one by kind and device, of jobs that ran where they were planned to.
fn factors(jobs: &[JobLine]) -> Factors<'_> {
    let mut ratios: BTreeMap<(&str, Option<DeviceId>), Vec<f64>> = BTreeMap::new();
    for job in jobs.iter().filter(|job| job.own_ms.is_some()) {
        if let (Some(foreseen), Some(ratio)) = (&job.foreseen, ratio(job)) {
            ratios.entry((job.kind, device_of(&foreseen.choice))).or_default().push(ratio);
        }
    }
    let middle = |mut ratios: Vec<f64>| {
        let at = ratios.len() / 2;
        *ratios.select_nth_unstable_by(at, f64::total_cmp).1
    };
    ratios.into_iter().map(|(key, ratios)| (key, middle(ratios))).collect()
}

/// The part of a page that tells of it.
pub(super) fn section(page: &mut Page, jobs: &[JobLine]) {
    page.section("Regret");
    let mut regrets = regrets(jobs);
    if regrets.is_empty() {
        return page.paragraph("Nothing was predicted, so that nothing can be held against what jobs took.");
    }
    page.paragraph(
        "How much later jobs ended than they would have by the best of the other choices, from plan to end, waiting included on both sides. \
         The other end is the predicted one, set right by how much longer than predicted jobs of the kind took there, and only what \
         lies beyond its interval counts. Each job is looked at by itself, with all others where they were: not all of them could have had what would \
         have been best for each, so the sum is no time that the run would have been shorter.",
    );
    let sum: f64 = regrets.iter().map(|regret| regret.ms).sum();
    let all: f64 = regrets.iter().map(|regret| regret.job.since_plan_ms).sum();
    page.facts([
        ("jobs with a prediction", whole(regrets.len() as u64)),
        ("regret of all", time_ms(sum)),
        ("of their time from plan to end", if all > 0.0 { Unit::Share.show(sum / all) } else { "-".to_owned() }),
    ]);
    regrets.retain(|regret| regret.ms > 0.0);
    regrets.sort_by(|a, b| b.ms.total_cmp(&a.ms).then(a.job.index.cmp(&b.job.index)));
    if regrets.is_empty() {
        return page.paragraph("No job ended later than another choice would have.");
    }
    let mut table = DataTable::new([
        "job",
        "kind",
        "ran on",
        "plan to end",
        "predicted",
        "regret",
        "why it ran there, and what was better",
    ]);
    for regret in regrets.iter().take(WORST) {
        let job = regret.job;
        table.row([
            job.id.to_string(),
            job.kind.to_owned(),
            job.ran_on.clone(),
            time_ms(job.since_plan_ms),
            job.foreseen.as_ref().map_or_else(|| "-".to_owned(), |foreseen| time_ms(foreseen.end_ms)),
            time_ms(regret.ms),
            why(regret),
        ]);
    }
    let rest = regrets.len().saturating_sub(WORST);
    if rest > 0 {
        table.note = format!("{} more with less regret.", counted(rest as u64, "job", "jobs"));
    }
    page.table("Jobs with the largest regret", &table);
}

fn why(regret: &Regret<'_>) -> String {
    let reason = regret.job.foreseen.as_ref().map_or("", |foreseen| &foreseen.reason);
    let better = regret.other.map(|other| {
        let Other { choice, factor, .. } = other;
        // What is no more than noise is not worth a figure.
        let corrected = if (factor - 1.0).abs() < 0.01 {
            String::new()
        } else {
            format!(", {factor:.2} times as much as was predicted: so jobs fared there")
        };
        format!("{choice} would have ended it after {}{corrected}", time_ms(other.end_ms()))
    });
    [reason.to_owned(), better.unwrap_or_default()]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::examples::timeline;
    use crate::timeline::Foreseen;
    use std::sync::Arc;

    const CPU: Choice = Choice::Cpu { threads: 2 };
    const GPU: Choice = Choice::Gpu { index: 0 };

    /// A job that was planned where it ran, took so long from its plan on, and was predicted to take so long there and elsewhere.
    fn line(choice: Choice, took_ms: f64, predicted_ms: f64, others: &[(Choice, f64)]) -> JobLine {
        let within_10 = |ms: f64| Prediction { ms, low_ms: ms / 1.1, high_ms: ms * 1.1 };
        let foreseen = Foreseen {
            choice,
            end_ms: predicted_ms,
            run_ms: Some(predicted_ms),
            others: others.iter().map(|(choice, ms)| (choice.clone(), within_10(*ms))).collect(),
            reason: String::new(),
        };
        let like = timeline(1, 1).jobs.remove(0);
        JobLine { own_ms: Some(took_ms), since_plan_ms: took_ms, foreseen: Some(Arc::new(foreseen)), ..like }
    }

    fn ms(jobs: &[JobLine]) -> Vec<f64> {
        regrets(jobs).iter().map(|regret| (regret.ms * 1e6).round() / 1e6).collect()
    }

    #[test]
    fn waiting_is_part_of_both_sides() {
        // The GPU would have taken 15 ms once it begins, and 212 until then.
        assert_eq!(ms(&[line(CPU, 210.0, 205.0, &[(GPU, 227.0)])]), [0.0]);
        assert_eq!(ms(&[line(GPU, 500.0, 500.0, &[(CPU, 60.0)])]), [440.0], "a slow device that was told to do it");
    }

    #[test]
    fn a_device_that_is_slower_than_its_prior_is_so_with_any_number_of_threads() {
        let jobs = [line(CPU, 220.0, 100.0, &[(Choice::Cpu { threads: 1 }, 180.0)])];
        assert_eq!(ms(&jobs), [0.0], "180 ms were predicted by a model that was 2.2 times too quick");
    }

    #[test]
    fn predictions_elsewhere_are_set_right_by_those_that_ran_there() {
        let jobs = [
            line(CPU, 100.0, 100.0, &[(GPU, 50.0)]),
            line(GPU, 120.0, 40.0, &[(CPU, 500.0)]),
            line(GPU, 90.0, 30.0, &[(CPU, 500.0)]),
            line(GPU, 200.0, 10.0, &[(CPU, 500.0)]),
        ];
        assert_eq!(ms(&jobs), [0.0; 4], "50 ms are 150 on a GPU that took three times as long as predicted");
        assert_eq!(ms(&jobs[..1]), [50.0], "nothing ran there");
    }

    #[test]
    fn what_is_uncertain_is_not_regretted() {
        assert_eq!(
            ms(&[line(CPU, 109.0, 109.0, &[(GPU, 100.0)]), line(CPU, 111.0, 111.0, &[(GPU, 100.0)])]),
            [0.0, 11.0]
        );
    }

    #[test]
    fn what_was_helped_by_others_tells_nothing_of_the_device_that_it_was_planned_for() {
        let mut jobs = [line(CPU, 100.0, 100.0, &[(GPU, 50.0)]), line(GPU, 120.0, 40.0, &[])];
        jobs[1].own_ms = None;
        assert_eq!(ms(&jobs), [50.0, 0.0]);
    }

    #[test]
    fn the_regret_of_all_is_the_sum_of_each_and_the_worst_come_first() {
        let timeline = timeline(2, 100);
        let mut page = Page::new("", "");
        section(&mut page, &timeline.jobs);
        let page = page.finish();
        let each = ms(&timeline.jobs);
        let (sum, worst) = (each.iter().sum::<f64>(), each.iter().copied().fold(0.0, f64::max));
        assert!(sum > 0.0 && page.contains(&format!("<dt>regret of all</dt><dd>{}</dd>", time_ms(sum))));
        let table = &page[page.find("Jobs with the largest regret").unwrap()..];
        assert!(table.contains(&time_ms(worst)) && table.contains("reason of &lt;"));
        assert_eq!(table.matches("reason of").count(), each.iter().filter(|ms| **ms > 0.0).count().min(WORST));
    }

    #[test]
    fn where_nothing_was_predicted_nothing_is_praised() {
        let shown = |jobs: &[JobLine]| {
            let mut page = Page::new("", "");
            section(&mut page, jobs);
            page.finish()
        };
        let mut jobs = timeline(2, 100).jobs;
        jobs.iter_mut().for_each(|job| job.foreseen = None);
        let page = shown(&jobs);
        assert!(page.contains("Nothing was predicted") && !page.contains("No job ended later"));
        let page = shown(&[line(CPU, 100.0, 100.0, &[])]);
        assert!(!page.contains("Nothing was predicted") && page.contains("No job ended later"));
    }
}
