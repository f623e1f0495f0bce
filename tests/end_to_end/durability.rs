//! Acknowledged means durable: kills under load, a full disk, a read-only disk.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dicom_dictionary_std::tags;
use tableside::scanner::{Instance, PhantomKind};

use crate::daemon::{Daemon, wait_for};
use crate::dicom::{Association, changed, set_text};
use crate::peers::files_below;
use crate::series::phantom;

const SENDERS: usize = 4;
const KILLS: usize = 6;

/// Slices of one sender, each with a UID of its own, without end.
fn endless(slice: &Instance, sender: usize) -> impl Iterator<Item = Instance> {
    (1..).map(move |number| {
        changed(slice, |object| {
            set_text(object, tags::SOP_INSTANCE_UID, &format!("2.25.{}{number:06}", sender + 1));
            set_text(object, tags::STUDY_INSTANCE_UID, &format!("2.25.99{sender}"));
        })
    })
}

#[test]
fn whenever_it_is_killed_every_acknowledged_instance_is_found_again_once_and_whole() {
    let slice = phantom(PhantomKind::Normal, 1).remove(0);
    let mut daemon = Daemon::start();
    let mut senders: Vec<_> = (0..SENDERS).map(|sender| endless(&slice, sender)).collect();
    let mut acknowledged: Vec<Instance> = Vec::new();
    for round in 0..KILLS {
        // Every kill comes at another moment: after another number of acknowledgements, whatever is on its way then.
        let enough = 5 + 7 * round;
        let is_over = Arc::new(AtomicBool::new(false));
        let sent: Vec<Vec<Instance>> = std::thread::scope(|scope| {
            let sending: Vec<_> = senders
                .iter_mut()
                .map(|instances| {
                    let mut association = Association::open(&daemon);
                    let is_over = is_over.clone();
                    scope.spawn(move || {
                        let mut stored = Vec::new();
                        for instance in instances {
                            if is_over.load(Ordering::Relaxed) {
                                break;
                            }
                            let names = (&instance.sop_class_uid, &instance.sop_instance_uid);
                            if association.try_store(names.0, names.1, &instance.data) != Some(0x0000) {
                                break;
                            }
                            stored.push(instance);
                        }
                        stored
                    })
                })
                .collect();
            wait_for("some slices", || {
                (daemon.metric("tableside_instances_received_total", "") >= enough as f64).then_some(())
            });
            daemon.kill();
            is_over.store(true, Ordering::Relaxed);
            sending.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        acknowledged.extend(sent.into_iter().flatten());
        daemon = daemon.kill_and_start_again();
        let files = files_below(&daemon.state().join("spool/exams"));
        for instance in &acknowledged {
            let name = format!("{}.dcm", instance.sop_instance_uid);
            let found: Vec<_> = files.iter().filter(|file| file.ends_with(&name)).collect();
            assert_eq!(found.len(), 1, "{name} after kill {round}");
            assert!(std::fs::read(found[0]).unwrap().ends_with(&instance.data), "{name} is not what was sent");
        }
        let names: BTreeSet<_> = files.iter().collect();
        assert_eq!(names.len(), files.len());
        // Beside instances an exam's folder has the note that its associations are released.
        let is_known = |file: &PathBuf| file.ends_with("released") || file.extension().is_some_and(|end| end == "dcm");
        assert!(files.iter().all(is_known), "{files:?}");
    }
    assert!(acknowledged.len() >= KILLS * 5);
}

/// A small disk of a test's own.
struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// `None`, said on standard error, where this user may not mount.
    fn mount(at: &Path, size: &str) -> Option<Self> {
        let size = format!("size={size}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output();
        if mounted.is_ok_and(|mounted| mounted.status.success()) {
            return Some(Self { folder: at.to_owned() });
        }
        eprintln!("SKIPPED: a disk of its own cannot be mounted; run the tests as root for this one");
        None
    }

    /// A file system of its own in an image; `None`, said on standard error, where this user may not mount.
    fn mount_image(image: &Path, at: &Path) -> Option<Self> {
        std::fs::File::create(image).unwrap().set_len(256 << 20).unwrap();
        let made = Command::new("mkfs.ext4").args(["-q", "-F"]).arg(image).output();
        assert!(made.unwrap().status.success());
        let disk = Self::mount_again(image, at);
        if disk.is_none() {
            eprintln!("SKIPPED: a file system in an image cannot be mounted; run the tests as root for this one");
        }
        disk
    }

    fn mount_again(image: &Path, at: &Path) -> Option<Self> {
        let mounted = Command::new("mount").args(["-o", "loop"]).args([image, at]).output().unwrap();
        mounted.status.success().then(|| Self { folder: at.to_owned() })
    }

    /// What ext4 does by itself when the disk under it fails: nothing is written any more.
    fn turn_read_only(&self) {
        assert!(Command::new("mount").args(["-o", "remount,abort"]).arg(&self.folder).status().unwrap().success());
    }

    fn resize(&self, size: &str) {
        let options = format!("remount,size={size}");
        assert!(Command::new("mount").args(["-o", &options]).arg(&self.folder).status().unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: the daemon may still have files open.
        let _ = Command::new("umount").arg("-l").arg(&self.folder).status();
    }
}

#[test]
fn a_full_disk_refuses_says_so_and_recovers_by_itself() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let Some(disk) = Disk::mount(data.path(), "160m") else { return };
    let daemon = Daemon::start_on(data.clone(), "");
    // The default floor of free space is more than this disk has.
    wait_for("the shortage", || daemon.log().contains("nothing is stored until there is room").then_some(()));
    let slice = phantom(PhantomKind::Normal, 1).remove(0);
    assert_eq!(Association::open(&daemon).store(&slice), 0xA700);
    let ready = daemon.get("/readyz");
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("min_free_gib"), "{}", ready.text());
    disk.resize("3g");
    wait_for("room", || (Association::open(&daemon).store(&slice) == 0x0000).then_some(()));
    assert!(daemon.metric("tableside_objects_refused_total", "disk_full") >= 1.0);
    assert_eq!(daemon.get("/readyz").status, 200);
}

#[test]
fn what_was_acknowledged_waits_in_the_journal_for_room_and_comes_to_its_place_by_itself() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let Some(_disk) = Disk::mount(data.path(), "128m") else { return };
    let daemon = Daemon::start_on(data.clone(), "data.min_free_gib = 0\n");
    let slices = phantom(PhantomKind::Normal, 2);
    let mut association = Association::open(&daemon);
    let filler = data.path().join("filler");
    let full = std::fs::write(&filler, vec![0; 128 << 20]).unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    assert_eq!(association.store(&slices[0]), 0x0000, "the journal has room");
    daemon.wait_for_log("it stays in the journal");
    assert_eq!(association.store(&slices[1]), 0xA700);
    assert_eq!(daemon.get("/readyz").status, 503);
    std::fs::remove_file(&filler).unwrap();
    wait_for("room", || (association.store(&slices[1]) == 0x0000).then_some(()));
    wait_for("both files", || {
        let files = files_below(&daemon.state().join("spool/exams"));
        let whole = |slice: &Instance| {
            files.iter().any(|file| std::fs::read(file).is_ok_and(|read| read.ends_with(&slice.data)))
        };
        slices.iter().all(whole).then_some(())
    });
    assert_eq!(daemon.get("/readyz").status, 200);
}

#[test]
fn a_disk_that_turns_read_only_refuses_says_so_and_has_all_that_was_acknowledged() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let elsewhere = tempfile::tempdir().unwrap();
    let image = elsewhere.path().join("image");
    let Some(disk) = Disk::mount_image(&image, data.path()) else { return };
    let mut daemon = Daemon::start_on(data.clone(), "data.min_free_gib = 0\n");
    let slices = phantom(PhantomKind::Normal, 2);
    assert_eq!(Association::open(&daemon).store(&slices[0]), 0x0000);
    disk.turn_read_only();
    let status = Association::open(&daemon).store(&slices[1]);
    assert!([0xA700, 0x0110].contains(&status), "{status:04X}");
    // That it could be written to is believed for a second.
    wait_for("it not to be ready", || (daemon.get("/readyz").status == 503).then_some(()));
    assert!(daemon.is_running());
    daemon.kill();
    drop((daemon, disk));
    let Some(_disk) = Disk::mount_again(&image, data.path()) else { panic!("the image cannot be mounted again") };
    let daemon = Daemon::start_on(data.clone(), "data.min_free_gib = 0\n");
    let files = files_below(&daemon.state().join("spool/exams"));
    assert!(files.iter().any(|file| std::fs::read(file).unwrap().ends_with(&slices[0].data)), "{files:?}");
    assert_eq!(Association::open(&daemon).store(&slices[1]), 0x0000);
    assert_eq!(daemon.get("/readyz").status, 200);
}
