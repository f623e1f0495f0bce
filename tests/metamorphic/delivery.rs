//! What goes out of the scanner: objects in their order, over associations, and as the files of a folder.

use std::collections::BTreeSet;
use std::path::Path;

use tableside::dicom::Target;
use tableside::scanner::{Instance, SendOptions, SendProgress, send};

/// An exam ready to be sent.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub instances: Vec<Instance>,
    /// How the instances are dealt out.
    pub associations: Associations,
    /// Files that are found beside the instances and hold none.
    pub other_files: Vec<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Associations {
    /// So many, open at the same time.
    AtOnce(usize),
    /// So many, one after the other.
    InTurn(usize),
}

impl Delivery {
    pub fn of(instances: Vec<Instance>) -> Self {
        Self { instances, associations: Associations::AtOnce(1), other_files: Vec::new() }
    }

    /// Whether a network can bring it: other files come in folders only.
    pub fn can_be_sent(&self) -> bool {
        self.other_files.is_empty()
    }

    /// As Part 10 files of a new folder.
    pub fn write(&self, folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        for (number, instance) in self.instances.iter().enumerate() {
            let file = instance.part_10().unwrap();
            std::fs::write(folder.join(format!("{number:04}.dcm")), file).unwrap();
        }
        for (number, bytes) in self.other_files.iter().enumerate() {
            std::fs::write(folder.join(format!("other-{number:04}.dcm")), bytes).unwrap();
        }
    }

    /// Sends all as fast as they are taken. Returns how many different instances the receiver took.
    pub async fn send(&self, target: &Target) -> usize {
        let (at_once, in_turn) = match self.associations {
            Associations::AtOnce(count) => (count, 1),
            Associations::InTurn(count) => (1, count),
        };
        let options = SendOptions { rate: 0.0, associations: at_once, ..SendOptions::default() };
        let mut taken = BTreeSet::new();
        for part in self.instances.chunks(self.instances.len().div_ceil(in_turn).max(1)) {
            let answered = |step: &SendProgress| {
                if step.failure.is_none() {
                    taken.insert(part[step.index].sop_instance_uid.clone());
                }
            };
            send(target, part, &options, answered).await.expect("an association");
        }
        taken.len()
    }
}
