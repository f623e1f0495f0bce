//! Ribs, spine, sternum, clavicles and shoulder blades: a distance to the surface and what lies below it.

use super::field::{Noise, Point, ease, mix, point};
use super::organs::Tube;

/// A bone at a point: how deep below its surface (mm, positive inside) and of what kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bone {
    pub depth: f32,
    /// Thickness of the compact shell, mm.
    pub shell: f32,
    /// CT number of the shell, HU.
    pub compact: f32,
    /// CT number of the marrow, HU.
    pub marrow: f32,
}

impl Bone {
    /// CT number at this depth; trabeculae make the marrow uneven.
    pub(super) fn hounsfield(&self, p: Point, noise: Noise) -> f32 {
        let trabeculae = 55.0 * noise.at(p, 2.6);
        mix(self.compact, self.marrow + trabeculae, ease(0.5 * self.shell, 1.6 * self.shell, self.depth))
    }
}

const fn bone(depth: f32, shell: f32, compact: f32, marrow: f32) -> Bone {
    Bone { depth, shell, compact, marrow }
}

const RIBS: usize = 12;
/// Distance of one rib from the next at the spine, mm.
const RIB_STEP: f32 = 23.0;

/// z of rib `number` (from 0) where it leaves the spine, mm.
fn rib_at_spine(number: usize) -> f32 {
    130.0 - RIB_STEP * number as f32
}

/// A rib at a point `from_wall` mm outside the inner chest wall.
pub(super) fn rib(p: Point, from_wall: f32) -> Option<Bone> {
    const MIDDLE: f32 = 7.0;
    if !(1.5..13.0).contains(&from_wall) || p.x.abs() < 20.0 {
        return None;
    }
    let angle = p.x.abs().atan2(p.y - 2.0);
    let fall_share = 0.5 * (1.0 - angle.cos());
    (0..RIBS).filter(|number| angle < rib_end(*number)).find_map(|number| {
        let fall = 42.0 + 6.0 * number.min(7) as f32;
        let above = p.z - (rib_at_spine(number) - fall * fall_share);
        if above.abs() > 8.0 {
            return None;
        }
        let (height, depth) = (above / 6.6, (from_wall - MIDDLE) / 4.2);
        let reach = (height * height + depth * depth).sqrt();
        // The front third is cartilage.
        let cartilage = ease(2.35, 2.45, angle);
        (reach < 1.3).then(|| bone((1.0 - reach) * 4.2, 1.3, mix(620.0, 105.0, cartilage), mix(190.0, 95.0, cartilage)))
    })
}

/// Angle from the back at which the rib or its cartilage ends, rad.
fn rib_end(number: usize) -> f32 {
    match number {
        0..=6 => 2.95,
        7..=9 => 2.6,
        10 => 1.5,
        _ => 1.0,
    }
}

/// How far the spine leans forward (-y) at a height, mm: the upper end of the kyphosis.
fn spine_lean(z: f32) -> f32 {
    let upwards = (z / 150.0).max(0.0);
    -10.0 * upwards * upwards
}

/// A vertebra at a point near the middle of the back, or the disc or the canal (whose marrow is soft).
pub(super) fn vertebra(p: Point) -> Option<Bone> {
    if p.x.abs() > 40.0 || p.y < 20.0 {
        return None;
    }
    let y = p.y - spine_lean(p.z);
    let in_body = 1.0 - ((p.x / 19.0).powi(2) + ((y - 54.0) / 15.5).powi(2)).sqrt();
    // Between two vertebrae lies a disc; 0 in the middle of the body.
    let height = ((p.z - 130.0 + 4.0).rem_euclid(RIB_STEP) - 0.5 * RIB_STEP).abs();
    let into_disc = height - 8.8;
    if in_body > -0.12 {
        let depth = in_body * 15.5;
        return Some(if into_disc > 0.0 {
            bone(depth, 0.4, 90.0, 90.0)
        } else {
            bone(depth.min(1.0 - into_disc), 1.2, 420.0, 190.0)
        });
    }
    // Arch around the canal, spinous process sloping down, transverse processes; gaps between the arches.
    let canal = ((p.x / 10.0).powi(2) + ((y - 79.0) / 8.5).powi(2)).sqrt();
    if canal < 1.0 {
        // The cord in its fluid.
        return Some(bone((1.0 - canal) * 8.5, 0.1, 22.0, 26.0));
    }
    let arch = 3.6 - ((canal - 1.0) * 8.5 - 3.2).abs();
    let arch_here = if height < 9.5 || y > 84.0 { arch } else { -9.0 };
    let spinous = 2.6 - segment(p.x, y, (0.0, 88.0), (0.0, 99.0 - 0.35 * height)).max(height - 10.0);
    let transverse = if height < 6.5 { 3.8 - segment(p.x.abs(), y, (11.0, 76.0), (33.0, 85.0)) } else { -9.0 };
    // The neck of the rib, from the side of the body to the transverse process.
    let neck = if height < 5.5 { 3.6 - segment(p.x.abs(), y, (18.0, 62.0), (36.0, 80.0)) } else { -9.0 };
    let depth = arch_here.max(spinous).max(transverse).max(neck);
    (depth > -1.0).then(|| bone(depth, 1.4, 540.0, 260.0))
}

/// Distance from a line between two points of a plane, mm.
fn segment(x: f32, y: f32, from: (f32, f32), to: (f32, f32)) -> f32 {
    let (ax, ay) = (to.0 - from.0, to.1 - from.1);
    let (ox, oy) = (x - from.0, y - from.1);
    let along = ((ox * ax + oy * ay) / (ax * ax + ay * ay)).clamp(0.0, 1.0);
    let (dx, dy) = (ox - along * ax, oy - along * ay);
    (dx * dx + dy * dy).sqrt()
}

/// Breastbone: manubrium, body, xiphoid; `front` is the y of the chest wall's inner surface in the middle, mm.
pub(super) fn sternum(p: Point, front: f32) -> Option<Bone> {
    if !(-78.0..104.0).contains(&p.z) || p.x.abs() > 34.0 || p.y > -30.0 {
        return None;
    }
    let half_width = mix(17.0, 27.0, ease(60.0, 92.0, p.z)) * ease(-80.0, -40.0, p.z).max(0.35);
    let middle = front - 7.0;
    let (x, y) = (p.x / half_width, (p.y - middle) / 5.6);
    let reach = (x.powi(4) + y.powi(4)).sqrt().sqrt();
    (reach < 1.25).then(|| bone((1.0 - reach) * 5.6, 1.1, 430.0, 130.0))
}

/// Clavicles and shoulder blades.
pub(super) fn shoulder(p: Point) -> Option<Bone> {
    if p.z < -30.0 || p.x.abs() < 16.0 {
        return None;
    }
    let mirrored = point(p.x.abs(), p.y, p.z);
    let clavicle =
        -Tube { from: point(20.0, -66.0, 92.0), to: point(78.0, -52.0, 116.0), from_radius: 8.0, to_radius: 5.5 }
            .distance(mirrored);
    let outer_clavicle =
        -Tube { from: point(78.0, -52.0, 116.0), to: point(116.0, -12.0, 138.0), from_radius: 5.5, to_radius: 6.0 }
            .distance(mirrored);
    let blade = shoulder_blade(mirrored);
    let depth = clavicle.max(outer_clavicle).max(blade);
    (depth > -1.0).then(|| bone(depth, 1.3, 560.0, 230.0))
}

/// Depth below the surface of the right shoulder blade mirrored to +x, mm.
fn shoulder_blade(p: Point) -> f32 {
    let up = ease(-28.0, 112.0, p.z);
    if !(-28.0..126.0).contains(&p.z) {
        return -9.0;
    }
    // The blade narrows to its lower angle and follows the rib cage.
    let medial = (mix(96.0, 66.0, up), mix(79.0, 70.0, up));
    let lateral = (mix(104.0, 122.0, up), mix(73.0, 22.0, up));
    let middle = (0.5 * (medial.0 + lateral.0) + 3.5 * up, 0.5 * (medial.1 + lateral.1) + 3.0 * up);
    let plate = segment(p.x, p.y, medial, middle).min(segment(p.x, p.y, middle, lateral));
    // Thick at its lateral border and where the spine of the blade rises.
    let border = ((p.x - lateral.0).hypot(p.y - lateral.1) / 14.0).min(1.0);
    let thickness = mix(5.5, 2.1, border);
    let ridge = if (72.0..112.0).contains(&p.z) {
        let tip = (middle.0 + 12.0, middle.1 + 16.0);
        2.8 - segment(p.x, p.y, middle, tip)
    } else {
        -9.0
    };
    let ends = (p.z + 28.0).min(126.0 - p.z);
    (thickness - plate).max(ridge).min(ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_of_the_chest_cuts_several_ribs() {
        for z in [-60.0, -20.0, 20.0, 60.0] {
            let mut cut = 0;
            let mut inside = false;
            for tenth in 3..28 * 5 {
                let angle = tenth as f32 / 50.0;
                let p = point(100.0 * angle.sin(), 100.0 * angle.cos() + 2.0, z);
                let now = rib(p, 7.0).is_some_and(|b| b.depth > 0.0);
                cut += usize::from(now && !inside);
                inside = now;
            }
            assert!((2..=6).contains(&cut), "{cut} ribs at z {z}");
        }
    }
}
