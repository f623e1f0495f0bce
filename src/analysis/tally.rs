//! What became of each instance's images. It is kept by instance: one that is sent again with other content counts anew.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// By the instance's place among the exam's instances.
#[derive(Debug, Default)]
pub(super) struct Tally {
    by_instance: BTreeMap<usize, Counted>,
    received: usize,
}

/// Why an image that should be a slice cannot be analysed.
#[derive(Debug)]
pub(super) struct Defect {
    pub reason: String,
    /// It is a secondary image, such as a captured page.
    pub is_secondary: bool,
}

#[derive(Debug, Default)]
struct Counted {
    images: usize,
    kept: usize,
    unfit: Vec<Cow<'static, str>>,
    defects: Vec<Defect>,
}

impl Tally {
    /// An instance has so many images. One that has not been opened yet counts for one.
    pub(super) fn has_images(&mut self, instance: usize, images: usize) {
        let counted = self.by_instance.entry(instance).or_default();
        self.received = self.received + images - counted.images;
        counted.images = images;
    }

    pub(super) fn keep(&mut self, instance: usize) {
        self.by_instance.entry(instance).or_default().kept += 1;
    }

    /// An image is of a kind that is not analysed.
    pub(super) fn unfit(&mut self, instance: usize, reason: Cow<'static, str>) {
        self.by_instance.entry(instance).or_default().unfit.push(reason);
    }

    pub(super) fn defect(&mut self, instance: usize, reason: String, is_secondary: bool) {
        self.by_instance.entry(instance).or_default().defects.push(Defect { reason, is_secondary });
    }

    /// An instance does not count any more.
    pub(super) fn forget(&mut self, instance: usize) {
        self.received -= self.by_instance.remove(&instance).map_or(0, |counted| counted.images);
    }

    /// Images.
    pub(super) fn received(&self) -> usize {
        self.received
    }

    /// Images that are rightly not analysed.
    pub(super) fn kept(&self) -> usize {
        self.by_instance.values().map(|counted| counted.kept + counted.unfit.len()).sum()
    }

    /// Why images of kinds that are not analysed are not, one for each, in the order in which their instances came.
    pub(super) fn all_unfit(&self) -> impl Iterator<Item = &str> {
        self.by_instance.values().flat_map(|counted| counted.unfit.iter().map(AsRef::as_ref))
    }

    /// Why CT slices cannot be analysed, one for each, in the order in which their instances came.
    pub(super) fn defects(&self) -> impl Iterator<Item = &Defect> {
        self.by_instance.values().flat_map(|counted| &counted.defects)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_that_was_replaced_leaves_nothing() {
        let mut tally = Tally::default();
        for instance in 0..3 {
            tally.has_images(instance, 1);
        }
        tally.has_images(1, 4);
        tally.has_images(1, 4);
        tally.defect(1, "no position".to_owned(), false);
        tally.keep(2);
        tally.unfit(2, "not axial".into());
        assert_eq!((tally.received(), tally.kept(), tally.defects().count()), (6, 2, 1));
        assert_eq!((tally.received(), tally.kept(), tally.all_unfit().count()), (6, 2, 1));
        tally.forget(1);
        assert_eq!((tally.received(), tally.defects().count()), (2, 0));
    }
}
