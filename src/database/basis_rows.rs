//! What reports were made from, as rows.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::DatabaseError;
use super::rows::{count, unreadable};
use crate::dicom::ImageFile;
use crate::exam::{ExamKey, ImagePlane, PlaneCentre, SlabIndex, SliceGeometry, SourceImage};
use crate::report::ReportBasis;
use crate::triage::{Segmentation, SegmentedRun, SegmentedSlab, Side};

/// Writes a basis in place of the one that the exam had.
pub(super) fn write(connection: &Connection, exam: &str, basis: &ReportBasis) -> Result<(), DatabaseError> {
    delete(connection, exam)?;
    let drawn = basis.segmentation.as_ref();
    let mut statement = connection.prepare_cached(
        "INSERT INTO report_basis (exam, concluded_us, described_by, mask_rows, mask_columns, mask_pixel_mm)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    statement.execute(params![
        exam,
        basis.concluded.as_microsecond(),
        basis.described_by.as_ref().map(|path| path.to_string_lossy()),
        drawn.map(|drawn| drawn.rows as i64),
        drawn.map(|drawn| drawn.columns as i64),
        drawn.map(|drawn| drawn.pixel_mm),
    ])?;
    for (place, image) in basis.images.iter().enumerate() {
        write_image(connection, exam, place, image)?;
    }
    let mut statement =
        connection.prepare_cached("INSERT INTO segmented_slab (exam, slab, runs) VALUES (?1, ?2, ?3)")?;
    for slab in drawn.into_iter().flat_map(|drawn| &drawn.slabs) {
        statement.execute(params![exam, slab.slab.0, packed(&slab.runs)])?;
    }
    Ok(())
}

/// Removes the basis of a report that does not stand any more.
pub(super) fn delete(connection: &Connection, exam: &str) -> Result<(), DatabaseError> {
    connection.prepare_cached("DELETE FROM report_basis WHERE exam = ?1")?.execute([exam])?;
    connection.prepare_cached("DELETE FROM source_image WHERE exam = ?1")?.execute([exam])?;
    connection.prepare_cached("DELETE FROM segmented_slab WHERE exam = ?1")?.execute([exam])?;
    Ok(())
}

fn write_image(connection: &Connection, exam: &str, place: usize, image: &SourceImage) -> Result<(), DatabaseError> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO source_image (exam, place, sop_class_uid, sop_instance_uid, series_instance_uid, frame_number,
            image_rows, image_columns, position_x_mm, position_y_mm, position_z_mm, along_row_x, along_row_y,
            along_row_z, along_column_x, along_column_y, along_column_z, between_rows_mm, between_columns_mm,
            thickness_mm, slab, centre_x_mm, centre_y_mm, path, frame)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,
            ?22, ?23, ?24, ?25)",
    )?;
    let ImagePlane { position, orientation, spacing_mm } = image.geometry.stored;
    let centre_mm = image.centre.mm();
    statement.execute(params![
        exam,
        place as i64,
        image.sop_class_uid,
        image.sop_instance_uid,
        image.series_instance_uid,
        image.frame_number,
        image.geometry.rows as i64,
        image.geometry.columns as i64,
        position[0],
        position[1],
        position[2],
        orientation[0],
        orientation[1],
        orientation[2],
        orientation[3],
        orientation[4],
        orientation[5],
        spacing_mm[0],
        spacing_mm[1],
        image.thickness_mm,
        image.slab.0,
        centre_mm[0],
        centre_mm[1],
        image.file.path.to_string_lossy(),
        image.file.frame as i64,
    ])?;
    Ok(())
}

/// The basis of an exam's report, if it has one.
pub(super) fn read(connection: &Connection, key: &ExamKey) -> Result<Option<ReportBasis>, DatabaseError> {
    let exam = key.to_string();
    let mut statement = connection.prepare_cached("SELECT * FROM report_basis WHERE exam = ?1")?;
    let Some((basis, plane)) = statement.query_row([&exam], basis).optional()? else { return Ok(None) };
    let images = connection
        .prepare_cached("SELECT * FROM source_image WHERE exam = ?1 ORDER BY place")?
        .query_map([&exam], image)?
        .collect::<rusqlite::Result<_>>()?;
    let slabs: Vec<SegmentedSlab> = connection
        .prepare_cached("SELECT * FROM segmented_slab WHERE exam = ?1 ORDER BY slab")?
        .query_map([&exam], slab)?
        .collect::<rusqlite::Result<_>>()?;
    let segmentation = plane.map(|(rows, columns, pixel_mm)| Segmentation { rows, columns, pixel_mm, slabs });
    Ok(Some(ReportBasis { images, segmentation, ..basis }))
}

/// Rows, columns and distance of the pixels of the plane on which was drawn.
type DrawnPlane = (usize, usize, f64);

fn basis(row: &Row<'_>) -> rusqlite::Result<(ReportBasis, Option<DrawnPlane>)> {
    let concluded = Timestamp::from_microsecond(row.get("concluded_us")?);
    let concluded = concluded.map_err(|error| unreadable(row, "concluded_us", error))?;
    let described_by: Option<String> = row.get("described_by")?;
    let pixel_mm: Option<f64> = row.get("mask_pixel_mm")?;
    let plane = match pixel_mm {
        Some(pixel_mm) => Some((count(row, "mask_rows")?, count(row, "mask_columns")?, pixel_mm)),
        None => None,
    };
    let described_by = described_by.map(Into::into);
    Ok((ReportBasis { concluded, images: Vec::new(), segmentation: None, described_by }, plane))
}

fn image(row: &Row<'_>) -> rusqlite::Result<SourceImage> {
    let position = [row.get("position_x_mm")?, row.get("position_y_mm")?, row.get("position_z_mm")?];
    let orientation = [
        row.get("along_row_x")?,
        row.get("along_row_y")?,
        row.get("along_row_z")?,
        row.get("along_column_x")?,
        row.get("along_column_y")?,
        row.get("along_column_z")?,
    ];
    let spacing_mm = [row.get("between_rows_mm")?, row.get("between_columns_mm")?];
    let geometry =
        SliceGeometry::new(count(row, "image_rows")?, count(row, "image_columns")?, position, orientation, spacing_mm)
            .map_err(|error| unreadable(row, "position_x_mm", error))?;
    let path: String = row.get("path")?;
    Ok(SourceImage {
        sop_class_uid: row.get("sop_class_uid")?,
        sop_instance_uid: row.get("sop_instance_uid")?,
        series_instance_uid: row.get("series_instance_uid")?,
        frame_number: row.get("frame_number")?,
        geometry,
        thickness_mm: row.get("thickness_mm")?,
        slab: SlabIndex(row.get("slab")?),
        centre: PlaneCentre::at(row.get("centre_x_mm")?, row.get("centre_y_mm")?),
        file: ImageFile { path: path.into(), frame: count(row, "frame")? },
    })
}

fn slab(row: &Row<'_>) -> rusqlite::Result<SegmentedSlab> {
    let runs: Vec<u8> = row.get("runs")?;
    let runs = unpacked(&runs).map_err(|error| unreadable(row, "runs", error))?;
    Ok(SegmentedSlab { slab: SlabIndex(row.get("slab")?), runs })
}

/// Bytes of one run; `schema` says what they are.
const RUN_BYTES: usize = 9;

fn packed(runs: &[SegmentedRun]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(runs.len() * RUN_BYTES);
    for SegmentedRun { row, columns, lung, lesion } in runs {
        bytes.extend([row, &columns.start, &columns.end].into_iter().flat_map(|value| value.to_le_bytes()));
        bytes.push(u8::from(*lung == Side::Left));
        bytes.extend(lesion.map_or(0, |lesion| lesion + 1).to_le_bytes());
    }
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    // A Vec takes all that is written to it.
    encoder.write_all(&bytes).and_then(|()| encoder.finish()).unwrap_or_default()
}

fn unpacked(deflated: &[u8]) -> std::io::Result<Vec<SegmentedRun>> {
    let mut bytes = Vec::new();
    DeflateDecoder::new(deflated).read_to_end(&mut bytes)?;
    let (runs, rest) = bytes.as_chunks::<RUN_BYTES>();
    if !rest.is_empty() {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "the runs end within one"));
    }
    let run = |bytes: &[u8; RUN_BYTES]| {
        let [row, start, end, lesion] = [0, 2, 4, 7].map(|at| u16::from_le_bytes([bytes[at], bytes[at + 1]]));
        let lung = if bytes[6] == 0 { Side::Right } else { Side::Left };
        SegmentedRun { row, columns: start..end, lung, lesion: lesion.checked_sub(1) }
    };
    Ok(runs.iter().map(run).collect())
}
