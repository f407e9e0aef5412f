//! The promises of the queue, each as a property.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// What waits in these tests: (flow, class, number within flow and class, cost).
type Item = (u8, Priority, u64, u64);

#[derive(Debug, Clone)]
enum Step {
    Push { flow: u8, batch: bool, cost: u64, weight: u32 },
    Pop,
    Cancel(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u8..5, any::<bool>(), 0u64..1_000, 0u32..4)
            .prop_map(|(flow, batch, cost, weight)| Step::Push { flow, batch, cost, weight }),
        2 => Just(Step::Pop),
        1 => any::<usize>().prop_map(Step::Cancel),
    ]
}

fn priority(batch: bool) -> Priority {
    if batch { Priority::Batch } else { Priority::Interactive }
}

proptest! {
    #[test]
    fn nothing_is_lost_doubled_or_reordered_and_places_are_never_exceeded(
        places in 1usize..20,
        steps in proptest::collection::vec(step(), 0..300),
    ) {
        let mut queue: FairQueue<u8, Item> = FairQueue::new(places);
        // What waits, in the order it came.
        let mut model: Vec<(Ticket, Item)> = Vec::new();
        let mut counts: BTreeMap<(u8, Priority), u64> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Push { flow, batch, cost, weight } => {
                    let class = priority(batch);
                    let count = counts.entry((flow, class)).or_default();
                    let item = (flow, class, *count, cost);
                    *count += 1;
                    match queue.push(Claim { flow, priority: class, cost, weight }, item) {
                        Pushed::Waits(ticket) => model.push((ticket, item)),
                        Pushed::Displaced(ticket, displaced) => {
                            prop_assert_eq!(model.len(), places);
                            // The newest of its flow and class.
                            let at = model.iter().rposition(|(_, waiting)| (waiting.0, waiting.1) == (displaced.0, displaced.1));
                            prop_assert_eq!(model.remove(at.unwrap()).1, displaced);
                            model.push((ticket, item));
                        }
                        Pushed::Full(back) => {
                            prop_assert_eq!(back, item);
                            prop_assert_eq!(model.len(), places);
                        }
                    }
                }
                Step::Pop => match queue.pop() {
                    None => prop_assert!(model.is_empty()),
                    Some(item) => {
                        // The oldest of its flow and class: first in, first out.
                        let at = model.iter().position(|(_, waiting)| (waiting.0, waiting.1) == (item.0, item.1));
                        prop_assert_eq!(model.remove(at.unwrap()).1, item);
                    }
                },
                Step::Cancel(at) if !model.is_empty() => {
                    let (ticket, item) = model.remove(at % model.len());
                    prop_assert_eq!(queue.cancel(ticket), Some(item));
                    prop_assert_eq!(queue.cancel(ticket), None);
                }
                Step::Cancel(_) => {}
            }
            prop_assert_eq!(queue.len(), model.len());
            prop_assert!(queue.len() <= places);
        }
        let left: BTreeSet<Ticket> = model.iter().map(|(ticket, _)| *ticket).collect();
        prop_assert_eq!(left.len(), model.len(), "no ticket is given twice");
        while queue.pop().is_some() {}
        prop_assert!(queue.tickets.is_empty() && queue.interactive.len() == 0 && queue.batch.len() == 0);
    }

    #[test]
    fn flows_that_always_wait_are_served_in_proportion_to_their_weights(
        flows in proptest::collection::vec((1u32..5, proptest::collection::vec(1u64..1_000, 1..8)), 2..6),
        rounds in 10usize..200,
    ) {
        let mut queue: FairQueue<usize, (usize, u64)> = FairQueue::new(1_000);
        let push = |queue: &mut FairQueue<_, _>, flow: usize, number: usize| {
            let (weight, costs): &(u32, Vec<u64>) = &flows[flow];
            let cost = costs[number % costs.len()];
            let claim = Claim { flow, priority: Priority::Interactive, cost, weight: *weight };
            assert!(matches!(queue.push(claim, (flow, cost)), Pushed::Waits(_)));
        };
        let mut numbers = vec![0; flows.len()];
        for flow in 0..flows.len() {
            for _ in 0..2 {
                push(&mut queue, flow, numbers[flow]);
                numbers[flow] += 1;
            }
        }
        let mut served = vec![0u64; flows.len()];
        for _ in 0..rounds {
            let (flow, cost) = queue.pop().unwrap();
            served[flow] += cost;
            push(&mut queue, flow, numbers[flow]);
            numbers[flow] += 1;
        }
        // Goyal et al., theorem 1: |Wa/ra - Wb/rb| <= la/ra + lb/rb. One unit more for what the scale rounds off.
        let most = |flow: usize| {
            let (weight, costs) = &flows[flow];
            costs.iter().max().map_or(0.0, |cost| *cost as f64 / f64::from(*weight))
        };
        for a in 0..flows.len() {
            for b in 0..flows.len() {
                let share = |flow: usize| served[flow] as f64 / f64::from(flows[flow].0);
                prop_assert!(share(a) - share(b) <= most(a) + most(b) + 1.0, "{served:?}");
            }
        }
    }

    #[test]
    fn one_who_begins_to_wait_is_passed_by_each_other_flow_at_most_once(
        costs in proptest::collection::vec(1u64..1_000, 1..20),
        before in 0usize..200,
        cost in 1u64..100_000,
    ) {
        let mut queue: FairQueue<usize, usize> = FairQueue::new(10_000);
        let claim = |flow: usize, cost| Claim { flow, priority: Priority::Interactive, cost, weight: 1 };
        for (flow, cost) in costs.iter().enumerate() {
            for _ in 0..before + costs.len() + 2 {
                queue.push(claim(flow, *cost), flow);
            }
        }
        for _ in 0..before {
            queue.pop().unwrap();
        }
        let newcomer = costs.len();
        queue.push(claim(newcomer, cost), newcomer);
        let passed = std::iter::from_fn(|| queue.pop()).take_while(|flow| *flow != newcomer).count();
        prop_assert!(passed <= costs.len(), "{passed}");
    }
}

#[test]
fn batch_is_served_once_in_eight_while_interactive_waits_and_always_when_it_does_not() {
    let mut queue: FairQueue<u8, Priority> = FairQueue::new(1_000);
    for _ in 0..100 {
        for priority in [Priority::Interactive, Priority::Batch] {
            queue.push(Claim { flow: 0, priority, cost: 1, weight: 1 }, priority);
        }
    }
    let served: Vec<Priority> = std::iter::from_fn(|| queue.pop()).collect();
    let while_both_wait = &served[..104];
    assert_eq!(while_both_wait.iter().filter(|class| **class == Priority::Batch).count(), 13);
    assert_eq!(while_both_wait.chunks(8).filter(|eight| eight.contains(&Priority::Batch)).count(), 13);
    assert_eq!(served.len(), 200);
}

#[test]
fn a_flood_does_not_keep_others_out_and_batch_gives_way_first() {
    let mut queue: FairQueue<u8, (u8, u64)> = FairQueue::new(4);
    let claim = |flow, priority| Claim { flow, priority, cost: 1, weight: 1 };
    for number in 0..4 {
        queue.push(claim(1, Priority::Batch), (1, number));
    }
    assert_eq!(queue.push(claim(1, Priority::Batch), (1, 4)), Pushed::Full((1, 4)));
    assert!(matches!(queue.push(claim(2, Priority::Batch), (2, 0)), Pushed::Displaced(_, (1, 3))));
    assert!(matches!(queue.push(claim(3, Priority::Interactive), (3, 0)), Pushed::Displaced(_, (1, 2))));
    assert!(matches!(
        queue.push(claim(3, Priority::Interactive), (3, 1)),
        Pushed::Displaced(_, (1, 1) | (2, 0))
    ));
}
