//! The same slices in other containers: multi-frame objects, other transfer syntaxes.

use std::process::Command;

use dicom_dictionary_std::{tags, uids};
use tableside::scanner::series::load_folder;
use tableside::scanner::{Instance, enhanced};

use super::{Aspect, SAME, Transformation, objects};
use crate::series::{Series, changed, instance_in};

pub fn packed() -> Vec<Transformation> {
    let multi_frame = |count: usize| {
        objects(format!("as {count} enhanced objects"), Aspect::Packing, SAME, move |delivery, series| {
            delivery.instances = as_objects(&delivery.instances, count, series);
        })
    };
    let by_dcmtk = |name: &str, program: &'static str, options: &'static [&'static str]| {
        objects(name, Aspect::Packing, SAME, move |delivery, _| {
            delivery.instances = converted(program, options, &delivery.instances);
        })
    };
    vec![
        multi_frame(1),
        multi_frame(3),
        objects("Implicit VR Little Endian", Aspect::Packing, SAME, |delivery, _| {
            for instance in &mut delivery.instances {
                let object = instance.object().unwrap().into_inner();
                *instance = instance_in(&object, uids::IMPLICIT_VR_LITTLE_ENDIAN);
            }
        }),
        by_dcmtk("deflated", "dcmconv", &["+td"]),
        by_dcmtk("RLE", "dcmcrle", &[]),
        by_dcmtk("JPEG Lossless", "dcmcjpeg", &["+e1", "+un"]),
        by_dcmtk("JPEG-LS", "dcmcjpls", &["+el"]),
    ]
}

/// Enhanced CT objects, with the padding that their slices have.
fn as_objects(instances: &[Instance], count: usize, series: &Series) -> Vec<Instance> {
    let storage = &series.slices[0].storage;
    let packed = enhanced(instances, count, &mut series.more_uids("enhanced")).unwrap();
    let with_padding = |instance: &Instance| {
        if instance.sop_class_uid != uids::ENHANCED_CT_IMAGE_STORAGE || storage.padding.is_none() {
            return instance.clone();
        }
        changed(instance, |object| {
            storage.write_into(object);
            // These stand with the frames.
            object.remove_element(tags::RESCALE_SLOPE);
            object.remove_element(tags::RESCALE_INTERCEPT);
        })
    };
    packed.iter().map(with_padding).collect()
}

/// Instances as dcmtk encodes them; what has no pixels stays as it is.
fn converted(program: &str, options: &[&str], instances: &[Instance]) -> Vec<Instance> {
    let folder = tempfile::tempdir().unwrap();
    let (plain, encoded) = (folder.path().join("plain.dcm"), folder.path().join("encoded.dcm"));
    let convert = |instance: &Instance| {
        let has_pixels = instance.sop_class_uid == uids::CT_IMAGE_STORAGE;
        if !has_pixels {
            return instance.clone();
        }
        std::fs::write(&plain, instance.part_10().unwrap()).unwrap();
        let output = Command::new(program).args(options).args([&plain, &encoded]).output();
        let output = output.unwrap_or_else(|error| panic!("{program}: {error}; it is in the Debian package dcmtk"));
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        load_folder(&encoded).unwrap().instances.remove(0)
    };
    instances.iter().map(convert).collect()
}
