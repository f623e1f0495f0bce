//! A group of measurements for each lesion. One that is drawn references its segment (TID 1411), one that is not has measurements
//! alone (TID 1501); lesions that share a segment share a group.

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::super::codes;
use super::super::elements::{Put, sop_reference};
use super::super::segmentation::{DrawnSegment, DrawnSegmentation, Shows};
use super::super::uids::Uids;
use super::concepts::{self, MEASUREMENT_GROUP};
use super::content_item::ContentItem;
use super::measurements::{DensityShare, count, density, in_lungs, in_zone, largest_extent, volume};
use crate::triage::{Densities, Lesion};

/// The groups of these lesions, in their order.
pub(super) fn lesion_groups(
    lesions: &[Lesion],
    densities: Densities,
    segmentations: &[DrawnSegmentation],
    uids: &Uids<'_>,
) -> Vec<ContentItem> {
    let others = Drawn::all(segmentations, Shows::OtherLesions);
    let others_from = others.first().map_or(lesions.len(), |_| others_from(segmentations));
    let (alone, together) = lesions.split_at(others_from.min(lesions.len()));
    let mut groups: Vec<ContentItem> = alone
        .iter()
        .enumerate()
        .map(|(place, lesion)| {
            let drawn = Drawn::all(segmentations, Shows::Lesion(place));
            let group = if drawn.is_empty() {
                undrawn_group(place, lesion, uids)
            } else {
                drawn_group(&drawn).modified_by(in_zone(lesion.zone))
            };
            group.containing_all(measured(lesion, densities))
        })
        .collect();
    if !together.is_empty() {
        groups.push(group_of_all(together, &others));
    }
    groups
}

/// The place of the first lesion that shares its segment.
fn others_from(segmentations: &[DrawnSegmentation]) -> usize {
    let places = segmentations.iter().flat_map(|drawn| &drawn.segments).filter_map(|segment| match segment.shows {
        Shows::Lesion(place) => Some(place + 1),
        Shows::Lung(_) | Shows::OtherLesions => None,
    });
    places.max().unwrap_or(0)
}

/// A segment, and the segmentation that it is in.
struct Drawn<'a> {
    segmentation: &'a DrawnSegmentation,
    segment: &'a DrawnSegment,
}

impl<'a> Drawn<'a> {
    /// All segments that show this: one in each segmentation at the most.
    fn all(segmentations: &'a [DrawnSegmentation], shows: Shows) -> Vec<Self> {
        let segments = segmentations
            .iter()
            .flat_map(|segmentation| segmentation.segments.iter().map(move |segment| Drawn { segmentation, segment }));
        segments.filter(|drawn| drawn.segment.shows == shows).collect()
    }

    fn reference(&self) -> InMemDicomObject {
        let object = &self.segmentation.object.reference;
        let mut reference = sop_reference(&object.sop_class_uid, &object.sop_instance_uid);
        reference.u16(tags::REFERENCED_SEGMENT_NUMBER, self.segment.number);
        reference
    }
}

/// A group that has one segment by the template; parts that are drawn in other segmentations illustrate it.
fn drawn_group(drawn: &[Drawn<'_>]) -> ContentItem {
    let mut group = ContentItem::container_by_template(&MEASUREMENT_GROUP, "1411");
    let Some((first, others)) = drawn.split_first() else { return group };
    group = tracked(group, &first.segment.tracking_id, &first.segment.tracking_uid);
    group = found(group)
        .containing(ContentItem::image(&concepts::REFERENCED_SEGMENT, first.reference()))
        .containing(ContentItem::uid(&concepts::SOURCE_SERIES_FOR_SEGMENTATION, &first.segmentation.source_series_uid));
    group.containing_all(others.iter().map(|part| ContentItem::image(&concepts::ILLUSTRATION_OF_ROI, part.reference())))
}

fn undrawn_group(place: usize, lesion: &Lesion, uids: &Uids<'_>) -> ContentItem {
    let group = ContentItem::container_by_template(&MEASUREMENT_GROUP, "1501");
    let name = format!("lesion {}", place + 1);
    found(tracked(group, &name, &uids.of(&name, "tracking"))).modified_by(in_zone(lesion.zone))
}

fn group_of_all(lesions: &[Lesion], drawn: &[Drawn<'_>]) -> ContentItem {
    drawn_group(drawn)
        .modified_by(in_lungs())
        .containing(volume(&concepts::VOLUME, lesions.iter().map(|lesion| lesion.volume_ml).sum()))
        .containing(count(&concepts::LESION_COUNT, lesions.len()))
}

/// A group with the names by which what it measures is followed through objects and studies.
pub(super) fn tracked(group: ContentItem, id: &str, uid: &str) -> ContentItem {
    group
        .observed_in(ContentItem::text(&concepts::TRACKING_IDENTIFIER, id))
        .observed_in(ContentItem::uid(&concepts::TRACKING_UNIQUE_IDENTIFIER, uid))
}

fn found(group: ContentItem) -> ContentItem {
    group
        .containing(ContentItem::code(&concepts::FINDING_CATEGORY, &codes::MORPHOLOGICALLY_ABNORMAL))
        .containing(ContentItem::code(&concepts::FINDING, &codes::LESION))
}

fn measured(lesion: &Lesion, densities: Densities) -> [ContentItem; 6] {
    let Densities { ground_glass_hu, consolidation_hu } = densities;
    let ground_glass =
        DensityShare { share: lesion.ground_glass_share, from_hu: ground_glass_hu, below_hu: Some(consolidation_hu) };
    let consolidation = DensityShare { share: lesion.consolidation_share, from_hu: consolidation_hu, below_hu: None };
    [
        volume(&concepts::VOLUME, lesion.volume_ml),
        density(lesion.mean_hu, &concepts::MEAN),
        density(lesion.p90_hu, &concepts::PERCENTILE_90),
        largest_extent(lesion.largest_extent_mm),
        ground_glass.named(&concepts::GROUND_GLASS_SHARE),
        consolidation.named(&concepts::CONSOLIDATION_SHARE),
    ]
}
