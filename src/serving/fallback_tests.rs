//! Which engine's result a window has when accelerators fail, hang, come later and are tried again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::super::circuit_breaker::FIRST_WAIT;
use super::super::fake_accelerator::{FakeDevice, TOOK, embedded, gone, package};
use super::*;
use crate::dicom::{CellLayout, ImageFile};
use crate::engine::Inference;
use crate::exam::{Part, PlaneCentre, SeriesKey, SlabIndex, SlabSlices, SliceId, WindowJob};
use crate::inference::{StoredSlice, infer_window};
use crate::preprocess::{InPlane, Plane, SlabSum, SourceAxis, StoredImage, Window};

fn serving(accelerator: Option<Box<dyn Accelerator>>, pending: Option<PendingAccelerator>) -> Serving {
    Serving::new(package(), accelerator, pending, Box::new(embedded())).unwrap()
}

fn series() -> SeriesKey {
    SeriesKey {
        exam: ExamKey::new("1.2", &crate::exam::Patient::default()),
        series_instance_uid: "1.3".into(),
        part: Part::WHOLE,
    }
}

/// Windows that differ from each other.
fn window(number: i64) -> QueuedWindow {
    let input = &package().manifest.input;
    let mut sum = SlabSum::default();
    sum.add(&Plane::from_levels((0..input.plane_len()).map(|at| (at as i64 * number % 65_535) as u16).collect()));
    let (sum, slab) = (Arc::new(sum), SlabIndex(number));
    let sums = [sum.clone(), sum.clone(), sum];
    QueuedWindow { series: series(), job: WindowJob { slab, inputs: [(slab, SlabSlices::default()); 3], sums } }
}

fn just_before(at: Instant) -> Instant {
    at.checked_sub(Duration::from_millis(1)).unwrap()
}

/// Takes the next result, which is that of this window and has the evidence that the CPU makes. Whether the accelerator made it.
fn collected_from_accelerator(serving: &mut Serving, number: i64) -> bool {
    let (window, result) = serving.collect().unwrap();
    assert_eq!(window.job.slab, SlabIndex(number));
    let expected = infer_window(&mut embedded(), &window.job, &package().manifest);
    assert_eq!(result.evidence.unwrap(), expected.evidence.unwrap());
    result.took == TOOK
}

#[test]
fn when_the_accelerator_fails_the_cpu_infers_what_it_had_and_all_later_windows_in_their_order() {
    let device = FakeDevice::silent();
    let mut serving = serving(Some(device.accelerator()), None);
    let state = serving.state().clone();
    serving.queue(window(1));
    assert!(serving.has_room());
    serving.queue(window(2));
    assert!(!serving.has_room());
    device.answer();
    assert!(collected_from_accelerator(&mut serving, 1));
    serving.queue(window(3));
    assert!(!serving.has_room());
    assert_eq!((state.engine(), state.gpu_failure()), ("cuda", None));
    device.fail();
    assert!(!collected_from_accelerator(&mut serving, 2));
    assert_eq!(state.engine(), "embedded");
    assert!(state.gpu_failure().unwrap().contains("no GPU any more"));
    assert!(!serving.has_room());
    assert!(!collected_from_accelerator(&mut serving, 3));
    serving.queue(window(4));
    assert!(!serving.has_room());
    assert!(!collected_from_accelerator(&mut serving, 4));
    assert!(serving.collect().is_none());
}

#[test]
fn an_accelerator_whose_model_is_built_takes_over_between_two_windows() {
    let (built, pending) = crossbeam_channel::bounded(1);
    let mut serving = serving(None, Some(pending));
    let state = serving.state().clone();
    serving.infer(window(1)).evidence.unwrap();
    assert_eq!(state.engine(), "embedded");
    built.send(Ok(FakeDevice::answering(1).accelerator())).unwrap();
    let on_accelerator = serving.infer(window(2));
    assert_eq!((state.engine(), on_accelerator.took), ("cuda", TOOK));
    serving.infer(window(3)).evidence.unwrap();
    assert_eq!(state.engine(), "embedded");
}

/// Windows 1 to 3 queued, the third one after `before_third`, and which of them the accelerator has inferred.
fn inferred_on_accelerator(serving: &mut Serving, before_third: impl FnOnce()) -> Vec<bool> {
    serving.queue(window(1));
    serving.queue(window(2));
    before_third();
    serving.queue(window(3));
    let found = (1..=3).map(|number| collected_from_accelerator(serving, number)).collect();
    assert!(serving.collect().is_none());
    found
}

#[test]
fn an_accelerator_that_takes_no_window_leaves_those_that_it_took_to_the_cpu() {
    let mut serving = serving(Some(FakeDevice::taking(2).accelerator()), None);
    assert_eq!(inferred_on_accelerator(&mut serving, || ()), [false; 3]);
    assert!(serving.state().gpu_failure().is_some());
}

#[test]
fn an_accelerator_that_comes_while_windows_are_queued_has_none_of_them() {
    let (built, pending) = crossbeam_channel::bounded(1);
    let mut serving = serving(Some(FakeDevice::silent().accelerator()), Some(pending));
    let comes = || built.send(Ok(FakeDevice::answering(1).accelerator())).unwrap();
    assert_eq!(inferred_on_accelerator(&mut serving, comes), [false, false, true]);
    assert!(serving.state().gpu_failure().is_none());
}

#[test]
fn a_result_is_given_out_after_those_of_the_windows_before_it() {
    let (built, pending) = crossbeam_channel::bounded(1);
    let mut serving = serving(None, Some(pending));
    serving.queue(window(1));
    built.send(Ok(FakeDevice::answering(1).accelerator())).unwrap();
    // The accelerator answers at once, the CPU has yet to come to the first.
    serving.queue(window(2));
    assert!(!collected_from_accelerator(&mut serving, 1));
    assert!(collected_from_accelerator(&mut serving, 2));
}

#[test]
fn an_accelerator_that_never_answers_leaves_its_windows_to_the_cpu_and_a_late_answer_is_discarded() {
    let device = FakeDevice::silent();
    let mut serving = serving(Some(device.accelerator()), None);
    serving.queue(window(1));
    serving.queue(window(2));
    let deadline = serving.deadline().unwrap();
    serving.look_after(just_before(deadline));
    assert_eq!(serving.name(), "cuda");
    serving.look_after(deadline);
    assert_eq!((serving.name(), serving.deadline()), ("embedded", None));
    assert!(serving.state().gpu_failure().unwrap().contains("does not answer"));
    device.answer();
    device.answer();
    assert!(!collected_from_accelerator(&mut serving, 1));
    assert!(!collected_from_accelerator(&mut serving, 2));
    assert!(serving.collect().is_none());
}

/// An engine that waits at each window until the test lets it go on.
struct Waits(Receiver<()>);

impl Engine for Waits {
    fn name(&self) -> &'static str {
        "waits"
    }

    fn infer(&mut self, window: &Window) -> Result<Inference, EngineError> {
        self.0.recv().unwrap();
        embedded().infer(window)
    }
}

#[test]
fn an_engine_on_the_cpu_that_hangs_is_a_problem_until_it_comes_back() {
    let (go_on, waits) = crossbeam_channel::bounded(1);
    let mut serving = Serving::new(package(), None, None, Box::new(Waits(waits))).unwrap();
    let before = Instant::now();
    serving.queue(window(1));
    serving.look_after(just_before(before + STUCK_AFTER));
    assert_eq!(serving.state().problem(), None);
    serving.look_after(Instant::now() + STUCK_AFTER);
    assert!(
        serving.state().problem().unwrap().to_string().contains("the waits engine does not come back from a window")
    );
    go_on.send(()).unwrap();
    assert!(!collected_from_accelerator(&mut serving, 1));
    serving.look_after(Instant::now() + STUCK_AFTER);
    assert_eq!(serving.state().problem(), None);
}

#[test]
fn an_answer_that_was_given_in_time_counts_however_late_it_is_looked_at() {
    let device = FakeDevice::silent();
    let mut serving = serving(Some(device.accelerator()), None);
    serving.queue(window(1));
    let deadline = serving.deadline().unwrap();
    device.answer();
    serving.look_after(deadline);
    assert_eq!(serving.name(), "cuda");
    assert!(collected_from_accelerator(&mut serving, 1));
}

#[test]
fn an_interim_accelerator_that_fails_does_not_forget_the_one_that_is_pending() {
    let (built, pending) = crossbeam_channel::bounded(1);
    let mut serving = serving(Some(FakeDevice::answering(0).accelerator()), Some(pending));
    let state = serving.state().clone();
    assert_ne!(serving.infer(window(1)).took, TOOK);
    assert_eq!(state.engine(), "embedded");
    assert!(state.gpu_failure().is_some());
    built.send(Ok(FakeDevice::answering(1).accelerator())).unwrap();
    assert_eq!(serving.infer(window(2)).took, TOOK);
    assert_eq!((state.engine(), state.gpu_failure()), ("cuda", None));
}

/// Lets `serving` look after its accelerator at this moment until a try that was begun has come to an end.
fn look_until(serving: &mut Serving, now: Instant, is_over: impl Fn(&Serving) -> bool) {
    let patience = Instant::now() + Duration::from_mins(1);
    while !is_over(serving) {
        serving.look_after(now);
        assert!(Instant::now() < patience, "{:?}", serving.state().notice());
        std::thread::yield_now();
    }
}

#[test]
fn an_accelerator_that_failed_is_tried_again_after_a_while_and_serves_once_it_can_be_loaded() {
    let loads = Arc::new(AtomicUsize::new(0));
    let load: LoadAccelerator = {
        let loads = loads.clone();
        Arc::new(move || match loads.fetch_add(1, Ordering::SeqCst) {
            0 => Err(EngineError::Run { engine: "cuda", reason: "not yet".to_owned() }),
            _ => Ok(FakeDevice::answering(1).accelerator()),
        })
    };
    let mut serving = serving(Some(FakeDevice::answering(0).accelerator()), None).with_retry(load);
    let before = Instant::now();
    assert_ne!(serving.infer(window(1)).took, TOOK);
    let notice = serving.state().notice().unwrap().to_string();
    assert!(notice.contains("the embedded engine serves; it is tried again in about 1 min: "), "{notice}");

    serving.look_after(just_before(before + FIRST_WAIT));
    assert_eq!(loads.load(Ordering::SeqCst), 0);
    let first_try = Instant::now() + FIRST_WAIT;
    look_until(&mut serving, first_try, |serving| serving.state().gpu_failure().unwrap().contains("not yet"));
    assert_eq!((serving.name(), loads.load(Ordering::SeqCst)), ("embedded", 1));

    serving.look_after(just_before(first_try + 2 * FIRST_WAIT));
    assert_eq!(loads.load(Ordering::SeqCst), 1);
    look_until(&mut serving, first_try + 2 * FIRST_WAIT, |serving| serving.name() == "cuda");
    assert_eq!((serving.state().notice(), loads.load(Ordering::SeqCst)), (None, 2));
    assert_eq!(serving.infer(window(2)).took, TOOK);
}

#[test]
fn an_accelerator_that_still_hangs_gets_no_other_one_beside_it() {
    let device = FakeDevice::silent();
    device.hang(true);
    let loads = Arc::new(AtomicUsize::new(0));
    let load: LoadAccelerator = {
        let loads = loads.clone();
        Arc::new(move || {
            loads.fetch_add(1, Ordering::SeqCst);
            Ok(FakeDevice::answering(1).accelerator())
        })
    };
    let mut serving = serving(Some(device.accelerator()), None).with_retry(load);
    serving.queue(window(1));
    let failed = serving.deadline().unwrap();
    serving.look_after(failed);
    assert!(!collected_from_accelerator(&mut serving, 1));
    serving.look_after(failed + FIRST_WAIT);
    assert!(serving.state().gpu_failure().unwrap().contains("still does not answer"));
    assert_eq!((serving.name(), loads.load(Ordering::SeqCst)), ("embedded", 0));
    device.hang(false);
    look_until(&mut serving, failed + 3 * FIRST_WAIT, |serving| serving.name() == "cuda");
}

#[test]
fn without_a_way_to_load_it_again_an_accelerator_that_failed_stays_out() {
    let mut serving = serving(Some(FakeDevice::answering(0).accelerator()), None);
    serving.infer(window(1)).evidence.unwrap();
    serving.look_after(Instant::now() + Duration::from_hours(24));
    assert_eq!(serving.name(), "embedded");
    let notice = serving.state().notice().unwrap().to_string();
    assert!(notice.contains("not tried again before a restart") && notice.contains(&gone().to_string()), "{notice}");
}

#[test]
fn slices_go_to_the_accelerator_until_it_fails_and_their_planes_are_the_same_without_it() {
    let device = FakeDevice::taking_slices(2);
    let with = serving(Some(device.accelerator()), None);
    let without = serving(None, None);
    let axis = |along_columns| SourceAxis { along_columns, reversed: false, spacing_mm: 90.0, offset_mm: 0.0 };
    for number in 0..5_u8 {
        let slice = || StoredSlice {
            series: series(),
            slab: SlabIndex(0),
            id: SliceId::of(&ImageFile { path: "1.4".into(), frame: number.into() }, PlaneCentre::at(0.0, 0.0)),
            image: StoredImage {
                rows: 2,
                columns: 2,
                cell_bytes: 1,
                cells: vec![number, 10 * number, 20 * number, 30 * number],
                layout: CellLayout::new(8, 7, false),
                rescale_slope: 2.0,
                rescale_intercept: -100.0,
                padding: None,
            },
            in_plane: InPlane { x: axis(true), y: axis(false) },
        };
        let hounsfield = slice().image.hounsfield();
        assert_eq!(with.planes().plane(slice(), &hounsfield), without.planes().plane(slice(), &hounsfield));
    }
    // The third one failed, and no more were asked for.
    assert_eq!(device.slices(), 3);
}
