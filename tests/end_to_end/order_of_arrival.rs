//! The same slices give the same bits, however they arrive.

use serde_json::{Value, json};
use tableside::scanner::PhantomKind;

use crate::daemon::Daemon;
use crate::peers::{found, scan, triage};
use crate::series::{folder_of, phantom};

/// What must not depend on the order of arrival.
fn outcome(report: &Value) -> Value {
    json!({ "found": found(report), "slices": report["slices"], "quality": report["quality"] })
}

#[test]
fn verdict_score_and_lesions_are_bit_identical_in_any_order_of_arrival_and_equal_to_triage() {
    const SLICES: usize = 40;
    let folder = folder_of(&phantom(PhantomKind::Pneumonia, SLICES));
    let at_once = outcome(&triage(folder.path()));
    assert!(at_once["found"]["score"].is_f64(), "{at_once}");
    assert!(!at_once["found"]["lesions"].as_array().unwrap().is_empty(), "{at_once}");
    assert!(at_once["found"]["zone_score"]["total"].as_u64().unwrap() > 0, "{at_once}");
    let ways: [&[&str]; 5] = [
        &["--order", "acquired", "--rate", "40"],
        &["--order", "reversed", "--rate", "0"],
        &["--order", "random", "--seed", "7", "--rate", "0"],
        &["--order", "random", "--seed", "8", "--associations", "4", "--rate", "0"],
        &["--duplicate", "9", "--seed", "9", "--rate", "0"],
    ];
    for way in ways {
        let daemon = Daemon::start();
        scan(&daemon, folder.path(), way);
        let details = daemon.verdict_on(SLICES);
        assert_eq!(outcome(&details["report"]), at_once, "{way:?}");
    }
}
