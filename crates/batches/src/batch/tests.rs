//! The states of a batch, whatever happens to it in whichever order.

use super::*;
use proptest::prelude::*;

pub(crate) fn batch(window: u64) -> Batch {
    let draft = Draft {
        id: BatchId::from_bytes([1; 16]),
        input: FileId::from_bytes([2; 16]),
        endpoint: "/v1/chat/completions".to_owned(),
        completion_window: "24h".to_owned(),
        window_millis: window,
        metadata: None,
        output_expires_after: None,
    };
    Batch::new(draft, 1_000)
}

#[derive(Debug, Clone)]
enum Step {
    Begin(u64),
    Fail,
    Cancel,
    Progress(u64, u64),
    Finalize,
    End,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0u64..20).prop_map(Step::Begin),
        Just(Step::Fail),
        Just(Step::Cancel),
        (0u64..30, 0u64..30).prop_map(|(completed, failed)| Step::Progress(completed, failed)),
        Just(Step::Finalize),
        Just(Step::End),
    ]
}

fn apply(batch: &mut Batch, step: &Step, now: u64) -> bool {
    match step {
        Step::Begin(total) => batch.begin(*total, now).is_ok(),
        Step::Fail => batch.fail(Vec::new(), now).is_ok(),
        Step::Cancel => batch.cancel(now).is_ok(),
        Step::Progress(completed, failed) => {
            batch.progress(*completed, *failed, Usage::default());
            true
        }
        Step::Finalize => batch.finalize(now).is_ok(),
        Step::End => batch.end((None, None), now).is_ok(),
    }
}

proptest! {
    #[test]
    fn states_change_along_the_arrows_alone_and_the_last_one_stays(steps in prop::collection::vec((step(), 0u64..400), 0..20)) {
        use Status as S;
        let mut batch = batch(500);
        let mut now = 1_000;
        for (step, passed) in steps {
            now += passed;
            let before = batch.clone();
            let applied = apply(&mut batch, &step, now);
            let (from, to) = (before.status, batch.status);
            prop_assert!(applied || batch == before, "a change that is refused changes nothing");
            prop_assert!(!from.has_ended() || batch == before, "what has ended stays");
            let arrows = [
                (S::Validating, S::InProgress), (S::Validating, S::Failed), (S::Validating, S::Cancelling),
                (S::Validating, S::Expired), (S::InProgress, S::Finalizing), (S::InProgress, S::Expired),
                (S::InProgress, S::Cancelling), (S::Cancelling, S::Cancelled), (S::Finalizing, S::Completed),
            ];
            prop_assert!(from == to || arrows.contains(&(from, to)), "{from:?} to {to:?}");
            prop_assert!(to != S::Expired || now >= batch.expires);
            prop_assert!(batch.counts.completed + batch.counts.failed <= batch.counts.total);
            let kept: Batch = serde_json::from_str(&serde_json::to_string(&batch).unwrap()).unwrap();
            prop_assert_eq!(&kept, &batch);
        }
    }
}

#[test]
fn cancelling_twice_is_cancelling_once() {
    let mut batch = batch(500);
    batch.begin(3, 1_100).unwrap();
    assert_eq!(batch.cancel(1_200), Ok(true));
    assert_eq!(batch.cancel(1_300), Ok(false));
    assert_eq!(batch.times.cancelling, Some(1_200));
    batch.end((None, None), 1_400).unwrap();
    let refused = batch.cancel(1_500).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "expected a batch that can still be cancelled, found one that is cancelled"
    );
}

#[test]
fn a_hundred_mistakes_are_told_of_any_number() {
    let mut batch = batch(500);
    let mistake =
        |line| Mistake { code: "x".to_owned(), message: String::new(), param: None, line: Some(line) };
    batch.fail((0..1_000).map(mistake).collect(), 1_001).unwrap();
    assert_eq!(batch.mistakes.len(), MISTAKES_MAX);
}
